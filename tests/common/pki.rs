//! Certificates for tests: a root, an intermediate, and leaves below it.

use certroll::testing::model::Fingerprint;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A root and an intermediate that signs the leaves.
pub struct Authority {
    pub root_der: Vec<u8>,
    pub root_pem: String,
    pub intermediate_der: Vec<u8>,
    pub intermediate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A leaf with its key.
pub struct Pair {
    pub der: Vec<u8>,
    pub pem: String,
    pub key_pem: String,
    pub intermediate_der: Vec<u8>,
    pub intermediate_pem: String,
}

/// A [`Pair`] on disk.
pub struct Files {
    /// Leaf and intermediate.
    pub fullchain: PathBuf,
    pub leaf: PathBuf,
    pub chain: PathBuf,
    pub key: PathBuf,
    /// Leaf, intermediate, key.
    pub combined: PathBuf,
}

impl Authority {
    /// Names of root and intermediate are the same for every authority with that name; keys are not.
    pub fn new(name: &str) -> Self {
        let root_key = KeyPair::generate().expect("key");
        let root_params = authority_params(&format!("{name} root"));
        let root = root_params.self_signed(&root_key).expect("root");
        let root_issuer = Issuer::new(root_params, root_key);
        let key = KeyPair::generate().expect("key");
        let params = authority_params(&format!("{name} intermediate"));
        let intermediate = params.signed_by(&key, &root_issuer).expect("intermediate");
        Self {
            root_der: root.der().to_vec(),
            root_pem: root.pem(),
            intermediate_der: intermediate.der().to_vec(),
            intermediate_pem: intermediate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// An ECDSA leaf for these DNS names and addresses.
    pub fn leaf(&self, names: &[&str]) -> Pair {
        self.leaf_with(names, &KeyPair::generate().expect("key"), |_| {})
    }

    /// A leaf that ended in 2020.
    pub fn expired(&self, names: &[&str]) -> Pair {
        self.leaf_with(names, &KeyPair::generate().expect("key"), |params| {
            params.not_before = rcgen::date_time_ymd(2019, 1, 1);
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        })
    }

    /// A leaf with an RSA key of 2048 bits, made by openssl.
    pub fn rsa(&self, names: &[&str]) -> Pair {
        self.leaf_with(names, &openssl_key(&["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]), |_| {})
    }

    pub fn leaf_with(
        &self,
        names: &[&str],
        key: &KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let common = names.first().cloned().unwrap_or_else(|| "nameless".to_owned());
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, common);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let leaf = params.signed_by(key, &self.issuer).expect("leaf");
        Pair {
            der: leaf.der().to_vec(),
            pem: leaf.pem(),
            key_pem: key.serialize_pem(),
            intermediate_der: self.intermediate_der.clone(),
            intermediate_pem: self.intermediate_pem.clone(),
        }
    }
}

impl Pair {
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.der)
    }

    /// Leaf and intermediate.
    pub fn chain(&self) -> Vec<Vec<u8>> {
        vec![self.der.clone(), self.intermediate_der.clone()]
    }

    pub fn write(&self, directory: &Path, name: &str) -> Files {
        let write = |suffix: &str, text: String| {
            let path = directory.join(format!("{name}-{suffix}.pem"));
            std::fs::write(&path, text).expect("written");
            path
        };
        let fullchain = format!("{}{}", self.pem, self.intermediate_pem);
        Files {
            combined: write("combined", format!("{fullchain}{}", self.key_pem)),
            fullchain: write("fullchain", fullchain),
            leaf: write("leaf", self.pem.clone()),
            chain: write("chain", self.intermediate_pem.clone()),
            key: write("key", self.key_pem.clone()),
        }
    }

    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        use rustls::pki_types::pem::PemObject;
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).expect("a key")
    }
}

/// A configuration of a rustls server with that chain and key, TLS 1.2 and 1.3.
pub fn server_config(chain: &[Vec<u8>], key: PrivateKeyDer<'static>) -> rustls::ServerConfig {
    server_config_of(chain, key, rustls::ALL_VERSIONS)
}

/// The same with these versions of TLS.
pub fn server_config_of(
    chain: &[Vec<u8>],
    key: PrivateKeyDer<'static>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ServerConfig {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).expect("a usable key");
    let chain = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    // Not `with_single_cert`, which refuses a key that does not fit.
    let certified = rustls::sign::CertifiedKey::new(chain, key);
    rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(certified)))
}

/// A key made by openssl: RSA keys cannot be made by ring, and openssl cannot read ring's Ed25519.
pub fn openssl_key(arguments: &[&str]) -> KeyPair {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm"])
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .expect("openssl runs");
    KeyPair::from_pem(&String::from_utf8(made.stdout).expect("PEM")).expect("a key")
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}
