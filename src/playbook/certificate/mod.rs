//! The `certificate` task: its keys as written, and its plain types once rendered.

mod cluster;
mod endpoints;
mod render;
mod spec;
mod task;
#[cfg(test)]
mod tests;

pub(crate) use render::{RenderError, render};
pub(crate) use spec::CertificateSpec;
pub(crate) use task::AcmePart;
pub use task::{
    CertificateTask, Confirm, Dest, InContainer, Ownership, Pair, PairPlaces, ReloadChoice,
    ServiceUse, SingleFiles, SourceText, Validation, VerifyChoice, VerifySpec, WhenStopped,
};
pub(crate) use task::{CheckOn, ClusterSecret, Passphrase, Trust};
