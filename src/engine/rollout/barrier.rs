//! The barrier of a certificate task: all hosts of a turn stage, then those that may commit.

use super::ends::{good, tell_services};
use super::interrupt::unless_cut;
use super::one_host::{Prepared, StagedHost, VerifiedHost, finish, prepare};
use super::target::{Job, Observed};
use super::turns::Machines;
use crate::engine::batch::{Batch, called_off, stop_words};
use crate::engine::budget::Budget;
use crate::engine::context::Context;
use crate::engine::end::TaskEnd;
use crate::engine::failure::{self, HostFailure};
use crate::engine::fan_out;
use crate::engine::ledger::Confirmed;
use crate::event::StopReason;
use crate::model::text::plural;
use crate::model::{Guarantee, HostName, Outcome, Step};
use crate::plan::planned::planned;
use crate::playbook::{Task, is_rescued};
use indexmap::{IndexMap, IndexSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::Instant;

/// What the hosts of a rollout have in common.
pub(super) struct Rollout<'a> {
    batch: &'a Batch<'a>,
    title: String,
    /// Where the task is written.
    place: Option<String>,
    budget: Budget,
    /// Failures count against the tolerance.
    counted: bool,
    /// Failures are shown when they happen.
    eager: bool,
    /// Hosts of the batch that failed earlier in the task.
    failed: usize,
}

impl<'a> Rollout<'a> {
    /// The rollout of a task in a batch where `failed` hosts failed earlier in it.
    pub(super) fn new(batch: &'a Batch<'a>, task: &Task, failed: usize) -> Self {
        let mut budget = batch.budget;
        budget.any_errors_fatal |= task.any_errors_fatal;
        let counted = task.ignore_errors.is_none() && !is_rescued(&task.around.blocks);
        let eager = counted && !task.no_log;
        let (title, place) = (batch.vars.title(task), task.place());
        Self { batch, title, place, budget, counted, eager, failed }
    }

    /// Failures so far, with `now` of this iteration. Those that the task ignores call nothing off.
    fn failures(&self, now: usize) -> usize {
        self.batch.failed() + if self.counted { self.failed + now } else { 0 }
    }

    fn failed(&self, host: &HostName, failure: HostFailure) -> TaskEnd {
        TaskEnd { told: self.eager, ..TaskEnd::failed(host, failure) }
    }
}

/// Takes what became of a host as soon as it is done.
pub(super) type Done<'d> = &'d mut (dyn FnMut(TaskEnd) + Send);

/// Stages everywhere, waits for all, then commits host by host. Those that found another host of this run, or another
/// run, at work on their machine come back.
pub(super) async fn apply(
    rollout: &Rollout<'_>,
    jobs: Vec<Job>,
    machines: Arc<Machines>,
    done: Done<'_>,
) -> Vec<Job> {
    let context = rollout.batch.context;
    let eager = rollout.eager;
    let alone = jobs.len() == 1;
    let mut waiting: IndexMap<HostName, Job> =
        jobs.iter().map(|job| (job.host().clone(), job.clone())).collect();
    let items = jobs.into_iter().map(|job| (job.host().clone(), job)).collect();
    let work = move |context: Arc<Context>, host: HostName, job: Job| {
        let machines = Arc::clone(&machines);
        async move {
            if context.stop.is_interrupt() {
                return (host, None);
            }
            let preparing = prepare(job.clone(), alone, &machines, &context);
            let prepared = unless_cut(&context, &job, preparing)
                .await
                .unwrap_or_else(|failure| Prepared::Failed(Box::new(failure), None));
            if let Prepared::Failed(failure, _) = &prepared {
                tell_now(&context, &host, failure, eager);
            }
            (host, Some(prepared))
        }
    };
    let lost = |host: HostName, why: String| {
        let failure = failure::lost(&rollout.title, Step::Stage, &why);
        tell_now(context, &host, &failure, eager);
        (host, Some(Prepared::Failed(Box::new(failure), None)))
    };
    let order: IndexSet<HostName> = waiting.keys().cloned().collect();
    let (mut staged, mut later, mut failed) = (Vec::with_capacity(waiting.len()), Vec::new(), 0);
    let ended = |(host, prepared): (HostName, Option<Prepared>)| {
        let job = waiting.swap_remove(&host);
        if let Some(Observed { view, plan }) = prepared.as_ref().and_then(Prepared::observed) {
            let guarantee = job.as_ref().map(|job| job.target.guarantee()).unwrap_or_default();
            let (place, now) = (rollout.place.clone(), context.identity.now);
            rollout.batch.tell_plan(&host, planned(view, plan, place, guarantee, now));
        }
        match prepared {
            None => done(called_off(&host, "the run was interrupted")),
            Some(Prepared::Unchanged(observed)) => {
                tell_services(context, &observed, Outcome::Unchanged);
                done(good(&host, &observed, None));
            }
            Some(Prepared::Failed(failure, observed)) => {
                if let Some(observed) = observed {
                    tell_services(context, &observed, failure.outcome);
                }
                failed += 1;
                done(rollout.failed(&host, *failure));
            }
            Some(Prepared::Staged(one)) => staged.push((host, *one)),
            Some(Prepared::Later) => later.extend(job),
            Some(Prepared::LetsPass(patience)) => {
                later.extend(job.map(|job| Job { patience: Some(patience), ..job }));
            }
        }
    };
    fan_out::each_as_it_ends(context, items, work, lost, ended).await;
    drop(waiting);
    staged.sort_by_key(|(host, _)| order.get_index_of(host));
    later.sort_by_key(|job| order.get_index_of(job.host()));
    after_barrier(rollout, staged, failed, done).await;
    later
}

fn tell_now(context: &Context, host: &HostName, failure: &HostFailure, eager: bool) {
    if eager {
        context.emitter.failure(host, failure.failure.clone());
    }
}

/// Every host has staged or failed: commits those that may.
async fn after_barrier(
    rollout: &Rollout<'_>,
    staged: Vec<(HostName, StagedHost)>,
    failed_here: usize,
    done: Done<'_>,
) {
    let context = rollout.batch.context;
    let (budget, eager, counted) = (rollout.budget, rollout.eager, rollout.counted);
    let size = rollout.batch.hosts.len();
    let failed_before = rollout.failures(failed_here);
    if let Some(reason) = budget.exceeded(size, failed_before) {
        return discard(rollout, staged, reason, done).await;
    }
    let failures = Arc::new(AtomicUsize::new(failed_before));
    let counter = Arc::clone(&failures);
    let work = move |context: Arc<Context>, name: HostName, host: StagedHost| {
        let failures = Arc::clone(&counter);
        async move {
            let reason = match context.stop.reason() {
                Some(reason) if reason >= StopReason::Interrupt => Some(reason),
                _ => budget.exceeded(size, failures.load(Ordering::Relaxed)),
            };
            if let Some(reason) = reason {
                host.discard().await;
                return (name, CommitEnd::CalledOff(reason));
            }
            let observed = Arc::clone(host.observed());
            let by_person = host.wants_person();
            let task = observed.view.desired().task.clone();
            let guarantee = host.guarantee();
            let finished = tokio::select! {
                finished = finish(host, &context) => finished,
                () = context.stop.hard().cancelled() => Err(failure::cut_off(&task, guarantee)),
            };
            let end = match finished {
                Ok(verified) if by_person => {
                    return (name, CommitEnd::Waiting(Box::new(verified), observed));
                }
                Ok(verified) => verified.confirm(&context).await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = &end {
                tell_now(&context, &name, failure, eager);
                failures.fetch_add(usize::from(counted), Ordering::Relaxed);
            }
            (name, CommitEnd::of(end, &observed, &context))
        }
    };
    let lost = |host, why: String| lost_after_barrier(rollout, host, &why);
    let mut waiting = Vec::new();
    fan_out::each_as_it_ends(context, staged, work, lost, |(host, one)| match one {
        CommitEnd::Waiting(verified, observed) => waiting.push((host, (verified, observed))),
        one => done(end(rollout, &host, one)),
    })
    .await;
    confirm(rollout, waiting, done).await;
}

fn lost_after_barrier(rollout: &Rollout<'_>, host: HostName, why: &str) -> (HostName, CommitEnd) {
    let failure = failure::lost(&rollout.title, Step::Commit, why);
    tell_now(rollout.batch.context, &host, &failure, rollout.eager);
    (host, CommitEnd::Failed(failure))
}

async fn discard(
    rollout: &Rollout<'_>,
    staged: Vec<(HostName, StagedHost)>,
    reason: StopReason,
    done: Done<'_>,
) {
    let work = move |_, name: HostName, host: StagedHost| async move {
        host.discard().await;
        stage_discarded(&name, reason)
    };
    let lost = |host: HostName, why: String| {
        TaskEnd::failed(&host, failure::lost(&rollout.title, Step::Barrier, &why))
    };
    fan_out::each_as_it_ends(rollout.batch.context, staged, work, lost, done).await;
}

fn stage_discarded(host: &HostName, reason: StopReason) -> TaskEnd {
    called_off(host, &format!("its stage was discarded because {}", stop_words(reason)))
}

/// How the second half ended on a host.
enum CommitEnd {
    /// Discarded, nothing changed.
    CalledOff(StopReason),
    /// Verified; a person decides.
    Waiting(Box<VerifiedHost>, Arc<Observed>),
    /// Confirmed, and when; why it is not proven, if nothing proves it.
    Kept(Arc<Observed>, Instant, Vec<String>),
    /// It went wrong.
    Failed(HostFailure),
}

impl CommitEnd {
    /// Tells at once what the host's services serve now.
    fn of(
        end: Result<Vec<String>, HostFailure>,
        observed: &Arc<Observed>,
        context: &Context,
    ) -> Self {
        match end {
            Ok(unproven) => {
                tell_services(context, observed, Outcome::Changed);
                Self::Kept(Arc::clone(observed), Instant::now(), unproven)
            }
            Err(failure) => {
                tell_services(context, observed, failure.outcome);
                Self::Failed(failure)
            }
        }
    }
}

/// Verified, and what was observed before.
type Verified = (Box<VerifiedHost>, Arc<Observed>);

/// Asks the person whether the hosts that wait for it keep what they serve.
async fn confirm(rollout: &Rollout<'_>, waiting: Vec<(HostName, Verified)>, done: Done<'_>) {
    if waiting.is_empty() {
        return;
    }
    let context = rollout.batch.context;
    let eager = rollout.eager;
    let names: Vec<&str> = waiting.iter().map(|(host, _)| host.as_str()).collect();
    let keep = ask(rollout.batch, &names).await;
    let work = move |context: Arc<Context>, host: HostName, one: Verified| async move {
        let (verified, observed) = one;
        let end = if keep {
            verified.confirm(&context).await
        } else {
            Err(verified.refuse(&context).await)
        };
        if let Err(failure) = &end {
            tell_now(&context, &host, failure, eager);
        }
        (host, CommitEnd::of(end, &observed, &context))
    };
    let lost = |host, why: String| lost_after_barrier(rollout, host, &why);
    fan_out::each_as_it_ends(context, waiting, work, lost, |(host, one)| {
        done(end(rollout, &host, one));
    })
    .await;
}

fn end(rollout: &Rollout<'_>, host: &HostName, finished: CommitEnd) -> TaskEnd {
    let context = rollout.batch.context;
    let failure = match finished {
        CommitEnd::CalledOff(reason) => return stage_discarded(host, reason),
        CommitEnd::Kept(observed, ended, unproven) => {
            if context.may_take_back() {
                let Observed { view, plan } = &*observed;
                let (place, now) = (rollout.place.clone(), context.identity.now);
                let task = planned(view, plan, place, Guarantee::default(), now);
                let (play, batch) = (rollout.batch.at.number(), rollout.batch.number);
                let host = host.clone();
                context.ledger().confirm(Confirmed { play, batch, host, task });
            }
            return TaskEnd { ended: Some(ended), ..good(host, &observed, Some(&unproven)) };
        }
        CommitEnd::Failed(failure) => failure,
        // All were confirmed or refused above; one that was not goes back by itself.
        CommitEnd::Waiting(host, observed) => {
            let failure = failure::cut_off(&rollout.title, host.guarantee());
            tell_services(context, &observed, failure.outcome);
            failure
        }
    };
    rollout.failed(host, failure)
}

async fn ask(batch: &Batch<'_>, hosts: &[&str]) -> bool {
    let question = format!(
        "Batch {} of {}: {} now {} the new certificate, verified: {}\nKeep it? (no: all of them are rolled back)",
        batch.number,
        batch.of,
        plural(hosts.len(), "host"),
        if hosts.len() == 1 { "serves" } else { "serve" },
        hosts.join(", ")
    );
    let operator = Arc::clone(&batch.context.operator);
    let asked = tokio::task::spawn_blocking(move || operator.confirm(&question));
    tokio::select! {
        answer = asked => answer.unwrap_or(false),
        () = batch.context.stop.soft().cancelled() => false,
    }
}
