//! Runs plays: batches, tasks, the rollout of certificates, stopping.
//!
//! The only owner of run state. It prints nothing: what happens leaves as events.

pub mod budget;
pub mod certificate;
pub mod emit;
pub mod stop;
pub mod tally;
pub mod verification;
