//! The `certificate` task: observe, plan, stage, commit, verify, confirm or roll back.

pub mod batch;
mod checks;
mod ends;
pub mod failure;
pub mod observe;
pub mod rollout;
pub mod status;

use super::emit::Emitter;
use super::stop::Stop;
use crate::model::Timestamp;

/// What all hosts of a run share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Where events go.
    pub emitter: Emitter,
    /// The stop switch.
    pub stop: Stop,
    /// The moment of the run, for dates.
    pub now: Timestamp,
    /// Random name of the run.
    pub run: String,
    /// Written into each host's lock: since when, who, from where.
    pub holder: String,
}
