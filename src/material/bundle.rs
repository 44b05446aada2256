//! Material that passed the checks, and the file contents made of it.

use super::{Certificate, Note, PrivateKey};
use crate::model::Secret;
use std::sync::Arc;

/// A leaf, its issuers in order, and the key if it goes along. Made by [`check`](super::check()).
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The server's certificate.
    pub leaf: Certificate,
    /// Its issuer, the issuer's issuer, and so on.
    pub chain: Vec<Certificate>,
    /// `None`: the host keeps its key.
    pub key: Option<PrivateKey>,
    /// What the operator should know.
    pub notes: Vec<Note>,
}

impl Bundle {
    /// The leaf's issuer, if neither it nor anything else is given behind the leaf: clients that do not know it
    /// cannot verify the leaf.
    pub fn missing_issuer(&self) -> Option<&str> {
        (self.chain.is_empty() && !self.leaf.is_self_issued()).then_some(self.leaf.issuer.as_str())
    }

    /// The leaf alone. All PEM made here has LF line ends and 64 columns, so that equal material
    /// gives equal bytes whatever the source files looked like.
    pub fn leaf_pem(&self) -> Vec<u8> {
        self.leaf.pem()
    }

    /// The issuers alone; empty without any.
    pub fn chain_pem(&self) -> Vec<u8> {
        self.chain.iter().flat_map(Certificate::pem).collect()
    }

    /// Leaf, then issuers.
    pub fn fullchain_pem(&self) -> Vec<u8> {
        let mut pem = self.leaf_pem();
        pem.extend(self.chain_pem());
        pem
    }

    /// The key.
    pub fn key_pem(&self) -> Option<&Arc<Secret<Vec<u8>>>> {
        self.key.as_ref().map(PrivateKey::pem)
    }

    /// Leaf, issuers and key in one file, the key first or last. `None` without a key.
    pub fn combined(&self, key_first: bool) -> Option<Secret<Vec<u8>>> {
        let key = self.key_pem()?.expose();
        let certificates = self.fullchain_pem();
        let mut pem = Vec::with_capacity(key.len() + certificates.len());
        if key_first {
            pem.extend_from_slice(key);
        }
        pem.extend_from_slice(&certificates);
        if !key_first {
            pem.extend_from_slice(key);
        }
        Some(Secret::new(pem))
    }
}
