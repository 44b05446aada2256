//! Encrypted PKCS#8 (RFC 5958 §3): PBES2 of RFC 8018 §6.2 with PBKDF2 or scrypt, and PBES1.
//!
//! PBKDF2 is read here rather than by the `pkcs8` crate, for the sake of keys made by OpenSSL before
//! 1.1, whose defaults (HMAC-SHA1, triple DES) the crate leaves out unless its features are
//! widened for everybody.

use super::pbes1;
use super::problem::Problem;
use crate::model::Secret;
use aws_lc_rs::pbkdf2;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use pkcs8::AlgorithmIdentifierRef;
use pkcs8::ObjectIdentifier as Oid;
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{Decode, Reader, SliceReader};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

const PBES2: Oid = Oid::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: Oid = Oid::new_unwrap("1.2.840.113549.1.5.12");
const SCRYPT: Oid = Oid::new_unwrap("1.3.6.1.4.1.11591.4.11");
const HMAC_SHA1: Oid = Oid::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA256: Oid = Oid::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA384: Oid = Oid::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA512: Oid = Oid::new_unwrap("1.2.840.113549.2.11");
const AES_128_CBC: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES_192_CBC: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.1.22");
const AES_256_CBC: Oid = Oid::new_unwrap("2.16.840.1.101.3.4.1.42");
const TRIPLE_DES_CBC: Oid = Oid::new_unwrap("1.2.840.113549.3.7");

/// A key whose encryption is understood.
pub(in crate::material) enum Sealed<'a> {
    Pbkdf2 {
        salt: &'a [u8],
        rounds: NonZeroU32,
        hmac: pbkdf2::Algorithm,
        cipher: Oid,
        iv: &'a [u8],
        data: &'a [u8],
    },
    Scrypt(pkcs8::EncryptedPrivateKeyInfoRef<'a>),
    Pbes1(pbes1::Sealed<'a>),
}

impl<'a> Sealed<'a> {
    pub(in crate::material) fn parse(der: &'a [u8]) -> Result<Self, Problem> {
        let (outer, data) = sequence(der, |reader| {
            Ok((AlgorithmIdentifierRef::decode(reader)?, <&OctetStringRef>::decode(reader)?))
        })?;
        if let Some(sealed) = pbes1::Sealed::parse(outer.oid, outer.parameters, data.as_bytes()) {
            return sealed.map(Self::Pbes1);
        }
        if outer.oid != PBES2 {
            return Err(Problem::Unsupported(format!("algorithm {}", outer.oid)));
        }
        let (derivation, encryption) = any_sequence(outer.parameters, |reader| {
            Ok((AlgorithmIdentifierRef::decode(reader)?, AlgorithmIdentifierRef::decode(reader)?))
        })?;
        match derivation.oid {
            PBKDF2 => Self::parse_pbkdf2(derivation, encryption, data.as_bytes()),
            SCRYPT => {
                let whole = pkcs8::EncryptedPrivateKeyInfoRef::from_der(der);
                let problem = |_| Problem::Unsupported(format!("scrypt with {}", encryption.oid));
                whole.map(Self::Scrypt).map_err(problem)
            }
            other => Err(Problem::Unsupported(format!("key derivation {other}"))),
        }
    }

    fn parse_pbkdf2(
        derivation: AlgorithmIdentifierRef<'a>,
        encryption: AlgorithmIdentifierRef<'a>,
        data: &'a [u8],
    ) -> Result<Self, Problem> {
        let (salt, rounds, prf) = any_sequence(derivation.parameters, |reader| {
            let salt = <&OctetStringRef>::decode(reader)?;
            let rounds = u32::decode(reader)?;
            let _length = Option::<u16>::decode(reader)?;
            Ok((salt, rounds, Option::<AlgorithmIdentifierRef<'_>>::decode(reader)?))
        })?;
        let hmac = match prf.map_or(HMAC_SHA1, |prf| prf.oid) {
            HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
            HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
            HMAC_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
            HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
            other => return Err(Problem::Unsupported(format!("PBKDF2 with {other}"))),
        };
        let cipher = encryption.oid;
        if ![AES_128_CBC, AES_192_CBC, AES_256_CBC, TRIPLE_DES_CBC].contains(&cipher) {
            return Err(Problem::Unsupported(format!("cipher {cipher}")));
        }
        let iv = encryption.parameters.ok_or(Problem::NotDer)?;
        let iv = <&OctetStringRef>::try_from(iv).map_err(|_| Problem::NotDer)?.as_bytes();
        let rounds = NonZeroU32::new(rounds).ok_or(Problem::NotDer)?;
        Ok(Self::Pbkdf2 { salt: salt.as_bytes(), rounds, hmac, cipher, iv, data })
    }

    /// `None` when the passphrase is wrong.
    pub(in crate::material) fn open(
        &self,
        passphrase: &Secret<String>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let text = passphrase.expose();
        let passphrase = text.as_bytes();
        let (salt, rounds, hmac, cipher, iv, data) = match self {
            Self::Pbes1(sealed) => return sealed.open(text),
            Self::Scrypt(info) => {
                let plain = info.decrypt(passphrase).ok()?;
                return Some(Zeroizing::new(plain.as_bytes().to_vec()));
            }
            Self::Pbkdf2 { salt, rounds, hmac, cipher, iv, data } => {
                (salt, rounds, hmac, cipher, iv, data)
            }
        };
        macro_rules! open {
            ($cipher:ty, $length:literal) => {{
                let mut key = Zeroizing::new([0; $length]);
                pbkdf2::derive(*hmac, *rounds, salt, passphrase, key.as_mut_slice());
                let mut buffer = Zeroizing::new(data.to_vec());
                let length = cbc::Decryptor::<$cipher>::new_from_slices(key.as_slice(), iv)
                    .ok()?
                    .decrypt_padded::<Pkcs7>(&mut buffer)
                    .ok()?
                    .len();
                buffer.truncate(length);
                // A wrong key gives valid padding once in 256 tries, but no whole SEQUENCE.
                AnyRef::from_der(&buffer).ok()?;
                Some(buffer)
            }};
        }
        match *cipher {
            AES_128_CBC => open!(aes::Aes128, 16),
            AES_192_CBC => open!(aes::Aes192, 24),
            AES_256_CBC => open!(aes::Aes256, 32),
            _ => open!(des::TdesEde3, 24),
        }
    }
}

fn sequence<'a, T>(
    der: &'a [u8],
    read: impl FnOnce(&mut SliceReader<'a>) -> pkcs8::der::Result<T>,
) -> Result<T, Problem> {
    Ok(SliceReader::new(der)?.sequence(read)?)
}

fn any_sequence<'a, T>(
    any: Option<AnyRef<'a>>,
    read: impl FnOnce(&mut SliceReader<'a>) -> pkcs8::der::Result<T>,
) -> Result<T, Problem> {
    let mut reader = SliceReader::new(any.ok_or(Problem::NotDer)?.value())?;
    Ok(read(&mut reader)?)
}
