//! Why a task cannot be planned for a kind of host, or for a host.

use crate::host::TransactionId;
use crate::model::{Fingerprint, RemotePath};

/// What the task leaves open and no profile knows, in an operator's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Neither the task nor the profiles name a destination.
    #[error("dest.{which} is missing: {} has no usual path here{}", .services.join(", "), hint(*.several))]
    NoDestination {
        /// `cert`, `key`, `chain` or `combined`.
        which: &'static str,
        /// The services of the task.
        services: Vec<String>,
        /// The task has several certificates.
        several: bool,
    },
    /// Nobody could open the keystore.
    #[error(
        "{0} is a PKCS#12 keystore: dest.password (from a vault) or dest.password_file is missing"
    )]
    NoPassword(RemotePath),
    /// Two files would overwrite each other.
    #[error("two files of this task have the same destination, {0}")]
    SameDestination(RemotePath),
    /// The key is needed for its file.
    #[error("{0} holds certificate and key in one file, so source.key is needed")]
    KeyNeeded(RemotePath),
    /// Nobody knows how the service loads its files.
    #[error(
        "the profile '{0}' has no reload command for this kind of host: give the task `reload:`, or \
         `reload: none` if the service picks up new files by itself"
    )]
    NoReload(String),
    /// The profile imports, but not on such a host.
    #[error("the profile '{0}' has no import command for this kind of host")]
    NoImport(String),
    /// A store takes up one pair.
    #[error("the profile '{0}' imports one certificate: give each one a task of its own")]
    ImportsOne(String),
    /// The profile has no sealed boot.
    #[error("the profile '{0}' knows no `validate: boot`")]
    NoSealedBoot(String),
    /// Paths stand in double quotes in a throwaway configuration.
    #[error(
        "{path} cannot stand in the configuration that {profile}'s check is given: it holds a quote, a \
         backslash or a control character"
    )]
    OddPath {
        /// The destination.
        path: RemotePath,
        /// The profile's name.
        profile: String,
    },
    /// A handshake would ask for a name that nothing covers.
    #[error("verify: none of the task's certificates covers server_name '{0}'")]
    NameNotCovered(String),
    /// The roots of `trust` were not given.
    #[error("verify: the roots of `trust` were not loaded")]
    NoRoots,
}

/// Why no earlier generation can come back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoGeneration {
    /// Nothing is kept.
    #[error("the host keeps no earlier generation of these files")]
    None,
    /// Others are kept.
    #[error("the host keeps no generation '{wanted}', only {}", list(.kept))]
    Other {
        /// The one that was asked for.
        wanted: String,
        /// Those that are kept.
        kept: Vec<TransactionId>,
    },
    /// No generation holds the certificate.
    #[error("the host keeps no generation with certificate {0}")]
    NotKept(String),
    /// The file is not there and nothing of it is kept.
    #[error("{0}: no file is there, and no generation of it is kept")]
    NoFile(RemotePath),
    /// Something else has changed it since.
    #[error("{0} was modified since by something else: this host is left alone")]
    Modified(RemotePath),
    /// The run made it.
    #[error("{0} was created by that run: there is nothing before it to go back to")]
    Created(RemotePath),
    /// What was there before the run is not kept.
    #[error("{path}: what it held before (sha256 {digest:.16}) is no longer kept on the host")]
    Gone {
        /// The file.
        path: RemotePath,
        /// What it held.
        digest: Fingerprint,
    },
    /// What is kept holds no certificate.
    #[error("{0}: what is kept of it holds no certificate that can be read")]
    NoCertificate(RemotePath),
}

fn hint(several: bool) -> &'static str {
    if several { " (with several certificates each one names its own)" } else { "" }
}

fn list(ids: &[TransactionId]) -> String {
    ids.iter().map(TransactionId::as_str).collect::<Vec<_>>().join(", ")
}
