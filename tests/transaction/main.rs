//! The transaction against real shells and the real file system.

#![allow(clippy::unwrap_used)]

mod causes;
mod host;
mod paths;
mod verdicts;
