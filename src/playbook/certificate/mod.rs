//! The `certificate` task: its keys as written, and its plain types once rendered.

mod config_file;
mod endpoints;
mod error;
mod mapping;
mod pair;
mod render;
mod spec;
mod store;
mod stores;
mod task;
#[cfg(test)]
mod tests;

pub(crate) use config_file::config_content;
pub(crate) use error::RenderError;
pub(crate) use render::render;
pub(crate) use spec::CertificateSpec;
#[cfg(feature = "kubernetes")]
pub(crate) use store::ClusterSecret;
pub(crate) use store::{ClientSslProfile, Store, WindowsStore, WindowsUse};
pub(crate) use task::{AcmePart, ConfigFile};
pub use task::{
    CertificateTask, Confirm, Dest, InContainer, Ownership, Pair, PairPlaces, ReloadChoice,
    ServiceUse, SingleFiles, SourceText, Validation, VerifyChoice, VerifySpec, WhenStopped,
};
pub(crate) use task::{CheckOn, Passphrase, Trust};
