//! Whether one certificate's key made the signature on another.

use super::public_key::{Curve, PublicKey, ml_dsa_set};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};
use p256::ecdsa::signature::hazmat::PrehashVerifier;

/// The signed part of a certificate with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) tbs: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) algorithm: Algorithm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    RsaPkcs1(Hash),
    RsaPss(Hash),
    Ecdsa(Hash),
    Ed25519,
    /// The parameter set: 44, 65 or 87.
    MlDsa(u8),
    /// MD5 with RSA: known by name, never verified.
    Md5,
    /// Dotted OID.
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    Bad,
    /// Not an algorithm that is verified here; its name.
    NotChecked(String),
}

impl Algorithm {
    /// From the dotted OID and, for RSASSA-PSS, the OID of the parameters' hash.
    pub(super) fn by_oid(oid: &str, pss_hash: Option<&str>) -> Self {
        match oid {
            "1.2.840.113549.1.1.4" => Self::Md5,
            "1.2.840.113549.1.1.5" => Self::RsaPkcs1(Hash::Sha1),
            "1.2.840.113549.1.1.11" => Self::RsaPkcs1(Hash::Sha256),
            "1.2.840.113549.1.1.12" => Self::RsaPkcs1(Hash::Sha384),
            "1.2.840.113549.1.1.13" => Self::RsaPkcs1(Hash::Sha512),
            "1.2.840.113549.1.1.10" => match pss_hash {
                Some("2.16.840.1.101.3.4.2.1") => Self::RsaPss(Hash::Sha256),
                Some("2.16.840.1.101.3.4.2.2") => Self::RsaPss(Hash::Sha384),
                Some("2.16.840.1.101.3.4.2.3") => Self::RsaPss(Hash::Sha512),
                _ => Self::Other(oid.to_owned()),
            },
            "1.2.840.10045.4.1" => Self::Ecdsa(Hash::Sha1),
            "1.2.840.10045.4.3.2" => Self::Ecdsa(Hash::Sha256),
            "1.2.840.10045.4.3.3" => Self::Ecdsa(Hash::Sha384),
            "1.2.840.10045.4.3.4" => Self::Ecdsa(Hash::Sha512),
            "1.3.101.112" => Self::Ed25519,
            _ => ml_dsa_set(oid).map_or_else(|| Self::Other(oid.to_owned()), Self::MlDsa),
        }
    }

    /// The digest's name when it is one that clients refuse.
    pub(super) fn weak_digest(&self) -> Option<&'static str> {
        match self {
            Self::Md5 => Some("MD5"),
            Self::RsaPkcs1(Hash::Sha1) | Self::RsaPss(Hash::Sha1) | Self::Ecdsa(Hash::Sha1) => {
                Some("SHA-1")
            }
            Self::RsaPkcs1(_)
            | Self::RsaPss(_)
            | Self::Ecdsa(_)
            | Self::Ed25519
            | Self::MlDsa(_)
            | Self::Other(_) => None,
        }
    }
}

impl Signed {
    pub(super) fn verify(&self, issuer: &PublicKey) -> Verdict {
        match (&self.algorithm, issuer) {
            (Algorithm::Other(oid), _) => Verdict::NotChecked(format!("algorithm {oid}")),
            (Algorithm::Md5, _) => Verdict::NotChecked("MD5".into()),
            (_, PublicKey::Other { .. }) => Verdict::NotChecked(issuer.to_string()),
            (Algorithm::RsaPkcs1(hash), PublicKey::Rsa { modulus, exponent }) => {
                self.verify_rsa(pkcs1(*hash), modulus, exponent)
            }
            (Algorithm::RsaPss(hash), PublicKey::Rsa { modulus, exponent }) => match pss(*hash) {
                Some(parameters) => self.verify_rsa(parameters, modulus, exponent),
                None => Verdict::NotChecked("RSASSA-PSS with SHA-1".into()),
            },
            (Algorithm::Ecdsa(hash), PublicKey::Ec { curve, point }) => {
                verdict(self.verify_ecdsa(*hash, *curve, point))
            }
            (Algorithm::Ed25519, PublicKey::Ed25519(key)) => verdict(
                UnparsedPublicKey::new(&signature::ED25519, key)
                    .verify(&self.tbs, &self.signature)
                    .is_ok(),
            ),
            (Algorithm::MlDsa(signed), PublicKey::MlDsa { set, key }) if signed == set => {
                let algorithm = match set {
                    44 => &signature::ML_DSA_44,
                    65 => &signature::ML_DSA_65,
                    _ => &signature::ML_DSA_87,
                };
                let key = UnparsedPublicKey::new(algorithm, key);
                verdict(key.verify(&self.tbs, &self.signature).is_ok())
            }
            // An RSA key makes no ECDSA signature, and so on.
            (
                Algorithm::RsaPkcs1(_)
                | Algorithm::RsaPss(_)
                | Algorithm::Ecdsa(_)
                | Algorithm::Ed25519
                | Algorithm::MlDsa(_),
                _,
            ) => Verdict::Bad,
        }
    }

    fn verify_rsa(&self, parameters: &RsaParameters, modulus: &[u8], exponent: &[u8]) -> Verdict {
        // aws-lc refuses moduli outside 1024 to 8192 bits without looking at the signature.
        if !(128..=1024).contains(&modulus.len()) {
            return Verdict::NotChecked(format!("RSA with {} bits", modulus.len() * 8));
        }
        let key = RsaPublicKeyComponents { n: modulus, e: exponent };
        verdict(key.verify(parameters, &self.tbs, &self.signature).is_ok())
    }

    fn verify_ecdsa(&self, hash: Hash, curve: Curve, point: &[u8]) -> bool {
        let algorithm = match hash {
            Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha384 => &digest::SHA384,
            Hash::Sha512 => &digest::SHA512,
        };
        let digest = digest::digest(algorithm, &self.tbs);
        macro_rules! verify {
            ($curve:ident, $field:literal) => {{
                let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(point);
                let signature = $curve::ecdsa::Signature::from_der(&self.signature);
                // The crates want at least half the field's length of digest; zeros in front do
                // not change the number that the digest stands for (FIPS 186-5 §6.4.2).
                let mut number = [0; $field];
                let digest = if digest.as_ref().len() < $field {
                    number[$field - digest.as_ref().len()..].copy_from_slice(digest.as_ref());
                    &number[..]
                } else {
                    digest.as_ref()
                };
                match (key, signature) {
                    (Ok(key), Ok(signature)) => key.verify_prehash(digest, &signature).is_ok(),
                    _ => false,
                }
            }};
        }
        match curve {
            Curve::P256 => verify!(p256, 32),
            Curve::P384 => verify!(p384, 48),
            Curve::P521 => verify!(p521, 66),
        }
    }
}

fn verdict(good: bool) -> Verdict {
    if good { Verdict::Good } else { Verdict::Bad }
}

/// Old key sizes are accepted where aws-lc can: that a key is weak is told elsewhere, and here the
/// question is only who signed.
fn pkcs1(hash: Hash) -> &'static RsaParameters {
    match hash {
        Hash::Sha1 => &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        Hash::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
    }
}

fn pss(hash: Hash) -> Option<&'static RsaParameters> {
    match hash {
        Hash::Sha1 => None,
        Hash::Sha256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Hash::Sha384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Hash::Sha512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
    }
}
