//! What one certificate task wants of one host, before it is known what kind of host that is.
//!
//! Default paths, owners and commands depend on the distribution and on systemd, which only an
//! inspection tells; what is here does not.

use crate::host::{Attributes, FileRole};
use crate::material::{Bundle, Certificate, keystore};
use crate::model::{Fingerprint, HostName, RemotePath, Secret, Shared};
use crate::playbook::certificate::{CertificateTask, Trust};
use crate::services::Profile;
use crate::verify::Roots;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A rendered task with its checked material, for one host.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    /// The host.
    pub host: HostName,
    /// Where its services are reached from the controller: `ansible_host`, else its name.
    pub address: String,
    /// The task's title.
    pub task: String,
    /// The task.
    pub certificate: Shared<CertificateTask>,
    /// One per pair of the task, in its order.
    pub materials: Vec<Arc<Material>>,
    /// The files of `with`.
    pub configs: Vec<ConfigContent>,
    /// How the keystore of each pair is sealed, where its task has one.
    pub seals: Vec<Option<KeystoreSeal>>,
    /// One per service of the task, in its order.
    pub profiles: Vec<Arc<Profile>>,
    /// The roots that `verify.trust` names, loaded.
    pub roots: Vec<(Trust, Roots)>,
    /// Profiles that were never run on the real thing may be used (`--allow-experimental`).
    pub allow_experimental: bool,
    /// Good to know, from the material checks.
    pub notes: Vec<String>,
}

/// A configuration file that is changed with the certificates.
#[derive(Clone, Debug)]
pub struct ConfigContent {
    /// Its destination.
    pub path: RemotePath,
    /// Its bytes for this host.
    pub content: Content,
    /// Its lines are not shown: they come out of a vault, or the task has `no_log`.
    pub hidden: bool,
    /// Owner, group and mode as the task says.
    pub wanted: Attributes,
}

impl CertificateRequest {
    /// The keystore of that pair; `None` where its task seals none, or there is no key to put into it.
    pub(crate) fn keystore(&self, pair: usize) -> Option<Content> {
        let seal = self.seals.get(pair)?.as_ref()?;
        self.materials.get(pair)?.keystore(seal)
    }
}

/// What opens a keystore, and what its entry is called.
#[derive(Clone, Debug)]
pub struct KeystoreSeal {
    /// Of the keystore and of its key.
    pub password: Secret<String>,
    /// The entry's name.
    pub alias: String,
}

/// Bytes of a file and their digest.
#[derive(Clone, Debug)]
pub struct Content {
    /// The bytes; secret where a key is in them, and treated so always.
    pub bytes: Arc<Secret<Vec<u8>>>,
    /// Their digest.
    pub digest: Fingerprint,
}

/// How the blocks of a bundle are put into one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The leaf alone.
    Leaf,
    /// Leaf, then intermediates.
    Fullchain,
    /// Intermediates alone.
    Chain,
    /// The key alone.
    Key,
    /// Key, leaf, intermediates.
    KeyFirst,
    /// Leaf, intermediates, key.
    KeyLast,
    /// The leaf alone, as DER.
    LeafDer,
    /// The key alone, as DER of PKCS#8.
    KeyDer,
}

impl Shape {
    /// Whether a key is in it.
    pub fn role(self) -> FileRole {
        match self {
            Self::Leaf | Self::LeafDer | Self::Fullchain => FileRole::Certificate,
            Self::Chain => FileRole::Chain,
            Self::Key | Self::KeyDer => FileRole::Key,
            Self::KeyFirst | Self::KeyLast => FileRole::Combined,
        }
    }
}

/// One certificate's material, and the file contents made of it: each made once, for however many
/// hosts and kinds of host.
#[derive(Debug)]
pub struct Material {
    /// Leaf, issuers and key.
    pub bundle: Arc<Bundle>,
    /// The leaf, shared.
    pub leaf: Arc<Certificate>,
    made: [OnceLock<Option<Content>>; 8],
    /// By the digest of password and alias.
    keystores: Mutex<HashMap<Fingerprint, Option<Content>>>,
}

impl Material {
    /// Of a checked bundle.
    pub fn new(bundle: Arc<Bundle>) -> Self {
        let leaf = Arc::new(bundle.leaf.clone());
        Self { bundle, leaf, made: Default::default(), keystores: Mutex::default() }
    }

    /// The bytes of a keystore; `None` where the bundle has no key for it.
    pub(crate) fn keystore(&self, seal: &KeystoreSeal) -> Option<Content> {
        let name = [seal.password.expose().as_bytes(), seal.alias.as_bytes()].map(Fingerprint::of);
        let name = Fingerprint::of(name.map(|part| *part.as_bytes()).as_flattened());
        let mut known = self.keystores.lock().unwrap_or_else(PoisonError::into_inner);
        let made = known.entry(name).or_insert_with(|| {
            let bytes = keystore::write(&self.bundle, seal.password.expose(), &seal.alias)?;
            let digest = Fingerprint::of(bytes.expose());
            Some(Content { bytes: Arc::new(bytes), digest })
        });
        made.clone()
    }

    /// The bytes of a file of that shape; `None` where the bundle has no key for it.
    pub fn content(&self, shape: Shape) -> Option<Content> {
        self.made[shape as usize].get_or_init(|| self.make(shape)).clone()
    }

    /// The digests of every file that can be made of it.
    pub(crate) fn digests(&self) -> impl Iterator<Item = Fingerprint> {
        const SHAPES: [Shape; 8] = [
            Shape::Leaf,
            Shape::Fullchain,
            Shape::Chain,
            Shape::Key,
            Shape::KeyFirst,
            Shape::KeyLast,
            Shape::LeafDer,
            Shape::KeyDer,
        ];
        let keystores = self.keystores.lock().unwrap_or_else(PoisonError::into_inner);
        let keystores: Vec<Fingerprint> =
            keystores.values().flatten().map(|content| content.digest).collect();
        let files = SHAPES.into_iter().filter_map(|shape| Some(self.content(shape)?.digest));
        files.chain(keystores)
    }

    /// Fingerprints of the issuers that should be served behind the leaf.
    pub fn chain(&self) -> Vec<Fingerprint> {
        self.bundle.chain.iter().map(|certificate| certificate.fingerprint).collect()
    }

    fn make(&self, shape: Shape) -> Option<Content> {
        let bytes = match shape {
            Shape::Leaf => Arc::new(Secret::new(self.bundle.leaf_pem())),
            Shape::Fullchain => Arc::new(Secret::new(self.bundle.fullchain_pem())),
            Shape::Chain => Arc::new(Secret::new(self.bundle.chain_pem())),
            Shape::Key => Arc::clone(self.bundle.key_pem()?),
            Shape::KeyFirst => Arc::new(self.bundle.combined(true)?),
            Shape::KeyLast => Arc::new(self.bundle.combined(false)?),
            Shape::LeafDer => Arc::new(Secret::new(self.bundle.leaf.der.clone())),
            Shape::KeyDer => {
                let mut der = self.bundle.key.as_ref()?.pkcs8()?;
                Arc::new(Secret::new(std::mem::take(&mut *der)))
            }
        };
        let digest = Fingerprint::of(bytes.expose());
        Some(Content { bytes, digest })
    }
}
