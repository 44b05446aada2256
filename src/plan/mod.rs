//! What would be done on each host and why. No IO, no clock, no async.

mod alternatives;
pub mod build;
mod command;
pub mod desired;
pub mod destinations;
pub mod discovery;
pub mod earlier;
pub mod error;
pub mod host_plan;
pub mod inspection;
mod layout;
pub mod probes;
pub mod proof;
pub mod resolve;
pub mod row;
pub mod rows;
pub mod transaction;
pub mod wanted;
