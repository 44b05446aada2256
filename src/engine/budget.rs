//! How many failures a batch tolerates.

use crate::event::StopReason;

/// A play's tolerance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budget {
    /// One failure is too many.
    pub any_errors_fatal: bool,
    /// More than this share of the batch, in percent, is too many. Unreachable hosts count.
    pub max_fail_percentage: Option<f64>,
    /// No number of failures ends the run.
    pub unlimited: bool,
}

impl Budget {
    /// Whether a batch of `size` hosts with `failed` failures ends the run, and why.
    ///
    /// The share must be strictly greater than the percentage (Ansible, `plugins/strategy/linear.py`).
    /// Without either setting the run ends when the whole batch failed; `max_fail_percentage: 100`
    /// goes on even then.
    pub(crate) fn exceeded(self, size: usize, failed: usize) -> Option<StopReason> {
        if failed == 0 || self.unlimited {
            return None;
        }
        if self.any_errors_fatal {
            return Some(StopReason::FailureBudget);
        }
        match self.max_fail_percentage {
            Some(percent) => {
                let share = failed as f64 / size as f64 * 100.0;
                // A hair of tolerance, so that 1 of 3 is not more than 33.333333333333336 %.
                (share > percent + 1e-9).then_some(StopReason::FailureBudget)
            }
            None => (failed >= size).then_some(StopReason::BatchFailed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(percent: f64) -> Budget {
        Budget { max_fail_percentage: Some(percent), ..Budget::default() }
    }

    #[test]
    fn percentages_are_strict_as_in_ansible() {
        assert_eq!(percent(20.0).exceeded(10, 2), None);
        assert_eq!(percent(19.0).exceeded(10, 2), Some(StopReason::FailureBudget));
        assert_eq!(percent(0.0).exceeded(10, 1), Some(StopReason::FailureBudget));
        assert_eq!(percent(0.0).exceeded(10, 0), None);
        assert_eq!(percent(100.0).exceeded(3, 3), None);
    }

    #[test]
    fn without_settings_only_a_whole_batch_ends_the_run() {
        assert_eq!(Budget::default().exceeded(3, 2), None);
        assert_eq!(Budget::default().exceeded(3, 3), Some(StopReason::BatchFailed));
        let fatal = Budget { any_errors_fatal: true, ..Budget::default() };
        assert_eq!(fatal.exceeded(100, 1), Some(StopReason::FailureBudget));
    }
}
