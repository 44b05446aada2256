//! Private keys: read, opened with a passphrase, and reduced to their public half for comparison.

use super::error::{BlockProblem, MaterialError, Part};
use super::pem::{self, Block};
use super::public_key::{Curve, PublicKey, ml_dsa_set};
use crate::model::Secret;
use aws_lc_rs::signature::{self, KeyPair as _};
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{Decode, Encode};
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier as Oid, PrivateKeyInfoRef};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

mod legacy;
mod pbes;
mod pbes1;
mod problem;

pub(super) use pbes::Sealed;
pub(super) use problem::Problem;

/// A private key as it goes to hosts. Its bytes are wiped when it is dropped; `Debug` shows its
/// kind alone.
#[derive(Clone)]
pub struct PrivateKey {
    pem: Arc<Secret<Vec<u8>>>,
    public: PublicKey,
    decrypted: bool,
}

impl PrivateKey {
    /// Reads the one private key of `file`: PKCS#8, PKCS#1 (RSA) or SEC 1 (EC); RSA, P-256, P-384,
    /// P-521, Ed25519 or ML-DSA. Other PEM blocks and text around it are left out. An encrypted key
    /// (PKCS#8 with PBES2 or PBES1, or an old `Proc-Type: 4,ENCRYPTED` one) is opened with `passphrase`
    /// and becomes unencrypted PKCS#8 or its old form; any other keeps its label and bytes, in
    /// canonical PEM.
    ///
    /// # Errors
    /// Not PEM, no key or several, damaged, encrypted without (or with the wrong) passphrase, or
    /// of an unsupported kind.
    pub fn from_pem(
        file: &Secret<Vec<u8>>,
        passphrase: Option<&Secret<String>>,
    ) -> Result<Self, MaterialError> {
        let blocks = pem::blocks(file.expose());
        let keys: Vec<&Block> = blocks.iter().filter(|block| block.is_key()).collect();
        let block = match keys[..] {
            [block] => block,
            [] => {
                return Err(match blocks.first() {
                    None => pem::not_pem(Part::Key, file.expose()),
                    Some(block) => MaterialError::WrongLabel {
                        part: Part::Key,
                        wanted: "private key",
                        found: block.label.clone(),
                    },
                });
            }
            [_, _, ..] => return Err(MaterialError::SeveralKeys(keys.len())),
        };
        let stored =
            block.der.as_ref().map_err(|problem| block.error(Part::Key, problem.clone()))?;
        let open = Opened::new(block, stored, passphrase)?;
        let public = public_half(open.label, open.der())
            .map_err(|problem| problem.into_error(block, open.label))?;
        let pem = std::mem::take(&mut *pem::encode(open.label, open.der()));
        let pem = Arc::new(Secret::new(pem));
        Ok(Self { pem, public, decrypted: matches!(open.bytes, Bytes::Decrypted(_)) })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Canonical PEM of the key alone, as hosts receive it: the only copy of the run.
    pub fn pem(&self) -> &Arc<Secret<Vec<u8>>> {
        &self.pem
    }

    /// As DER of PKCS#8 (RFC 5958), whatever form it was given in. `None` for what cannot be wrapped, which no key that
    /// was read is.
    pub(crate) fn pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        let blocks = pem::blocks(self.pem.expose());
        let block = blocks.into_iter().find(Block::is_key)?;
        let der = block.der.ok()?;
        let curve;
        let algorithm = match block.label.as_str() {
            PKCS1 => AlgorithmIdentifierRef { oid: RSA, parameters: Some(AnyRef::NULL) },
            SEC1 => {
                let PublicKey::Ec { curve: of, .. } = &self.public else { return None };
                curve = of.oid();
                AlgorithmIdentifierRef { oid: EC, parameters: Some(AnyRef::from(&curve)) }
            }
            _ => return Some(der),
        };
        let inner = OctetStringRef::new(&der).ok()?;
        PrivateKeyInfoRef::new(algorithm, inner).to_der().ok().map(Zeroizing::new)
    }

    /// Whether it was encrypted in the file.
    pub fn was_encrypted(&self) -> bool {
        self.decrypted
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public)
    }
}

enum Bytes<'a> {
    Stored(&'a [u8]),
    Decrypted(Zeroizing<Vec<u8>>),
}

/// The key without its encryption.
struct Opened<'a> {
    label: &'static str,
    bytes: Bytes<'a>,
}

const RSA: Oid = Oid::new_unwrap("1.2.840.113549.1.1.1");
const EC: Oid = Oid::new_unwrap("1.2.840.10045.2.1");
const PKCS8: &str = "PRIVATE KEY";
const PKCS1: &str = "RSA PRIVATE KEY";
const SEC1: &str = "EC PRIVATE KEY";

impl<'a> Opened<'a> {
    fn new(
        block: &Block,
        stored: &'a [u8],
        passphrase: Option<&Secret<String>>,
    ) -> Result<Self, MaterialError> {
        let passphrase = || passphrase.ok_or(MaterialError::KeyEncrypted);
        let label = match block.label.as_str() {
            PKCS8 => PKCS8,
            PKCS1 => PKCS1,
            SEC1 => SEC1,
            "ENCRYPTED PRIVATE KEY" => {
                let bytes = decrypt_pkcs8(block, stored, passphrase)?;
                return Ok(Self { label: PKCS8, bytes: Bytes::Decrypted(bytes) });
            }
            "OPENSSH PRIVATE KEY" => {
                return Err(MaterialError::UnsupportedKey("OpenSSH's own format".into()));
            }
            other => return Err(MaterialError::UnsupportedKey(format!("'{other}'"))),
        };
        let bytes = match legacy::Encryption::of(&block.headers) {
            None => Bytes::Stored(stored),
            Some(encryption) => {
                let encryption = encryption.map_err(MaterialError::UnsupportedEncryption)?;
                let plain = encryption.decrypt(stored, passphrase()?);
                Bytes::Decrypted(plain.ok_or(MaterialError::WrongPassphrase)?)
            }
        };
        Ok(Self { label, bytes })
    }

    fn der(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Stored(der) => der,
            Bytes::Decrypted(der) => der,
        }
    }
}

fn decrypt_pkcs8<'p>(
    block: &Block,
    der: &[u8],
    passphrase: impl Fn() -> Result<&'p Secret<String>, MaterialError>,
) -> Result<Zeroizing<Vec<u8>>, MaterialError> {
    // What cannot be opened is told before a passphrase is asked for: nobody types one in vain.
    let sealed = Sealed::parse(der).map_err(|problem| match problem {
        Problem::NotDer => block.error(Part::Key, BlockProblem::NotDer("an encrypted private key")),
        Problem::Unsupported(what) => MaterialError::UnsupportedEncryption(what),
    })?;
    sealed.open(passphrase()?).ok_or(MaterialError::WrongPassphrase)
}

enum KeyProblem {
    NotDer,
    Damaged(&'static str),
    Unsupported(String),
}

impl KeyProblem {
    fn into_error(self, block: &Block, label: &str) -> MaterialError {
        match self {
            Self::NotDer => block.error(
                Part::Key,
                BlockProblem::NotDer(match label {
                    PKCS1 => "an RSA private key (PKCS#1)",
                    SEC1 => "an EC private key (SEC 1)",
                    _ => "a private key (PKCS#8)",
                }),
            ),
            Self::Damaged(what) => MaterialError::DamagedKey(what),
            Self::Unsupported(what) => MaterialError::UnsupportedKey(what),
        }
    }
}

fn public_half(label: &str, der: &[u8]) -> Result<PublicKey, KeyProblem> {
    match label {
        PKCS1 => rsa_public(der),
        SEC1 => ec_public(der, None),
        _ => pkcs8_public(der),
    }
}

fn pkcs8_public(der: &[u8]) -> Result<PublicKey, KeyProblem> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| KeyProblem::NotDer)?;
    let inner = info.private_key.as_bytes();
    let algorithm = info.algorithm.oid.to_string();
    match algorithm.as_str() {
        "1.2.840.113549.1.1.1" => rsa_public(inner),
        "1.2.840.10045.2.1" => {
            let curve = info.algorithm.parameters_oid().map_err(|_| KeyProblem::NotDer)?;
            ec_public(inner, Some(curve.to_string()))
        }
        // CurvePrivateKey ::= OCTET STRING (RFC 8410 §7).
        "1.3.101.112" => match inner {
            [4, 32, seed @ ..] => {
                let seed = seed.try_into().map_err(|_| KeyProblem::NotDer)?;
                let key = ed25519_dalek::SigningKey::from_bytes(seed);
                Ok(PublicKey::Ed25519(key.verifying_key().as_bytes().to_vec()))
            }
            _ => Err(KeyProblem::NotDer),
        },
        oid => match ml_dsa_set(oid) {
            Some(set) => ml_dsa_public(set, der),
            None => Err(KeyProblem::Unsupported(format!("algorithm {algorithm}"))),
        },
    }
}

/// From the seed, the expanded key or both (RFC 9881 §6).
fn ml_dsa_public(set: u8, der: &[u8]) -> Result<PublicKey, KeyProblem> {
    let algorithm = match set {
        44 => &signature::ML_DSA_44_SIGNING,
        65 => &signature::ML_DSA_65_SIGNING,
        _ => &signature::ML_DSA_87_SIGNING,
    };
    let pair = signature::PqdsaKeyPair::from_pkcs8(algorithm, der)
        .map_err(|_| KeyProblem::Damaged("its ML-DSA key does not decode"))?;
    Ok(PublicKey::MlDsa { set, key: pair.public_key().as_ref().to_vec() })
}

fn rsa_public(der: &[u8]) -> Result<PublicKey, KeyProblem> {
    // The structure first: what does not even parse is another mistake than wrong numbers.
    pkcs8::der::asn1::AnyRef::from_der(der).map_err(|_| KeyProblem::NotDer)?;
    let key = rsa::RsaPrivateKey::from_pkcs1_der(der)
        .map_err(|_| KeyProblem::Damaged("its RSA numbers do not fit together"))?;
    Ok(PublicKey::rsa(&key.n_bytes(), &key.e_bytes()))
}

fn ec_public(der: &[u8], curve: Option<String>) -> Result<PublicKey, KeyProblem> {
    let key = sec1::EcPrivateKey::from_der(der).map_err(|_| KeyProblem::NotDer)?;
    let named = key.parameters.as_ref().and_then(|parameters| parameters.named_curve());
    let curve = match named.map(|oid| oid.to_string()).or(curve) {
        Some(oid) => {
            Curve::by_oid(&oid).ok_or_else(|| KeyProblem::Unsupported(format!("EC curve {oid}")))?
        }
        // SEC 1 makes the curve optional; the length tells among those that are supported.
        None => match key.private_key.len() {
            32 => Curve::P256,
            48 => Curve::P384,
            66 => Curve::P521,
            _ => return Err(KeyProblem::Unsupported("EC key without a named curve".into())),
        },
    };
    macro_rules! point {
        ($curve:ident) => {
            $curve::SecretKey::from_slice(key.private_key)
                .map(|secret| $curve::Sec1Point::from(&secret.public_key()).as_bytes().to_vec())
        };
    }
    let point = match curve {
        Curve::P256 => point!(p256),
        Curve::P384 => point!(p384),
        Curve::P521 => point!(p521),
    };
    let point =
        point.map_err(|_| KeyProblem::Damaged("its number is outside the curve's range"))?;
    let public = PublicKey::Ec { curve, point };
    match (key.public_key, &public) {
        (Some(stated), PublicKey::Ec { point, .. })
            if stated.len() == point.len() && stated != point =>
        {
            Err(KeyProblem::Damaged("its public half does not fit its private one"))
        }
        _ => Ok(public),
    }
}
