//! The `certificate` task: observe, plan, stage, commit, verify, confirm or roll back.

mod barrier;
mod checks;
mod dry_run;
mod ends;
pub mod job;
pub mod observe;
mod proof;
pub mod rollout;
pub mod status;
pub mod task;
