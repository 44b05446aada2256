//! One run from flags to exit code: reading, preflight, reporters, signals.

use super::args::{ConnectionArgs, Output, OutputArgs, RecordArgs, WatchArgs};
use super::failure::Failure;
use super::{console, history, project, prompt, signals};
use crate::clock;
use crate::engine::context::{Context, Operator};
use crate::engine::emit::Emitter;
use crate::engine::exit;
use crate::engine::identity::Identity;
use crate::engine::rollout::target::Targets;
use crate::engine::rollout::targets::every_kind::EveryKind;
use crate::engine::run;
use crate::engine::stop::Stop;
use crate::event::{Event, Kind, NoteLevel, Rerun, RunInputs, RunStart, SCHEMA, Summary};
use crate::inputs::project::Project;
use crate::inputs::verb::Verb;
use crate::inputs::{given, preflight};
use crate::model::Fingerprint;
use crate::report::{Pause, Reporter, RunView};
use crate::source::{Diagnostics, render};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// The run that this one follows.
pub(super) struct Followed {
    /// Its name.
    pub(super) run: String,
    /// What has to be the same still; none: nothing.
    pub(super) inputs: Option<RunInputs>,
    /// Only some of its hosts are wanted.
    pub(super) narrowed: bool,
    /// What to do where something is not the same.
    pub(super) remedy: String,
}

/// What a session is about.
pub(super) struct Session<'a> {
    /// How to log in.
    pub(super) connection: &'a ConnectionArgs,
    /// How to print.
    pub(super) output: &'a OutputArgs,
    /// How it is watched.
    pub(super) watch: &'a WatchArgs,
    /// `--diff`.
    pub(super) diff: bool,
    /// What to repeat to reach the same hosts.
    pub(super) rerun: Rerun,
    /// Where a plan is saved.
    pub(super) out: Option<String>,
    /// Digest of the saved plan that is carried out.
    pub(super) plan: Option<Fingerprint>,
    /// The run that is resumed, and what it was given.
    pub(super) follows: Option<&'a Followed>,
    /// How a record is kept, where one is.
    pub(super) record: Option<&'a RecordArgs>,
    /// Reporters besides the console.
    pub(super) reporters: Vec<Box<dyn Reporter + Send>>,
}

impl Session<'_> {
    /// Does what the project's verb asks and returns how it ended.
    ///
    /// # Errors
    /// What stopped it before any host was touched. A report or saved plan that cannot be written is told on standard
    /// error, and is an exit code of its own only where the hosts give none.
    pub(super) async fn run(
        self,
        project: Project,
        warnings: Diagnostics,
    ) -> Result<Summary, Failure> {
        self.run_on(Arc::new(EveryKind::default()), project, warnings).await
    }

    /// As [`Session::run`], on targets of another kind.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub(super) async fn run_on(
        mut self,
        targets: Arc<dyn Targets>,
        project: Project,
        mut warnings: Diagnostics,
    ) -> Result<Summary, Failure> {
        let now = clock::now();
        let (connections, more) = project::connections(self.connection, now)?;
        warnings.extend(more);
        let (emitter, inbox) = Emitter::channel(clock::now);
        let stop = Stop::default();
        let run = format!("{:016x}", rand::random::<u64>());
        let verb = project.options.verb.clone();
        let mut start = self.start(&project, &run);
        let holder = format!("certroll {} by {} since {now}, run {run}", verb.name(), start.by);
        let operator = Arc::new(Terminal::default());
        let context = Arc::new(Context::new(
            Arc::new(project),
            connections,
            emitter.clone(),
            stop.clone(),
            Identity { run, holder, now },
            targets,
            Arc::clone(&operator) as Arc<dyn Operator>,
        ));
        let mut findings = match verb {
            Verb::Ping | Verb::Discover { .. } => preflight::Findings::default(),
            _ => preflight::check(&context.inputs, operator.is_there())?,
        };
        if let Some(Followed { run, inputs: Some(then), narrowed, remedy }) = self.follows {
            given::same(then, &findings.inputs, run, *narrowed, remedy)?;
        }
        let notes = &mut findings.warnings;
        if self.output.output == Output::Json {
            notes.splice(0..0, warnings.0.iter().map(ToString::to_string));
        } else {
            show_warnings(&warnings, self.output)?;
        }
        let options = console::watched(self.output, self.watch, self.diff);
        let mut reporters = std::mem::take(&mut self.reporters);
        let mut trouble = None;
        match self.record.map(|flags| history::begin(flags, &start, now)) {
            None => {}
            Some(Err(why)) => notes.push(why),
            Some(Ok(recorder)) => {
                start.recorded = true;
                trouble = Some(recorder.trouble.clone());
                // Before all others: what was shown was recorded.
                reporters.insert(0, Box::new(recorder));
            }
        }
        let writer = console::start(options, reporters, inbox)?;
        operator.set(writer.pause.clone());
        let interrupted = emitter.clone();
        let watcher = signals::watch(stop, move |reason| {
            interrupted.run(Kind::Stopping { reason });
        })?;
        drop(emitter);
        let result = run::run(&context, start, findings).await;
        watcher.abort();
        // The watcher held an emitter; the writer ends once all are gone.
        let _ = watcher.await;
        drop(context);
        let written = writer.finish().await;
        if let Some(words) = trouble.and_then(|trouble| trouble.take()) {
            // Nobody is left to tell when standard error is gone.
            let _ = writeln!(std::io::stderr(), "warning: {words}");
        }
        let mut summary = result?;
        if let Err(error) = written {
            // On standard error alone: the stream of events on standard output has ended.
            let stderr = console::options(self.output, false).stderr;
            let text = Failure::from(error).render(stderr.color, stderr.columns());
            let _ = std::io::stderr().write_all(text.as_bytes());
            // That hosts failed matters more than a report that is missing.
            if matches!(summary.exit_code, exit::OK | exit::PENDING) {
                summary.exit_code = exit::USAGE;
            }
        }
        Ok(summary)
    }

    fn start(&self, project: &Project, run: &str) -> RunStart {
        let directory = std::env::current_dir().map(|path| path.display().to_string());
        RunStart {
            check: project.options.is_plan(),
            playbooks: project.books.iter().map(|book| book.playbook.name.clone()).collect(),
            rerun: self.rerun.clone(),
            by: whoami(),
            directory: directory.unwrap_or_default(),
            shard: project.options.shard,
            out: self.out.clone(),
            plan: self.plan,
            follows: self.follows.as_ref().map(|followed| followed.run.clone()),
            ..begin(project.options.verb.name(), run.to_owned())
        }
    }
}

fn begin(command: &str, run: String) -> RunStart {
    RunStart {
        schema: SCHEMA,
        command: command.to_owned(),
        run,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..RunStart::default()
    }
}

/// Shows what stopped nothing, with its place.
///
/// # Errors
/// Standard error is gone.
pub(super) fn show_warnings(warnings: &Diagnostics, output: &OutputArgs) -> std::io::Result<()> {
    if warnings.0.is_empty() {
        return Ok(());
    }
    let options = console::options(output, false);
    let text = render::render(warnings, options.stderr.color, options.stderr.columns());
    std::io::stderr().write_all(text.as_bytes())
}

/// With `-o json` a command that could not go on ends with a summary too, after the reasons.
///
/// # Errors
/// Standard output is gone.
pub(super) fn tell_failure_as_json(command: &str, failure: &Failure) -> std::io::Result<()> {
    use crate::report::Json;
    let notes = failure.to_string();
    let start = begin(command, format!("{:016x}", rand::random::<u64>()));
    let mut kinds = vec![Kind::RunStart(Box::new(start))];
    kinds.extend(
        notes.lines().map(|line| Kind::Note { level: NoteLevel::Error, message: line.to_owned() }),
    );
    let exit_code = crate::engine::exit::USAGE;
    kinds.push(Kind::Summary(Summary { exit_code, ..Summary::default() }));
    let (mut json, view) = (Json::new(std::io::stdout()), RunView::default());
    let (moment, elapsed) = (clock::now(), std::time::Duration::ZERO);
    for (seq, kind) in (0..).zip(kinds) {
        json.on_event(&Event { seq, moment, elapsed, host: None, kind }, &view)?;
    }
    Ok(())
}

/// `user@machine`, for whoever finds a host locked.
fn whoami() -> String {
    let controller = crate::transport::Controller::detect();
    format!("{}@{}", controller.user, controller.hostname)
}

/// Asks on the terminal, with the board out of the way.
#[derive(Default)]
struct Terminal(Mutex<Option<Pause>>);

impl Terminal {
    fn set(&self, pause: Pause) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(pause);
    }

    fn pause(&self) -> Pause {
        let pause = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        pause.unwrap_or_else(Pause::none)
    }
}

impl Operator for Terminal {
    fn is_there(&self) -> bool {
        prompt::is_possible()
    }

    fn confirm(&self, question: &str) -> bool {
        self.pause().around(|| prompt::confirm(question))
    }

    fn wait_for_return(&self, text: &str) -> std::io::Result<String> {
        self.pause().around(|| prompt::line(text))
    }
}
