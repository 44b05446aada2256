//! Runs plays: batches, tasks, the rollout of certificates, stopping.
//!
//! The only owner of run state. It prints nothing: what happens leaves as events.

pub mod action;
pub mod budget;
pub mod bundles;
pub mod certificate;
pub mod connection;
mod dialer;
pub mod emit;
pub mod exit;
pub mod links;
pub mod play;
pub mod preflight;
pub mod project;
pub mod run;
pub mod selection;
pub mod stop;
pub mod survey;
pub mod tally;
pub mod task;
pub mod variables;
pub mod verification;
pub mod wants;
