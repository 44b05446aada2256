//! The kinds of targets.

mod bigip;
pub(crate) mod every_kind;
mod files;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod observe;
mod proof;
#[cfg(test)]
pub(crate) mod scripted;
mod store;
mod windows;
