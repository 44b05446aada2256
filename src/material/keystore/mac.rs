//! The digest over a keystore's content, which tells whether the password is right (RFC 7292 §4, appendix B).

use crate::material::pkcs12_kdf::{Purpose, derive};
use aws_lc_rs::{digest, hmac};
use pkcs8::ObjectIdentifier as Oid;
use pkcs8::der::asn1::OctetString;
use pkcs12::MacData;
use pkcs12::cms::cert::x509::spki::AlgorithmIdentifierOwned;

const SHA1: Oid = Oid::new_unwrap("1.3.14.3.2.26");
const SHA256: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.2.3");

/// More rounds than any tool writes, and fewer than would look like a hang.
const MOST_ROUNDS: u32 = 10_000_000;

/// Whether the password is right; `Err`: what is not understood.
pub(super) fn verify(mac: &MacData, password: &str, content: &[u8]) -> Result<bool, String> {
    let (algorithm, tag) = match mac.mac.algorithm.oid {
        SHA1 => (&digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        SHA256 => (&digest::SHA256, hmac::HMAC_SHA256),
        SHA384 => (&digest::SHA384, hmac::HMAC_SHA384),
        SHA512 => (&digest::SHA512, hmac::HMAC_SHA512),
        other => return Err(format!("its digest {other}")),
    };
    let rounds =
        u32::try_from(mac.iterations).ok().filter(|rounds| (1..=MOST_ROUNDS).contains(rounds));
    let rounds = rounds.ok_or_else(|| format!("{} rounds of its digest", mac.iterations))?;
    let salt = mac.mac_salt.as_bytes();
    let key = derive(algorithm, password, salt, rounds, Purpose::Mac, algorithm.output_len());
    let key = hmac::Key::new(tag, &key);
    Ok(hmac::verify(&key, content, mac.mac.digest.as_bytes()).is_ok())
}

/// The digest of `content`, by HMAC with SHA-256.
pub(super) fn made(
    content: &[u8],
    password: &str,
    salt: &[u8],
    rounds: u32,
) -> pkcs8::der::Result<MacData> {
    let key = derive(&digest::SHA256, password, salt, rounds, Purpose::Mac, 32);
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), content);
    Ok(MacData {
        mac: pkcs12::DigestInfo {
            algorithm: AlgorithmIdentifierOwned { oid: SHA256, parameters: None },
            digest: OctetString::new(tag.as_ref())?,
        },
        mac_salt: OctetString::new(salt)?,
        iterations: i32::try_from(rounds).unwrap_or(i32::MAX),
    })
}
