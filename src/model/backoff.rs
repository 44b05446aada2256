//! Exponential back-off as a sequence of waits.

use std::time::Duration;

/// How often to try and how long to wait between tries.
///
/// The wait doubles after each failure up to `max`; with `max == first` it stays constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Backoff {
    /// Tries in all, at least one.
    pub attempts: u32,
    /// Wait after the first failure.
    pub first: Duration,
    /// No wait is longer.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { attempts: 3, first: Duration::from_secs(1), max: Duration::from_secs(16) }
    }
}

impl Backoff {
    /// The waits between the tries: one fewer than `attempts`.
    pub fn waits(self) -> impl Iterator<Item = Duration> {
        let mut next = self.first.min(self.max);
        (1..self.attempts).map(move |_| {
            let wait = next;
            next = next.saturating_mul(2).min(self.max);
            wait
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(attempts: u32, first: u64, max: u64) -> Vec<u64> {
        let backoff =
            Backoff { attempts, first: Duration::from_secs(first), max: Duration::from_secs(max) };
        backoff.waits().map(|wait| wait.as_secs()).collect()
    }

    #[test]
    fn doubles_to_the_cap() {
        assert_eq!(seconds(3, 1, 16), [1, 2]);
        assert_eq!(seconds(8, 1, 16), [1, 2, 4, 8, 16, 16, 16]);
        assert_eq!(seconds(4, 5, 5), [5, 5, 5]);
        assert_eq!(seconds(3, 20, 16), [16, 16]);
        assert!(seconds(1, 1, 16).is_empty());
    }
}
