//! The public half of a key pair, in a form that can be compared.

use crate::model::Fingerprint;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

/// An elliptic curve of NIST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
    /// secp521r1.
    P521,
}

impl Curve {
    /// The named curve of an OID in dotted form.
    pub(super) fn by_oid(oid: &str) -> Option<Self> {
        match oid {
            "1.2.840.10045.3.1.7" => Some(Self::P256),
            "1.3.132.0.34" => Some(Self::P384),
            "1.3.132.0.35" => Some(Self::P521),
            _ => None,
        }
    }

    /// Its OID.
    pub(super) fn oid(self) -> pkcs8::ObjectIdentifier {
        match self {
            Self::P256 => pkcs8::ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
            Self::P384 => pkcs8::ObjectIdentifier::new_unwrap("1.3.132.0.34"),
            Self::P521 => pkcs8::ObjectIdentifier::new_unwrap("1.3.132.0.35"),
        }
    }

    /// The point in uncompressed form, `None` when it does not lie on the curve.
    fn uncompressed(self, point: &[u8]) -> Option<Vec<u8>> {
        macro_rules! uncompressed {
            ($curve:ident) => {
                $curve::Sec1Point::from(&$curve::PublicKey::from_sec1_bytes(point).ok()?)
                    .as_bytes()
                    .to_vec()
            };
        }
        Some(match self {
            Self::P256 => uncompressed!(p256),
            Self::P384 => uncompressed!(p384),
            Self::P521 => uncompressed!(p521),
        })
    }
}

/// A public key. Two are equal when they are the same key, however they were encoded. Displays
/// its kind: `EC P-256`, `RSA 2048`, `Ed25519`, `ML-DSA-65`, or the algorithm's OID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA; big-endian numbers without leading zeros.
    Rsa {
        /// n.
        modulus: Vec<u8>,
        /// e.
        exponent: Vec<u8>,
    },
    /// A point in uncompressed form.
    Ec {
        /// Its curve.
        curve: Curve,
        /// `04 x y`.
        point: Vec<u8>,
    },
    /// RFC 8410.
    Ed25519(Vec<u8>),
    /// FIPS 204, RFC 9881.
    MlDsa {
        /// 44, 65 or 87.
        set: u8,
        /// As encoded in the certificate.
        key: Vec<u8>,
    },
    /// Any other kind.
    Other {
        /// Algorithm OID in dotted form, with the curve's where there is one.
        algorithm: String,
        /// The whole SubjectPublicKeyInfo.
        spki: Vec<u8>,
    },
}

impl PublicKey {
    /// From a DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7). `None` when it is malformed.
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        let (rest, spki) = SubjectPublicKeyInfo::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let bits = &*spki.subject_public_key.data;
        let algorithm = spki.algorithm.algorithm.to_id_string();
        match algorithm.as_str() {
            "1.2.840.113549.1.1.1" => {
                let (_, key) = x509_parser::public_key::RSAPublicKey::from_der(bits).ok()?;
                Some(Self::rsa(key.modulus, key.exponent))
            }
            "1.2.840.10045.2.1" => {
                let curve = spki.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
                let name = curve.map(|oid| oid.to_id_string()).unwrap_or_default();
                match Curve::by_oid(&name) {
                    Some(curve) => Some(Self::Ec { curve, point: curve.uncompressed(bits)? }),
                    None => Some(Self::Other {
                        algorithm: format!("{algorithm} {name}").trim_end().to_owned(),
                        spki: der.to_vec(),
                    }),
                }
            }
            "1.3.101.112" => (bits.len() == 32).then(|| Self::Ed25519(bits.to_vec())),
            oid => Some(match ml_dsa_set(oid) {
                Some(set) => Self::MlDsa { set, key: bits.to_vec() },
                None => Self::Other { algorithm, spki: der.to_vec() },
            }),
        }
    }

    /// From what `openssl pkey -pubout` (PEM) or `ssh-keygen -y` (one line) printed: the ways in
    /// which a host shows the public half of a key that it keeps. `None` for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        match words.next()? {
            "-----BEGIN" => {
                let blocks = super::pem::blocks(text.as_bytes());
                let block = blocks.iter().find(|block| block.label == "PUBLIC KEY")?;
                Self::from_spki(block.der.as_ref().ok()?)
            }
            kind => Self::from_openssh(kind, &STANDARD.decode(words.next()?).ok()?),
        }
    }

    /// RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4: length-prefixed strings, the kind first.
    fn from_openssh(kind: &str, mut blob: &[u8]) -> Option<Self> {
        let mut next = || {
            let (length, rest) = blob.split_first_chunk::<4>()?;
            let (field, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            blob = rest;
            Some(field)
        };
        if next()? != kind.as_bytes() {
            return None;
        }
        match kind {
            "ssh-rsa" => {
                let exponent = next()?;
                Some(Self::rsa(next()?, exponent))
            }
            "ssh-ed25519" => {
                next().filter(|key| key.len() == 32).map(|k| Self::Ed25519(k.to_vec()))
            }
            _ => {
                let curve = match kind {
                    "ecdsa-sha2-nistp256" => Curve::P256,
                    "ecdsa-sha2-nistp384" => Curve::P384,
                    "ecdsa-sha2-nistp521" => Curve::P521,
                    _ => return None,
                };
                let _name = next()?;
                Some(Self::Ec { curve, point: curve.uncompressed(next()?)? })
            }
        }
    }

    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let trim = |number: &[u8]| {
            let zeros = number.iter().take_while(|byte| **byte == 0).count();
            number[zeros..].to_vec()
        };
        Self::Rsa { modulus: trim(modulus), exponent: trim(exponent) }
    }

    /// Bits of an RSA modulus; `None` for other kinds.
    pub fn rsa_bits(&self) -> Option<usize> {
        match self {
            Self::Rsa { modulus, .. } => {
                let first = modulus.first().copied().unwrap_or(0);
                Some((modulus.len() * 8).saturating_sub(first.leading_zeros() as usize))
            }
            Self::Ec { .. } | Self::Ed25519(_) | Self::MlDsa { .. } | Self::Other { .. } => None,
        }
    }

    /// A digest of the key itself, the same whatever the encoding was.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut bytes = self.to_string().into_bytes();
        bytes.push(0);
        match self {
            Self::Rsa { modulus, exponent } => {
                bytes.extend_from_slice(exponent);
                bytes.push(0);
                bytes.extend_from_slice(modulus);
            }
            Self::Ec { point, .. } => bytes.extend_from_slice(point),
            Self::Ed25519(key) | Self::MlDsa { key, .. } => bytes.extend_from_slice(key),
            Self::Other { spki, .. } => bytes.extend_from_slice(spki),
        }
        Fingerprint::of(&bytes)
    }
}

/// The parameter set of an ML-DSA algorithm, for keys and signatures alike (RFC 9881 §2).
pub(super) fn ml_dsa_set(oid: &str) -> Option<u8> {
    match oid {
        "2.16.840.1.101.3.4.3.17" => Some(44),
        "2.16.840.1.101.3.4.3.18" => Some(65),
        "2.16.840.1.101.3.4.3.19" => Some(87),
        _ => None,
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { .. } => write!(f, "RSA {}", self.rsa_bits().unwrap_or(0)),
            Self::Ec { curve: Curve::P256, .. } => f.pad("EC P-256"),
            Self::Ec { curve: Curve::P384, .. } => f.pad("EC P-384"),
            Self::Ec { curve: Curve::P521, .. } => f.pad("EC P-521"),
            Self::Ed25519(_) => f.pad("Ed25519"),
            Self::MlDsa { set, .. } => write!(f, "ML-DSA-{set}"),
            Self::Other { algorithm, .. } => write!(f, "algorithm {algorithm}"),
        }
    }
}
