//! PKCS#8 encrypted by PBES1 with the triple DES of PKCS#12 (RFC 7292 appendices B and C), as Java's
//! keytool and `openssl pkcs8 -v1 PBE-SHA1-3DES` write it. The other ciphers of that family are broken and
//! OpenSSL no longer opens them either.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY as SHA1, digest};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use pkcs8::ObjectIdentifier as Oid;
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{Decode, Reader, SliceReader};
use zeroize::Zeroizing;

const THREE_KEYS: Oid = Oid::new_unwrap("1.2.840.113549.1.12.1.3");
const TWO_KEYS: Oid = Oid::new_unwrap("1.2.840.113549.1.12.1.4");

/// SHA-1's block (`v`) and what it makes (`u`), in bytes.
const BLOCK: usize = 64;

/// What the derived bytes are for (RFC 7292 appendix B.3).
const FOR_KEY: u8 = 1;
const FOR_IV: u8 = 2;

/// Why an encrypted key cannot be read, of this or a later scheme.
pub(super) enum Problem {
    NotDer,
    Unsupported(String),
}

impl From<pkcs8::der::Error> for Problem {
    fn from(_: pkcs8::der::Error) -> Self {
        Self::NotDer
    }
}

pub(super) struct Sealed<'a> {
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
            if rounds == 0 || salt.as_bytes().is_empty() || !reader.is_finished() {
                return Err(Problem::NotDer);
            }
            Ok(Self { two_keys, salt: salt.as_bytes(), rounds, data })
        };
        Some(read())
    }

    /// `None` when the passphrase is wrong.
    pub(super) fn open(&self, passphrase: &str) -> Option<Zeroizing<Vec<u8>>> {
        let mut key = self.derive(passphrase, FOR_KEY, if self.two_keys { 16 } else { 24 });
        if self.two_keys {
            key.extend_from_within(..8);
        }
        let iv = self.derive(passphrase, FOR_IV, 8);
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

    fn derive(&self, passphrase: &str, purpose: u8, length: usize) -> Zeroizing<Vec<u8>> {
        // UTF-16 with the zero behind it (appendix B.1).
        let units = passphrase.encode_utf16().chain([0]).flat_map(u16::to_be_bytes);
        let passphrase = Zeroizing::new(units.collect::<Vec<u8>>());
        let filled = |bytes: &[u8]| {
            let length = bytes.len().div_ceil(BLOCK) * BLOCK;
            bytes.iter().copied().cycle().take(length).collect::<Vec<u8>>()
        };
        let mut input = Zeroizing::new(filled(self.salt));
        input.extend(Zeroizing::new(filled(&passphrase)).iter());
        let mut derived = Zeroizing::new(Vec::with_capacity(length + SHA1.output_len()));
        while derived.len() < length {
            let first = Zeroizing::new([&[purpose; BLOCK], input.as_slice()].concat());
            let mut round = digest(&SHA1, &first);
            for _ in 1..self.rounds {
                round = digest(&SHA1, round.as_ref());
            }
            derived.extend_from_slice(round.as_ref());
            let addend = filled(round.as_ref());
            input.chunks_exact_mut(BLOCK).for_each(|block| add_one_and(&addend, block));
        }
        derived.truncate(length);
        derived
    }
}

/// `block + addend + 1`, as numbers with the highest byte first; what does not fit is dropped.
fn add_one_and(addend: &[u8], block: &mut [u8]) {
    let mut carry = 1;
    for (byte, other) in block.iter_mut().zip(addend).rev() {
        let [low, high] = (u16::from(*byte) + u16::from(*other) + carry).to_le_bytes();
        *byte = low;
        carry = u16::from(high);
    }
}
