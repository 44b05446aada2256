//! Bodies that one program on a host can open, and nobody who recorded what it was given and what it said.
//!
//! Controller and host each make a P-256 key of one use. The shared secret is the passphrase of `openssl enc`, because
//! that is what hosts have. Whether a body is the right one its digest tells, as for every other.

use crate::model::Fingerprint;
use aws_lc_rs::agreement::{self, ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey};
use aws_lc_rs::pbkdf2;
use aws_lc_rs::rand::SystemRandom;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// What stands before the point of a P-256 key in DER.
const POINT_OF_P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// `sh/files/sealed.sh` says the same.
const ROUNDS: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");
const BLOCK: usize = 16;

/// The controller's half.
#[derive(Debug)]
pub(super) struct Sealing {
    private: EphemeralPrivateKey,
    public: Vec<u8>,
}

/// What both sides agreed on.
pub(super) struct Seal(Zeroizing<String>);

impl Sealing {
    /// A new one; `None` without randomness.
    pub(super) fn new() -> Option<Self> {
        let private = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).ok()?;
        let point = private.compute_public_key().ok()?;
        let public = [&POINT_OF_P256, point.as_ref()].concat();
        Some(Self { private, public })
    }

    /// The public key in PEM.
    pub(super) fn public(&self) -> String {
        let text = STANDARD.encode(&self.public);
        let (first, rest) = text.split_at(64);
        format!("-----BEGIN PUBLIC KEY-----\n{first}\n{rest}\n-----END PUBLIC KEY-----")
    }

    /// With the host's public key, in hex of DER; `None` when that is none.
    pub(super) fn agree(self, host: &str) -> Option<Seal> {
        let key = hex::decode(host).ok()?;
        let point = key.strip_prefix(&POINT_OF_P256)?;
        let peer = UnparsedPublicKey::new(&ECDH_P256, point);
        agreement::agree_ephemeral(self.private, peer, (), |secret| {
            Ok(Seal(Zeroizing::new(Fingerprint::of(secret).to_string())))
        })
        .ok()
    }
}

impl Seal {
    /// The bytes as `openssl enc` writes them.
    pub(super) fn seal(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let salt: [u8; 8] = rand::random();
        let mut key = Zeroizing::new([0; 32 + BLOCK]);
        let (hmac, passphrase) = (pbkdf2::PBKDF2_HMAC_SHA256, self.0.as_bytes());
        pbkdf2::derive(hmac, ROUNDS, &salt, passphrase, key.as_mut_slice());
        let (key, iv) = key.split_at(32);
        let mut buffer = Zeroizing::new(vec![0; bytes.len() + BLOCK]);
        buffer.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let sealed = cbc::Encryptor::<aes::Aes256>::new_from_slices(key, iv)
            .ok()?
            .encrypt_padded::<Pkcs7>(&mut buffer, bytes.len())
            .ok()?;
        Some([b"Salted__", &salt[..], sealed].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_than_one_on_p256_agrees_on_nothing() {
        let host = Sealing::new().unwrap();
        let public = hex::encode(&host.public);
        assert!(Sealing::new().unwrap().agree(&public).is_some());
        let off_the_curve = format!("{}00", &public[..public.len() - 2]);
        for odd in ["", "-", "zz", &public[2..], &public[..80], &off_the_curve] {
            assert!(Sealing::new().unwrap().agree(odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn the_same_bytes_are_never_sealed_alike() {
        let (one, other) = (Sealing::new().unwrap(), Sealing::new().unwrap());
        let seal = one.agree(&hex::encode(&other.public)).unwrap();
        let sealed = [seal.seal(b"key").unwrap(), seal.seal(b"key").unwrap()];
        assert_ne!(sealed[0], sealed[1]);
        assert_eq!(sealed[0].len(), 32);
    }
}
