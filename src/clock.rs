//! The only reader of the wall clock.

use crate::model::Timestamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since 1970-01-01T00:00:00Z, as finely as the machine tells it: for names that sort by time.
#[expect(clippy::disallowed_methods, reason = "the one place that may")]
pub(crate) fn since_epoch() -> Duration {
    // A machine whose clock stands before 1970 still gets names in their order.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The present moment, to the second.
#[expect(clippy::disallowed_methods, reason = "the one place that may")]
pub fn now() -> Timestamp {
    let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    };
    Timestamp::from_unix(seconds)
}
