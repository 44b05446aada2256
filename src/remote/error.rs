//! Why a conversation with a host did not end as wished.

use crate::model::{Fingerprint, Outcome, RemotePath, Step};
use crate::transport::StartError;

/// Everything that can go wrong between request and terminal reply.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The shell did not start: no `boot` line. `noise` is what came instead (a nologin notice,
    /// a sudo refusal); printable.
    #[error("no shell answered{}", said(.noise))]
    NoBoot {
        /// What the host printed instead.
        noise: String,
    },
    /// The account that was asked for cannot be taken, or has no shell. Nothing was touched.
    #[error("{0}")]
    Refused(Box<StartError>),
    /// A tool is missing without which no transaction can be made. Nothing was touched.
    #[error("the host has no {name}")]
    ToolMissing {
        /// The tool, or the alternatives.
        name: String,
    },
    /// Somebody else works on this host. Nothing was touched.
    #[error("the host is locked by process {pid}{}", said(.holder))]
    Busy {
        /// Process id on the host.
        pid: u32,
        /// What the holder wrote: since when, who, from where.
        holder: String,
    },
    /// The file is not as planned. Nothing was touched.
    #[error("{path} is not as planned: {}", stale(.now, .why))]
    Stale {
        /// The destination.
        path: RemotePath,
        /// Digest of what is there now; `None`: no file, or not asked.
        now: Option<Fingerprint>,
        /// What differs: `content`, `link`, `kind`, `directory`.
        why: String,
    },
    /// A step failed and nothing live had changed.
    #[error("{0}")]
    Failed(StepFailure),
    /// A step failed after the commit (or the controller said so): the host has its old state back,
    /// as far as [`RolledBack`] says.
    #[error("{failure}; {rollback}")]
    RolledBack {
        /// What failed.
        failure: StepFailure,
        /// How the way back went.
        rollback: RolledBack,
    },
    /// The stage was discarded on the controller's word, or because that did not come.
    #[error("discarded before the commit: {why}")]
    Aborted {
        /// `abort`, `eof`, `timeout` or `signal`.
        why: String,
    },
    /// The link died, or the program was killed, before a terminal reply. What the host
    /// holds is unknown if a commit had been asked for; the next contact settles it.
    #[error("the host fell silent during {during}{}", said(.noise))]
    Closed {
        /// What was being waited for.
        during: Step,
        /// Whether files may have been renamed.
        may_have_changed: bool,
        /// Tail of standard error.
        noise: String,
    },
    /// The host did not answer in the time it was given (plus a margin). As [`Closed`](Self::Closed).
    #[error("no answer during {during} for {seconds} s")]
    Silent {
        /// What was being waited for.
        during: Step,
        /// Whether files may have been renamed.
        may_have_changed: bool,
        /// How long was waited.
        seconds: u64,
    },
    /// A reply that makes no sense: a program error, or a host that lies.
    #[error("the host answered nonsense during {during}: {what}")]
    Garbage {
        /// What was being waited for.
        during: Step,
        /// Whether files may have been renamed.
        may_have_changed: bool,
        /// What was wrong with it.
        what: String,
    },
    /// The host printed more than it may.
    #[error("the host printed more than {limit} bytes during {during}")]
    TooMuchOutput {
        /// What was being waited for.
        during: Step,
        /// Whether files may have been renamed.
        may_have_changed: bool,
        /// The bound, in bytes.
        limit: usize,
    },
    /// The request cannot be put into words: an empty command, a path with NUL.
    #[error("the request is not possible: {0}")]
    BadRequest(String),
}

impl RemoteError {
    /// How the host ended because of this.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NoBoot { .. } => Outcome::Failed(Step::Connect),
            Self::Refused(_) => Outcome::Unreachable,
            Self::ToolMissing { .. } | Self::BadRequest(_) => Outcome::Failed(Step::Inspect),
            Self::Busy { .. } => Outcome::Failed(Step::Lock),
            Self::Stale { .. } => Outcome::Failed(Step::Stage),
            Self::Failed(failure) => Outcome::Failed(failure.step),
            Self::Aborted { .. } => Outcome::Failed(Step::Barrier),
            // A rollback that left something behind is not "all old": say unknown, loudest.
            Self::RolledBack { failure, rollback } if rollback.is_complete() => {
                Outcome::RolledBack(failure.step)
            }
            Self::RolledBack { .. } => Outcome::Unknown(Step::Rollback),
            Self::Closed { during, may_have_changed, .. }
            | Self::Silent { during, may_have_changed, .. }
            | Self::Garbage { during, may_have_changed, .. }
            | Self::TooMuchOutput { during, may_have_changed, .. } => {
                if *may_have_changed {
                    Outcome::Unknown(*during)
                } else {
                    Outcome::Failed(*during)
                }
            }
        }
    }
}

/// A step that failed on the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step} failed: {why}{}{}{}", for_service(.service), code(.rc), said(.output))]
pub struct StepFailure {
    /// Which step.
    pub step: Step,
    /// Why, in words.
    pub why: String,
    /// The service concerned, by the name in the request.
    pub service: Option<String>,
    /// Which of that service's checks refused.
    pub check: Option<usize>,
    /// Exit code of the command that failed; 124: its time was over, 125: too much output.
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
}

impl std::fmt::Display for RolledBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rolled back")?;
        for path in &self.conflicts {
            write!(f, ", except {path}, which somebody else changed")?;
        }
        for service in &self.services {
            if let Some(rc) = service.reload.filter(|rc| *rc != 0) {
                write!(f, ", reload of {} ended with {rc}", service.service)?;
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

fn said(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

fn code(rc: &Option<i32>) -> String {
    match rc {
        None => String::new(),
        Some(124) => " (its time was over)".into(),
        Some(125) => " (too much output)".into(),
        Some(rc) => format!(" (exit code {rc})"),
    }
}

fn for_service(service: &Option<String>) -> String {
    service.as_ref().map(|service| format!(" for {service}")).unwrap_or_default()
}

fn stale(now: &Option<Fingerprint>, why: &str) -> String {
    match (why, now) {
        ("content", Some(now)) => format!("its content changed meanwhile (now {})", now.short()),
        ("content", None) => "it is gone".into(),
        ("link", _) => "its links lead elsewhere now".into(),
        ("kind", _) => "it is no regular file now".into(),
        ("directory", _) => "its directory changed meanwhile".into(),
        (other, _) => other.to_owned(),
    }
}
