//! The verbs that read playbooks, or a saved plan in their place.

use super::print::print;
use crate::cli::args::{ApplyArgs, RecordArgs, RollbackArgs, RunArgs};
use crate::cli::failure::Failure;
use crate::cli::following::{self, Following};
use crate::cli::report::report_to;
use crate::cli::saved_plan::{self, Saver, ToDo};
use crate::cli::session::{self, Followed, Session};
use crate::cli::settings::Settings;
use crate::cli::{console, limit, lists, project};
use crate::clock;
use crate::inputs::roster::Roster;
use crate::inputs::verb::{Back, Verb};
use crate::journal::SavedPlan;
use crate::report::{Metrics, Reporter};
use crate::source::{Diagnostic, Diagnostics};
use std::path::PathBuf;
use std::sync::Arc;

/// What is to be done with playbooks.
pub(super) struct Task {
    pub(super) verb: Verb,
    /// Pending changes have an exit code of their own.
    pub(super) pending_exit_code: bool,
    /// Where a plan is saved.
    pub(super) out: Option<PathBuf>,
    /// How a record is kept, where one is.
    pub(super) record: Option<RecordArgs>,
    /// Who takes part, where that is settled.
    pub(super) roster: Option<Roster>,
    /// The plan that is carried out, and where it is.
    pub(super) plan: Option<(SavedPlan, PathBuf)>,
    /// The run that it follows.
    pub(super) follows: Option<Followed>,
    /// The plan whose hosts are only looked after, and whether a limit was given besides.
    pub(super) looked_after: Option<(PathBuf, bool)>,
}

impl Task {
    pub(super) fn new(verb: Verb) -> Self {
        let (pending_exit_code, out, record, roster, plan) = (false, None, None, None, None);
        let (follows, looked_after) = (None, None);
        Self { verb, pending_exit_code, out, record, roster, plan, follows, looked_after }
    }

    /// Follows an earlier run.
    fn following(self, following: Following) -> (RunArgs, Self) {
        let Following { run, roster, plan, followed } = following;
        (run, Self { roster: Some(roster), plan, follows: Some(followed), ..self })
    }

    pub(super) fn recorded(self, flags: &RecordArgs) -> Self {
        Self { record: (!flags.no_record).then(|| flags.clone()), ..self }
    }
}

pub(super) async fn apply(mut args: ApplyArgs) -> Result<u8, Failure> {
    if let Some(run) = &args.resume {
        let task = Task::new(if args.check { Verb::Plan } else { Verb::Apply });
        let task = if args.check { task } else { task.recorded(&args.record) };
        let (run, task) = task.following(following::resume(run, &args, clock::now())?);
        return on_playbooks(&run, task).await;
    }
    if args.run.playbooks.iter().any(|path| SavedPlan::is_one(path)) {
        saved_plan::anchor(&mut args.run);
    }
    let Some(ToDo { args: planned, plan, roster }) = saved_plan::to_do(&args, clock::now())? else {
        let verb = if args.check { Verb::Plan } else { Verb::Apply };
        let task = Task::new(verb);
        let task = if args.check { task } else { task.recorded(&args.record) };
        return on_playbooks(&args.run, task).await;
    };
    let path = args.run.playbooks[0].clone();
    let task = Task::new(Verb::Apply).recorded(&args.record);
    let task = Task { roster: Some(roster), plan: Some((plan, path)), ..task };
    on_playbooks(&planned.run, task).await
}

pub(super) async fn rollback(args: RollbackArgs) -> Result<u8, Failure> {
    let check = args.check;
    let recorded = |task: Task| if check { task } else { task.recorded(&args.record) };
    let Some(run) = &args.of_run else {
        let back = Back::To(args.to.clone());
        return on_playbooks(&args.run, recorded(Task::new(Verb::Rollback { back, check }))).await;
    };
    let task = recorded(Task::new(Verb::Rollback { back: Back::Run, check }));
    let (run, task) = task.following(following::take_back(run, &args)?);
    on_playbooks(&run, task).await
}

/// What looks at hosts or recovers them, for playbooks or for a saved plan.
pub(super) async fn look_after(given: &RunArgs, task: Task) -> Result<u8, Failure> {
    let Some((planned, path)) = saved_plan::to_look_after(given)? else {
        return on_playbooks(given, task).await;
    };
    let looked_after = Some((path, given.inventory.limit.is_some()));
    on_playbooks(&planned, Task { looked_after, ..task }).await
}

/// The flags with what environment and ansible.cfg say where they say nothing.
///
/// # Errors
/// A configuration that is wrong; flags that only ansible-playbook has.
fn with_settings(given: &RunArgs) -> Result<(RunArgs, Diagnostics), Failure> {
    let mut found = Diagnostics::default();
    for (flag, remedy) in given.elsewhere.remedies() {
        found.push(Diagnostic::error(format!("certroll has no {flag}")).help(remedy));
    }
    if found.has_errors() {
        return Err(found.into());
    }
    let settings = Settings::read()?;
    let mut args = given.clone();
    settings.fill_sources(&mut args.inventory);
    settings.fill_connection(&mut args.connection);
    let of_run = settings.of_run();
    args.forks = args.forks.or(of_run.forks);
    args.force_handlers |= of_run.force_handlers;
    args.any_errors_fatal = of_run.any_errors_fatal;
    args.config_file = settings.file();
    args.roles_path = of_run.roles_path;
    args.collections_path = of_run.collections_path;
    if args.tags.is_empty() {
        args.tags = of_run.tags;
    }
    if args.skip_tags.is_empty() {
        args.skip_tags = of_run.skip_tags;
    }
    Ok((args, settings.warnings))
}

pub(super) async fn on_playbooks(given: &RunArgs, task: Task) -> Result<u8, Failure> {
    saved_plan::refuse(given)?;
    let (mut args, warnings) = with_settings(given)?;
    let mut rerun = console::rerun(given);
    if let Verb::Rollback { back: Back::To(Some(to)), .. } = &task.verb {
        rerun.own = vec!["--to".to_owned(), to.clone()];
    }
    if let (true, Some(patience)) = (task.verb.changes(), given.lock_timeout) {
        let patience = humantime::format_duration(patience).to_string().replace(' ', "");
        rerun.own.extend(["--lock-timeout".to_owned(), patience]);
    }
    let playbooks: Vec<String> =
        args.playbooks.iter().map(|path| path.display().to_string()).collect();
    if let Some(limit) = &args.inventory.limit
        && let Some(resolved) = limit::resolve(limit, &playbooks)?
    {
        rerun.limit = Some(resolved.pinned);
        args.inventory.limit = Some(resolved.pattern);
    }
    let args = &args;
    let mut reporters = reporters(args)?;
    let mut loaded = project::load(args, task.verb)?;
    loaded.warnings.0.splice(0..0, warnings.0);
    if let Some((plan, path)) = &task.plan {
        saved_plan::same_sources(plan, &loaded.project)?;
        let narrowed = task.roster.as_ref().is_some_and(|roster| roster.narrowed);
        rerun = console::rerun_plan(path, narrowed, rerun);
    }
    if let Some((path, narrowed)) = &task.looked_after {
        rerun = console::rerun_plan(path, *narrowed, rerun);
    }
    if let Some(listing) = lists::listing(args, &loaded.project)? {
        session::show_warnings(&loaded.warnings, &args.output)?;
        return print(listing.as_bytes());
    }
    // A listing of nothing says so by itself, as Ansible's does.
    lists::known_tags(&given.tags, &loaded.project)?;
    if args.syntax_check {
        session::show_warnings(&loaded.warnings, &args.output)?;
        let names = loaded.project.books.iter().map(|book| book.playbook.name.as_str());
        let text: String = names.map(|name| format!("{name}: syntax is right\n")).collect();
        return print(text.as_bytes());
    }
    let options = &mut loaded.project.options;
    options.pending_exit_code = task.pending_exit_code;
    options.roster = task.roster.map(Arc::new);
    if let Some(out) = &task.out {
        let sources = saved_plan::sources(&loaded.project);
        reporters.push(Box::new(Saver::new(out, sources, clock::now())?));
    }
    let session = Session {
        connection: &args.connection,
        output: &args.output,
        watch: &args.watch,
        diff: args.diff,
        rerun,
        out: task.out.as_ref().map(|out| out.display().to_string()),
        plan: task.plan.as_ref().map(|(plan, _)| plan.digest),
        follows: task.follows.as_ref(),
        record: task.record.as_ref(),
        reporters,
    };
    let summary = session.run(loaded.project, loaded.warnings).await?;
    Ok(summary.exit_code)
}

/// What is written besides the console's output.
///
/// # Errors
/// A report whose form is not known.
fn reporters(args: &RunArgs) -> Result<Vec<Box<dyn Reporter + Send>>, Diagnostic> {
    let metrics = args.metrics.as_ref().map(|file| Box::new(Metrics::new(file)) as Box<_>);
    let mut reporters: Vec<Box<dyn Reporter + Send>> = metrics.into_iter().collect();
    for path in &args.reports {
        reporters.push(Box::new(report_to(path)?));
    }
    Ok(reporters)
}
