//! The rollout of a `certificate` task: observe, plan, stage, barrier, commit, verify, confirm or roll back.
//!
//! [`target`] is the contract with whatever takes the certificates, [`targets`] are its implementations.

mod barrier;
mod checks;
mod dry_run;
mod ends;
mod interrupt;
pub mod job;
pub mod one_host;
pub mod status;
pub mod target;
pub mod targets;
pub mod task;
mod turns;
