//! One part of a fleet: `--shard K/N`, so that N controllers share a rollout.

use super::{Fingerprint, HostName};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// Shard `index` of `of`: 1 ≤ index ≤ of. `Display` and `FromStr` use the form `2/4`.
///
/// Each host belongs to exactly one shard, chosen by rendezvous hashing (Thaler and Ravishankar,
/// "Using name-based mappings to increase hit rates", 1998): the choice depends on the host's name and N
/// alone, so hosts that come and go move no other host, and another N moves as few as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shard {
    index: NonZeroU32,
    of: NonZeroU32,
}

/// More would be a typing error: a shard has less than one host then.
const MOST: u32 = 10_000;

/// Why a text is no shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadShard {
    /// Not of the form `K/N`.
    #[error("a shard is written K/N, as in 2/4: the second of four")]
    Form,
    /// K is not one of 1 to N.
    #[error("there is no shard {index} of {of}: shards are counted from 1 to N")]
    OutOfRange {
        /// K as given.
        index: u64,
        /// N as given.
        of: u64,
    },
    /// N is too large.
    #[error("{0} shards are too many: at most {MOST}")]
    TooMany(u64),
}

impl Shard {
    /// Shard `index` (counted from 1) of `of`.
    pub(crate) fn new(index: u64, of: u64) -> Result<Self, BadShard> {
        if of > u64::from(MOST) {
            return Err(BadShard::TooMany(of));
        }
        let small = |number: u64| u32::try_from(number).ok().and_then(NonZeroU32::new);
        match (small(index), small(of)) {
            (Some(one), Some(all)) if one <= all => Ok(Self { index: one, of: all }),
            _ => Err(BadShard::OutOfRange { index, of }),
        }
    }

    /// Which one, counted from 1.
    pub(crate) fn index(self) -> u32 {
        self.index.get()
    }

    /// How many there are.
    pub(crate) fn of(self) -> u32 {
        self.of.get()
    }

    /// Whether the host belongs to this shard.
    pub(crate) fn takes(self, host: &HostName) -> bool {
        Self::index_of(host, self.of) == self.index()
    }

    /// The shard of a host among `of`: the one with the highest weight.
    fn index_of(host: &HostName, of: NonZeroU32) -> u32 {
        let weight = |index: &u32| Fingerprint::of(format!("{index}/{host}").as_bytes());
        (1..=of.get()).max_by_key(weight).unwrap_or(1)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = BadShard;

    fn from_str(text: &str) -> Result<Self, BadShard> {
        let (index, of) = text.split_once('/').ok_or(BadShard::Form)?;
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| BadShard::Form);
        Self::new(number(index)?, number(of)?)
    }
}

impl serde::Serialize for Shard {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Shard {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn hosts(count: usize) -> Vec<HostName> {
        (0..count).map(|n| HostName::new(format!("www{n:04}.example.net"))).collect()
    }

    fn shard_of(host: &HostName, of: u64) -> u32 {
        let takers: Vec<u32> = (1..=of)
            .map(|k| Shard::new(k, of).unwrap())
            .filter(|s| s.takes(host))
            .map(Shard::index)
            .collect();
        assert_eq!(takers.len(), 1, "{host} belongs to {takers:?}");
        takers[0]
    }

    #[test]
    fn every_host_belongs_to_exactly_one_shard_and_shards_are_of_a_size() {
        let mut sizes: HashMap<u32, usize> = HashMap::new();
        for host in hosts(2000) {
            *sizes.entry(shard_of(&host, 8)).or_default() += 1;
        }
        assert_eq!(sizes.len(), 8);
        assert!(sizes.values().all(|size| (190..=310).contains(size)), "{sizes:?}");
    }

    #[test]
    fn one_shard_more_moves_hosts_to_the_new_one_only() {
        let moved: Vec<(u32, u32)> = hosts(1000)
            .iter()
            .map(|host| (shard_of(host, 4), shard_of(host, 5)))
            .filter(|(before, after)| before != after)
            .collect();
        assert!(!moved.is_empty() && moved.len() < 300, "{} moved", moved.len());
        assert!(moved.iter().all(|(_, after)| *after == 5));
    }

    #[test]
    fn the_choice_is_the_same_in_every_release() {
        let host = HostName::new("www1.example.net");
        assert_eq!((2..=6).map(|of| shard_of(&host, of)).collect::<Vec<_>>(), [1, 3, 3, 5, 5]);
    }

    #[test]
    fn text_and_back() {
        assert_eq!("2/4".parse::<Shard>().unwrap().to_string(), "2/4");
        assert_eq!("0/4".parse::<Shard>(), Err(BadShard::OutOfRange { index: 0, of: 4 }));
        assert_eq!("5/4".parse::<Shard>(), Err(BadShard::OutOfRange { index: 5, of: 4 }));
        assert_eq!("1/0".parse::<Shard>(), Err(BadShard::OutOfRange { index: 1, of: 0 }));
        assert_eq!("1/20000".parse::<Shard>(), Err(BadShard::TooMany(20_000)));
        for text in ["", "2", "two/4", "1/2/3", "-1/4"] {
            assert_eq!(text.parse::<Shard>(), Err(BadShard::Form), "{text}");
        }
    }
}
