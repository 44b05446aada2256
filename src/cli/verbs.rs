//! What each verb does.

use super::args::{
    self, ApplyArgs, Command, ConfigArgs, ConnectionArgs, DiscoverArgs, HistoryCommand, InitArgs,
    InventoryArgs, InventorySource, Output, OutputArgs, PingArgs, PlanArgs, RecordArgs,
    RecoverArgs, RollbackArgs, RunArgs, ServicesArgs,
};
use super::failure::Failure;
use super::following::{self, Following};
use super::saved_plan::{self, Saver, ToDo};
use super::session::{self, Followed, Session};
use super::settings::Settings;
use super::{console, demo, discover, history, init, limit, lists, project, show};
use crate::clock;
use crate::engine::exit;
use crate::inputs::roster::Roster;
use crate::inputs::verb::{Back, Verb};
use crate::inventory::Inventory;
use crate::journal::SavedPlan;
use crate::report::document::{Document, Form};
use crate::report::{Metrics, Reporter};
use crate::services::{self, Profiles};
use crate::source::{Diagnostic, Diagnostics};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

impl Command {
    /// The verb.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Apply(args) if args.check => "plan",
            Self::Apply(_) => "apply",
            Self::Verify(_) => "verify",
            Self::Inventory(_) => "inventory",
            Self::Ping(_) => "ping",
            Self::Status(_) => "status",
            Self::Recover(_) => "recover",
            Self::Rollback(_) => "rollback",
            Self::Show(_) => "show",
            Self::Discover(_) => "discover",
            Self::Init(_) => "init",
            Self::History(_) => "history",
            Self::Services(_) => "services",
            Self::Config(_) => "config",
            Self::Demo(_) => "demo",
            Self::Completions { .. } => "completions",
            Self::Man => "man",
        }
    }

    /// Its output flags.
    pub(super) fn output(&self) -> Option<&OutputArgs> {
        match self {
            Self::Plan(args) => Some(&args.run.output),
            Self::Apply(args) => Some(&args.run.output),
            Self::Rollback(args) => Some(&args.run.output),
            Self::Recover(args) => Some(&args.run.output),
            Self::Verify(run) | Self::Status(run) => Some(&run.output),
            Self::History(args) => Some(match &args.what {
                Some(HistoryCommand::Show { output, .. }) => output,
                None => &args.output,
            }),
            Self::Inventory(args) => Some(&args.output),
            Self::Ping(args) => Some(&args.output),
            Self::Discover(args) => Some(&args.output),
            Self::Init(args) => Some(&args.output),
            Self::Services(args) => Some(&args.output),
            Self::Config(args) => Some(&args.output),
            Self::Demo(args) => Some(&args.output),
            Self::Show(_) | Self::Completions { .. } | Self::Man => None,
        }
    }
}

/// Does what the command says; returns the exit code.
///
/// # Errors
/// What stopped it before any host was touched.
pub(super) async fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Plan(PlanArgs { run, exit_code, out }) => {
            let task = Task { pending_exit_code: exit_code, out, ..Task::new(Verb::Plan) };
            on_playbooks(&run, task).await
        }
        Command::Apply(args) => apply(args).await,
        Command::Rollback(args) => rollback(args).await,
        Command::Verify(run) => look_after(&run, Task::new(Verb::Verify)).await,
        Command::Status(run) => look_after(&run, Task::new(Verb::Status)).await,
        Command::Recover(RecoverArgs { run, record }) => {
            look_after(&run, Task::new(Verb::Recover).recorded(&record)).await
        }
        Command::Ping(args) => ping(&args).await,
        Command::Discover(args) => discover(&args).await,
        Command::Init(args) => init(&args).await,
        Command::Inventory(args) => inventory(&args),
        Command::Show(args) => print(&show::run(&args)?),
        Command::History(args) => print(&history::run(&args)?),
        Command::Services(args) => services(&args),
        Command::Config(args) => config(&args),
        Command::Demo(args) => demo::run(&args).await,
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut args::command(), "certroll", &mut text);
            print(&text)
        }
        Command::Man => {
            let mut text = Vec::new();
            clap_mangen::Man::new(args::command()).render(&mut text)?;
            print(&text)
        }
    }
}

fn print(bytes: &[u8]) -> Result<u8, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // A reader that went away had what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit::OK),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(exit::OK),
    }
}

/// What is to be done with playbooks.
struct Task {
    verb: Verb,
    /// Pending changes have an exit code of their own.
    pending_exit_code: bool,
    /// Where a plan is saved.
    out: Option<PathBuf>,
    /// How a record is kept, where one is.
    record: Option<RecordArgs>,
    /// Who takes part, where that is settled.
    roster: Option<Roster>,
    /// The plan that is carried out, and where it is.
    plan: Option<(SavedPlan, PathBuf)>,
    /// The run that it follows.
    follows: Option<Followed>,
    /// The plan whose hosts are only looked after, and whether a limit was given besides.
    looked_after: Option<(PathBuf, bool)>,
}

impl Task {
    fn new(verb: Verb) -> Self {
        let (pending_exit_code, out, record, roster, plan) = (false, None, None, None, None);
        let (follows, looked_after) = (None, None);
        Self { verb, pending_exit_code, out, record, roster, plan, follows, looked_after }
    }

    /// Follows an earlier run.
    fn following(self, following: Following) -> (RunArgs, Self) {
        let Following { run, roster, plan, followed } = following;
        (run, Self { roster: Some(roster), plan, follows: Some(followed), ..self })
    }

    fn recorded(self, flags: &RecordArgs) -> Self {
        Self { record: (!flags.no_record).then(|| flags.clone()), ..self }
    }
}

async fn apply(mut args: ApplyArgs) -> Result<u8, Failure> {
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

async fn rollback(args: RollbackArgs) -> Result<u8, Failure> {
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
async fn look_after(given: &RunArgs, task: Task) -> Result<u8, Failure> {
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

async fn on_playbooks(given: &RunArgs, task: Task) -> Result<u8, Failure> {
    saved_plan::refuse(given)?;
    let (mut args, warnings) = with_settings(given)?;
    let mut rerun = console::rerun(given);
    if let Verb::Rollback { back: Back::To(Some(to)), .. } = &task.verb {
        rerun.own = vec!["--to".to_owned(), to.clone()];
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
        let Some(form) = Form::of(path) else {
            let problem = format!("--report {}: no format has this extension", path.display());
            return Err(Diagnostic::error(problem)
                .help("name it .html, .md (Markdown), .json, or .xml (JUnit)"));
        };
        reporters.push(Box::new(Document::new(path.clone(), form)));
    }
    Ok(reporters)
}

async fn ping(given: &PingArgs) -> Result<u8, Failure> {
    let hosts = BareHosts {
        pattern: &given.pattern,
        inventory: &given.inventory,
        connection: &given.connection,
        forks: given.forks,
        output: &given.output,
    };
    hosts.visit(Verb::Ping, false, Vec::new()).await
}

async fn discover(given: &DiscoverArgs) -> Result<u8, Failure> {
    if !given.scan.is_empty() {
        let (text, code) = discover::scan(given).await?;
        return print(&text).map(|_| code);
    }
    let hosts = BareHosts {
        pattern: &given.pattern,
        inventory: &given.inventory,
        connection: &given.connection,
        forks: given.forks,
        output: &given.output,
    };
    let verb = Verb::Discover { expiring: given.expiring };
    hosts.visit(verb, given.exit_code, Vec::new()).await
}

async fn init(given: &InitArgs) -> Result<u8, Failure> {
    init::check(&given.out)?;
    let hosts = BareHosts {
        pattern: &given.pattern,
        inventory: &given.inventory,
        connection: &given.connection,
        forks: given.forks,
        output: &given.output,
    };
    let collected = init::Collected::default();
    let reporters: Vec<Box<dyn Reporter + Send>> = vec![Box::new(collected.clone())];
    let code = hosts.visit(Verb::Discover { expiring: None }, false, reporters).await?;
    let text = init::write(given, &collected.take(), crate::clock::now())?;
    if given.output.output == Output::Table {
        print(text.as_bytes())?;
    }
    Ok(code)
}

/// The hosts of a verb without a playbook.
struct BareHosts<'a> {
    pattern: &'a str,
    inventory: &'a InventorySource,
    connection: &'a ConnectionArgs,
    forks: Option<u16>,
    output: &'a OutputArgs,
}

impl BareHosts<'_> {
    /// Does what the verb asks of each.
    async fn visit(
        self,
        verb: Verb,
        exit_code: bool,
        reporters: Vec<Box<dyn Reporter + Send>>,
    ) -> Result<u8, Failure> {
        let settings = Settings::read()?;
        let (mut inventory, mut connection) = (self.inventory.clone(), self.connection.clone());
        settings.fill_sources(&mut inventory);
        settings.fill_connection(&mut connection);
        let forks = self.forks.or(settings.of_run().forks);
        let sources = project::sources(&inventory, Vec::new())?;
        let mut warnings = settings.warnings;
        warnings.extend(sources.warnings.clone());
        some_host(&sources.inventory, self.pattern)?;
        let limit = inventory.limit.clone();
        let mut project =
            project::hosts_only(sources, verb, self.pattern, limit, inventory.shard, forks)?;
        project.options.pending_exit_code = exit_code;
        let session = Session {
            connection: &connection,
            output: self.output,
            diff: false,
            rerun: console::rerun_hosts(self.pattern, self.inventory, self.connection),
            out: None,
            plan: None,
            follows: None,
            record: None,
            reporters,
        };
        Ok(session.run(project, warnings).await?.exit_code)
    }
}

/// There is somebody to visit: a check of nobody would pass, in cron too.
///
/// # Errors
/// The pattern leaves no host.
fn some_host(inventory: &Inventory, pattern: &str) -> Result<(), Diagnostic> {
    // A pattern that is wrong is told with the others.
    if !inventory.select(pattern).is_ok_and(|hosts| hosts.is_empty()) {
        return Ok(());
    }
    let problem = Diagnostic::error(format!("the pattern '{pattern}' matches no host"));
    Err(match inventory.sources.as_slice() {
        [] => problem.help("no inventory was given: `-i FILE`"),
        sources => problem.help(format!("inventory: {}", sources.join(", "))),
    })
}

fn inventory(args: &InventoryArgs) -> Result<u8, Failure> {
    let beside = args.playbook_dir.iter().cloned().collect();
    let settings = Settings::read()?;
    let mut source = args.inventory.clone();
    settings.fill_sources(&mut source);
    let sources = project::sources(&source, beside)?;
    let mut warnings = settings.warnings;
    warnings.extend(sources.warnings.clone());
    session::show_warnings(&warnings, &args.output)?;
    let inventory = &sources.inventory;
    let limit = match &args.inventory.limit {
        None => None,
        Some(limit) => Some(
            inventory
                .limited(inventory.hosts(), limit)
                .map_err(|error| Diagnostic::error(format!("--limit: {error}")))?,
        ),
    };
    let text = if let Some(host) = &args.host {
        inventory.host_json(host).ok_or_else(|| {
            let hosts = inventory.hosts();
            let names = hosts.iter().map(|host| host.as_str());
            let problem = Diagnostic::error(format!("the inventory has no host '{host}'"));
            match crate::source::diagnostic::nearest(host, names) {
                Some(near) => problem.help(format!("did you mean '{near}'?")),
                None => problem.help("`certroll inventory --list` shows all"),
            }
        })?
    } else if args.graph {
        let group = args.group.as_deref().unwrap_or("all");
        inventory
            .graph(group, args.vars)
            .ok_or_else(|| Diagnostic::error(format!("the inventory has no group '{group}'")))?
    } else {
        inventory.list_json(args.export, limit.as_deref())
    };
    print(format!("{}\n", text.trim_end_matches('\n')).as_bytes())
}

fn config(args: &ConfigArgs) -> Result<u8, Failure> {
    let settings = Settings::read()?;
    let rows = settings.rows(&given(args));
    let mut text = String::new();
    for row in &rows {
        if args.output.output == Output::Json {
            let object =
                serde_json::json!({"setting": row.name, "value": row.value, "origin": row.origin});
            text.push_str(&format!("{object}\n"));
        } else {
            text.push_str(&format!("{} = {}  ({})\n", row.name, row.value, row.origin));
        }
    }
    session::show_warnings(&settings.warnings, &args.output)?;
    print(text.as_bytes())
}

/// The settings that flags decide.
fn given(args: &ConfigArgs) -> Vec<(&'static str, String)> {
    let (source, connection) = (&args.inventory, &args.connection);
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|p| p.display().to_string());
    let list = |list: Vec<String>| Some(list.join(",")).filter(|text| !text.is_empty());
    let flag = |given: bool| given.then(|| "true".to_owned());
    let files = source.vault_password_files.iter().map(|file| file.display().to_string());
    let all = [
        ("inventory", list(source.sources.clone())),
        ("vault_password_file", list(files.collect())),
        ("vault_identity_list", list(source.vault_ids.clone())),
        ("ask_vault_pass", flag(source.ask_vault_pass)),
        ("remote_user", connection.user.clone()),
        ("private_key_file", path(&connection.private_key)),
        ("connection", connection.connection.clone()),
        ("ask_pass", flag(connection.ask_pass)),
        ("connection_password_file", path(&connection.connection_password_file)),
        ("become", flag(connection.becoming)),
        ("become_user", connection.become_user.clone()),
        ("become_method", connection.become_method.clone()),
        ("become_ask_pass", flag(connection.ask_become_pass)),
        ("become_password_file", path(&connection.become_password_file)),
        ("timeout", connection.timeout.map(|seconds| seconds.to_string())),
        ("ssh_common_args", connection.ssh_common_args.clone()),
        ("ssh_extra_args", connection.ssh_extra_args.clone()),
        ("forks", args.forks.map(|forks| forks.to_string())),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn services(args: &ServicesArgs) -> Result<u8, Failure> {
    let (profiles, _) = Profiles::load(std::slice::from_ref(&args.dir))?;
    if let Some(name) = &args.show {
        let profile = profiles.find(name)?;
        return print(services::show(profile).as_bytes());
    }
    let rows = services::list(&profiles);
    if args.output.output == Output::Json {
        let mut text = String::new();
        for row in rows {
            let object = serde_json::json!({
                "service": row.name,
                "description": row.description,
                "origin": row.origin,
                "checked_on_host": row.checked_on_host,
                "reload": row.reload,
            });
            text.push_str(&format!("{object}\n"));
        }
        return print(text.as_bytes());
    }
    let options = console::options(&args.output, false);
    print(crate::report::services::table(&options.stdout, &rows).as_bytes())
}
