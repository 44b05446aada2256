//! What certificates a host has: the questions to the host, and what its answers mean.
//!
//! Pure: the engine carries the questions to the host, its answers back, and makes the handshakes. No key is asked
//! for, and nothing of it changes the host.

mod findings;
mod listening;
mod places;
mod questions;

pub(crate) use findings::{Answers, Asked, Findings, only_served};
pub(crate) use places::Place;
pub(crate) use questions::Questions;
