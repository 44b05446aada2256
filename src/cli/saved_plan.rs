//! Saved plans: written by `plan --out`, shown by `show`, carried out by `apply FILE`; `verify`, `status` and `recover`
//! take one in place of its playbooks.

use super::args::{self, ApplyArgs, Cli, Command, RunArgs};
use super::failure::Failure;
use crate::event::{Event, Kind, RunStart};
use crate::inputs::project::Project;
use crate::inputs::roster::{Reviewed, Roster, RosterPlay};
use crate::journal::{FORMAT, Header, SavedPlan, Source};
use crate::model::Timestamp;
use crate::report::{Reporter, RunView};
use crate::source::{Diagnostic, Diagnostics};
use clap::FromArgMatches;
use indexmap::IndexMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What has settled flags.
const SAVED: &str = "a saved plan";

/// The files that a project is made of.
pub(super) fn sources(project: &Project) -> Vec<Source> {
    let files = project.sources().into_iter();
    files.map(|(file, sha256)| Source { file, sha256 }).collect()
}

/// Saves a plan when it is whole.
pub(super) struct Saver {
    path: PathBuf,
    header: Header,
    events: Vec<Event>,
}

impl Saver {
    /// To `path`, a plan of `sources` that is made now. Looks at once whether something can be written there.
    ///
    /// # Errors
    /// It cannot.
    pub(super) fn new(
        path: &Path,
        sources: Vec<Source>,
        made: Timestamp,
    ) -> Result<Self, Diagnostic> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if let Err(error) = tempfile::tempfile_in(directory) {
            let place = directory.display();
            return Err(Diagnostic::error(format!("--out: {place} cannot be written: {error}")));
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let header = Header { certroll_plan: FORMAT, made, version, sources };
        Ok(Self { path: path.to_owned(), header, events: Vec::new() })
    }
}

impl Reporter for Saver {
    fn on_event(&mut self, event: &Event, _: &RunView) -> io::Result<()> {
        self.events.push(event.clone());
        let Kind::Summary(summary) = &event.kind else { return Ok(()) };
        let path = self.path.display();
        if summary.stopped.is_some() {
            return Err(io::Error::other(format!(
                "the plan was interrupted: {path} is not written"
            )));
        }
        let digest = SavedPlan::write(&self.path, &self.header, &self.events).map_err(|error| {
            io::Error::new(error.kind(), format!("the plan {path} cannot be written: {error}"))
        })?;
        use std::io::Write;
        // Nobody is left to tell when standard error is gone.
        let _ = writeln!(io::stderr(), "plan saved in {path}, sha256 {digest}");
        Ok(())
    }
}

/// Reads a saved plan.
///
/// # Errors
/// It is none that can be used.
pub(super) fn read(path: &Path) -> Result<SavedPlan, Diagnostic> {
    SavedPlan::read(path).map_err(|error| {
        let problem = Diagnostic::error(format!("{}: {error}", path.display()));
        problem.help("`certroll plan --out FILE` makes a plan")
    })
}

/// A plan to be carried out: the command line that made it, with what was given besides now.
pub(super) struct ToDo {
    /// The arguments.
    pub(super) args: ApplyArgs,
    /// The plan.
    pub(super) plan: SavedPlan,
    /// Who takes part, and what was reviewed.
    pub(super) roster: Roster,
}

/// Prepares to carry out a plan in place of a playbook; none where no plan is named.
///
/// # Errors
/// It cannot be used, is too old, or flags were given that a plan has settled.
pub(super) fn to_do(given: &ApplyArgs, now: Timestamp) -> Result<Option<ToDo>, Failure> {
    let Some(path) = among(&given.run)? else {
        return Ok(None);
    };
    let mut found = settled(&given.run, SAVED);
    if given.check {
        let problem = Diagnostic::error("--check: a saved plan has been made and reviewed already");
        found.push(problem.help(format!("`certroll show {}` prints it", path.display())));
    }
    if found.has_errors() {
        return Err(found.into());
    }
    let plan = read(path)?;
    young(path, plan.header.made, now, given.plan_max_age)?;
    let mut args = command_line(&plan, path, &given.run)?;
    args.record = given.record.clone();
    let mut view = RunView::default();
    plan.events.iter().for_each(|event| view.take(event));
    let mut roster = roster(&plan, &view);
    if let Some(limit) = &given.run.inventory.limit {
        roster.narrowed = true;
        args.run.inventory.limit = Some(limit.clone());
    }
    Ok(Some(ToDo { args, plan, roster }))
}

/// The command line of a saved plan for a verb that only looks after its hosts, and where the plan is; none where no
/// plan is named. It may be of any age, and its playbooks may have changed since.
///
/// # Errors
/// It cannot be used, or flags were given that a plan has settled.
pub(super) fn to_look_after(given: &RunArgs) -> Result<Option<(RunArgs, PathBuf)>, Failure> {
    if among(given)?.is_none() {
        return Ok(None);
    }
    let mut given = given.clone();
    anchor(&mut given);
    let found = settled(&given, SAVED);
    if found.has_errors() {
        return Err(found.into());
    }
    let path = given.playbooks.swap_remove(0);
    let mut args = command_line(&read(&path)?, &path, &given)?.run;
    if let Some(limit) = given.inventory.limit {
        args.inventory.limit = Some(limit);
    }
    Ok(Some((args, path)))
}

/// The saved plan that is named in place of playbooks.
///
/// # Errors
/// It is not alone.
fn among(given: &RunArgs) -> Result<Option<&Path>, Diagnostic> {
    let Some(path) = given.playbooks.iter().find(|path| SavedPlan::is_one(path)) else {
        return Ok(None);
    };
    if given.playbooks.len() > 1 {
        let problem = "a saved plan stands alone, without playbooks or other plans";
        return Err(Diagnostic::error(problem));
    }
    Ok(Some(path))
}

/// A verb that makes plans, or restores what was before, takes playbooks.
///
/// # Errors
/// A saved plan is among them.
pub(super) fn refuse(given: &RunArgs) -> Result<(), Diagnostic> {
    let Some(path) = given.playbooks.iter().find(|path| SavedPlan::is_one(path)) else {
        return Ok(());
    };
    let path = path.display();
    Err(Diagnostic::error(format!("{path} is a saved plan, and this needs a playbook"))
        .help(format!("`certroll show {path}` prints it, `certroll apply {path}` carries it out")))
}

/// The command line that made a plan, with what was given besides now, in the directory where it was typed.
///
/// # Errors
/// Values are needed again; words that this version does not know.
pub(super) fn command_line(
    plan: &SavedPlan,
    path: &Path,
    given: &RunArgs,
) -> Result<ApplyArgs, Failure> {
    let Some(start) = plan.start() else {
        return Err(Diagnostic::error(format!("{}: the plan is empty", path.display())).into());
    };
    given_again(start, given, "the plan")?;
    enter(&start.directory);
    again(start, given)
}

/// Values that are not kept because they may be secret have to be given again.
///
/// # Errors
/// They were not.
pub(super) fn given_again(start: &RunStart, given: &RunArgs, what: &str) -> Result<(), Diagnostic> {
    if start.rerun.left_out.is_empty() || !given.inventory.extra_vars.is_empty() {
        return Ok(());
    }
    let flags = start.rerun.left_out.join(", ");
    let problem = format!("{what} was made with {flags}, whose values are not kept in it");
    Err(Diagnostic::error(problem).help("give the same values again"))
}

/// Makes the paths that were given now independent of the directory that is entered for the earlier command line.
pub(super) fn anchor(run: &mut RunArgs) {
    let anchored = |path: &mut PathBuf| {
        if let Ok(absolute) = std::path::absolute(&*path) {
            *path = absolute;
        }
    };
    run.playbooks.iter_mut().for_each(anchored);
    run.reports.iter_mut().chain(&mut run.metrics).for_each(anchored);
    run.inventory.vault_password_files.iter_mut().for_each(anchored);
    for vars in &mut run.inventory.extra_vars {
        if let Some(file) = vars.strip_prefix('@')
            && let Ok(absolute) = std::path::absolute(file)
        {
            *vars = format!("@{}", absolute.display());
        }
    }
}

/// Relative paths of a command line mean what they meant where it was typed, as long as that place is there.
pub(super) fn enter(directory: &str) {
    if Path::new(directory).is_dir() {
        // Where it cannot be entered the present one is as good: what is missing is said by name.
        let _ = std::env::set_current_dir(directory);
    }
}

/// The command line of an earlier run as arguments of `apply`, with passwords and output as `given` now.
///
/// # Errors
/// It has words that this version does not know.
pub(super) fn again(start: &RunStart, given: &RunArgs) -> Result<ApplyArgs, Failure> {
    let mut words = vec!["certroll".to_owned(), "apply".to_owned()];
    words.extend(start.rerun.argv.iter().cloned());
    if start.command == "apply" {
        words.extend(start.rerun.own.iter().cloned());
    }
    if let Some(limit) = &start.rerun.limit {
        words.extend(["--limit".to_owned(), limit.clone()]);
    }
    let parsed = args::command()
        .try_get_matches_from(words)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let Ok(Cli { command: Command::Apply(mut args) }) = parsed else {
        let problem = "the command line of that run is not known to this version of certroll";
        return Err(Diagnostic::error(problem).into());
    };
    let run = &mut args.run;
    run.inventory.extra_vars.extend(given.inventory.extra_vars.iter().cloned());
    run.inventory.vault_password_files.extend(given.inventory.vault_password_files.iter().cloned());
    run.inventory.vault_ids.extend(given.inventory.vault_ids.iter().cloned());
    run.inventory.ask_vault_pass |= given.inventory.ask_vault_pass;
    let (link, now) = (&mut run.connection, &given.connection);
    link.ask_pass |= now.ask_pass;
    link.ask_become_pass |= now.ask_become_pass;
    link.become_password_file =
        now.become_password_file.clone().or(link.become_password_file.take());
    link.connection_password_file =
        now.connection_password_file.clone().or(link.connection_password_file.take());
    run.forks = given.forks.or(run.forks);
    run.diff |= given.diff;
    run.metrics.clone_from(&given.metrics);
    run.reports.clone_from(&given.reports);
    run.output = given.output.clone();
    run.watch = given.watch.clone();
    Ok(args)
}

/// The flags that were given although `what` has settled what they say.
pub(super) fn settled(run: &RunArgs, what: &str) -> Diagnostics {
    let (source, link) = (&run.inventory, &run.connection);
    let all = [
        ("--inventory", !source.sources.is_empty()),
        ("--shard", source.shard.is_some()),
        ("--tags", !run.tags.is_empty()),
        ("--skip-tags", !run.skip_tags.is_empty()),
        ("--start-at-task", run.start_at_task.is_some()),
        ("--force-handlers", run.force_handlers),
        ("--user", link.user.is_some()),
        ("--private-key", link.private_key.is_some()),
        ("--become", link.becoming),
        ("--become-user", link.become_user.is_some()),
        ("--become-method", link.become_method.is_some()),
        ("--connection", link.connection.is_some()),
    ];
    let mut found = Diagnostics::default();
    for (flag, _) in all.into_iter().filter(|(_, given)| *given) {
        let problem = Diagnostic::error(format!("{flag}: {what} already sets this"));
        let help =
            format!("with {what}, only --limit, -e, passwords and output options may be given");
        found.push(problem.help(help));
    }
    found
}

fn young(path: &Path, made: Timestamp, now: Timestamp, most: Duration) -> Result<(), Diagnostic> {
    /// Clocks of two controllers differ by less.
    const AHEAD: i64 = 300;
    let age = now.unix() - made.unix();
    let path = path.display();
    if age < -AHEAD {
        let problem = format!("{path}: the plan was made at {made}, which is in the future");
        return Err(Diagnostic::error(problem).help("one of the clocks is wrong"));
    }
    if u64::try_from(age).unwrap_or(0) < most.as_secs() {
        return Ok(());
    }
    let limit = humantime::format_duration(most);
    let problem = format!("{path}: the plan was made at {made} and is older than {limit}");
    Err(Diagnostic::error(problem)
        .help("make a new plan and have it reviewed, or say `--plan-max-age 30d`"))
}

/// Who takes part in a plan, and what was reviewed.
fn roster(plan: &SavedPlan, view: &RunView) -> Roster {
    let mut reviewed = Reviewed::default();
    for event in &plan.events {
        if let (Kind::PlanHost { task, .. }, Some(host)) = (&event.kind, &event.host) {
            reviewed.add(host, (**task).clone());
        }
    }
    let summary = plan.summary();
    let plays = view.plays.iter().map(|play| {
        let failed = play.names.iter().filter_map(|host| {
            let counts = summary?.hosts.get(host)?;
            counts.outcome.is_failure().then(|| {
                let why = counts.reason.as_deref().unwrap_or("it could not be planned");
                (host.clone(), format!("left alone: the plan could not be made for it: {why}"))
            })
        });
        RosterPlay {
            apart: failed.collect::<IndexMap<_, _>>(),
            names: play.names.clone(),
            batches: play.batches.iter().map(|batch| batch.hosts.clone()).collect(),
            ..RosterPlay::default()
        }
    });
    let plays = plays.collect();
    Roster { origin: "the plan".to_owned(), plays, reviewed: Some(reviewed), ..Roster::default() }
}

/// The playbooks are those of the plan.
///
/// # Errors
/// Which is not.
pub(super) fn same_sources(plan: &SavedPlan, project: &Project) -> Result<(), Diagnostics> {
    let now = sources(project);
    let mut found = Diagnostics::default();
    for source in &now {
        let then = plan.header.sources.iter().find(|one| one.file == source.file);
        let problem = match then {
            Some(then) if then.sha256 == source.sha256 => continue,
            Some(then) => format!(
                "{} was modified since the plan was made (sha256 {}, then {})",
                source.file, source.sha256, then.sha256
            ),
            None => format!("{} is not part of the plan", source.file),
        };
        found.push(Diagnostic::error(problem).help("make a new plan and have it reviewed"));
    }
    for then in &plan.header.sources {
        if !now.iter().any(|source| source.file == then.file) {
            let problem = format!("{}, which is part of the plan, is no longer there", then.file);
            found.push(Diagnostic::error(problem).help("make a new plan and have it reviewed"));
        }
    }
    if found.has_errors() { Err(found) } else { Ok(()) }
}
