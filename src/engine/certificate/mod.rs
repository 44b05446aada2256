//! The `certificate` task: observe, plan, stage, commit, verify, confirm or roll back.

pub mod failure;
pub mod request;
