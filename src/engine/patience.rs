//! For how long another run's lock is waited for.

use super::context::Context;
use std::time::Duration;
use tokio::time::Instant;

/// Where neither the task nor the command line says.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);
/// A host waits so long at a time, then what the other run may have changed is looked at again.
const SLICE: Duration = Duration::from_secs(10);

/// The wait for locks on one host, which has begun.
pub(crate) struct Patience {
    /// When it is over.
    pub ends: Instant,
}

impl Patience {
    /// As the task says, else the command line.
    pub(crate) fn begin(of_task: Option<Duration>, context: &Context) -> Self {
        let of_run = context.inputs.project.options.lock_timeout;
        Self { ends: Instant::now() + of_task.or(of_run).unwrap_or(LOCK_TIMEOUT) }
    }

    /// How long the host may wait now, in whole seconds.
    pub(crate) fn slice(&self) -> Duration {
        let left = self.ends.saturating_duration_since(Instant::now());
        let whole = Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0));
        whole.min(SLICE)
    }

    /// Nothing is waited for any more.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.ends
    }
}

/// Whether a lock is held by this very run.
pub(crate) fn is_ours(holder: &str, context: &Context) -> bool {
    holder.contains(&context.identity.run)
}
