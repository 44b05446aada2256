//! The `certificate` task: its keys as written, and its plain types once rendered.

mod endpoints;
mod render;
mod spec;
mod task;
#[cfg(test)]
mod tests;

pub use render::{RenderError, render};
pub use spec::CertificateSpec;
pub use task::{
    CertificateTask, Check, CheckOn, Confirm, Dest, Ownership, Pair, Passphrase, ReloadChoice,
    SourceText, Trust, Validation, VerifyChoice, VerifySpec,
};
