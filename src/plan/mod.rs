//! What would be done on each host and why. No IO, no clock, no async.

mod alternatives;
pub(crate) mod build;
mod checks;
mod command;
pub(crate) mod container;
pub(crate) mod desired;
pub(crate) mod destinations;
pub(crate) mod deviation;
pub(crate) mod discovery;
pub(crate) mod earlier;
pub(crate) mod error;
pub(crate) mod evidence;
mod file_plan;
pub(crate) mod host_plan;
pub(crate) mod inspection;
mod layout;
mod obstacles;
pub(crate) mod planned;
pub(crate) mod probes;
pub(crate) mod proof;
mod reload_reader;
pub(crate) mod request;
mod resolve;
pub(crate) mod row;
pub(crate) mod rows;
pub(crate) mod transaction;
pub(crate) mod variants;
