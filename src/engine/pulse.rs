//! Whether the controller itself stood still: it was stopped, or its machine slept. Hosts that waited for an answer
//! meanwhile went back by themselves.

use crate::model::Timestamp;
use std::sync::{Mutex, PoisonError};

/// A time without a beat that is remembered, in seconds; a busy machine misses a second now and then.
const NOTABLE: i64 = 4;

/// A time in which the controller did nothing, by the wall clock: a monotonic one stands still while a machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Silence {
    /// The last sign of life before it.
    pub from: Timestamp,
    /// The first one after it.
    pub to: Timestamp,
}

impl Silence {
    /// Whole seconds.
    pub(crate) fn seconds(self) -> i64 {
        self.to.unix() - self.from.unix()
    }
}

/// Beats while the controller is at work.
#[derive(Debug)]
pub(crate) struct Pulse(Mutex<(Timestamp, Option<Silence>)>);

impl Pulse {
    /// Begins to beat.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(Mutex::new((now, None)))
    }

    /// A sign of life; the last silence that there was.
    pub(crate) fn beat(&self, now: Timestamp) -> Option<Silence> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let silence = Silence { from: state.0, to: now };
        if silence.seconds() >= NOTABLE {
            state.1 = Some(silence);
        }
        state.0 = now;
        state.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_silence_is_remembered() {
        let at = Timestamp::from_unix;
        let pulse = Pulse::new(at(100));
        assert_eq!(pulse.beat(at(101)), None);
        assert_eq!(pulse.beat(at(103)), None);
        let silence = Silence { from: at(103), to: at(193) };
        assert_eq!(pulse.beat(at(193)), Some(silence));
        assert_eq!(pulse.beat(at(194)), Some(silence));
        assert_eq!(silence.seconds(), 90);
        // A clock that is set back is no silence.
        assert_eq!(Pulse::new(at(100)).beat(at(10)), None);
    }
}
