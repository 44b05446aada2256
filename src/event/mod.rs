//! What a run tells its reporters and its record: plain data, and the form in which it is kept.
//!
//! One [`Event`] per fact, in the order in which the dispatcher saw them. Exactly one
//! [`Kind::RunStart`] comes first and one [`Kind::Summary`] last. `docs/events.md` documents the
//! JSON form; adding a field or a kind is free, renaming one bumps [`SCHEMA`].

pub(crate) mod found;
pub(crate) mod json;
pub(crate) mod planned;
pub(crate) mod run;
pub(crate) mod status;

use crate::model::{Endpoint, Fingerprint, HostName, Outcome, Step, Timestamp};
use found::FoundCertificate;
use planned::{PlanCounts, PlannedTask, ServiceEnd};
pub(crate) use run::{HostSummary, Rerun, RunInputs, RunStart, StopReason, Summary};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use status::HostStatus;
use std::time::Duration;

/// Version of the JSON form.
pub(crate) const SCHEMA: u32 = 1;

/// One fact of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// Counts from 0 without gaps.
    pub seq: u64,
    /// When it happened, by the controller's wall clock.
    pub moment: Timestamp,
    /// Since the run began, by a clock that nobody sets.
    pub elapsed: Duration,
    /// The host it is about, if one.
    pub host: Option<HostName>,
    /// What happened.
    pub kind: Kind,
}

/// The kinds of facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The run begins.
    RunStart(Box<RunStart>),
    /// What the run was given (verbs that change hosts); comes right after its start.
    Inputs(Box<RunInputs>),
    /// A play begins.
    PlayStart {
        /// Its name.
        play: String,
        /// How many hosts it has.
        hosts: usize,
        /// Their names, in the order in which they are worked on.
        #[serde(default)]
        names: Vec<HostName>,
        /// From which number `order: shuffle` drew the order, where the play asks for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<u32>,
    },
    /// A batch of a play begins.
    BatchStart {
        /// From 1.
        batch: usize,
        /// How many batches the play has.
        batches: usize,
        /// Its hosts in order.
        hosts: Vec<HostName>,
    },
    /// A batch ended, with the hosts that failed in it.
    BatchEnd {
        /// From 1.
        batch: usize,
        /// Hosts that failed or were unreachable.
        failed: usize,
    },
    /// A task begins for the hosts of the batch.
    TaskStart {
        /// Its name.
        task: String,
        /// Where it is written, as `FILE:LINE`; none for what certroll does of its own accord.
        #[serde(default)]
        place: Option<String>,
    },
    /// A host entered a step of a rollout.
    StepStart {
        /// The step.
        step: Step,
    },
    /// A host ended a step well.
    StepEnd {
        /// The step.
        step: Step,
        /// What was done and how, one line (`nginx -t in a private mount namespace`).
        detail: String,
        /// How long it took, in milliseconds.
        millis: u64,
    },
    /// One try of the verification.
    VerifyAttempt {
        /// Where.
        endpoint: Endpoint,
        /// SNI sent.
        server_name: Option<String>,
        /// From 1.
        attempt: u32,
        /// Of how many.
        attempts: u32,
        /// Leaf that was served, when there was one.
        seen: Option<Fingerprint>,
        /// Whether it was the one wanted.
        matched: bool,
        /// What was seen, in words.
        detail: String,
        /// Wait until the next try, in milliseconds; absent at the last.
        next_wait_ms: Option<u64>,
    },
    /// A task ended on a host (all kinds of tasks).
    TaskEnd {
        /// Its name.
        task: String,
        /// Where it is written, as `FILE:LINE`; none for what certroll does of its own accord.
        #[serde(default)]
        place: Option<String>,
        /// How it ended.
        result: TaskResult,
        /// Message for the operator, if any.
        message: Option<String>,
        /// Output of a command or `debug`, already made printable and bounded.
        output: Option<String>,
        /// How long it took, in milliseconds.
        millis: u64,
    },
    /// A certificate task ended on a host: what its services serve now.
    CertificateEnd {
        /// Its name.
        task: String,
        /// One entry per service of the task.
        services: Vec<ServiceEnd>,
        /// How it ended, as the fields `outcome` and, where it failed, `step`.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// What a certificate task would do on a host (`plan`), or is about to do (`apply`).
    PlanHost {
        /// The play.
        play: String,
        /// The batch, from 1.
        batch: usize,
        /// What would be done.
        #[serde(flatten)]
        task: Box<PlannedTask>,
    },
    /// What a batch comes to (`plan` only); follows the hosts of the batch.
    PlanBatch {
        /// The play.
        play: String,
        /// From 1.
        batch: usize,
        /// How many batches the play has.
        batches: usize,
        /// The sums.
        counts: PlanCounts,
        /// What stays unknown until `apply`, one line each.
        unknown: Vec<String>,
    },
    /// What a host holds of a certificate task (`status` only).
    HostStatus {
        /// The task.
        task: String,
        /// What was found.
        #[serde(flatten)]
        status: Box<HostStatus>,
    },
    /// The certificates of a host (`discover` only).
    HostCertificates {
        /// Those with the fewest days left first.
        certificates: Vec<FoundCertificate>,
    },
    /// A step failed on a host: everything that an operator needs at 3 a.m.
    Failure(Box<Failure>),
    /// Something worth knowing that stops nothing.
    Note {
        /// `info` or `warning`.
        level: NoteLevel,
        /// One line.
        message: String,
    },
    /// The run is told to stop.
    Stopping {
        /// Why.
        reason: StopReason,
    },
    /// The run takes back what it has confirmed (`on_failure: rollback_run`). The plays that follow are those of the
    /// way back.
    TakingBack {
        /// The hosts that go back.
        hosts: Vec<HostName>,
    },
    /// A host is done with the run.
    HostEnd {
        /// How it ended, as the fields `outcome` and, where it failed, `step`.
        #[serde(flatten)]
        outcome: Outcome,
        /// Reason, for skipped hosts and failures.
        reason: Option<String>,
    },
    /// The run is over.
    Summary(Summary),
    /// What this version does not know, from the record of another; kept as it was.
    #[serde(untagged)]
    Unknown(Map<String, Value>),
}

/// How a task ended on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TaskResult {
    /// Done, nothing changed.
    Ok,
    /// Done and changed.
    Changed,
    /// Not done: a condition, a tag, check mode.
    Skipped,
    /// Failed.
    Failed,
    /// Failed and ignored (`ignore_errors`).
    Ignored,
    /// The host was not reached.
    Unreachable,
}

/// Severity of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NoteLevel {
    /// Good to know.
    Info,
    /// Deserves attention.
    Warning,
    /// The command could not go on.
    Error,
}

/// A failed step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// Task that failed.
    pub task: String,
    /// Where the task is written, as `FILE:LINE`, and from where that file was included, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Step that failed.
    pub step: Step,
    /// What went wrong, one line.
    pub message: String,
    /// Command that failed, as it would be typed.
    pub command: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// Its last lines, printable and bounded.
    pub output: Vec<String>,
    /// The state that the host is in now, one line.
    pub state: String,
    /// What to do next, one line each.
    pub advice: Vec<String>,
    /// Whether the host has its old state back (`None` where the step changes nothing live).
    pub rolled_back: Option<bool>,
}
