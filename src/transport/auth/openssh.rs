//! OpenSSH's own format of private keys (`PROTOCOL.key` in its source): opens what OpenSSH writes and the library that
//! reads it refuses.
//!
//! OpenSSH writes the number of an ECDSA key without leading zeros, the library wants 32 bytes at least: of the keys for
//! P-256, one in 512 would be none (`findings/ssh-key-short-p256.sh` tells when that is mended). And PuTTYgen pads an
//! encrypted key that needs none with a whole block. Every encrypted key is opened here, as the library leaves no room
//! between decrypting a key and reading it.

use russh::keys::PrivateKey;
use russh::keys::ssh_encoding::{self, Encode};
use russh::keys::ssh_key::Error;
use zeroize::Zeroizing;

const MAGIC: &[u8] = b"openssh-key-v1\0";

/// What lengths are multiples of in a file that is not encrypted.
const BLOCK: usize = 8;
/// More than a block of any cipher is no padding.
const LONGEST_PADDING: usize = 16;

/// Reads a key, which may be encrypted.
pub(super) fn read(bytes: &[u8]) -> Result<PrivateKey, Error> {
    let plain = |file: File<'_>| file.is_plain.then(|| padded(file.section)).flatten();
    match File::split(bytes).and_then(|file| Some((file.public, plain(file)?))) {
        Some((public, section)) => PrivateKey::from_bytes(&assemble(public, &section)?),
        None => PrivateKey::from_bytes(bytes),
    }
}

/// Opens the encrypted `key` of the file `bytes`. A wrong passphrase is [`Error::Crypto`].
pub(super) fn decrypt(
    key: &PrivateKey,
    bytes: &[u8],
    passphrase: &[u8],
) -> Result<PrivateKey, Error> {
    let cipher = key.cipher();
    let sealed = key.key_data().encrypted().ok_or(Error::Decrypted)?;
    // The library has seen that nothing but the tag stands behind the section.
    let tag = bytes.last_chunk::<16>().filter(|_| cipher.has_tag()).copied();
    let (secret, start) = key.kdf().derive_key_and_iv(cipher, passphrase)?;
    let mut section = Zeroizing::new(sealed.to_vec());
    // Every cipher is compiled in, and the library has looked at the lengths.
    cipher
        .decrypt(&secret, &start, &mut section, tag.map(Into::into))
        .map_err(|_| Error::Crypto)?;
    // A number, twice the same.
    match section.first_chunk::<8>() {
        Some(check) if check[..4] == check[4..] => {}
        _ => return Err(Error::Crypto),
    }
    let mut public = Vec::new();
    key.public_key().key_data().encode(&mut public)?;
    read(&assemble(&public, &section)?)
}

/// What `bytes` say of their kind of key.
pub(super) fn kind(bytes: &[u8]) -> Option<&[u8]> {
    string(&mut File::split(bytes)?.public)
}

/// The parts of a file with one key.
struct File<'a> {
    /// Not encrypted, with one key, and nothing behind it.
    is_plain: bool,
    public: &'a [u8],
    section: &'a [u8],
}

impl<'a> File<'a> {
    fn split(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(MAGIC)?;
        let (cipher, derivation) = (string(&mut rest)?, string(&mut rest)?);
        let (options, keys) = (string(&mut rest)?, rest.split_off(..4)?);
        let public = string(&mut rest)?;
        let section = string(&mut rest).unwrap_or_default();
        let is_plain = [cipher, derivation] == [b"none"; 2]
            && options.is_empty()
            && keys == 1_u32.to_be_bytes()
            && rest.is_empty();
        Some(Self { is_plain, public, section })
    }
}

/// A file that is not encrypted.
fn assemble(public: &[u8], section: &[u8]) -> Result<Zeroizing<Vec<u8>>, ssh_encoding::Error> {
    // All at once: a vector that grows leaves what it held behind.
    let mut file =
        Zeroizing::new(Vec::with_capacity(MAGIC.len() + 64 + public.len() + section.len()));
    file.extend(MAGIC);
    for text in ["none", "none", ""] {
        text.encode(&mut *file)?;
    }
    1_u32.encode(&mut *file)?;
    public.encode(&mut *file)?;
    section.encode(&mut *file)?;
    Ok(file)
}

/// The section with its ECDSA number as long as the curve's, if it is a shorter one.
fn padded(section: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut rest = section;
    let _check = rest.split_off(..8)?;
    let size: usize = match string(&mut rest)? {
        b"ecdsa-sha2-nistp256" => 32,
        b"ecdsa-sha2-nistp384" => 48,
        b"ecdsa-sha2-nistp521" => 66,
        _ => return None,
    };
    let _curve_and_point = (string(&mut rest)?, string(&mut rest)?);
    let (before, _) = section.split_at(section.len() - rest.len());
    let number = string(&mut rest)?;
    let comment = string(&mut rest)?;
    let is_padded = section.len().is_multiple_of(BLOCK)
        && rest.len() <= LONGEST_PADDING
        && rest.iter().copied().eq((1..).take(rest.len()));
    // A number whose first bit is set would be a negative one.
    let is_short = number.len() < size && number.first().is_some_and(|byte| *byte < 0x80);
    if !is_padded || !is_short {
        return None;
    }
    let length = before.len() + 4 + size + 4 + comment.len();
    let mut wide = Zeroizing::new(Vec::with_capacity(length.next_multiple_of(BLOCK)));
    wide.extend(before);
    u32::try_from(size).ok()?.encode(&mut *wide).ok()?;
    wide.extend(std::iter::repeat_n(0, size - number.len()));
    wide.extend(number);
    comment.encode(&mut *wide).ok()?;
    wide.extend((1_u8..).take(length.next_multiple_of(BLOCK) - length));
    Some(wide)
}

/// Takes bytes with their length in front of them.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (taken, left) = after.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::key::safe_rng;
    use russh::keys::ssh_key::{Cipher, Kdf, KdfAlg};

    const CURVES: [(&str, usize); 3] = [("nistp256", 32), ("nistp384", 48), ("nistp521", 66)];

    /// The public part of a key, whose point nobody checks here, and its section.
    fn parts(curve: &str, size: usize, number: &[u8], padding: usize) -> (Vec<u8>, Vec<u8>) {
        let mut public = Vec::new();
        format!("ecdsa-sha2-{curve}").encode(&mut public).unwrap();
        curve.encode(&mut public).unwrap();
        [&[4][..], &vec![7; 2 * size]].concat().encode(&mut public).unwrap();
        let mut section = [&[9; 8][..], &public].concat();
        number.encode(&mut section).unwrap();
        "me".encode(&mut section).unwrap();
        let full = section.len().next_multiple_of(BLOCK.max(padding));
        let full = if full == section.len() { full + padding } else { full };
        section.extend((1..).take(full - section.len()));
        (public, section)
    }

    fn number(key: &PrivateKey) -> &[u8] {
        key.key_data().ecdsa().unwrap().private_key_bytes()
    }

    #[test]
    fn short_numbers_are_padded() {
        for (curve, size) in CURVES {
            for missing in [0, 1, 2, 17, size - 1] {
                let short = vec![0x55; size - missing];
                let (public, section) = parts(curve, size, &short, 0);
                let key = read(&assemble(&public, &section).unwrap()).unwrap();
                let whole = [vec![0; missing], short].concat();
                assert_eq!(number(&key), whole, "{curve} without {missing}");
                assert_eq!(key.comment().as_bytes(), b"me");
            }
        }
    }

    #[test]
    fn what_is_no_such_number_is_refused() {
        let (negative, nothing) = ([0x80; 31], []);
        for number in [&negative[..], &nothing] {
            let (public, section) = parts("nistp256", 32, number, 0);
            read(&assemble(&public, &section).unwrap()).unwrap_err();
        }
        let (public, section) = parts("nistp256", 32, &[0x55; 31], 0);
        for end in 0..section.len() {
            read(&assemble(&public, &section[..end]).unwrap()).unwrap_err();
        }
        let (last, other) = (section.len() - 1, [section.clone(), vec![1; 8]].concat());
        read(&assemble(&public, &other).unwrap()).unwrap_err();
        let wrong = [&section[..last], &[0]].concat();
        read(&assemble(&public, &wrong).unwrap()).unwrap_err();
        let file = assemble(&public, &section).unwrap();
        for end in 0..file.len() {
            read(&file[..end]).unwrap_err();
        }
        read(&[&file[..], &[0]].concat()).unwrap_err();
        let mut two_keys = file.to_vec();
        two_keys[MAGIC.len() + 23] = 2;
        read(&two_keys).unwrap_err();
    }

    #[test]
    fn an_encrypted_key_that_is_broken_is_not_taken_for_a_wrong_passphrase() {
        let (_, section) = parts("nistp256", 32, &[0x55; 31], 16);
        let mut other_point = section.clone();
        other_point[8 + 4 + 19 + 4 + 8 + 4 + 1] ^= 1;
        let mut other_padding = section;
        *other_padding.last_mut().unwrap() ^= 1;
        for section in [other_point, other_padding] {
            let file = sealed("nistp256", 32, &section, Cipher::Aes256Ctr);
            let error = decrypt(&read(&file).unwrap(), &file, b"right").unwrap_err();
            assert!(!matches!(error, Error::Crypto), "{error}");
        }
    }

    #[test]
    fn encrypted_keys_are_padded_too() {
        for cipher in [Cipher::Aes256Ctr, Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305] {
            for (curve, size) in CURVES {
                let short = vec![0x55; size - 1];
                let (_, section) = parts(curve, size, &short, 16);
                let file = sealed(curve, size, &section, cipher);
                let key = read(&file).unwrap();
                let opened = decrypt(&key, &file, b"right").unwrap();
                assert_eq!(number(&opened), [&[0][..], &short].concat(), "{cipher:?} {curve}");
                assert!(matches!(decrypt(&key, &file, b"wrong"), Err(Error::Crypto)), "{cipher:?}");
                assert!(matches!(decrypt(&key, &file, b""), Err(Error::Crypto)), "{cipher:?}");
            }
        }
    }

    /// As PuTTYgen does.
    #[test]
    fn a_whole_block_of_padding_is_taken() {
        let whole = (0..16).map(|more| [&[0x55; 32][..], &vec![b'x'; more]].concat());
        let sections = whole.map(|text| {
            let (public, mut section) = parts("nistp256", 32, &text[..32], 0);
            section.truncate(8 + public.len() + 4 + 32);
            text[32..].encode(&mut section).unwrap();
            section
        });
        let mut section = sections.into_iter().find(|section| section.len() % 16 == 0).unwrap();
        section.extend(1..=16);
        let file = sealed("nistp256", 32, &section, Cipher::Aes256Ctr);
        let opened = decrypt(&read(&file).unwrap(), &file, b"right").unwrap();
        assert_eq!(number(&opened), [0x55; 32]);
    }

    /// A file whose section is encrypted.
    fn sealed(curve: &str, size: usize, section: &[u8], cipher: Cipher) -> Vec<u8> {
        let (public, _) = parts(curve, size, &[1], 0);
        let derivation = Kdf::new(KdfAlg::Bcrypt, &mut safe_rng()).unwrap();
        let (secret, start) = derivation.derive_key_and_iv(cipher, "right").unwrap();
        let mut section = section.to_vec();
        let tag = cipher.encrypt(&secret, &start, &mut section).unwrap();
        let mut file = MAGIC.to_vec();
        cipher.as_str().encode(&mut file).unwrap();
        derivation.encode(&mut file).unwrap();
        1_u32.encode(&mut file).unwrap();
        public.encode(&mut file).unwrap();
        section.encode(&mut file).unwrap();
        file.extend(tag.into_iter().flatten());
        file
    }
}
