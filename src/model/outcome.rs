//! How a host ended, and at which step.

use std::fmt;

/// The steps of a rollout on one host, in the order in which they happen.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Material checks on the controller.
    Check,
    /// TCP, SSH, login, become.
    Connect,
    /// Reading the host's state.
    Inspect,
    /// A task other than `certificate`.
    Task,
    /// Waiting for the host's lock.
    Lock,
    /// Settling an interrupted transaction.
    Recover,
    /// Writing the new files beside their destinations.
    Stage,
    /// The service's own check over the staged files.
    Validate,
    /// Waiting for the other hosts of the batch.
    Barrier,
    /// Renaming the files into place.
    Commit,
    /// Making the service load them.
    Reload,
    /// The TLS handshake.
    Verify,
    /// The operator's own checks.
    Checks,
    /// The controller's word that the change stays.
    Confirm,
    /// Putting everything back.
    Rollback,
}

impl Step {
    /// Every step, in order.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 15] = [
        Self::Check,
        Self::Connect,
        Self::Inspect,
        Self::Task,
        Self::Lock,
        Self::Recover,
        Self::Stage,
        Self::Validate,
        Self::Barrier,
        Self::Commit,
        Self::Reload,
        Self::Verify,
        Self::Checks,
        Self::Confirm,
        Self::Rollback,
    ];

    /// Those that only name where something failed and that no event starts: the first is over before any host is
    /// looked at, the second is a task's whole work, which has events of its own.
    #[cfg(test)]
    pub(crate) const NEVER_STARTED: [Self; 2] = [Self::Check, Self::Task];

    /// The name shown and written to JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Connect => "connect",
            Self::Inspect => "inspect",
            Self::Task => "task",
            Self::Lock => "lock",
            Self::Recover => "recover",
            Self::Stage => "stage",
            Self::Validate => "validate",
            Self::Barrier => "barrier",
            Self::Commit => "commit",
            Self::Reload => "reload",
            Self::Verify => "verify",
            Self::Checks => "checks",
            Self::Confirm => "confirm",
            Self::Rollback => "rollback",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a host ended. Failure is data: it never ends the run by itself. In JSON an object of the fields
/// `outcome` and, where it failed, `step`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(tag = "outcome", content = "step", rename_all = "snake_case")]
pub enum Outcome {
    /// Something was changed, and verified where it can be.
    Changed,
    /// Everything was as wanted already.
    Unchanged,
    /// Nothing was attempted, or a certificate task was called off before it changed anything.
    #[default]
    Skipped,
    /// A step failed and nothing live had changed.
    Failed(Step),
    /// A step failed after the commit and the host has its old state back, as far as it was looked at.
    RolledBack(Step),
    /// A step failed after the commit. The files are the old ones again, but the old certificate is not served, or
    /// the service is down: a person has to look.
    NotRestored(Step),
    /// The host could not be reached or logged in to.
    Unreachable,
    /// The link died before the verdict was acknowledged: the next contact settles it.
    Unknown(Step),
}

impl Outcome {
    /// The word used in tables and JSON, without the step.
    pub fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Failed(_) => "failed",
            Self::RolledBack(_) => "rolled_back",
            Self::NotRestored(_) => "not_restored",
            Self::Unreachable => "unreachable",
            Self::Unknown(_) => "unknown",
        }
    }

    /// The step that failed, where one did.
    pub fn step(self) -> Option<Step> {
        match self {
            Self::Failed(step)
            | Self::RolledBack(step)
            | Self::NotRestored(step)
            | Self::Unknown(step) => Some(step),
            Self::Changed | Self::Unchanged | Self::Skipped | Self::Unreachable => None,
        }
    }

    /// Whether the host takes no further part in the run.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Failed(_)
            | Self::RolledBack(_)
            | Self::NotRestored(_)
            | Self::Unreachable
            | Self::Unknown(_) => true,
            Self::Changed | Self::Unchanged | Self::Skipped => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step() {
            Some(step) => f.pad(&format!("{} ({step})", self.name().replace('_', " "))),
            None => f.pad(self.name()),
        }
    }
}
