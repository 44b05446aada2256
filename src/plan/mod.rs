//! What would be done on each host and why. No IO, no clock, no async.

pub mod build;
pub mod desired;
pub mod facts;
pub mod row;
