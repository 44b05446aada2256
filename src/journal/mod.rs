//! The record of every run that changes hosts: its events, one JSON object per line, in a file of its own.
//!
//! A record is written while the run goes on, so that one that was killed left it too. Events hold no
//! secret, and neither does a record. `docs/history.md` describes the files.

mod read;
mod record;
mod store;

pub(crate) use read::{Listed, State};
pub(crate) use record::Record;
pub(crate) use store::{FindError, Store};
