//! Whether a chain leads to a root that clients know.

use crate::model::{Fingerprint, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Trusted certificates. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Roots(Arc<Store>);

#[derive(Debug)]
struct Store {
    anchors: Vec<TrustAnchor<'static>>,
    /// Trusted as they are: a self-signed leaf that the operator names as its own root.
    exact: BTreeSet<Fingerprint>,
    /// Raw names of the roots.
    subjects: BTreeSet<Vec<u8>>,
}

/// There is nothing to trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRoots {
    /// The system has no root certificates where they are looked for.
    #[error("no root certificates on this system: install ca-certificates, or set SSL_CERT_FILE")]
    System,
    /// The text has no certificate, or a block that is none.
    #[error("no certificates in PEM form")]
    Pem,
}

/// A chain leads to no trusted root, or a certificate in it is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Untrusted(pub String);

impl Roots {
    /// The roots of this machine (`SSL_CERT_FILE` and `SSL_CERT_DIR` are heeded, as by OpenSSL).
    /// Reads files: call it once.
    ///
    /// # Errors
    /// [`NoRoots::System`] when none could be read.
    pub fn system() -> Result<Self, NoRoots> {
        let found = rustls_native_certs::load_native_certs();
        Self::from_der(found.certs.iter().map(AsRef::as_ref)).ok_or(NoRoots::System)
    }

    /// The certificates of a PEM text.
    ///
    /// # Errors
    /// [`NoRoots::Pem`] when there is none, or one cannot be read.
    pub fn from_pem(text: &[u8]) -> Result<Self, NoRoots> {
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(text)
            .collect::<Result<_, _>>()
            .map_err(|_| NoRoots::Pem)?;
        Self::from_der(certificates.iter().map(AsRef::as_ref)).ok_or(NoRoots::Pem)
    }

    /// Certificates in DER; those that cannot be read are left out. `None` when none is left.
    pub fn from_der<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut store =
            Store { anchors: Vec::new(), exact: BTreeSet::new(), subjects: BTreeSet::new() };
        for der in certificates {
            let Ok((_, parsed)) = X509Certificate::from_der(der) else { continue };
            store.subjects.insert(parsed.subject().as_raw().to_vec());
            store.exact.insert(Fingerprint::of(der));
            let der = CertificateDer::from(der);
            // A version 1 root is no anchor for webpki, but still trusted for itself.
            if let Ok(anchor) = webpki::anchor_from_trusted_cert(&der) {
                store.anchors.push(anchor.to_owned());
            }
        }
        (!store.exact.is_empty()).then(|| Self(Arc::new(store)))
    }

    /// Whether a root has this name (DER of the whole `Name`).
    pub(super) fn has_subject(&self, raw_name: &[u8]) -> bool {
        self.0.subjects.contains(raw_name)
    }

    /// Checks a chain as served, leaf first, as a strict client would (RFC 5280 §6): signatures, dates,
    /// constraints and the use for servers. Names are not looked at, nor revocation.
    ///
    /// # Errors
    /// [`Untrusted`] with the reason.
    pub fn check(&self, chain: &[Vec<u8>], now: Timestamp) -> Result<(), Untrusted> {
        let Some((leaf, rest)) = chain.split_first() else {
            return Err(Untrusted("no certificate was served".to_owned()));
        };
        if self.0.exact.contains(&Fingerprint::of(leaf)) {
            return Ok(());
        }
        let leaf = CertificateDer::from(leaf.as_slice());
        let rest: Vec<_> = rest.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let seconds = u64::try_from(now.unix()).unwrap_or(0);
        EndEntityCert::try_from(&leaf)
            .and_then(|leaf| {
                leaf.verify_for_usage(
                    webpki::ALL_VERIFICATION_ALGS,
                    &self.0.anchors,
                    &rest,
                    UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                    KeyUsage::server_auth(),
                    None,
                    None,
                )
                .map(drop)
            })
            .map_err(|error| Untrusted(reason(&error)))
    }
}

fn reason(error: &webpki::Error) -> String {
    match error {
        webpki::Error::UnknownIssuer => {
            "it leads to no trusted root: an intermediate is missing, or the root is not known here"
                .to_owned()
        }
        webpki::Error::CertExpired { .. } => "a certificate of the chain has expired".to_owned(),
        webpki::Error::CertNotValidYet { .. } => {
            "a certificate of the chain is not valid yet".to_owned()
        }
        webpki::Error::CaUsedAsEndEntity => {
            "the leaf is a certificate authority's own certificate".to_owned()
        }
        webpki::Error::InvalidSignatureForPublicKey => {
            "a signature in the chain is not of its issuer".to_owned()
        }
        other => format!("the chain is not acceptable ({other})"),
    }
}
