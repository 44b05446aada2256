//! The question put to a server, and its answer.

use crate::material::PublicKey;
use crate::model::{Endpoint, Fingerprint, StartTls};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// One handshake to make.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Where to connect to.
    pub endpoint: Endpoint,
    /// Name sent in SNI and, with XMPP, in the stream header. `None` takes the endpoint's host. An
    /// address is never sent in SNI (RFC 6066 §3).
    pub server_name: Option<String>,
    /// Dialogue before the handshake.
    pub starttls: StartTls,
    /// For the whole try: dial, dialogue and handshake together. A refusal names the phase in which
    /// it ran out, and a server that drips byte after byte cannot stretch it.
    pub timeout: Duration,
    /// Dialled instead of resolving the endpoint's host: one member behind a balanced name.
    pub address: Option<SocketAddr>,
    /// Which of a server's certificates is asked for.
    pub signature: SignatureChoice,
}

impl Probe {
    /// A probe of implicit TLS with SNI from the endpoint, ten seconds, any signature.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            server_name: None,
            starttls: StartTls::None,
            timeout: Duration::from_secs(10),
            address: None,
            signature: SignatureChoice::Any,
        }
    }

    /// The name that the server is asked for: `server_name`, else the endpoint's host.
    pub fn name(&self) -> &str {
        self.server_name.as_deref().unwrap_or(&self.endpoint.host)
    }
}

/// Limits the signature algorithms that are offered, so that a server with several certificates
/// for a name, one per kind of key, shows the one that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureChoice {
    /// Everything that is supported; servers with both mostly show the ECDSA certificate.
    #[default]
    Any,
    /// RSA alone (PSS, and PKCS#1 in TLS 1.2).
    Rsa,
    /// ECDSA alone, on P-256, P-384 and P-521.
    Ecdsa,
    /// Ed25519 alone.
    Ed25519,
    /// ML-DSA alone (FIPS 204), which TLS 1.3 has.
    MlDsa,
}

impl SignatureChoice {
    /// The one that shows a certificate with this key.
    pub fn of(key: &PublicKey) -> Self {
        match key {
            PublicKey::Rsa { .. } => Self::Rsa,
            PublicKey::Ec { .. } => Self::Ecdsa,
            PublicKey::Ed25519(_) => Self::Ed25519,
            PublicKey::MlDsa { .. } => Self::MlDsa,
            PublicKey::Other { .. } => Self::Any,
        }
    }

    /// `RSA`, `ECDSA`, `Ed25519`, `ML-DSA`, or `any`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Rsa => "RSA",
            Self::Ecdsa => "ECDSA",
            Self::Ed25519 => "Ed25519",
            Self::MlDsa => "ML-DSA",
        }
    }
}

/// What a server served.
#[derive(Clone, PartialEq, Eq)]
pub struct Served {
    /// Certificates in DER as they were sent, the leaf first.
    pub chain: Vec<Vec<u8>>,
    /// SHA-256 of the first certificate.
    pub leaf: Fingerprint,
    /// `TLSv1.2` or `TLSv1.3`.
    pub protocol: String,
    /// Name of the cipher suite (IANA), `unknown` when the handshake was not completed: the certificate and
    /// the proof of its key had been seen by then.
    pub cipher: String,
    /// Whether the server takes only cipher suites or groups that are not spoken here (CBC, CCM, DHE, X448):
    /// what it serves was seen in a handshake of TLS 1.2 that was not completed.
    pub older_only: bool,
    /// The address that answered, where the dialler knows it.
    pub address: Option<SocketAddr>,
    /// Whether an OCSP response came along (it is not checked).
    pub ocsp_stapled: bool,
    /// Whether the server insisted on a client certificate (only seen in TLS 1.2).
    pub wants_client_certificate: bool,
    /// The kind of key that was asked for and that the server has no certificate with: this is what it
    /// shows to everybody else.
    pub lacks: Option<SignatureChoice>,
    /// From the first byte of the TLS handshake to its end, without dial and dialogue.
    pub handshake_time: Duration,
}

/// The certificates by fingerprint: their bytes say nothing to a reader.
impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served")
            .field("leaf", &self.leaf)
            .field("rest", &self.rest())
            .field("protocol", &self.protocol)
            .field("cipher", &self.cipher)
            .field("older_only", &self.older_only)
            .field("address", &self.address)
            .field("ocsp_stapled", &self.ocsp_stapled)
            .field("wants_client_certificate", &self.wants_client_certificate)
            .field("lacks", &self.lacks)
            .field("handshake_time", &self.handshake_time)
            .finish()
    }
}

impl Served {
    /// Fingerprints of the certificates behind the leaf, in the order served.
    pub fn rest(&self) -> Vec<Fingerprint> {
        self.chain.iter().skip(1).map(|der| Fingerprint::of(der)).collect()
    }
}

/// The parts of a try, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Resolving and connecting.
    Connect,
    /// Waiting for the server's first words.
    Greeting,
    /// Asking what the server can do.
    Capabilities,
    /// Asking for TLS and waiting for consent.
    Upgrade,
    /// The TLS handshake.
    Tls,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Connect => "the connection",
            Self::Greeting => "the greeting",
            Self::Capabilities => "the list of capabilities",
            Self::Upgrade => "the reply to STARTTLS",
            Self::Tls => "the TLS handshake",
        })
    }
}
