//! The kinds of targets.

pub(crate) mod files;
mod observe;
mod proof;
#[cfg(test)]
pub(crate) mod scripted;
