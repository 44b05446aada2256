//! The record of every run that changes hosts, and saved plans: events, one JSON object per line, in a file.
//!
//! A record is written while the run goes on, so that one that was killed left it too. Events hold no
//! secret, and neither does a record. `docs/history.md` describes the files.

mod lines;
mod read;
mod record;
mod saved_plan;
mod store;

pub use lines::Lines;
pub(crate) use read::{Listed, State, whole as events};
pub(crate) use record::Record;
pub(crate) use saved_plan::{FORMAT, Header, SavedPlan, Source};
pub(crate) use store::{FindError, Store};
