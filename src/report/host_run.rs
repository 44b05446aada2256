//! One host's part of a run, as its events tell it.

use crate::event::found::FoundCertificate;
use crate::event::planned::{PlanRow, ServiceEnd};
use crate::event::status::HostStatus;
use crate::event::{Event, Failure, HostSummary, Kind, TaskResult};
use crate::model::{Outcome, Step};
use std::time::Duration;

/// Place of a play in the run, and number of a batch in it.
pub(crate) type BatchPlace = (usize, usize);

/// A host as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct HostRun {
    /// When its first event happened, since the run began.
    pub began: Duration,
    /// When it was last at work.
    pub ended: Duration,
    /// Its steps, in the order in which they began.
    pub steps: Vec<StepRun>,
    /// Its tasks that have ended.
    pub tasks: Vec<TaskRun>,
    /// Its files, old and new, with the batch in which they were planned.
    pub rows: Vec<(BatchPlace, PlanRow)>,
    /// How each certificate task ended.
    pub certificates: Vec<CertificateRun>,
    /// What each of its services was last seen to serve.
    pub services: Vec<ServiceEnd>,
    /// What was seen of its services.
    pub verified: Verified,
    /// What failed, with the batch.
    pub failures: Vec<(Option<BatchPlace>, Failure)>,
    /// What `status` found, by task.
    pub status: Vec<(String, HostStatus)>,
    /// The certificates that `discover` found.
    pub found: Vec<FoundCertificate>,
    /// How it ended, and why.
    pub end: Option<(Outcome, Option<String>)>,
    /// The run has taken back what it had confirmed here.
    pub taken_back: bool,
    /// The step that it is in since files were switched, until its certificate task ends.
    pub switched: Option<Step>,
    /// It is done with a task that goes on for others of its batch; that its task has ended is told when theirs has.
    done: bool,
}

/// A step of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepRun {
    /// The step.
    pub step: Step,
    /// When it began, since the run did.
    pub began: Duration,
    /// How long it took; none: it has not ended.
    pub took: Option<Duration>,
    /// How it went.
    pub state: StepState,
    /// What was done and how, one line.
    pub detail: String,
    /// How many handshakes were tried.
    pub attempts: u32,
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepState {
    /// It has not ended.
    Running,
    /// Well.
    Done,
    /// It failed, or was left behind.
    Failed,
}

/// A task that has ended on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskRun {
    /// Its name.
    pub task: String,
    /// How it ended.
    pub result: TaskResult,
    /// Message for the operator.
    pub message: Option<String>,
    /// Output, printable.
    pub output: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// The end of a certificate task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateRun {
    /// What its services serve.
    pub services: Vec<ServiceEnd>,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a look at the services showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The handshake's verdict, when one came to a good end.
    pub handshake: Option<String>,
    /// What was seen after rolling back.
    pub rollback: Option<String>,
    /// How a certificate task ended.
    pub certificate: Option<Outcome>,
}

impl HostRun {
    /// A host whose first event happens now.
    pub(crate) fn new(began: Duration) -> Self {
        Self { began, ended: began, ..Self::default() }
    }

    /// How long it was at work, waiting for its batch included.
    pub(crate) fn took(&self) -> Duration {
        self.ended.saturating_sub(self.began)
    }

    /// What was planned of it in a batch.
    pub(crate) fn rows_in(&self, place: BatchPlace) -> impl Iterator<Item = &PlanRow> {
        self.rows.iter().filter(move |(own, _)| *own == place).map(|(_, row)| row)
    }

    /// Takes an event about this host, which is in batch `place`.
    pub(crate) fn take(&mut self, event: &Event, place: Option<BatchPlace>) {
        match &event.kind {
            // It may be told long after the host was done: where it may be taken back, at the run's end.
            Kind::HostEnd { outcome, reason } => {
                self.end = Some((*outcome, reason.clone()));
                return;
            }
            Kind::StepStart { step } => self.begin(*step, event.elapsed),
            Kind::StepEnd { step, detail, millis } => self.end_step(*step, detail, *millis, event),
            Kind::VerifyAttempt { .. } => {
                if let Some(run) = self.running() {
                    run.attempts += 1;
                }
            }
            Kind::TaskEnd { task, result, message, output, millis, .. } => {
                let run = TaskRun {
                    task: task.clone(),
                    result: *result,
                    message: message.clone(),
                    output: output.clone(),
                    took: Duration::from_millis(*millis),
                };
                push(&mut self.tasks, run);
                self.steps.shrink_to_fit();
            }
            Kind::PlanHost { task, .. } => {
                let place = place.unwrap_or_default();
                // Every host has some, and most have one.
                self.rows.reserve_exact(task.rows.len());
                self.rows.extend(task.rows.iter().map(|row| (place, row.clone())));
            }
            Kind::CertificateEnd { services, outcome, .. } => {
                self.end_certificate(services, *outcome);
            }
            Kind::Failure(failure) => {
                self.fail_running(event.elapsed);
                push(&mut self.failures, (place, (**failure).clone()));
            }
            Kind::HostStatus { task, status } => {
                self.status.push((task.clone(), (**status).clone()));
            }
            Kind::HostCertificates { certificates } => self.found.clone_from(certificates),
            _ => {}
        }
        let was_done = match &event.kind {
            Kind::CertificateEnd { .. } | Kind::Failure(_) => {
                std::mem::replace(&mut self.done, true)
            }
            Kind::PlanHost { .. } | Kind::Note { .. } => self.done,
            _ => std::mem::take(&mut self.done),
        };
        if !was_done {
            self.ended = event.elapsed;
        }
    }

    /// What is known of a host in a run that was cut off. `done`: every batch that it was in has ended.
    pub(super) fn summary_so_far(&self, done: bool) -> HostSummary {
        let tasks = |result| self.tasks.iter().filter(|task| task.result == result).count() as u32;
        let changed = tasks(TaskResult::Changed);
        let outcome = self.outcome_so_far();
        let cut_off = !done && !outcome.is_failure();
        let reason = cut_off.then(|| "the run was cut off before its batch had ended".to_owned());
        HostSummary {
            ok: tasks(TaskResult::Ok) + changed + tasks(TaskResult::Ignored),
            changed,
            unchanged: self.certificates_that(|outcome| outcome == Outcome::Unchanged),
            skipped: tasks(TaskResult::Skipped),
            failed: tasks(TaskResult::Failed),
            rolled_back: self
                .certificates_that(|outcome| matches!(outcome, Outcome::RolledBack(_))),
            unreachable: tasks(TaskResult::Unreachable).min(1),
            ignored: tasks(TaskResult::Ignored),
            // A run that was cut off does not tell whether the rescue came to its end.
            rescued: 0,
            outcome,
            reason: self.failures.last().map(|(_, failure)| failure.message.clone()).or(reason),
        }
    }

    fn certificates_that(&self, is_one: impl Fn(Outcome) -> bool) -> u32 {
        self.certificates.iter().filter(|end| is_one(end.outcome)).count() as u32
    }

    fn outcome_so_far(&self) -> Outcome {
        if let Some((outcome, _)) = &self.end {
            return *outcome;
        }
        // Switched, and nobody has heard how it went on.
        if let Some(step) = self.switched {
            return Outcome::Unknown(step);
        }
        if let Some(end) = self.certificates.iter().find(|end| end.outcome.is_failure()) {
            return end.outcome;
        }
        let failed = self.tasks.iter().find_map(|task| match task.result {
            TaskResult::Unreachable => Some(Outcome::Unreachable),
            TaskResult::Failed => {
                let step = self.failures.last().map_or(Step::Task, |(_, failure)| failure.step);
                Some(Outcome::Failed(step))
            }
            _ => None,
        });
        let any = |result| self.tasks.iter().any(|task| task.result == result);
        let certificate = |wanted| self.certificates.iter().any(|end| end.outcome == wanted);
        match failed {
            Some(outcome) => outcome,
            None if self.taken_back => Outcome::RolledBack(Step::Rollback),
            None if any(TaskResult::Changed) || certificate(Outcome::Changed) => Outcome::Changed,
            None if any(TaskResult::Ok) || certificate(Outcome::Unchanged) => Outcome::Unchanged,
            None => Outcome::Skipped,
        }
    }

    fn running(&mut self) -> Option<&mut StepRun> {
        self.steps.last_mut().filter(|run| run.state == StepState::Running)
    }

    fn begin(&mut self, step: Step, began: Duration) {
        self.fail_running(began);
        if self.switched.is_some() || step == Step::Commit {
            self.switched = Some(step);
        }
        let (state, detail) = (StepState::Running, String::new());
        self.steps.push(StepRun { step, began, took: None, state, detail, attempts: 0 });
    }

    fn end_step(&mut self, step: Step, detail: &str, millis: u64, event: &Event) {
        let took = Duration::from_millis(millis);
        if self.running().is_none_or(|run| run.step != step) {
            self.begin(step, event.elapsed.saturating_sub(took));
        }
        if let Some(run) = self.running() {
            run.took = Some(took);
            run.state = StepState::Done;
            detail.clone_into(&mut run.detail);
        }
        match step {
            Step::Verify => self.verified.handshake = Some(detail.to_owned()),
            Step::Rollback => self.verified.rollback = Some(detail.to_owned()),
            _ => {}
        }
    }

    /// How long it took until a step failed counts as well: a time-out is what to look for.
    fn fail_running(&mut self, now: Duration) {
        if let Some(run) = self.running() {
            run.took = Some(now.saturating_sub(run.began));
            run.state = StepState::Failed;
        }
    }

    fn end_certificate(&mut self, services: &[ServiceEnd], outcome: Outcome) {
        self.switched = None;
        for service in services {
            self.services.retain(|known| known.service != service.service);
            push(&mut self.services, service.clone());
        }
        // A later task's good end does not hide an earlier one's failure.
        if !self.verified.certificate.is_some_and(Outcome::is_failure) {
            self.verified.certificate = Some(outcome);
        }
        push(&mut self.certificates, CertificateRun { services: services.to_vec(), outcome });
    }
}

/// Every host has such a list, and most have one thing in it: no more room than for that.
fn push<T>(list: &mut Vec<T>, one: T) {
    if list.is_empty() {
        list.reserve_exact(1);
    }
    list.push(one);
}
