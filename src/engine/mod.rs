//! Runs plays: batches, tasks, the rollout of certificates, stopping.
//!
//! The only owner of run state. It prints nothing: what happens leaves as events. [`context`] is what all parts
//! share; [`run`] drives [`plays`], which drive the [`rollout`] of certificates batch by batch; [`survey`] looks at
//! hosts outside a rollout.

pub mod batch;
pub mod budget;
pub mod connection;
pub mod context;
mod dialer;
pub mod emit;
pub mod end;
pub mod exit;
pub mod failure;
mod fan_out;
pub mod identity;
pub mod ledger;
pub mod links;
pub mod plays;
pub mod rollout;
pub mod run;
pub mod stop;
pub mod survey;
pub mod tally;
pub mod verification;
