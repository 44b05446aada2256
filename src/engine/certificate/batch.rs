//! A certificate task over the hosts of a batch: all stage, then a barrier, then each commits.

use super::ends::{good, tell_services};
use super::failure::{self, Ended};
use super::observe::{Earlier, Job, Observed, observe};
use super::rollout::{Prepared, StagedHost, VerifiedHost, finish, prepare};
use crate::engine::play::{Batch, called_off, stop_words};
use crate::engine::project::Mode;
use crate::engine::run::Run;
use crate::engine::task::{self, TaskEnd, rounds, together};
use crate::engine::wants;
use crate::event::planned::PlanRow;
use crate::event::{Kind, StopReason, TaskResult};
use crate::model::text::plural;
use crate::model::{HostName, Outcome, Step};
use crate::plan::build::Decision;
use crate::plan::rows::{blocked_row, rows};
use crate::playbook::Task;
use crate::playbook::certificate::{CertificateSpec, RenderError};
use crate::source::Diagnostics;
use crate::template::TemplateError;
use futures::future::join_all;
use indexmap::IndexMap;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::time::Instant;

/// Runs the task for `hosts`; one end per host, in their order.
pub async fn run(
    batch: &mut Batch<'_>,
    task: &Task,
    spec: &CertificateSpec,
    hosts: &[HostName],
) -> Vec<TaskEnd> {
    let begun = Instant::now();
    let mut work: IndexMap<HostName, Work> = IndexMap::new();
    for host in hosts {
        work.insert(host.clone(), begin(batch, task, spec, host));
    }
    // A loop's rounds go one after another: each is a rollout of its own.
    let most = work.values().map(|work| work.jobs.len()).max().unwrap_or(0);
    for round in 0..most {
        let jobs: Vec<Job> = work.values_mut().filter_map(|work| work.take(round)).collect();
        if jobs.is_empty() {
            continue;
        }
        let ends = if batch.run.is_plan() || task.check_mode == Some(true) {
            plan(batch, jobs).await
        } else {
            apply(batch, task, jobs).await
        };
        for end in ends {
            if let Some(work) = work.get_mut(&end.host) {
                work.ends.push((work.label(round), end));
            }
        }
    }
    let looping = task.looping.is_some();
    let mut ends = Vec::with_capacity(work.len());
    for (host, work) in work {
        let mut end = work.end(&host, looping);
        if task.no_log {
            task::hide(&mut end);
        }
        batch.tell(task, &end, begun);
        ends.push(end);
    }
    ends
}

/// One host's rounds, and how they ended so far.
#[derive(Default)]
struct Work {
    jobs: Vec<(Option<String>, Option<Job>)>,
    ends: Vec<(Option<String>, TaskEnd)>,
}

impl Work {
    fn ended(end: TaskEnd) -> Self {
        Self { jobs: Vec::new(), ends: vec![(None, end)] }
    }

    /// The job of a round; none after a failure.
    fn take(&mut self, round: usize) -> Option<Job> {
        if self.ends.iter().any(|(_, end)| end.outcome.is_some()) {
            return None;
        }
        self.jobs.get_mut(round)?.1.take()
    }

    fn label(&self, round: usize) -> Option<String> {
        self.jobs.get(round)?.0.clone()
    }

    fn end(mut self, host: &HostName, looping: bool) -> TaskEnd {
        if looping {
            return together(host, self.ends);
        }
        match self.ends.pop() {
            Some((_, end)) => end,
            None => TaskEnd::skipped(host, "nothing to loop over"),
        }
    }
}

/// Renders the task for a host: its rounds as jobs, or why there are none.
fn begin(batch: &mut Batch<'_>, task: &Task, spec: &CertificateSpec, host: &HostName) -> Work {
    let title = task.title();
    let wrong = |problems: &Diagnostics| Work::ended(TaskEnd::wrongs(host, &title, problems));
    let unknown = |error: TemplateError| match error {
        TemplateError::NotYetKnown(name) => TaskEnd::unknown(host, &name),
        TemplateError::Wrong(problem) => TaskEnd::wrong(host, &title, &problem),
    };
    let scope = match batch.run.variables.task_scope(&batch.vars, host, task) {
        Ok(scope) => scope,
        Err(problems) => return wrong(&problems),
    };
    let list = match rounds(task.looping.as_ref(), &scope) {
        Ok(list) => list,
        Err(error) => return Work::ended(unknown(error)),
    };
    let mut work = Work::default();
    for (scope, label) in list {
        match task::why_not(&task.when, &scope) {
            Ok(None) => {}
            Ok(Some(why)) => {
                work.ends.push((label, TaskEnd::skipped(host, why)));
                continue;
            }
            Err(error) => {
                work.ends.push((label, unknown(error)));
                continue;
            }
        }
        let want = match wants::want(batch.run, batch.book, task, spec, host, &scope) {
            Ok(want) => want,
            Err(RenderError::NotYetKnown(name)) => {
                work.ends.push((label, TaskEnd::unknown(host, &name)));
                continue;
            }
            Err(RenderError::Wrong(problems)) => return wrong(&problems),
        };
        let links = &batch.run.links;
        let link = match links.of_task(batch.run, batch.play, &batch.vars, task, host, &scope) {
            Ok(link) => link,
            Err(problems) => return wrong(&problems),
        };
        let dirs = match links.state_dirs(&scope) {
            Ok(dirs) => dirs,
            Err(problems) => return wrong(&problems),
        };
        let earlier = match &batch.run.project.options.mode {
            Mode::Earlier(to) => Some(Earlier(to.clone())),
            Mode::Plan | Mode::Apply | Mode::Survey => None,
        };
        work.jobs.push((label, Some(Job { wanted: want.wanted, link, dirs, earlier })));
    }
    work
}

/// Starts `work` for every item, each on a thread of the runtime; results in the items' order.
async fn each<T, R, F>(
    run: &Arc<Run>,
    items: Vec<T>,
    work: impl Fn(Arc<Run>, T) -> F + Clone + Send + Sync + 'static,
) -> Vec<R>
where
    T: Send + 'static,
    R: Send + 'static,
    F: Future<Output = R> + Send,
{
    let handles = items.into_iter().map(|item| {
        let (run, work) = (Arc::clone(run), work.clone());
        tokio::spawn(async move {
            // The semaphore is never closed.
            let _permit = run.permits.acquire().await;
            work(Arc::clone(&run), item).await
        })
    });
    join_all(handles.collect::<Vec<_>>())
        .await
        .into_iter()
        .map(|joined| match joined {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        })
        .collect()
}

/// Looks at every host and tells what would be done.
async fn plan(batch: &mut Batch<'_>, jobs: Vec<Job>) -> Vec<TaskEnd> {
    let run = Arc::clone(batch.run);
    let looked = each(&run, jobs, |run, job| async move {
        let seen = match run.shared.stop.is_interrupt() {
            true => None,
            false => Some(unless_cut(&run, &job, observe(&job, &run.shared)).await),
        };
        (job, seen)
    })
    .await;
    let mut ends = Vec::with_capacity(looked.len());
    for (job, seen) in looked {
        let host = job.host().clone();
        let end = match seen {
            None => TaskEnd::skipped(&host, "the run was interrupted"),
            Some(Ok(observed)) => {
                caveats(&run, &observed);
                planned(batch, &job, &observed)
            }
            Some(Err(ended)) => {
                if ended.outcome != Outcome::Unreachable {
                    let service = job.wanted.certificate.services.join(", ");
                    let row = blocked_row(&host, &service, &ended.failure.message);
                    batch.plan_rows(&host, vec![row]);
                }
                TaskEnd::failed(&host, ended)
            }
        };
        ends.push(end);
    }
    ends
}

/// What the operator should know of the services that are about to change.
fn caveats(run: &Run, observed: &Observed) {
    if observed.plan.decision == Decision::Unchanged {
        return;
    }
    for service in &observed.desired.services {
        for caveat in &service.caveats {
            run.tell_once(format!("{}: {caveat}", service.name));
        }
    }
}

fn planned(batch: &mut Batch<'_>, job: &Job, observed: &Observed) -> TaskEnd {
    let host = job.host();
    let Observed { desired, facts, plan } = observed;
    let mut list: Vec<PlanRow> = rows(desired, plan, facts, batch.run.shared.now);
    if !facts.journals.is_empty() && facts.lock.is_none() {
        let note = "an interrupted transaction is unfinished here; `apply` settles it first, then \
                    plans again";
        if let Some(row) = list.first_mut() {
            row.notes.push(note.to_owned());
        }
        batch.unknown(format!("{host}: {note}"));
    }
    let (result, changed) = match &plan.decision {
        Decision::Unchanged => (TaskResult::Ok, false),
        Decision::ReloadOnly | Decision::Change => (TaskResult::Changed, true),
        Decision::Blocked { step, why, check } => {
            batch.plan_rows(host, list);
            let mut ended = failure::blocked(job.task(), *step, why, check.as_ref());
            "untouched: this is a plan; apply would stop here".clone_into(&mut ended.failure.state);
            return TaskEnd::failed(host, ended);
        }
    };
    batch.plan_rows(host, list);
    let value = json!({"changed": changed, "failed": false, "skipped": false});
    TaskEnd { result, ..TaskEnd::blank(host, value) }
}

/// Stages everywhere, waits for all, then commits host by host.
async fn apply(batch: &Batch<'_>, task: &Task, jobs: Vec<Job>) -> Vec<TaskEnd> {
    let run = batch.run;
    let order: Vec<HostName> = jobs.iter().map(|job| job.host().clone()).collect();
    let eager = is_eager(task);
    let place = (batch.play.name.clone(), batch.number);
    let prepared = each(run, jobs, move |run, job: Job| {
        let place = place.clone();
        async move {
            if run.shared.stop.is_interrupt() {
                return (job, None);
            }
            let work = async { Ok(prepare(job.clone(), &run.shared).await) };
            let prepared = unless_cut(&run, &job, work)
                .await
                .unwrap_or_else(|ended| Prepared::Ended(Box::new(ended), None));
            if let Some(observed) = prepared.observed() {
                tell_plan(&run, place, observed);
            }
            if let Prepared::Ended(ended, _) = &prepared {
                tell_now(&run, job.host(), ended, eager);
            }
            (job, Some(prepared))
        }
    })
    .await;
    let mut ends: Vec<TaskEnd> = Vec::with_capacity(order.len());
    let mut staged = Vec::new();
    for (job, prepared) in prepared {
        match prepared {
            None => ends.push(called_off(job.host(), "the run was interrupted")),
            Some(Prepared::Unchanged(observed)) => {
                tell_services(&run.shared, &observed, Outcome::Unchanged);
                ends.push(good(job.host(), &observed, false));
            }
            Some(Prepared::Ended(ended, observed)) => {
                if let Some(observed) = observed {
                    tell_services(&run.shared, &observed, ended.outcome);
                }
                ends.push(TaskEnd { told: eager, ..TaskEnd::failed(job.host(), *ended) });
            }
            Some(Prepared::Staged(host)) => staged.push(*host),
        }
    }
    let failed = ends.iter().filter(|end| end.outcome.is_some()).count();
    ends.extend(after_barrier(batch, task, staged, failed).await);
    ends.sort_by_key(|end| order.iter().position(|host| *host == end.host));
    ends
}

/// Tells what is about to be done, old and new, as a plan would.
fn tell_plan(run: &Run, (play, batch): (String, usize), observed: &Observed) {
    let Observed { desired, facts, plan } = observed;
    let rows = rows(desired, plan, facts, run.shared.now);
    run.shared.emitter.host(&desired.host, Kind::PlanHost { play, batch, rows });
}

/// Work that changes nothing live, dropped at the second interrupt: the link is cut and the host
/// discards whatever it had staged.
async fn unless_cut<T>(
    run: &Run,
    job: &Job,
    work: impl Future<Output = Result<T, Ended>>,
) -> Result<T, Ended> {
    tokio::select! {
        result = work => result,
        () = run.shared.stop.hard().cancelled() => {
            let why = "cut off by the second interrupt";
            Err(failure::before_commit(job.task(), Step::Barrier, why))
        }
    }
}

/// Failures are shown when they happen, unless the task may ignore or must hide them.
fn is_eager(task: &Task) -> bool {
    task.ignore_errors.is_none() && !task.no_log
}

fn tell_now(run: &Run, host: &HostName, ended: &Ended, eager: bool) {
    if eager {
        run.shared.emitter.failure(host, ended.failure.clone());
    }
}

/// Every host has staged or failed: commits those that may.
async fn after_barrier(
    batch: &Batch<'_>,
    task: &Task,
    staged: Vec<StagedHost>,
    failed_here: usize,
) -> Vec<TaskEnd> {
    let run = batch.run;
    let mut budget = batch.budget;
    budget.any_errors_fatal |= task.any_errors_fatal;
    let size = batch.hosts.len();
    let failed_before = batch.failed();
    // Failures that the task ignores call nothing off.
    let counted = if task.ignore_errors.is_some() { 0 } else { failed_here };
    if let Some(reason) = budget.exceeded(size, failed_before + counted) {
        return discard(run, staged, reason).await;
    }
    let failures = Arc::new(AtomicUsize::new(failed_before + counted));
    let ignoring = task.ignore_errors.is_some();
    let eager = is_eager(task);
    let finished = each(run, staged, move |run, host: StagedHost| {
        let failures = Arc::clone(&failures);
        async move {
            let reason = match run.shared.stop.reason() {
                Some(reason) if reason >= StopReason::Interrupt => Some(reason),
                _ => budget.exceeded(size, failures.load(Ordering::Relaxed)),
            };
            if let Some(reason) = reason {
                let name = host.host().clone();
                host.discard().await;
                return Finished::CalledOff(name, reason);
            }
            let (name, observed) = (host.host().clone(), Arc::clone(host.observed()));
            let by_person = host.wants_person();
            let task = observed.desired.task.clone();
            let finished = tokio::select! {
                finished = finish(host, &run.shared) => finished,
                () = run.shared.stop.hard().cancelled() => Err(failure::cut_off(&task)),
            };
            let end = match finished {
                Ok(verified) if by_person => {
                    return Finished::Waiting(Box::new(verified), observed);
                }
                Ok(verified) => verified.confirm(&run.shared).await,
                Err(ended) => Err(ended),
            };
            if let Err(ended) = &end {
                tell_now(&run, &name, ended, eager);
            }
            if end.is_err() && !ignoring {
                failures.fetch_add(1, Ordering::Relaxed);
            }
            Finished::Ended(name, end, observed)
        }
    })
    .await;
    settle(batch, finished, eager).await
}

async fn discard(run: &Arc<Run>, staged: Vec<StagedHost>, reason: StopReason) -> Vec<TaskEnd> {
    each(run, staged, move |_, host: StagedHost| async move {
        let name = host.host().clone();
        host.discard().await;
        called_off(&name, &format!("its stage was discarded because {}", stop_words(reason)))
    })
    .await
}

/// How the second half ended on a host.
enum Finished {
    /// Discarded, nothing changed.
    CalledOff(HostName, StopReason),
    /// Verified; a person decides.
    Waiting(Box<VerifiedHost>, Arc<Observed>),
    /// Confirmed, or it went wrong.
    Ended(HostName, Result<(), Ended>, Arc<Observed>),
}

/// Asks the person where one is to be asked, and turns all into ends.
async fn settle(batch: &Batch<'_>, finished: Vec<Finished>, eager: bool) -> Vec<TaskEnd> {
    let run = batch.run;
    let waiting: Vec<String> = finished
        .iter()
        .filter_map(|one| match one {
            Finished::Waiting(verified, _) => Some(verified.host().as_str().to_owned()),
            _ => None,
        })
        .collect();
    let keep = if waiting.is_empty() { true } else { ask(batch, &waiting).await };
    each(run, finished, move |run, one| async move {
        let (host, end, observed) = match one {
            Finished::CalledOff(host, reason) => {
                let why = format!("its stage was discarded because {}", stop_words(reason));
                return called_off(&host, &why);
            }
            Finished::Ended(host, end, observed) => (host, end, observed),
            Finished::Waiting(verified, observed) => {
                let host = verified.host().clone();
                let end = if keep {
                    verified.confirm(&run.shared).await
                } else {
                    Err(verified.refuse(&run.shared).await)
                };
                if let Err(ended) = &end {
                    tell_now(&run, &host, ended, eager);
                }
                (host, end, observed)
            }
        };
        let outcome = end.as_ref().err().map_or(Outcome::Changed, |ended| ended.outcome);
        tell_services(&run.shared, &observed, outcome);
        match end {
            Ok(()) => good(&host, &observed, true),
            Err(ended) => TaskEnd { told: eager, ..TaskEnd::failed(&host, ended) },
        }
    })
    .await
}

async fn ask(batch: &Batch<'_>, hosts: &[String]) -> bool {
    let question = format!(
        "Batch {} of {}: {} now {} the new certificate, verified: {}\nKeep it there? (no: they all go back)",
        batch.number,
        batch.of,
        plural(hosts.len(), "host"),
        if hosts.len() == 1 { "serves" } else { "serve" },
        hosts.join(", ")
    );
    let operator = Arc::clone(&batch.run.operator);
    let asked = tokio::task::spawn_blocking(move || operator.confirm(&question));
    tokio::select! {
        answer = asked => answer.unwrap_or(false),
        () = batch.run.shared.stop.soft().cancelled() => false,
    }
}
