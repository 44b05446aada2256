//! Runs plays: batches, tasks, the rollout of certificates, stopping.
//!
//! The only owner of run state. It prints nothing: what happens leaves as events. [`context`] is what all parts
//! share; [`run`] drives [`plays`], which drive the [`rollout`] of certificates batch by batch; [`survey`] looks at
//! hosts outside a rollout.

pub(crate) mod batch;
mod blocks;
pub(crate) mod budget;
pub(crate) mod connection;
pub(crate) mod connections;
pub(crate) mod context;
mod dialer;
mod difference;
mod discovery;
pub(crate) mod emit;
pub(crate) mod end;
pub(crate) mod exit;
pub(crate) mod failure;
mod fan_out;
mod foreseen;
mod holding;
pub(crate) mod identity;
pub(crate) mod ledger;
mod leftovers;
pub(crate) mod patience;
mod plays;
pub(crate) mod pulse;
pub(crate) mod rollout;
pub(crate) mod run;
pub(crate) mod stop;
#[cfg(test)]
mod stories;
pub(crate) mod survey;
pub(crate) mod tally;
mod undo;
pub(crate) mod verification;

pub(crate) use discovery::USUAL_DAYS;
