//! Encryption by the triple DES of PKCS#12 (RFC 7292 appendices B and C), for readers that know nothing newer.

use super::asn1::joined;
use crate::material::pkcs12_kdf::{Purpose, derive};
use aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY as SHA1;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use pkcs8::ObjectIdentifier as Oid;
use pkcs8::der::{self, Encode, Tag};

const THREE_KEYS: Oid = Oid::new_unwrap("1.2.840.113549.1.12.1.3");

/// The algorithm with its parameters, and what it made of `plain`.
pub(super) fn seal(
    password: &str,
    salt: &[u8],
    rounds: u32,
    plain: &[u8],
) -> der::Result<(Vec<u8>, Vec<u8>)> {
    let derive = |purpose, length| derive(&SHA1, password, salt, rounds, purpose, length);
    let (key, iv) = (derive(Purpose::Key, 24), derive(Purpose::Iv, 8));
    let cipher = cbc::Encryptor::<des::TdesEde3>::new_from_slices(&key, &iv);
    let cipher = cipher.map_err(|_| der::Error::from(der::ErrorKind::Failed))?;
    let mut sealed = vec![0; (plain.len() / 8 + 1) * 8];
    let length = cipher.encrypt_padded_b2b::<Pkcs7>(plain, &mut sealed);
    let length = length.map_err(|_| der::Error::from(der::ErrorKind::Failed))?.len();
    sealed.truncate(length);
    let salt = joined(Tag::OctetString, &[salt])?;
    let parameters = joined(Tag::Sequence, &[&salt, &rounds.to_der()?])?;
    let algorithm = joined(Tag::Sequence, &[&THREE_KEYS.to_der()?, &parameters])?;
    Ok((algorithm, sealed))
}
