//! A certificate task in `plan`: every host is observed, and what would be done is told.

use super::interrupt::unless_cut;
use super::target::{Job, Observed};
use crate::engine::batch::Batch;
use crate::engine::context::Context;
use crate::engine::end::TaskEnd;
use crate::engine::failure::{self, HostFailure};
use crate::engine::fan_out::{self, in_order};
use crate::event::TaskResult;
use crate::event::planned::PlannedTask;
use crate::model::{HostName, Outcome, Step};
use crate::plan::host_plan::Decision;
use crate::plan::planned::planned;
use crate::plan::rows::blocked_row;
use serde_json::json;
use std::sync::Arc;

/// What became of the look at a host.
enum Seen {
    /// The run was interrupted before.
    NotBegun,
    /// What was observed, or why nothing was.
    Looked(Box<Job>, Box<Result<Observed, HostFailure>>),
    /// certroll itself failed.
    Lost(String),
}

/// Looks at every host and tells what would be done. `is_last`: no other iteration of the task follows.
pub(super) async fn plan(
    batch: &mut Batch<'_>,
    jobs: Vec<Job>,
    place: Option<String>,
    is_last: bool,
) -> Vec<TaskEnd> {
    let context = batch.context;
    let title = jobs.first().map(|job| job.task().to_owned()).unwrap_or_default();
    let hosts: Vec<HostName> = jobs.iter().map(|job| job.host().clone()).collect();
    let items = jobs.into_iter().map(|job| (job.host().clone(), job)).collect();
    let work = |context: Arc<Context>, host: HostName, job: Job| async move {
        if context.stop.is_interrupt() {
            return (host, Seen::NotBegun);
        }
        let seen = unless_cut(&context, &job, job.target.observe(&job)).await.flatten();
        (host, Seen::Looked(Box::new(job), Box::new(seen)))
    };
    let lost = |host, why| (host, Seen::Lost(why));
    let mut ends = Vec::with_capacity(hosts.len());
    // What was observed of a host is dropped when it is told: a fleet is more than fits into memory.
    let ended = |(host, seen): (HostName, Seen)| {
        if is_last {
            batch.depart(&host);
        }
        ends.push(match seen {
            Seen::Lost(why) => TaskEnd::failed(&host, failure::lost(&title, Step::Inspect, &why)),
            Seen::NotBegun => TaskEnd::skipped(&host, "the run was interrupted"),
            Seen::Looked(job, seen) => match *seen {
                Ok(observed) => {
                    caveats(context, &observed);
                    told(batch, &job, &observed, place.clone())
                }
                Err(failure) => failed(batch, &job, failure, place.clone()),
            },
        });
    };
    fan_out::each_as_it_ends(context, items, work, lost, ended).await;
    in_order(&hosts, ends)
}

/// The end of a host that could not be looked at.
fn failed(
    batch: &mut Batch<'_>,
    job: &Job,
    failure: HostFailure,
    place: Option<String>,
) -> TaskEnd {
    let host = job.host();
    if failure.outcome != Outcome::Unreachable {
        let service = job.wanted.certificate.service_names();
        let rows = vec![blocked_row(host, &service, &failure.failure.message)];
        let (task, guarantee) = (job.task().to_owned(), job.target.guarantee());
        batch.plan(host, PlannedTask { task, place, guarantee, rows, ..PlannedTask::default() });
    }
    TaskEnd::failed(host, failure)
}

/// What the operator should know of the services that are about to change.
fn caveats(context: &Context, observed: &Observed) {
    if observed.plan.decision == Decision::Unchanged {
        return;
    }
    for service in observed.view.desired().services.iter() {
        for caveat in &service.caveats {
            context.tell_once(format!("{}: {caveat}", service.name));
        }
    }
}

fn told(batch: &mut Batch<'_>, job: &Job, observed: &Observed, place: Option<String>) -> TaskEnd {
    let host = job.host();
    let Observed { view, plan } = observed;
    let facts = view.facts();
    let guarantee = job.target.guarantee();
    let mut task = planned(view, plan, place, guarantee, batch.context.identity.now);
    if !facts.journals.is_empty() && facts.lock.is_none() {
        let begun: Vec<&str> = facts.journals.iter().map(|one| one.by.as_str()).collect();
        let by = begun.into_iter().find(|by| !by.is_empty());
        let note = format!(
            "an interrupted transaction{} is unfinished here; `apply` settles it first, then plans again",
            by.map_or_else(String::new, |by| format!(" ({by})")),
        );
        if let Some(row) = task.rows.first_mut() {
            row.notes.push(note.clone());
        }
        batch.unknown(format!("{host}: {note}"));
    }
    if let Some(lock) = &facts.lock {
        let by = if lock.note.is_empty() { "another run" } else { lock.note.as_str() };
        let note = format!(
            "the host is locked by {by}: this is what it holds while that is at work; `apply` waits for it and looks again"
        );
        if let Some(row) = task.rows.first_mut() {
            row.notes.push(note.clone());
        }
        batch.unknown(format!("{host}: {note}"));
    }
    let (result, changed) = match &plan.decision {
        Decision::Unchanged => (TaskResult::Ok, false),
        Decision::ReloadOnly | Decision::Change => (TaskResult::Changed, true),
        Decision::Blocked { step, why, check } => {
            batch.plan(host, task);
            let mut ended = failure::blocked(job.task(), *step, why, check.as_ref());
            "untouched: this is a plan; apply would stop here".clone_into(&mut ended.failure.state);
            return TaskEnd::failed(host, ended);
        }
    };
    batch.plan(host, task);
    let value = json!({"changed": changed, "failed": false, "skipped": false});
    TaskEnd { result, ..TaskEnd::blank(host, value) }
}
