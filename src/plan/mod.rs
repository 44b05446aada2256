//! What would be done on each host and why. No IO, no clock, no async.

pub mod facts;
