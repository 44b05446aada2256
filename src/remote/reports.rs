//! What a host told on the way to a good end.

use crate::model::Fingerprint;
use std::time::Duration;

/// An interrupted transaction that this contact settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Its id.
    pub id: String,
    /// Where the host is now.
    pub end: RecoveredEnd,
    /// Worst exit code of the reloads that were needed; `None`: none was.
    pub reload: Option<i32>,
    /// How many files were left alone because somebody else had changed them.
    pub conflicts: u32,
}

/// How an interrupted transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveredEnd {
    /// It was undone: the files are as before it.
    Old,
    /// It had been confirmed: its files stay, leftovers are gone.
    New,
    /// It had been undone earlier, except for files changed by somebody else. Told once.
    Conflict,
}

/// Everything is staged and checked; nothing live has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// Interrupted transactions settled first.
    pub recovered: Vec<Recovered>,
    /// One per check, in the order of services and their steps.
    pub validations: Vec<Validation>,
    /// Digests of the staged files as the host reads them, in request order; they are the wanted ones.
    pub files: Vec<Fingerprint>,
    /// How long staging and checking took, seen from here.
    pub took: Duration,
}

/// One check and how it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// Index into the request's services.
    pub service: usize,
    /// Index into its checks.
    pub step: usize,
    /// How it saw the new files.
    pub way: ValidationWay,
    /// Exit code.
    pub rc: i32,
    /// Head of its output; printable.
    pub output: String,
}

/// How a check saw the new files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidationWay {
    /// Mounted over the live paths in a private mount namespace.
    MountNamespace,
    /// The same, in a private network too.
    MountAndNetNamespace,
    /// The same in a user namespace (no real root on this host).
    UserNamespace,
    /// As arguments.
    Staged,
    /// The service itself was started in private namespaces and served the new certificate.
    Boot,
    /// After the renames and before the reload; in a [`Staged`] report: still to come.
    Live,
    /// The sealed boot does not even work with the old files: says nothing.
    Inconclusive,
    /// An optional check whose program this host does not have: it was left out.
    Absent,
}

impl ValidationWay {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::MountNamespace => "in a mount namespace",
            Self::MountAndNetNamespace => "in a mount and net namespace",
            Self::UserNamespace => "in a user namespace",
            Self::Staged => "on the staged files",
            Self::Boot => "by a sealed boot",
            Self::Live => "after the switch",
            Self::Inconclusive => "inconclusive",
            Self::Absent => "left out, the host does not have its program",
        }
    }
}

/// The new files are live and the services were told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Checks made after the renames.
    pub validations: Vec<Validation>,
    /// Per service of the request, in order.
    pub reloads: Vec<Reload>,
    /// Digests of the live files, in request order; they are the wanted ones.
    pub files: Vec<Fingerprint>,
    /// Whether the guard that goes back without a controller is alive.
    pub guarded: bool,
    /// From the commit to this report, seen from here.
    pub took: Duration,
}

/// One service's reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// Index into the request's services.
    pub service: usize,
    /// Exit code; `None`: it has no reload command.
    pub rc: Option<i32>,
    /// Whether it ran before the commit; `None`: cannot tell.
    pub up_before: Option<bool>,
    /// Whether it runs now.
    pub up: Option<bool>,
    /// Head of the output; printable.
    pub output: String,
}

/// Confirmed and cleared up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// From the confirmation to this report, seen from here.
    pub took: Duration,
}
