//! The kinds of targets.

pub mod files;
mod observe;
mod proof;
