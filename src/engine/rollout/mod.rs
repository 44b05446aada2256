//! The rollout of a `certificate` task: observe, plan, stage, barrier, commit, verify, confirm or roll back.
//!
//! [`target`] is the contract with whatever takes the certificates, [`targets`] are its implementations.

mod barrier;
mod checks;
mod dry_run;
pub(crate) mod ends;
mod evidence;
mod interrupt;
pub(crate) mod job;
pub(crate) mod one_host;
mod sources;
pub(crate) mod status;
pub(crate) mod target;
pub(crate) mod targets;
pub(crate) mod task;
mod turns;
mod way_back;
