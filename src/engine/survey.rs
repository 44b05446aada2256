//! Looking at hosts outside a rollout: `verify`, `status`, `recover`, `ping`, `discover`.

use super::connection::HostConnection;
use super::context::Context;
use super::discovery;
use super::emit;
use super::end::TaskEnd;
use super::failure::{self, HostFailure};
use super::fan_out;
use super::foreseen::{Placed, each_task};
use super::holding::Held;
use super::leftovers::{self, Leftovers};
use super::rollout::job::job;
use super::rollout::status::host_status;
use super::rollout::target::Job;
use super::verification::{Sought, verify_all};
use crate::event::{Failure, Kind, TaskResult};
use crate::host::{Inspection, StateDirs};
use crate::inputs::play_scope::PlayScope;
use crate::inputs::verb::Verb;
use crate::model::{HostName, Step};
use crate::plan::desired::ProbeWant;
use crate::playbook::certificate::RenderError;
use crate::remote::{self};
use crate::source::Diagnostics;
use indexmap::IndexMap;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Every certificate task of every host, with its material checked.
fn jobs(context: &Context) -> Result<IndexMap<HostName, Vec<Placed<Job>>>, Diagnostics> {
    each_task(context, |chosen, spec, vars, host, scope| {
        Ok(Placed::of(chosen, job(context, chosen, spec, vars, host, scope)?))
    })
}

/// The end of a certificate task on a host, or of what certroll does of its own accord.
type End = (Placed<()>, TaskEnd);

/// Certroll's own work, which no file has.
fn own(title: &str) -> Placed<()> {
    Placed { title: title.to_owned(), place: None, written: None, made: () }
}

/// One piece of work per host; records and tells what became of it.
async fn over<T, F>(
    context: &Arc<Context>,
    hosts: IndexMap<HostName, T>,
    work: impl Fn(Arc<Context>, HostName, T) -> F + Clone + Send + Sync + 'static,
) where
    T: Send + 'static,
    F: Future<Output = Vec<End>> + Send,
{
    for host in hosts.keys() {
        context.ledger().tally.enter(host);
    }
    let verb = context.inputs.project.options.verb.name();
    let each = move |context: Arc<Context>, host: HostName, item: T| {
        let work = work.clone();
        async move {
            if context.stop.is_interrupt() {
                context.ledger().tally.skip(&host, "the run was interrupted");
                return;
            }
            let begun = Instant::now();
            for (spot, end) in work(Arc::clone(&context), host.clone(), item).await {
                tell(&context, spot, end, begun);
            }
            context.connections.release(&host);
            context.tell_end(&host);
        }
    };
    let begun = Instant::now();
    let lost = |host: HostName, why: String| {
        let failure = failure::lost(verb, Step::Inspect, &why);
        tell(context, own(verb), TaskEnd::failed(&host, failure), begun);
    };
    fan_out::each(context, hosts.into_iter().collect(), each, lost).await;
}

fn tell(context: &Context, spot: Placed<()>, end: TaskEnd, begun: Instant) {
    let emitter = &context.emitter;
    if let Some(failure) = &end.failure {
        emitter.failure(&end.host, Failure { place: spot.written, ..Failure::clone(failure) });
    }
    {
        let tally = &mut context.ledger().tally;
        tally.task(&end.host, end.result);
        if let Some(outcome) = end.outcome {
            tally.fail(&end.host, outcome, end.message.clone().unwrap_or_default());
        }
    }
    let kind = Kind::TaskEnd {
        task: spot.title,
        place: spot.place,
        result: end.result,
        message: end.message,
        output: end.output,
        millis: emit::millis(begun.elapsed()),
    };
    emitter.host(&end.host, kind);
}

fn ok(host: &HostName, message: impl Into<String>) -> TaskEnd {
    TaskEnd { message: Some(message.into()), ..TaskEnd::blank(host, json!({})) }
}

/// Makes the handshakes of every certificate task; no program runs on a host, and no SSH connection is
/// made unless `via:` asks for one.
///
/// # Errors
/// What is wrong with the playbook's values.
async fn verify(context: &Arc<Context>) -> Result<(), Diagnostics> {
    over(context, jobs(context)?, |context, host, jobs| async move {
        let mut ends = Vec::new();
        for job in jobs {
            let end = match verify_job(&context, &job.made).await {
                Ok(words) => ok(&host, words),
                Err(ended) => TaskEnd::failed(&host, ended),
            };
            ends.push((job.spot(), end));
        }
        ends
    })
    .await;
    Ok(())
}

async fn verify_job(context: &Context, job: &Job) -> Result<String, HostFailure> {
    let wrong = |why: String| failure::before_commit(job.task(), Step::Verify, why);
    // Nothing was reloaded that would need its time.
    let now = |probe: &ProbeWant| ProbeWant {
        settle: Duration::ZERO,
        not_before: Duration::ZERO,
        ..probe.clone()
    };
    let probes = job.variants.probes().iter().map(now);
    let places: Vec<Sought> =
        probes.map(|probe| Sought { probe, old: None, old_kind: None }).collect();
    if places.is_empty() {
        return Ok("verify is off for this task: nothing was checked".to_owned());
    }
    let running = context.emitter.step(job.host(), Step::Verify);
    let verified = verify_all(
        job.host(),
        &places,
        &job.target.dialers(),
        context.identity.now,
        context.stop.soft(),
        &context.emitter,
    )
    .await
    .map_err(|unverified| {
        let mut ended = wrong(unverified.words);
        "this was only a check: nothing was changed".clone_into(&mut ended.failure.state);
        ended.failure.advice = unverified.advice;
        ended
    })?;
    for note in verified.notes {
        context.emitter.warn(Some(job.host()), note);
    }
    running.end(verified.detail.clone());
    Ok(verified.detail)
}

/// A certificate task that a host is asked about.
enum Asked {
    /// Its certificates are here to compare with.
    Compared(Box<Job>),
    /// They cannot be read.
    Held(Box<Held>),
}

/// Asks every host what it holds of each certificate task. Certificates that cannot be read here keep nobody from being asked.
///
/// # Errors
/// What else is wrong with the playbook's values.
async fn status(context: &Arc<Context>) -> Result<(), Diagnostics> {
    let asked = each_task(context, |chosen, spec, vars, host, scope| {
        let asked = match job(context, chosen, spec, vars, host, scope) {
            Ok(job) => Asked::Compared(Box::new(job)),
            Err(RenderError::Wrong(problems)) => {
                let held = Held::of(context, chosen, spec, vars, (host, scope), problems)?;
                Asked::Held(Box::new(held))
            }
            Err(unknown) => return Err(unknown),
        };
        Ok(Placed::of(chosen, asked))
    })?;
    over(context, asked, |context, host, asked| async move {
        let mut ends = Vec::new();
        for asked in asked {
            match status_of(&context, &host, &asked.made).await {
                Ok(end) => ends.push((asked.spot(), end)),
                Err(ended) => {
                    ends.push((asked.spot(), TaskEnd::failed(&host, ended)));
                    break;
                }
            }
        }
        ends
    })
    .await;
    Ok(())
}

async fn status_of(
    context: &Context,
    host: &HostName,
    asked: &Asked,
) -> Result<TaskEnd, HostFailure> {
    let (task, status) = match asked {
        Asked::Compared(job) => {
            let view = job.target.status(job).await?;
            (job.task(), host_status(&view, context.identity.now))
        }
        Asked::Held(held) => {
            let status = held.status(context).await?;
            let seen = match status.served.is_empty() {
                true => "nothing is compared, and no server shows a certificate of its files",
                false => "what is served is compared with its files, and these with nothing",
            };
            let words = format!("task '{}': {seen}: {}", held.task(), held.why);
            context.emitter.warn(Some(host), words);
            (held.task(), status)
        }
    };
    let words = match status.is_unfinished() {
        true => "an interrupted transaction is unfinished: `certroll recover` settles it",
        false if status.lock.is_some() => "another run is at work on the host",
        false if matches!(asked, Asked::Held(_)) => "asked; not compared with the playbook",
        false => "asked",
    };
    if status.deviates() {
        context.ledger().mark_pending(host);
    }
    let kind = Kind::HostStatus { task: task.to_owned(), status: Box::new(status) };
    context.emitter.host(host, kind);
    Ok(ok(host, words))
}

/// Settles what interrupted runs left on every host; nothing else. Asks neither for certificates nor for
/// commands: a task that could not be applied now does not keep its hosts from being repaired.
///
/// # Errors
/// What is wrong with the playbook's values.
async fn recover_all(context: &Arc<Context>) -> Result<(), Diagnostics> {
    let leftovers = each_task(context, |chosen, spec, vars, host, scope| {
        Leftovers::of(context, chosen, spec, vars, host, scope)
    })?;
    over(context, leftovers, |context, host, leftovers| async move {
        if leftovers.is_empty() {
            return Vec::new();
        }
        let end = match leftovers::recover(&context, &host, "recover", leftovers).await {
            Ok(words) if words.is_empty() => ok(&host, "nothing to recover"),
            Ok(words) => TaskEnd { result: TaskResult::Changed, ..ok(&host, words.join("; ")) },
            Err(ended) => TaskEnd::failed(&host, ended),
        };
        vec![(own("recover"), end)]
    })
    .await;
    Ok(())
}

/// Does what a verb outside a rollout asks of every host.
///
/// # Errors
/// What is wrong with the playbook's values and variables.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), Diagnostics> {
    match &context.inputs.project.options.verb {
        Verb::Verify => verify(context).await,
        Verb::Status => status(context).await,
        Verb::Recover => recover_all(context).await,
        Verb::Ping => ping(context).await,
        Verb::Discover { expiring } => discover(context, *expiring).await,
        // These run plays.
        Verb::Plan | Verb::Apply | Verb::Rollback { .. } => Ok(()),
    }
}

/// Connects to every host, logs in, becomes the account, and tells who that is.
///
/// # Errors
/// What is wrong with variables.
async fn ping(context: &Arc<Context>) -> Result<(), Diagnostics> {
    over(context, bare_hosts(context)?, |context, host, (link, dirs)| async move {
        let end = match ping_host(&context, &host, &link, dirs).await {
            Ok(words) => ok(&host, words),
            Err(ended) => TaskEnd::failed(&host, ended),
        };
        vec![(own("ping"), end)]
    })
    .await;
    Ok(())
}

/// Looks for the certificates of every host.
///
/// # Errors
/// What is wrong with variables.
async fn discover(context: &Arc<Context>, expiring: Option<i64>) -> Result<(), Diagnostics> {
    let Some(book) = context.inputs.project.books.first() else { return Ok(()) };
    let profiles = Arc::clone(&book.profiles);
    over(context, bare_hosts(context)?, move |context, host, (link, dirs)| {
        let profiles = Arc::clone(&profiles);
        async move {
            let found =
                discovery::discover(&context, &host, &link, dirs, &profiles, expiring).await;
            let end = match found {
                Ok(words) => ok(&host, words),
                Err(ended) => TaskEnd::failed(&host, ended),
            };
            vec![(own("discover"), end)]
        }
    })
    .await;
    Ok(())
}

/// The hosts of a verb without a playbook, and how each is reached.
fn bare_hosts(
    context: &Context,
) -> Result<IndexMap<HostName, (HostConnection, Option<StateDirs>)>, Diagnostics> {
    let mut hosts = IndexMap::new();
    // Its project is one play of hosts.
    let Some(at) = context.inputs.project.plays().next() else { return Ok(hosts) };
    let names =
        at.hosts(&context.inputs.variables).map_err(|problem| Diagnostics(vec![problem]))?;
    let vars = PlayScope::new(at.book, at.play, &names);
    for host in names {
        let scope = context.inputs.variables.scope(&vars, &host)?;
        let link = context.connections.of_host(&context.inputs.variables, &vars, &host)?;
        hosts.insert(host, (link, context.connections.state_dirs(&scope)?));
    }
    Ok(hosts)
}

async fn ping_host(
    context: &Context,
    host: &HostName,
    connection: &HostConnection,
    dirs: Option<StateDirs>,
) -> Result<String, HostFailure> {
    let running = context.emitter.step(host, Step::Connect);
    let process = connection.sh().await.map_err(|error| error.ended("ping"))?;
    let request = Inspection { dirs, ..Inspection::default() };
    let facts = remote::inspect(process, &request)
        .await
        .map_err(|error| failure::remote("ping", host, &error, None))?;
    running.end(connection.describe());
    let system = if facts.os_id.is_empty() { "unknown system" } else { facts.os_id.as_str() };
    let mut words = format!("{}: {} on {system}", connection.describe(), facts.user);
    let missing = facts.missing_tools();
    if !missing.is_empty() {
        words.push_str(&format!("; no transaction is possible: no {}", missing.join(", no ")));
    }
    if facts.input_log {
        words.push_str("; sudo records its input here (log_input or log_stdin): ");
        words.push_str(if facts.unseals {
            "what is sent is sealed"
        } else {
            "no key is sent, as there is no openssl to open a sealed one"
        });
    }
    Ok(words)
}
