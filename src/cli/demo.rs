//! `certroll demo`: the main job on the embedded fleet, through the same path as any other run.

use super::args::{Cli, Command, DemoArgs, Output, RunArgs};
use super::console;
use super::failure::Failure;
use super::project;
use super::session::Session;
use crate::engine::exit;
use crate::event::{Event, Kind, Summary};
use crate::inputs::verb::Verb;
use crate::lab::story::{Expected, demo, expected};
use crate::lab::{Lab, words};
use crate::model::{FileAction, HostName};
use crate::report::{Reporter, RunView};
use anyhow::Context;
use clap::Parser;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::signal::unix::{SignalKind, signal};

/// Plans and applies on a fleet of simulated hosts; 0 when every host ended as told.
///
/// # Errors
/// The fleet cannot be started.
pub(super) async fn run(args: &DemoArgs) -> Result<u8, Failure> {
    let stories = demo();
    let lab = match &args.keep {
        None => Lab::temporary(&stories).await?,
        Some(directory) => {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
            Lab::start(directory, &stories).await?
        }
    };
    // From here on, so that no interrupt is lost between the run and the wait.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let played = play(&lab, args).await;
    if let (Ok(_), Some(_)) = (&played, &args.keep) {
        say(args, &words::kept(&lab))?;
        interrupts.recv().await;
    }
    lab.stop().await;
    played
}

async fn play(lab: &Lab, args: &DemoArgs) -> Result<u8, Failure> {
    say(args, &words::intro(lab))?;
    say(args, &format!("{}\n", words::BEFORE_PLAN))?;
    let (plan, rows) = stage(lab, args, Verb::Plan).await?;
    if plan.stopped.is_some() {
        return Ok(plan.exit_code);
    }
    say(args, &format!("\n{}\n", words::BEFORE_APPLY))?;
    let (summary, _) = stage(lab, args, Verb::Apply).await?;
    if summary.exit_code == exit::INTERRUPTED {
        return Ok(summary.exit_code);
    }
    let ends = expected(lab.stories());
    let differences = differences(&ends, &rows, &summary);
    if !differences.is_empty() {
        say(args, &format!("\n{}", words::not_as_told(&differences)))?;
        return Ok(exit::FAILED);
    }
    say(args, &format!("\n{}\n", words::as_told(&ends)))?;
    if args.keep.is_none() {
        say(args, words::CLOSING)?;
    }
    Ok(exit::OK)
}

/// One verb on the lab's playbook, with what the plan said of each host's certificate file.
async fn stage(
    lab: &Lab,
    args: &DemoArgs,
    verb: Verb,
) -> Result<(Summary, HashMap<HostName, Vec<FileAction>>), Failure> {
    let run = flags(lab, args, verb.name())?;
    let loaded = project::load(&run, verb)?;
    let actions = Actions::default();
    let session = Session {
        connection: &run.connection,
        output: &args.output,
        watch: &args.watch,
        diff: false,
        rerun: console::rerun(&run),
        out: None,
        plan: None,
        follows: None,
        record: None,
        reporters: vec![Box::new(actions.clone())],
    };
    let summary = session.run(loaded.project, loaded.warnings).await?;
    let rows = actions.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((summary, rows))
}

/// The flags that an operator would give.
fn flags(lab: &Lab, args: &DemoArgs, verb: &str) -> anyhow::Result<RunArgs> {
    let (playbook, inventory) = (lab.playbook(), lab.inventory());
    let words = [
        "certroll".as_ref(),
        verb.as_ref(),
        playbook.as_os_str(),
        "-i".as_ref(),
        inventory.as_os_str(),
        "--ssh-config".as_ref(),
        "none".as_ref(),
    ];
    let run = match Cli::try_parse_from(words)?.command {
        Command::Plan(plan) => plan.run,
        Command::Apply(apply) => apply.run,
        _ => anyhow::bail!("no such stage: {verb}"),
    };
    Ok(RunArgs { output: args.output.clone(), ..run })
}

/// What the plan said, by host.
#[derive(Clone, Default)]
struct Actions(Arc<Mutex<HashMap<HostName, Vec<FileAction>>>>);

impl Reporter for Actions {
    fn on_event(&mut self, event: &Event, view: &RunView) -> io::Result<()> {
        if let Kind::Summary(_) = &event.kind {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (host, run) in &view.hosts {
                let actions = run.rows.iter().map(|(_, row)| row.action.clone());
                known.insert(host.clone(), actions.collect());
            }
        }
        Ok(())
    }
}

/// How the run differs from the story.
fn differences(
    ends: &[Expected],
    rows: &HashMap<HostName, Vec<FileAction>>,
    summary: &Summary,
) -> Vec<String> {
    let mut differences = Vec::new();
    for end in ends {
        let host = end.host.as_str();
        let planned = rows.get(host).map(Vec::as_slice).unwrap_or_default();
        let as_planned = match &end.plan {
            Some(action) => planned.contains(action),
            None => planned.is_empty(),
        };
        if !as_planned {
            differences.push(format!("{host}: the plan says {planned:?}, not {:?}", end.plan));
        }
        let ended = summary.hosts.get(host).map(|host| host.outcome);
        if ended != Some(end.outcome) {
            differences.push(format!("{host}: ended {ended:?}, not {:?}", end.outcome));
        }
    }
    differences
}

/// The demo's own words; none with `-o json`.
fn say(args: &DemoArgs, text: &str) -> io::Result<()> {
    if args.output.output == Output::Json {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
