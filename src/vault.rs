//! Ansible Vault, formats 1.1 and 1.2: opens what `ansible-vault` encrypted.
//!
//! The format is that of Ansible's `parsing/vault/__init__.py`: a header line, then hex of
//! `hex(salt) LF hex(hmac) LF hex(ciphertext)`. PBKDF2-HMAC-SHA256 with 10 000 rounds makes 80
//! bytes: 32 for AES-256-CTR, 32 for HMAC-SHA256 over the ciphertext, 16 for the counter. The
//! plain text is padded as in PKCS#7.

use crate::model::Secret;
use aes::cipher::{KeyIvInit, StreamCipher};
use aws_lc_rs::{hmac, pbkdf2};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

const HEADER: &str = "$ANSIBLE_VAULT";
const ROUNDS: NonZeroU32 = NonZeroU32::new(10_000).expect("not zero");

/// Why a vault text could not be opened. Never holds content or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// No `$ANSIBLE_VAULT` header.
    #[error("not an Ansible Vault text (it does not begin with {HEADER})")]
    NotVault,
    /// A header with other fields.
    #[error("the vault header is malformed")]
    Header,
    /// Version other than 1.1 and 1.2.
    #[error("vault format '{0}' is not supported, only 1.1 and 1.2")]
    Version(String),
    /// Cipher other than AES256.
    #[error("vault cipher '{0}' is not supported, only AES256")]
    Cipher(String),
    /// The body is not hex, or not three parts of it.
    #[error("the vault text is damaged (it does not decode)")]
    Damaged,
    /// No secret was given.
    #[error("the text is encrypted with Ansible Vault and no vault secret was given")]
    NoSecret,
    /// None of the secrets opens it, or the text was changed.
    #[error("none of the vault secrets opens it")]
    WrongSecret,
    /// Decrypted, but not UTF-8 where text was asked for.
    #[error("the decrypted vault text is not UTF-8")]
    NotText,
}

impl VaultError {
    /// What the operator can do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NoSecret => Some("give one with --vault-password-file or --ask-vault-pass"),
            Self::WrongSecret => {
                Some("try it by hand: ansible-vault view --vault-password-file FILE PATH")
            }
            Self::Damaged | Self::Header => Some("encrypt the file again with ansible-vault"),
            Self::NotVault | Self::Version(_) | Self::Cipher(_) | Self::NotText => None,
        }
    }
}

/// The secrets of a run. All are tried on every text, whatever its label, as Ansible does; a
/// label only says which comes first.
#[derive(Clone, Debug, Default)]
pub struct Vault {
    secrets: Vec<(Option<String>, Secret<Vec<u8>>)>,
}

/// Whether the text begins with a vault header.
pub fn is_vault(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with(HEADER)
}

/// A vault secret as Ansible reads it from a password file or from a script's output: blanks and
/// line ends around it do not count.
pub fn secret_from_file(content: Secret<Vec<u8>>) -> Secret<Vec<u8>> {
    Secret::new(content.expose().trim_ascii().to_vec())
}

impl Vault {
    /// With secrets that have no label.
    pub fn new(secrets: Vec<Secret<Vec<u8>>>) -> Self {
        Self { secrets: secrets.into_iter().map(|secret| (None, secret)).collect() }
    }

    /// Adds a secret, with the label of `--vault-id LABEL@SOURCE`.
    pub fn add(&mut self, label: Option<String>, secret: Secret<Vec<u8>>) {
        self.secrets.push((label, secret));
    }

    /// Whether there is no secret at all.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Opens a whole file or an inline `!vault` value.
    ///
    /// # Errors
    /// Not a vault text, an unknown version or cipher, damage, or no secret that fits. The MAC is
    /// compared in constant time before anything is decrypted.
    pub fn decrypt(&self, text: &str) -> Result<Secret<Vec<u8>>, VaultError> {
        let sealed = Sealed::parse(text)?;
        if self.secrets.is_empty() {
            return Err(VaultError::NoSecret);
        }
        let matches = |label: &Option<String>| sealed.label.is_some() && *label == sealed.label;
        let first = self.secrets.iter().filter(|(label, _)| matches(label));
        let others = self.secrets.iter().filter(|(label, _)| !matches(label));
        first
            .chain(others)
            .find_map(|(_, secret)| sealed.open(secret))
            .ok_or(VaultError::WrongSecret)
    }

    /// [`decrypt`](Self::decrypt) for text.
    ///
    /// # Errors
    /// Also when the content is not UTF-8.
    pub fn decrypt_text(&self, text: &str) -> Result<Secret<String>, VaultError> {
        let bytes = self.decrypt(text)?;
        let text = std::str::from_utf8(bytes.expose()).map_err(|_| VaultError::NotText)?;
        Ok(Secret::new(text.to_owned()))
    }
}

/// A parsed vault text.
struct Sealed {
    label: Option<String>,
    salt: Vec<u8>,
    mac: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl Sealed {
    fn parse(text: &str) -> Result<Self, VaultError> {
        if !is_vault(text) {
            return Err(VaultError::NotVault);
        }
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let (header, body) = text.split_once('\n').unwrap_or((text, ""));
        let label = parse_header(header)?;
        // Blanks anywhere between the digits: indented YAML blocks and CRLF are accepted.
        let digits: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let inner = hex::decode(digits).map_err(|_| VaultError::Damaged)?;
        let mut parts = inner.splitn(3, |byte| *byte == b'\n').map(hex::decode);
        let mut next = || parts.next().and_then(Result::ok).ok_or(VaultError::Damaged);
        Ok(Self { label, salt: next()?, mac: next()?, ciphertext: next()? })
    }

    /// `None` when the secret does not fit.
    fn open(&self, secret: &Secret<Vec<u8>>) -> Option<Secret<Vec<u8>>> {
        let mut keys = Zeroizing::new([0; 80]);
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            ROUNDS,
            &self.salt,
            secret.expose(),
            keys.as_mut_slice(),
        );
        let (cipher_key, rest) = keys.split_at(32);
        let (mac_key, counter) = rest.split_at(32);
        let mac_key = hmac::Key::new(hmac::HMAC_SHA256, mac_key);
        hmac::verify(&mac_key, &self.ciphertext, &self.mac).ok()?;
        let mut plain = Zeroizing::new(self.ciphertext.clone());
        ctr::Ctr128BE::<aes::Aes256>::new_from_slices(cipher_key, counter)
            .ok()?
            .apply_keystream(&mut plain);
        let padding = usize::from(*plain.last()?);
        let length = plain.len().checked_sub(padding)?;
        let padded = (1..=16).contains(&padding)
            && plain[length..].iter().all(|byte| usize::from(*byte) == padding);
        plain.truncate(length);
        padded.then(|| Secret::new(std::mem::take(&mut *plain)))
    }
}

/// The label, if there is one.
fn parse_header(header: &str) -> Result<Option<String>, VaultError> {
    let shown = |text: &str| crate::model::text::printable(text.as_bytes(), 40);
    let fields: Vec<&str> = header.trim_end().split(';').map(str::trim).collect();
    let (version, cipher, label) = match fields[..] {
        [_, version, cipher] => (version, cipher, None),
        [_, version, cipher, label] => (version, cipher, Some(label.to_owned())),
        _ => return Err(VaultError::Header),
    };
    if !matches!(version, "1.1" | "1.2") {
        return Err(VaultError::Version(shown(version)));
    }
    if cipher != "AES256" {
        return Err(VaultError::Cipher(shown(cipher)));
    }
    Ok(label)
}
