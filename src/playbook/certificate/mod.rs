//! The `certificate` task: its keys as written, and its plain types once rendered.

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
    CertificateTask, Confirm, Dest, Ownership, Pair, ReloadChoice, SourceText, Validation,
    VerifyChoice, VerifySpec, WhenStopped,
};
pub(crate) use task::{CheckOn, Passphrase, Trust};
