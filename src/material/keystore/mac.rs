//! The digest over a keystore's content, which tells whether the password is right (RFC 7292 §4, appendix B).

use super::asn1::{first, joined, parts};
use crate::material::pkcs12_kdf::{MOST_ROUNDS, Purpose, derive};
use aws_lc_rs::{digest, hmac};
use pkcs8::ObjectIdentifier as Oid;
use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{self, Encode, Tag};

const SHA1: Oid = Oid::new_unwrap("1.3.14.3.2.26");
const SHA256: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.2.3");

/// `MacData` as read.
pub(super) struct Mac<'a> {
    algorithm: Oid,
    digest: &'a [u8],
    salt: &'a [u8],
    rounds: u32,
}

impl<'a> Mac<'a> {
    pub(super) fn read(value: AnyRef<'a>) -> der::Result<Self> {
        let [info, salt] = first(value)?;
        let [algorithm, digest] = first(info)?;
        let [algorithm] = first(algorithm)?;
        let rounds = parts(value)?.get(2).map_or(Ok(1), |rounds| rounds.decode_as())?;
        let algorithm = algorithm.decode_as()?;
        Ok(Self { algorithm, digest: digest.value(), salt: salt.value(), rounds })
    }

    /// Whether the password is right; `Err`: what is not understood.
    pub(super) fn fits(&self, password: &str, content: &[u8]) -> Result<bool, String> {
        let (algorithm, tag) = match self.algorithm {
            SHA1 => (&digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            SHA256 => (&digest::SHA256, hmac::HMAC_SHA256),
            SHA384 => (&digest::SHA384, hmac::HMAC_SHA384),
            SHA512 => (&digest::SHA512, hmac::HMAC_SHA512),
            other => return Err(format!("its digest {other}")),
        };
        if !(1..=MOST_ROUNDS).contains(&self.rounds) {
            return Err(format!("{} rounds of its digest", self.rounds));
        }
        let length = algorithm.output_len();
        let key = derive(algorithm, password, self.salt, self.rounds, Purpose::Mac, length);
        let key = hmac::Key::new(tag, &key);
        Ok(hmac::verify(&key, content, self.digest).is_ok())
    }
}

/// The digests that are written.
#[derive(Clone, Copy)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

/// `MacData` over `content`, by HMAC.
pub(super) fn made(
    content: &[u8],
    password: &str,
    salt: &[u8],
    rounds: u32,
    hash: Hash,
) -> der::Result<Vec<u8>> {
    let (name, hash, tag) = match hash {
        Hash::Sha1 => {
            (SHA1, &digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY)
        }
        Hash::Sha256 => (SHA256, &digest::SHA256, hmac::HMAC_SHA256),
    };
    let key = derive(hash, password, salt, rounds, Purpose::Mac, hash.output_len());
    let tag = hmac::sign(&hmac::Key::new(tag, &key), content);
    let algorithm = joined(Tag::Sequence, &[&name.to_der()?, &AnyRef::NULL.to_der()?])?;
    let digest = joined(Tag::OctetString, &[tag.as_ref()])?;
    let info = joined(Tag::Sequence, &[&algorithm, &digest])?;
    let salt = joined(Tag::OctetString, &[salt])?;
    joined(Tag::Sequence, &[&info, &salt, &rounds.to_der()?])
}
