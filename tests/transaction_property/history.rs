//! What happens to a host, one event after another.

use proptest::prelude::*;

/// The certificate and the key.
pub const NAMES: [&str; 2] = ["cert.pem", "key.pem"];

/// What the controller says in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Confirm,
    Rollback,
    /// Instead of the commit.
    Abort,
    /// Nothing: it is gone after the commit.
    Gone,
}

/// What somebody else does to one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Index into [`NAMES`].
    pub file: usize,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Another file is renamed over it.
    Replaced,
    Removed,
}

/// While a rollout is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Staged,
    Committed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A rollout of new files: which of them, its end, the step at which its program dies, and
    /// what somebody else does meanwhile.
    Rollout { both: bool, word: Word, dies_at: Option<u32>, meanwhile: Option<(When, Change)> },
    /// Somebody else, while nobody is at work.
    Other(Change),
    /// A contact that settles what is left, unless it dies itself.
    Recovery { dies_at: Option<u32> },
}

fn change() -> impl Strategy<Value = Change> {
    let how = prop_oneof![3 => Just(How::Replaced), 1 => Just(How::Removed)];
    (0..NAMES.len(), how).prop_map(|(file, how)| Change { file, how })
}

fn event() -> impl Strategy<Value = Event> {
    let word = prop_oneof![
        4 => Just(Word::Confirm),
        2 => Just(Word::Rollback),
        1 => Just(Word::Abort),
        1 => Just(Word::Gone),
    ];
    let dies_at = || prop_oneof![1 => Just(None), 2 => (1..60_u32).prop_map(Some)];
    let when = prop_oneof![Just(When::Staged), Just(When::Committed)];
    let meanwhile = prop_oneof![4 => Just(None), 1 => (when, change()).prop_map(Some)];
    let rollout = (prop::bool::weighted(0.8), word, dies_at(), meanwhile).prop_map(
        |(both, word, dies_at, meanwhile)| Event::Rollout { both, word, dies_at, meanwhile },
    );
    prop_oneof![
        5 => rollout,
        1 => change().prop_map(Event::Other),
        2 => prop_oneof![Just(None), (1..25_u32).prop_map(Some)]
            .prop_map(|dies_at| Event::Recovery { dies_at }),
    ]
}

pub fn histories() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec(event(), 1..7)
}
