//! What `certroll discover` found on a host, as data.
//!
//! Holds nothing secret: no key is asked for.

use super::planned::CertBrief;
use crate::model::{Endpoint, Fingerprint};
use serde::{Deserialize, Serialize};

/// A certificate that a service of the host reads, that lies there unread, or that is only seen on a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FoundCertificate {
    /// The service that reads it; none: no known one.
    pub service: Option<String>,
    /// Path of the certificate file on the host; none: it was only seen on a port.
    pub file: Option<String>,
    /// Owner, group and mode of the file, as `root:root 0644`.
    pub access: Option<String>,
    /// The leaf in the file, else the one that was served.
    pub certificate: Option<CertBrief>,
    /// Where it was looked for, and what was served there.
    pub endpoints: Vec<FoundEndpoint>,
    /// How file and handshakes fit together.
    pub state: FoundState,
    /// What else deserves attention or is good to know, one line each.
    pub remarks: Vec<String>,
}

/// A handshake that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FoundEndpoint {
    /// Address and port, as seen from the host itself.
    pub endpoint: Endpoint,
    /// The dialogue before it, as in playbooks: `none`, `smtp`, …
    pub starttls: String,
    /// SNI sent.
    pub server_name: Option<String>,
    /// The leaf that was served.
    pub fingerprint: Option<Fingerprint>,
    /// Why nothing was served, one line.
    pub problem: Option<String>,
}

/// How a certificate file and what is served fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FoundState {
    /// The service's configuration names the file, but there is no certificate to read in it.
    Unreadable,
    /// The service serves another certificate than the one in its file.
    Drift,
    /// Another certificate of the same service answers for its names.
    Shadowed,
    /// The service reads the file, but no handshake showed it.
    NotSeen,
    /// The service reads the file and does not run.
    Stopped,
    /// The file's certificate is the one that is served.
    Served,
    /// It was seen on a port, and no file with it was found.
    OnlyServed,
    /// No known service reads the file.
    Unused,
}

impl FoundCertificate {
    /// Whether a person should look at it: less than so many days are left, or something is wrong with it. A
    /// certificate that nobody reads may expire in peace.
    pub(crate) fn wants_attention(&self, days: i64) -> bool {
        let ends_soon = self.certificate.as_ref().is_some_and(|leaf| leaf.days_left < days);
        match self.state {
            FoundState::Unreadable | FoundState::Drift => true,
            FoundState::Unused => false,
            _ => ends_soon,
        }
    }
}
