//! The verbs that take a pattern of hosts in place of a playbook.

use super::print::print;
use crate::cli::args::{DiscoverArgs, InitArgs, Output, PingArgs, VisitArgs};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::settings::Settings;
use crate::cli::{console, discover, init, project, report};
use crate::inputs::verb::Verb;
use crate::inventory::Inventory;
use crate::report::{Metrics, Reporter};
use crate::source::Diagnostic;

pub(super) async fn ping(given: &PingArgs) -> Result<u8, Failure> {
    visit(&given.pattern, &given.visit, Verb::Ping, false, Vec::new()).await
}

pub(super) async fn discover(given: &DiscoverArgs) -> Result<u8, Failure> {
    if !given.scan.is_empty() {
        let (text, code) = discover::scan(given).await?;
        return print(&text).map(|_| code);
    }
    let verb = Verb::Discover { expiring: given.expiring };
    let metrics = given.metrics.as_ref().map(|file| Box::new(Metrics::new(file)) as Box<_>);
    let mut reporters: Vec<Box<dyn Reporter + Send>> = metrics.into_iter().collect();
    for path in &given.reports {
        reporters.push(Box::new(report::report_to(path)?));
    }
    visit(&given.pattern, &given.visit, verb, given.exit_code, reporters).await
}

pub(super) async fn init(mut given: InitArgs) -> Result<u8, Failure> {
    init::before(&mut given)?;
    let directory = given.out.clone().unwrap_or_default();
    init::check(&directory)?;
    let collected = init::Collected::default();
    let reporters: Vec<Box<dyn Reporter + Send>> = vec![Box::new(collected.clone())];
    let verb = Verb::Discover { expiring: None };
    let code = visit(&given.pattern, &given.visit, verb, false, reporters).await?;
    let mut fleet = collected.take();
    init::services(&given, &mut fleet)?;
    let text = init::write(&given, &directory, &fleet, crate::clock::now())?;
    if given.visit.output.output == Output::Table {
        print(text.as_bytes())?;
    }
    Ok(code)
}

/// Does what the verb asks of each host of a pattern; there is no playbook.
async fn visit(
    pattern: &str,
    given: &VisitArgs,
    verb: Verb,
    exit_code: bool,
    reporters: Vec<Box<dyn Reporter + Send>>,
) -> Result<u8, Failure> {
    let settings = Settings::read()?;
    let (mut inventory, mut connection) = (given.inventory.clone(), given.connection.clone());
    settings.fill_sources(&mut inventory);
    settings.fill_connection(&mut connection);
    let forks = given.forks.or(settings.of_run().forks);
    let sources = project::sources(&inventory, Vec::new())?;
    let mut warnings = settings.warnings;
    warnings.extend(sources.warnings.clone());
    some_host(&sources.inventory, pattern)?;
    let limit = inventory.limit.clone();
    let mut project = project::hosts_only(sources, verb, pattern, limit, inventory.shard, forks)?;
    project.options.pending_exit_code = exit_code;
    let session = Session {
        connection: &connection,
        output: &given.output,
        watch: &given.watch,
        diff: false,
        rerun: console::rerun_hosts(pattern, &given.inventory, &given.connection),
        out: None,
        plan: None,
        follows: None,
        record: None,
        reporters,
    };
    Ok(session.run(project, warnings).await?.exit_code)
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
