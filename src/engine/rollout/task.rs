//! A certificate task over the hosts of a batch: rendered for each, then planned or rolled out together.

use super::barrier::{Rollout, apply};
use super::dry_run;
use super::job::job;
use super::sources;
use super::target::Job;
use super::turns::Turns;
use crate::engine::batch::{Batch, tell};
use crate::engine::end::{TaskEnd, redact, together};
use crate::engine::failure;
use crate::inputs::iteration::{iterations, pause, why_not};
use crate::inputs::roster::Reviewed;
use crate::inputs::selection::ChosenTask;
use crate::model::{HostName, Step};
use crate::playbook::certificate::{CertificateSpec, RenderError};
use crate::playbook::{Task, TaskKind};
use crate::template::TemplateError;
use indexmap::IndexMap;
use std::time::Duration;
use tokio::time::Instant;

/// Runs the task for `hosts`; one end per host, in their order.
pub(crate) async fn run(
    batch: &mut Batch<'_>,
    chosen: &ChosenTask<'_>,
    spec: &CertificateSpec,
    hosts: &[HostName],
) -> Vec<TaskEnd> {
    let begun = Instant::now();
    let task = &chosen.task;
    let looping = task.looping.is_some();
    // On the heap: it is seldom needed, and every rollout would hold its state.
    Box::pin(sources::fetch(batch, chosen, spec, hosts)).await;
    let mut work: IndexMap<HostName, Work> = IndexMap::new();
    for host in hosts {
        work.insert(host.clone(), begin(batch, chosen, spec, host));
    }
    // A loop's iterations go one after another: each is a rollout of its own.
    let most = work.values().map(|work| work.jobs.len()).max().unwrap_or(0);
    let others_follow = has_another_after(chosen);
    for iteration in 0..most {
        let is_last = iteration + 1 == most;
        let goes_on = others_follow || !is_last;
        let jobs = work.values_mut().filter_map(|work| work.take(iteration));
        let jobs: Vec<Job> = jobs.map(|job| Job { goes_on, ..job }).collect();
        if jobs.is_empty() {
            continue;
        }
        if iteration > 0 {
            let pause = work.values().map(|work| work.pause).max().unwrap_or_default();
            // A rollout begins nothing once the run was stopped.
            batch.context.pauses(pause, false).await;
        }
        if batch.context.is_plan() || task.check_mode == Some(true) {
            let ends = dry_run::plan(batch, jobs, task.place(), is_last).await;
            record(&mut work, iteration, ends);
            continue;
        }
        let mut turns = Turns::of(jobs);
        while let Some(jobs) = turns.next() {
            let failed = work.values().filter(|work| work.has_failed()).count();
            let rollout = Rollout::new(batch, task, failed);
            let mut ended = 0;
            let later = apply(&rollout, jobs, turns.machines(), &mut |mut end| {
                ended += 1;
                if is_last {
                    batch.depart(&end.host);
                }
                let Some(work) = work.get_mut(&end.host) else { return };
                if !looping {
                    tell_end(batch, task, &mut end, begun);
                    work.told = true;
                }
                work.push(work.label(iteration), end);
            })
            .await;
            turns.add(later, ended == 0);
        }
    }
    let mut ends = Vec::with_capacity(work.len());
    for (host, work) in work {
        batch.depart(&host);
        let told = work.told;
        let mut end = work.end(&host, looping);
        if !told {
            tell_end(batch, task, &mut end, begun);
        }
        ends.push(end);
    }
    ends
}

/// Whether the play has another certificate task after this one, as far as its text tells.
fn has_another_after(chosen: &ChosenTask<'_>) -> bool {
    let after = chosen.at.tasks().skip_while(|task| task.place != chosen.place).skip(1);
    after.into_iter().any(|chosen| matches!(chosen.task.kind, TaskKind::Certificate(_)))
}

/// Tells how the task ended on a host, and that the host is done with the run where it is.
fn tell_end(batch: &Batch<'_>, task: &Task, end: &mut TaskEnd, begun: Instant) {
    if task.no_log {
        redact(end);
    }
    tell(batch.context, &batch.vars, task, end, begun);
    batch.tell_end_after(task, end);
}

fn record(work: &mut IndexMap<HostName, Work>, iteration: usize, ends: Vec<TaskEnd>) {
    for end in ends {
        if let Some(work) = work.get_mut(&end.host) {
            work.push(work.label(iteration), end);
        }
    }
}

/// One host's iterations, and how they ended so far.
#[derive(Default)]
struct Work {
    /// Taken one by one, and nothing of them stays here.
    jobs: Vec<(Option<String>, Option<Box<Job>>)>,
    ends: Vec<(Option<String>, TaskEnd)>,
    /// Between two iterations.
    pause: Duration,
    /// How the task ended was told.
    told: bool,
}

impl Work {
    fn ended(end: TaskEnd) -> Self {
        Self { ends: vec![(None, end)], ..Self::default() }
    }

    /// Whether an iteration failed.
    fn has_failed(&self) -> bool {
        self.ends.iter().any(|(_, end)| end.outcome.is_some())
    }

    /// The job of an iteration; none after a failure.
    fn take(&mut self, iteration: usize) -> Option<Job> {
        if self.has_failed() {
            return None;
        }
        self.jobs.get_mut(iteration)?.1.take().map(|job| *job)
    }

    fn push(&mut self, label: Option<String>, end: TaskEnd) {
        if self.ends.is_empty() {
            self.ends.reserve_exact(self.jobs.len().max(1));
        }
        self.ends.push((label, end));
    }

    fn label(&self, iteration: usize) -> Option<String> {
        self.jobs.get(iteration)?.0.clone()
    }

    fn end(mut self, host: &HostName, looping: bool) -> TaskEnd {
        if looping {
            return together(host, self.ends);
        }
        match self.ends.pop() {
            Some((_, end)) => end,
            None => TaskEnd::without_items(host),
        }
    }
}

/// What was reviewed, where a plan is carried out.
fn reviewed<'a>(batch: &Batch<'a>) -> Option<&'a Reviewed> {
    batch.context.inputs.project.options.roster.as_ref()?.reviewed.as_ref()
}

/// Renders the task for a host: its iterations as jobs, or why there are none.
fn begin(
    batch: &Batch<'_>,
    chosen: &ChosenTask<'_>,
    spec: &CertificateSpec,
    host: &HostName,
) -> Work {
    let task = &chosen.task;
    let title = batch.vars.title(task);
    let context = batch.context;
    let unknown = |error: TemplateError| match error {
        TemplateError::NotYetKnown(name) => TaskEnd::unknown(host, &name),
        TemplateError::Wrong(problem) => TaskEnd::wrong(host, &title, &problem),
    };
    let scope = match context.inputs.variables.task_scope(&batch.vars, host, task) {
        Ok(scope) => scope,
        Err(problems) => return Work::ended(TaskEnd::wrongs(host, &title, &problems)),
    };
    let list = match iterations(task.looping.as_ref(), &scope) {
        Ok(list) => list,
        Err(error) => return Work::ended(unknown(error)),
    };
    // It was rendered with the items.
    let pause = pause(task.looping.as_ref(), &scope).unwrap_or_default();
    let mut work = Work { pause, ..Work::default() };
    // Every host of a batch has some, and most have one.
    work.jobs.reserve_exact(list.len());
    for (scope, label) in list {
        match why_not(&task.when, &scope) {
            Ok(None) => {}
            Ok(Some(why)) => {
                work.push(label, TaskEnd::skipped(host, why));
                continue;
            }
            Err(error) => {
                work.push(label, unknown(error));
                continue;
            }
        }
        match job(context, chosen, spec, &batch.vars, host, &scope) {
            Ok(job) if !job.is_concerned() => {
                let why = "the run that is taken back changed nothing of this task here";
                work.push(label, TaskEnd::skipped(host, why));
            }
            Ok(mut job) => {
                if let Some(reviewed) = reviewed(batch) {
                    job.reviewed = reviewed.next(host, task.place());
                    if job.reviewed.is_none() {
                        let why = "stale: the plan has nothing of this task on this host";
                        let failure = failure::before_commit(&title, Step::Inspect, why);
                        work.push(label, TaskEnd::failed(host, failure));
                        continue;
                    }
                }
                work.jobs.push((label, Some(Box::new(job))));
            }
            Err(RenderError::NotYetKnown(name)) => {
                work.push(label, TaskEnd::unknown(host, &name));
            }
            Err(RenderError::Wrong(problems)) => {
                return Work::ended(TaskEnd::wrongs(host, &title, &problems));
            }
        }
    }
    work
}
