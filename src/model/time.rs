//! Moments and spans of validity. Time is a value here; only `clock` reads the wall clock.

use serde::{Deserialize, Deserializer};
use std::fmt;

const DAY: i64 = 86_400;

/// Seconds since 1970-01-01T00:00:00Z. Displays as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From seconds since the epoch.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// Whole days from `self` to `other`, rounded down; negative when `other` lies before.
    pub const fn days_until(self, other: Self) -> i64 {
        (other.0 - self.0).div_euclid(DAY)
    }

    /// The date alone, `2026-11-24`.
    pub fn date(self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(moment) => f.pad(&moment.to_string()),
            Err(_) => write!(f, "@{}", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// RFC 3339, to the second.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let seconds = match text.strip_prefix('@') {
            Some(seconds) => seconds.parse().ok(),
            None => text.parse().ok().map(jiff::Timestamp::as_second),
        };
        seconds.map(Self).ok_or_else(|| serde::de::Error::custom(format!("not a moment: '{text}'")))
    }
}

/// From the first to the last second of validity, both included (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Validity {
    /// First second.
    pub not_before: Timestamp,
    /// Last second.
    pub not_after: Timestamp,
}

impl Validity {
    /// Whether `now` lies inside.
    pub fn contains(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Whole days left at `now`; negative when expired.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        now.days_until(self.not_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_round_down() {
        let noon = Timestamp::from_unix(1_000_000);
        assert_eq!(noon.days_until(Timestamp::from_unix(1_000_000 + DAY - 1)), 0);
        assert_eq!(noon.days_until(Timestamp::from_unix(999_999)), -1);
        assert_eq!(Timestamp::from_unix(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp::from_unix(0).date(), "1970-01-01");
    }

    #[test]
    fn moments_are_read_back() {
        for seconds in [0, 1_795_478_400, -1, i64::MAX] {
            let text = serde_json::to_string(&Timestamp(seconds)).unwrap();
            assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), Timestamp(seconds));
        }
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").is_err());
    }
}
