//! Old encrypted PEM keys: `Proc-Type: 4,ENCRYPTED` with a `DEK-Info` line (RFC 1421 §4.6.1),
//! as OpenSSL wrote them before PKCS#8. The key is one or more rounds of MD5 over
//! passphrase and salt (`EVP_BytesToKey` with one iteration).

use crate::model::Secret;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use pkcs8::der::Decode;
use zeroize::Zeroizing;

#[derive(Clone, Copy)]
enum Cipher {
    Aes128,
    Aes192,
    Aes256,
    TripleDes,
}

pub(super) struct Encryption {
    cipher: Cipher,
    iv: Vec<u8>,
}

impl Encryption {
    /// `None` when the headers do not say that the block is encrypted; an unknown cipher is told
    /// by its name.
    pub(super) fn of(headers: &[(String, String)]) -> Option<Result<Self, String>> {
        let header = |wanted: &str| {
            headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
        };
        if !header("Proc-Type")?.ends_with("ENCRYPTED") {
            return None;
        }
        let info = header("DEK-Info").unwrap_or("");
        let (name, iv) = info.split_once(',').unwrap_or((info, ""));
        let cipher = match name.trim() {
            "AES-128-CBC" => Cipher::Aes128,
            "AES-192-CBC" => Cipher::Aes192,
            "AES-256-CBC" => Cipher::Aes256,
            "DES-EDE3-CBC" => Cipher::TripleDes,
            "" => return Some(Err("no DEK-Info line".into())),
            // Only what looks like a cipher's name is shown: with lost line ends a key's body stands here.
            other if is_cipher_name(other) => return Some(Err(other.to_owned())),
            _ => return Some(Err("a DEK-Info line that names no cipher".into())),
        };
        let expected = if matches!(cipher, Cipher::TripleDes) { 8 } else { 16 };
        Some(match hex::decode(iv.trim()) {
            Ok(iv) if iv.len() == expected => Ok(Self { cipher, iv }),
            _ => Err(format!("{} (bad initialisation vector)", name.trim())),
        })
    }

    /// `None` when the passphrase is wrong (the padding does not come out).
    pub(super) fn decrypt(
        &self,
        data: &[u8],
        passphrase: &Secret<String>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let passphrase = passphrase.expose().as_bytes();
        macro_rules! decrypt {
            ($cipher:ty, $length:literal) => {{
                let key = derive(passphrase, &self.iv[..8], $length);
                let mut buffer = Zeroizing::new(data.to_vec());
                let length = cbc::Decryptor::<$cipher>::new_from_slices(&key, &self.iv)
                    .ok()?
                    .decrypt_padded::<Pkcs7>(&mut buffer)
                    .ok()?
                    .len();
                buffer.truncate(length);
                // A wrong key gives valid padding once in 256 tries, but no whole SEQUENCE.
                pkcs8::der::asn1::AnyRef::from_der(&buffer).ok()?;
                Some(buffer)
            }};
        }
        match self.cipher {
            Cipher::Aes128 => decrypt!(aes::Aes128, 16),
            Cipher::Aes192 => decrypt!(aes::Aes192, 24),
            Cipher::Aes256 => decrypt!(aes::Aes256, 32),
            Cipher::TripleDes => decrypt!(des::TdesEde3, 24),
        }
    }
}

fn is_cipher_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 24 && text.bytes().all(plain)
}

fn derive(passphrase: &[u8], salt: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(length + 16));
    while key.len() < length {
        let last = key.len().saturating_sub(16);
        let mut input = Zeroizing::new(Vec::with_capacity(16 + passphrase.len() + salt.len()));
        input.extend_from_slice(&key[last..]);
        input.extend_from_slice(passphrase);
        input.extend_from_slice(salt);
        let digest = Zeroizing::new(md5::compute(&*input).0);
        key.extend_from_slice(&*digest);
    }
    key.truncate(length);
    key
}
