//! The only reader of the wall clock.

use crate::model::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The present moment, to the second.
#[expect(clippy::disallowed_methods, reason = "the one place that may")]
pub fn now() -> Timestamp {
    let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    };
    Timestamp::from_unix(seconds)
}
