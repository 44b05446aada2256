//! The kinds of targets.

pub(crate) mod every_kind;
mod files;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod observe;
mod proof;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(any(test, feature = "kubernetes"))]
mod store;
