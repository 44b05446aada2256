//! What a run is for.

/// What the operator asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Looks and tells what `apply` would do; changes nothing.
    Plan,
    /// Rolls out.
    Apply,
    /// Takes an earlier generation back.
    Rollback {
        /// Which one.
        back: Back,
        /// Only tells what would be done.
        check: bool,
    },
    /// Makes handshakes; no host is logged in to unless `via:` asks for it.
    Verify,
    /// Asks hosts and services what is there.
    Status,
    /// Settles what interrupted runs left.
    Recover,
    /// Connects, logs in, becomes the account.
    Ping,
    /// Looks for certificates on hosts and on their ports.
    Discover {
        /// Only what has less than so many days left or wants attention; none: everything.
        expiring: Option<i64>,
    },
}

/// What a rollback goes back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Back {
    /// The state before this generation, certificate or moment; `None`: before the last transaction of which anything is
    /// kept.
    To(Option<String>),
    /// The state before a run, of which the roster says what it has changed.
    Run,
}

impl Verb {
    /// Whether it only looks and tells what would be done.
    pub(crate) fn is_dry(&self) -> bool {
        matches!(self, Self::Plan | Self::Rollback { check: true, .. })
    }

    /// The word of the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Rollback { .. } => "rollback",
            Self::Verify => "verify",
            Self::Status => "status",
            Self::Recover => "recover",
            Self::Ping => "ping",
            Self::Discover { .. } => "discover",
        }
    }

    /// Whether it goes through the tasks of plays, for real or as a dry run.
    pub(crate) fn runs_plays(&self) -> bool {
        matches!(self, Self::Plan | Self::Apply | Self::Rollback { .. })
    }

    /// Whether it runs the tasks of plays and may change hosts by it.
    pub(crate) fn changes(&self) -> bool {
        matches!(self, Self::Apply | Self::Rollback { check: false, .. })
    }
}
