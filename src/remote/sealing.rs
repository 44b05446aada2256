//! Bodies that one program on a host can open, and nobody who recorded what it was given and what it said.
//!
//! Controller and host each make a P-256 key of one use. The shared secret is the passphrase of `openssl enc`, because
//! that is what hosts have. Whether a body is the right one its digest tells, as for every other.

use super::conversation::{BadReply, Reply};
use super::encode::{body, encode};
use crate::model::Fingerprint;
use aws_lc_rs::agreement::{self, ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey};
use aws_lc_rs::pbkdf2;
use aws_lc_rs::rand::SystemRandom;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// What stands before the point of a P-256 key in DER.
const POINT_OF_P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// `sh/core/sealing.sh` says the same.
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

    /// What `openssl enc` wrote, opened; `None` when it is not for us.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (salt, sealed) = sealed.strip_prefix(b"Salted__")?.split_at_checked(8)?;
        let mut key = Zeroizing::new([0; 32 + BLOCK]);
        let (hmac, passphrase) = (pbkdf2::PBKDF2_HMAC_SHA256, self.0.as_bytes());
        pbkdf2::derive(hmac, ROUNDS, salt, passphrase, key.as_mut_slice());
        let (key, iv) = key.split_at(32);
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let cipher = cbc::Decryptor::<aes::Aes256>::new_from_slices(key, iv).ok()?;
        let length = cipher.decrypt_padded::<Pkcs7>(&mut buffer).ok()?.len();
        buffer.truncate(length);
        Some(buffer)
    }
}

/// What a host is sent that asks for the body of a command or a module: sealed where it told its half.
pub(super) fn answer(asked: &Reply, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, BadReply> {
    let mut lines = Zeroizing::new(Vec::with_capacity(bytes.len() * 3 / 2 + 80));
    match asked.find("key") {
        None | Some("") => body(bytes, &mut lines),
        Some(half) => {
            let bad = || BadReply::new("no key to seal the input for");
            let own = Sealing::new().ok_or_else(bad)?;
            let public = encode(own.public().as_bytes());
            let sealed = own.agree(half).and_then(|seal| seal.seal(bytes)).ok_or_else(bad)?;
            lines.extend_from_slice(public.as_bytes());
            lines.push(b'\n');
            body(&sealed, &mut lines);
        }
    }
    Ok(lines)
}

/// Why a host does not take the body of a command or a module.
pub(super) const INPUT_RECORDED: &str = "input_recorded";

/// The same for people: what would be recorded is `what`.
pub(super) fn recorded(what: &str) -> String {
    format!(
        "sudo records its input here (log_input or log_stdin), so {what} would be in its log: the host has no openssl \
         (1.1.1 or later) to open it sealed. Install that, switch the log off for this login in sudoers, log in as root, \
         or say `allow_input_log: true` in the task"
    )
}

/// Why a host does not tell a secret file's content.
pub(super) const OUTPUT_RECORDED: &str = "output_recorded";

/// The same for people.
pub(super) const OUTPUT_RECORDED_WORDS: &str = "sudo records what is said here (log_output or log_stdout), so the file would be in its log: the host has no \
     openssl (1.1.1 or later) to seal it. Install that, switch the log off for this login in sudoers, or log in as who may read it";

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
        assert_eq!(seal.open(&sealed[0]).unwrap().as_slice(), b"key");
        assert!(seal.open(&sealed[0][..24]).is_none() && seal.open(b"key").is_none());
    }
}
