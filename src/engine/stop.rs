//! Stopping early, by ordered reasons: a weaker one never replaces a stronger one.

use crate::event::StopReason;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio_util::sync::CancellationToken;

/// The run's stop switch. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    reason: Arc<Mutex<Option<StopReason>>>,
    soft: CancellationToken,
    hard: CancellationToken,
    /// Told of every interrupt.
    next: Arc<OnceLock<Stop>>,
}

impl Stop {
    /// Asks the run to stop. `true` when this reason is new or stronger than the one before.
    pub(crate) fn request(&self, reason: StopReason) -> bool {
        let mut current = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_some_and(|known| known >= reason) {
            return false;
        }
        *current = Some(reason);
        drop(current);
        if reason >= StopReason::Interrupt
            && let Some(next) = self.next.get()
        {
            next.request(reason);
        }
        self.soft.cancel();
        if reason == StopReason::SecondInterrupt {
            self.hard.cancel();
        }
        true
    }

    /// The switch of what is still to be done after this run was stopped: only an interrupt stops that. The same each
    /// time.
    pub(crate) fn next(&self) -> &Self {
        let next = self.next.get_or_init(Self::default);
        if let Some(reason) = self.reason().filter(|reason| *reason >= StopReason::Interrupt) {
            next.request(reason);
        }
        next
    }

    /// The strongest reason so far.
    pub(crate) fn reason(&self) -> Option<StopReason> {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether new hosts must not be begun.
    pub(crate) fn is_requested(&self) -> bool {
        self.soft.is_cancelled()
    }

    /// Whether the operator stopped the run.
    pub(crate) fn is_interrupt(&self) -> bool {
        self.reason() >= Some(StopReason::Interrupt)
    }

    /// Cancelled at the first reason: no new work.
    pub(crate) fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled at the second interrupt: cut the connections, hosts undo themselves.
    pub(crate) fn hard(&self) -> &CancellationToken {
        &self.hard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weaker_reason_never_replaces_a_stronger_one() {
        let stop = Stop::default();
        assert!(stop.request(StopReason::FailureBudget));
        assert!(stop.is_requested() && !stop.is_interrupt());
        assert!(stop.request(StopReason::Interrupt));
        assert!(!stop.request(StopReason::BatchFailed));
        assert!(!stop.request(StopReason::Interrupt));
        assert_eq!(stop.reason(), Some(StopReason::Interrupt));
        assert!(!stop.hard().is_cancelled());
        assert!(stop.request(StopReason::SecondInterrupt));
        assert!(stop.hard().is_cancelled());
    }

    #[test]
    fn what_follows_is_stopped_by_interrupts_alone() {
        let stop = Stop::default();
        stop.request(StopReason::FailureBudget);
        let next = stop.next();
        assert!(!next.is_requested());
        stop.request(StopReason::Interrupt);
        assert!(next.is_requested() && !next.hard().is_cancelled());
        stop.request(StopReason::SecondInterrupt);
        assert!(stop.next().hard().is_cancelled());
    }
}
