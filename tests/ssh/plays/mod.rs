//! Plays on the embedded fleet: every kind of task, batches, tolerance, handlers, delegation, dry runs.
//! The hosts' SSH servers and shells are real; only the web service is simulated.

mod batches;
mod history;
mod kept;
mod reports;
mod resume;
mod saved_plans;
mod shards;
pub(crate) mod site;
mod taking_back;
mod tasks;
mod verbs;
mod watching;
