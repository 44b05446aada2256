//! The verdicts and their waits, on paused time, with a TLS server at the other end of a pipe.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod judging;
mod script;
mod tries;
