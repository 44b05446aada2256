//! Why a conversation with a host did not end as wished.

use crate::host::{RolledBack, StepFailure};
use crate::model::text::after_colon as said;
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
    #[error(transparent)]
    Refused(Box<StartError>),
    /// A tool is missing without which no transaction can be made. Nothing was touched.
    #[error("the host has no {name}")]
    ToolMissing {
        /// The tool, or the alternatives.
        name: String,
    },
    /// The host's `sh` cannot run the program. Nothing was touched.
    #[error("the host's sh is {name}, which cannot run what certroll sends")]
    ShellUnfit {
        /// Its name, or `this_shell`.
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
    #[error(transparent)]
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
    #[error("the connection ended during {during}{}", said(.noise))]
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
    #[error("the host sent an invalid reply during {during}: {what}")]
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
    #[error("the request cannot be sent: {0}")]
    BadRequest(String),
}

impl RemoteError {
    /// How the host ended because of this.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::NoBoot { .. } => Outcome::Failed(Step::Connect),
            Self::Refused(_) => Outcome::Unreachable,
            Self::ToolMissing { .. } | Self::ShellUnfit { .. } | Self::BadRequest(_) => {
                Outcome::Failed(Step::Inspect)
            }
            Self::Busy { .. } => Outcome::Failed(Step::Lock),
            Self::Stale { .. } => Outcome::Failed(Step::Stage),
            Self::Failed(failure) => Outcome::Failed(failure.step),
            Self::Aborted { .. } => Outcome::Failed(Step::Barrier),
            // A rollback that left something behind is not "all old": say unknown, loudest.
            Self::RolledBack { failure, rollback } if rollback.is_complete() => {
                match rollback.left_a_service_down() {
                    true => Outcome::NotRestored(failure.step),
                    false => Outcome::RolledBack(failure.step),
                }
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

fn stale(now: &Option<Fingerprint>, why: &str) -> String {
    match (why, now) {
        ("content", Some(now)) => format!("its content has changed (now {})", now.short()),
        ("content", None) => "it is gone".into(),
        ("link", _) => "its symbolic links now lead elsewhere".into(),
        ("kind", _) => "it is no longer a regular file".into(),
        ("directory", _) => "its directory has changed".into(),
        (other, _) => other.to_owned(),
    }
}
