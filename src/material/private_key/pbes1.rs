//! PKCS#8 encrypted by PBES1 with the triple DES of PKCS#12 (RFC 7292 appendices B and C), as Java's
//! keytool and `openssl pkcs8 -v1 PBE-SHA1-3DES` write it. The other ciphers of that family are broken and
//! OpenSSL no longer opens them either.

use super::problem::Problem;
use crate::material::pkcs12_kdf::{self, Purpose};
use aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY as SHA1;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use pkcs8::ObjectIdentifier as Oid;
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{Decode, Reader, SliceReader};
use zeroize::Zeroizing;

const THREE_KEYS: Oid = Oid::new_unwrap("1.2.840.113549.1.12.1.3");
const TWO_KEYS: Oid = Oid::new_unwrap("1.2.840.113549.1.12.1.4");

pub(in crate::material) struct Sealed<'a> {
    two_keys: bool,
    salt: &'a [u8],
    rounds: u32,
    data: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// `None` when `algorithm` is not of this family.
    pub(super) fn parse(
        algorithm: Oid,
        parameters: Option<AnyRef<'a>>,
        data: &'a [u8],
    ) -> Option<Result<Self, Problem>> {
        let two_keys = match algorithm {
            THREE_KEYS => false,
            TWO_KEYS => true,
            _ => return None,
        };
        let read = || {
            let mut reader = SliceReader::new(parameters.ok_or(Problem::NotDer)?.value())?;
            let salt = <&OctetStringRef>::decode(&mut reader)?;
            let rounds = u32::decode(&mut reader)?;
            if !(1..=pkcs12_kdf::MOST_ROUNDS).contains(&rounds)
                || salt.as_bytes().is_empty()
                || !reader.is_finished()
            {
                return Err(Problem::NotDer);
            }
            Ok(Self { two_keys, salt: salt.as_bytes(), rounds, data })
        };
        Some(read())
    }

    /// `None` when the passphrase is wrong.
    pub(super) fn open(&self, passphrase: &str) -> Option<Zeroizing<Vec<u8>>> {
        let derive = |purpose, length| {
            pkcs12_kdf::derive(&SHA1, passphrase, self.salt, self.rounds, purpose, length)
        };
        let mut key = derive(Purpose::Key, if self.two_keys { 16 } else { 24 });
        if self.two_keys {
            key.extend_from_within(..8);
        }
        let iv = derive(Purpose::Iv, 8);
        let mut buffer = Zeroizing::new(self.data.to_vec());
        let length = cbc::Decryptor::<des::TdesEde3>::new_from_slices(&key, &iv)
            .ok()?
            .decrypt_padded::<Pkcs7>(&mut buffer)
            .ok()?
            .len();
        buffer.truncate(length);
        // A wrong key gives valid padding once in 256 tries, but no whole SEQUENCE.
        AnyRef::from_der(&buffer).ok()?;
        Some(buffer)
    }
}
