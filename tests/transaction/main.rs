//! The transaction against real shells and the real file system.

#![allow(clippy::unwrap_used)]

mod host;
mod verdicts;
