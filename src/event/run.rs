//! How a run begins, why it stops, and what it came to.

use crate::model::{Fingerprint, HostName, Outcome, Shard};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Who does what, and how to do it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunStart {
    /// [`super::SCHEMA`].
    pub schema: u32,
    /// `plan`, `apply`, `verify`, …
    pub command: String,
    /// Nothing is changed: `plan`, or `--check`.
    #[serde(default)]
    pub check: bool,
    /// Playbooks as given.
    pub playbooks: Vec<String>,
    /// Random name of this run, in hexadecimal.
    pub run: String,
    /// Version of certroll.
    #[serde(default)]
    pub version: String,
    /// The command line that leads to the same hosts and tasks again, as the fields `argv`, `limit`
    /// and `left_out`.
    #[serde(flatten)]
    pub rerun: Rerun,
    /// Who runs it and where, as `user@machine`.
    #[serde(default)]
    pub by: String,
    /// The directory in which it was started.
    #[serde(default)]
    pub directory: String,
    /// Whether a record of it is kept, which `certroll history` shows.
    #[serde(default)]
    pub recorded: bool,
    /// The file in which a plan is saved (`plan --out`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<String>,
    /// Digest of the saved plan that is carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Fingerprint>,
    /// The run that is resumed or taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// The part of the fleet that the run is for, as `2/4`; absent for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
}

/// What a run was given, as digests: a run that follows it can tell whether that is still the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunInputs {
    /// The playbooks, what they include, and the service profiles that they name.
    pub sources: Vec<Source>,
    /// For each play its hosts that take part, in the pattern's order.
    pub plays: Vec<Vec<HostName>>,
    /// What certificate tasks want of each host, as far as that is known before the run.
    pub hosts: IndexMap<HostName, HostInputs>,
}

/// A file or a profile that a run was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// As it is named in messages.
    pub file: String,
    /// SHA-256 of its text.
    pub sha256: Fingerprint,
}

/// What certificate tasks want of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostInputs {
    /// The leaves that it gets, task by task.
    pub leaves: Vec<Fingerprint>,
    /// SHA-256 over the bytes of certificates and keys, every word of the tasks, and where the host is.
    pub sha256: Fingerprint,
}

/// What follows the verb on a command line that leads to the same hosts and tasks again. Holds
/// nothing secret: values that may be are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rerun {
    /// Playbooks and flags, one word each, but for `--limit`.
    #[serde(default)]
    pub argv: Vec<String>,
    /// Words that only the same verb knows, as `--to previous` of `rollback`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<String>,
    /// The value of `--limit`.
    #[serde(default)]
    pub limit: Option<String>,
    /// Flags that were given and are not in `argv`, because their values may be secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// Why a run stops early. Ordered: a weaker reason never replaces a stronger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StopReason {
    /// Every host of a batch failed.
    BatchFailed,
    /// More hosts failed than the play tolerates.
    FailureBudget,
    /// Ctrl-C: no new hosts, those in flight end or roll back.
    Interrupt,
    /// Ctrl-C again: connections are cut and hosts undo themselves.
    SecondInterrupt,
}

/// Counts of one host, in tasks except where said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostSummary {
    /// Tasks that ended well, changed or not.
    pub ok: u32,
    /// Tasks that changed something.
    pub changed: u32,
    /// Certificate tasks with nothing to do.
    pub unchanged: u32,
    /// Tasks not done.
    pub skipped: u32,
    /// Tasks that failed (rolled back counts as failed).
    pub failed: u32,
    /// Certificate tasks that failed after the commit and were rolled back.
    pub rolled_back: u32,
    /// 1 when the host could not be reached.
    pub unreachable: u32,
    /// Failures that were ignored.
    pub ignored: u32,
    /// Failures that a `rescue` caught.
    #[serde(default)]
    pub rescued: u32,
    /// How it ended, as the fields `outcome` and, where it failed, `step`.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Why, for hosts that were skipped or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The end of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Every host of every play, in inventory order.
    pub hosts: IndexMap<HostName, HostSummary>,
    /// The process's exit code.
    pub exit_code: u8,
    /// Why the run stopped early, if it did.
    pub stopped: Option<StopReason>,
    /// In `plan`: hosts with pending changes.
    pub pending: usize,
}
