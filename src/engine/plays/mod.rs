//! Plays: their hosts in batches, their tasks in order, their handlers.

mod handlers;
mod includes;
mod on_host;
pub(crate) mod play;
mod resume;
mod tasks;
