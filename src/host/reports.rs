//! What a host reports of a transaction.

use crate::model::text::after_colon;
use crate::model::{Fingerprint, RemotePath, Step};

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
    /// Who began it, as [`TransactionRequest::holder`](super::TransactionRequest::holder); empty where the journal
    /// does not say it. Printable.
    pub by: String,
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
    /// Digests of the staged files as the host reads them, in request order; they are the wanted ones. `None`: there is no file.
    pub files: Vec<Option<Fingerprint>>,
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
    /// Mounted over the live paths in a private copy of a container's mounts.
    Container,
    /// In another container of the same image, over the live paths.
    Throwaway,
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
            Self::Container => "in a private copy of the container's mounts",
            Self::Throwaway => "in a throwaway container",
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
    pub reloads: Vec<Reloaded>,
    /// Digests of the live files, in request order; they are the wanted ones. `None`: there is no file.
    pub files: Vec<Option<Fingerprint>>,
    /// Whether the guard that goes back without a controller is alive.
    pub guarded: bool,
}

/// One service's reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
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

/// A step that failed on the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step} failed: {why}{}{}{}", for_service(.service), code(.rc), after_colon(.output))]
pub struct StepFailure {
    /// Which step.
    pub step: Step,
    /// Why, in words.
    pub why: String,
    /// The service concerned, by the name in the request.
    pub service: Option<String>,
    /// Which of that service's checks refused.
    pub check: Option<usize>,
    /// Exit code of the command that failed; 124: timed out, 125: too much output.
    pub rc: Option<i32>,
    /// Tail of its output; printable.
    pub output: String,
}

/// How the way back went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RolledBack {
    /// Files that somebody else had changed meanwhile and that were left alone.
    pub conflicts: Vec<RemotePath>,
    /// Per service of the request: how telling it went.
    pub services: Vec<ServiceBack>,
    /// Why the host went back before it was told to: `timeout`, `eof`, `signal`; none: it was told to.
    pub by_itself: Option<String>,
}

/// One service after a rollback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceBack {
    /// The name in the request.
    pub service: String,
    /// Exit code of the reload; `None`: none was needed, or there is none.
    pub reload: Option<i32>,
    /// Exit code of the recover command; `None`: it was not needed.
    pub recover: Option<i32>,
    /// Whether it ran before the transaction; `None`: cannot tell.
    pub up_before: Option<bool>,
    /// Whether it runs now; `None`: cannot tell.
    pub up: Option<bool>,
    /// Tail of the output of these commands; printable.
    pub output: String,
}

impl RolledBack {
    /// Every file is back. (Whether the service serves the old certificate is seen by a handshake.)
    pub fn is_complete(&self) -> bool {
        self.conflicts.is_empty()
    }

    /// Whether a service that was up before is down now, after its reload and its `recover` command.
    pub fn left_a_service_down(&self) -> bool {
        !self.left_down().is_empty()
    }

    /// The services that were up before and are down now.
    pub fn left_down(&self) -> Vec<String> {
        let died = |one: &&ServiceBack| one.up == Some(false) && one.up_before != Some(false);
        self.services.iter().filter(died).map(|one| one.service.clone()).collect()
    }
}

impl std::fmt::Display for RolledBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rolled back")?;
        for path in &self.conflicts {
            write!(f, ", except {path}, which another process modified")?;
        }
        for service in &self.services {
            if let Some(rc) = service.reload.filter(|rc| *rc != 0) {
                write!(f, ", reload of {} exited with code {rc}", service.service)?;
            }
            if let Some(rc) = service.recover {
                write!(f, ", {} had to be started again (exit code {rc})", service.service)?;
            }
            if service.up == Some(false) {
                write!(f, ", {} is down", service.service)?;
            }
        }
        Ok(())
    }
}

fn code(rc: &Option<i32>) -> String {
    match rc {
        None => String::new(),
        Some(124) => " (timed out)".into(),
        Some(125) => " (too much output)".into(),
        Some(rc) => format!(" (exit code {rc})"),
    }
}

fn for_service(service: &Option<String>) -> String {
    service.as_ref().map(|service| format!(" for {service}")).unwrap_or_default()
}
