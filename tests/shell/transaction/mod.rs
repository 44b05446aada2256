//! The transaction against real shells and the real file system.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod absence;
mod attributes;
mod budget;
mod causes;
mod flushes;
mod generations;
pub(crate) mod host;
mod in_place;
mod lock;
mod many;
mod own_key;
mod paths;
mod sealed;
mod tools;
mod validation;
mod verdicts;
