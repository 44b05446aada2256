//! What happens to a host, one event after another.

use proptest::prelude::*;

/// The certificate and the key.
pub const NAMES: [&str; 2] = ["cert.pem", "key.pem"];

/// A host and what happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Certificate and key are in different directories: two renames by two processes.
    pub two_directories: bool,
    /// Which files are there in the beginning.
    pub there: [bool; 2],
    pub events: Vec<Event>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Rollout(Rollout),
    /// Somebody else, while nobody is at work.
    Other(Change),
    /// A contact that settles what is left, unless it dies itself.
    Recovery(Option<Death>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// Which files change.
    pub ours: [bool; 2],
    /// The bytes come from the newest earlier generation, where there is one.
    pub earlier: bool,
    /// The first files change without a rename.
    pub watched: bool,
    /// Generations to keep.
    pub keep: u32,
    /// With a guard, which may settle what is left before the next contact does.
    pub guarded: bool,
    pub word: Word,
    /// What somebody else does meanwhile.
    pub meanwhile: Option<(When, Change)>,
    pub death: Option<Death>,
}

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

/// While a rollout is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Staged,
    Committed,
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
    /// Another file, of another owner and mode, is renamed over it; or there was none.
    Replaced,
    Removed,
    /// It has another mode from now on.
    Moded,
}

/// How a program on the host is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// Between two actions, at the step of this number.
    Step(u32),
    /// In the middle of the action of this number, whose process outlives it for some milliseconds before it
    /// acts. Of two renames the first is made before.
    Action(u32, u32),
    /// While the service is being told, which goes on.
    Reload,
}

fn change() -> impl Strategy<Value = Change> {
    let how = prop_oneof![3 => Just(How::Replaced), 2 => Just(How::Removed), 1 => Just(How::Moded)];
    (0..NAMES.len(), how).prop_map(|(file, how)| Change { file, how })
}

fn death(steps: u32) -> impl Strategy<Value = Option<Death>> {
    let lives_on = prop_oneof![Just(0_u32), Just(30), Just(100)];
    prop_oneof![
        3 => Just(None),
        4 => (1..steps).prop_map(|step| Some(Death::Step(step))),
        3 => (1..steps / 2, lives_on).prop_map(|(action, later)| Some(Death::Action(action, later))),
        1 => Just(Some(Death::Reload)),
    ]
}

fn rollout() -> impl Strategy<Value = Rollout> {
    let word = prop_oneof![
        8 => Just(Word::Confirm),
        4 => Just(Word::Rollback),
        1 => Just(Word::Abort),
        1 => Just(Word::Gone),
    ];
    let ours = prop_oneof![
        6 => Just([true, true]),
        1 => Just([true, false]),
        1 => Just([false, true]),
    ];
    let when = prop_oneof![Just(When::Staged), Just(When::Committed)];
    let meanwhile = prop_oneof![4 => Just(None), 1 => (when, change()).prop_map(Some)];
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.05));
    (ours, flags, 0..4_u32, word, meanwhile, death(64)).prop_map(
        |(ours, (earlier, watched, guarded), keep, word, meanwhile, death)| Rollout {
            ours,
            earlier,
            watched,
            keep,
            guarded,
            word,
            meanwhile,
            death,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => rollout().prop_map(Event::Rollout),
        2 => change().prop_map(Event::Other),
        2 => death(26).prop_map(Event::Recovery),
    ]
}

pub fn histories() -> impl Strategy<Value = History> {
    let there = [prop::bool::weighted(0.9), prop::bool::weighted(0.9)];
    (prop::bool::weighted(0.4), there, prop::collection::vec(event(), 1..10))
        .prop_map(|(two_directories, there, events)| History { two_directories, there, events })
}
