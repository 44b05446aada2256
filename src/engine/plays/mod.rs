//! Plays: their hosts in batches, their tasks in order, their handlers.

mod handlers;
mod on_host;
pub mod play;
mod tasks;
