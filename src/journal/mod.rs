//! The record of every run that changes hosts: its events, one JSON object per line, in a file of its own.
//!
//! A record is written while the run goes on, so that one that was killed left it too. Events hold no
//! secret, and neither does a record. `docs/history.md` describes the files.

mod read;
mod record;
mod store;

pub use read::{Listed, Reading, State};
pub use record::Record;
pub use store::{FindError, NoSuchRun, Store};
