//! What a host may hold after what happened to it, kept without a look at how the program works.
//!
//! Between two contacts that were left in peace there is more than one way in which an interrupted rollout may be
//! settled; what others do meanwhile happens in each of them.

use super::history::NAMES;

/// A file as it is promised to be. A new one has any inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub bytes: Vec<u8>,
    pub mode: u32,
    pub owner: (u32, u32),
    pub inode: Option<u64>,
}

impl Held {
    /// Whether `seen` is this file: all of it, and the same one where it was there before.
    fn is(&self, seen: &Self) -> bool {
        let same = self.inode.is_none() || self.inode == seen.inode;
        same && (&self.bytes, self.mode, self.owner) == (&seen.bytes, seen.mode, seen.owner)
    }
}

/// Certificate and key; `None`: it is not there.
pub type Pair = [Option<Held>; 2];

fn is(one: &Option<Held>, seen: &Option<Held>) -> bool {
    match (one, seen) {
        (None, None) => true,
        (Some(one), Some(seen)) => one.is(seen),
        _ => false,
    }
}

/// How far the latest rollout has got for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has ended, or died and nobody knows where.
    Left,
    /// It waits for the commit.
    Staged,
    /// It waits for the last word.
    Committed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// The latest rollout never came to anything here.
    Earlier,
    Back,
    Stands,
}

/// One of the ways in which it may end.
#[derive(Clone, Debug)]
struct Way {
    of: Of,
    pair: Pair,
    /// What comes back in the place of a file that somebody removed before this was settled.
    returns: Pair,
}

#[derive(Debug, Default)]
pub struct Ledger {
    ways: Vec<Way>,
}

impl Ledger {
    /// Everything is settled, and this is there.
    pub fn settled(pair: Pair) -> Self {
        Self { ways: vec![Way { of: Of::Earlier, pair, returns: Pair::default() }] }
    }

    /// A rollout begins that was planned on `before`.
    pub fn begins(&mut self, ours: [bool; 2], before: &Pair, new: &Pair) {
        let mut ways = Vec::new();
        for mut earlier in std::mem::take(&mut self.ways) {
            let of_ours = |one: &Pair, other: &Pair| {
                let mut pair = one.clone();
                (0..2).filter(|&file| ours[file]).for_each(|file| pair[file] = other[file].clone());
                pair
            };
            // Otherwise it is stale.
            if (0..2).all(|file| !ours[file] || is(&earlier.pair[file], &before[file])) {
                let back = of_ours(&earlier.pair, before);
                let returns = of_ours(&Pair::default(), before);
                ways.push(Way { of: Of::Back, pair: back, returns });
                let stands = of_ours(&earlier.pair, new);
                ways.push(Way { of: Of::Stands, pair: stands, returns: Pair::default() });
            }
            earlier.of = Of::Earlier;
            ways.push(earlier);
        }
        self.ways = ways;
    }

    /// It said that it is staged: everything earlier is settled.
    pub fn staged(&mut self) {
        self.ways.retain(|way| way.of != Of::Earlier);
    }

    /// It said that it stands.
    pub fn stood(&mut self) {
        self.ways.retain(|way| way.of == Of::Stands);
    }

    /// It said that it went back, or can only go back.
    pub fn fell(&mut self) {
        self.ways.retain(|way| way.of != Of::Stands);
    }

    /// Somebody put this file there.
    pub fn replaced(&mut self, file: usize, by: &Held) {
        self.ways.iter_mut().for_each(|way| way.pair[file] = Some(by.clone()));
    }

    /// Somebody removed a file. What was renamed comes back with the others when it goes back; before the renames
    /// it is left as it is.
    pub fn removed(&mut self, file: usize, phase: Phase) {
        for mut way in std::mem::take(&mut self.ways) {
            way.pair[file] = None;
            if way.returns[file].is_some() {
                let back = Way {
                    pair: [0, 1].map(|other| {
                        let from = if other == file { &way.returns } else { &way.pair };
                        from[other].clone()
                    }),
                    ..way.clone()
                };
                match phase {
                    Phase::Left => self.ways.push(back),
                    Phase::Staged => way.returns[file] = None,
                    Phase::Committed => way = back,
                }
            }
            self.ways.push(way);
        }
    }

    /// Somebody changed the mode of the file that is there, which is one with what may come back.
    pub fn moded(&mut self, file: usize, now: &Held) {
        let kept = self.ways.iter_mut().flat_map(|way| [&mut way.pair, &mut way.returns]);
        for held in kept.filter_map(|pair| pair[file].as_mut()) {
            if held.bytes == now.bytes && (held.inode.is_none() || held.inode == now.inode) {
                *held = now.clone();
            }
        }
    }

    /// A contact settled everything, and this is there.
    pub fn settles(&mut self, seen: &Pair) -> Result<(), String> {
        if self.allows(seen) {
            *self = Self::settled(seen.clone());
            return Ok(());
        }
        let mut allowed: Vec<_> = self.ways.iter().map(|way| show(&way.pair)).collect();
        allowed.dedup();
        Err(format!("{} is not allowed, but: {}", show(seen), allowed.join(" or ")))
    }

    fn allows(&self, seen: &Pair) -> bool {
        self.ways.iter().any(|way| (0..NAMES.len()).all(|file| is(&way.pair[file], &seen[file])))
    }
}

/// What tells a file from all others.
pub fn line(held: &Option<Held>) -> String {
    held.as_ref().map_or_else(String::new, |held| {
        String::from_utf8_lossy(&held.bytes).lines().nth(1).unwrap_or_default().to_owned()
    })
}

fn show(pair: &Pair) -> String {
    let one = |held: &Option<Held>| match held {
        None => "none".to_owned(),
        Some(Held { mode, owner, inode, .. }) => {
            format!("{} ({mode:o} {owner:?} {inode:?})", line(held))
        }
    };
    format!("[{}, {}]", one(&pair[0]), one(&pair[1]))
}

#[test]
fn a_removed_file_comes_back_as_the_rollout_found_it() {
    let held =
        |text: &str| Some(Held { bytes: text.into(), mode: 0o600, owner: (0, 0), inode: None });
    let pair = |cert: &str, key: &str| [held(cert), held(key)];
    let mut ledger = Ledger::settled(pair("a", "b"));
    ledger.replaced(0, &held("c").unwrap());
    ledger.begins([true, true], &pair("c", "b"), &pair("d", "e"));
    ledger.staged();
    ledger.removed(0, Phase::Committed);
    assert!(ledger.allows(&pair("c", "b")), "back");
    assert!(ledger.allows(&[None, held("e")]), "confirmed");
    for mixed in [pair("c", "e"), pair("d", "b"), pair("a", "b"), [None, held("b")]] {
        assert!(!ledger.allows(&mixed), "{}", show(&mixed));
    }
    ledger.fell();
    assert!(ledger.settles(&[None, held("e")]).is_err());
    ledger.settles(&pair("c", "b")).unwrap();
}
