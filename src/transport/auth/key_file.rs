//! Private keys, public keys and user certificates in files, read as OpenSSH reads them: bytes in any
//! encoding, with whatever stands around the one block or line that counts.

use super::openssh;
use crate::material::{self, MaterialError};
use crate::model::Secret;
use crate::model::text::printable;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::keys::key::parse_public_key;
use russh::keys::ssh_key;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Certificate, PrivateKey, PublicKey, decode_secret_key};
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

/// Larger files are no keys.
const SIZE_LIMIT: u64 = 1 << 20;

/// The label of OpenSSH's own format.
const OPENSSH: &str = "OPENSSH PRIVATE KEY";

/// What a path to an identity leads to.
#[derive(Debug)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    pub(super) private: Result<Arc<PrivateKey>, Fault>,
    /// The public half, known even of a key that could not be opened. Decides which of the agent's
    /// keys belong to this file.
    pub(super) public: Option<PublicKey>,
    /// The file itself, or `PATH-cert.pub`.
    pub(super) certificate: Option<Arc<Certificate>>,
}

/// Why a key cannot be used from its file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("no such file")]
    Missing,
    #[error("encrypted, and no passphrase was given: load it into an agent or give its passphrase")]
    Encrypted,
    #[error("wrong passphrase")]
    WrongPassphrase,
    #[error("its mode {0:04o} lets others read it: chmod 600")]
    OpenToOthers(u32),
    #[error("it works with its security key only: load it into an agent, with ssh-add")]
    NeedsDevice,
    #[error("{0}")]
    Unreadable(String),
}

/// Opened key files: each is read, and its passphrase worked through, once for all hosts.
#[derive(Debug, Default)]
pub(in crate::transport) struct KeyFiles(Mutex<HashMap<Slot, Arc<OnceCell<Arc<KeyFile>>>>>);

/// A file, and the digest of the passphrase that it is opened with.
type Slot = (PathBuf, Option<[u8; 32]>);

impl KeyFiles {
    pub(super) async fn load(
        &self,
        path: &Path,
        passphrase: Option<&Secret<String>>,
    ) -> Arc<KeyFile> {
        let digest = passphrase.map(|text| {
            let digest =
                aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.expose().as_bytes());
            let mut bytes = [0; 32];
            bytes.copy_from_slice(digest.as_ref());
            bytes
        });
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            cells.entry((path.to_owned(), digest)).or_default().clone()
        };
        let read = || async {
            let (path, passphrase) = (path.to_owned(), passphrase.cloned());
            let name = path.clone();
            // A passphrase costs a tenth of a second of computing on purpose.
            let read = tokio::task::spawn_blocking(move || read(path, passphrase.as_ref()));
            Arc::new(read.await.unwrap_or_else(|error| KeyFile {
                path: name,
                private: Err(Fault::Unreadable(error.to_string())),
                public: None,
                certificate: None,
            }))
        };
        cell.get_or_init(read).await.clone()
    }
}

fn read(path: PathBuf, passphrase: Option<&Secret<String>>) -> KeyFile {
    let text = read_private(&path);
    let beside = |suffix: &str| {
        let mut name = path.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    let private = match &text {
        Ok(text) => open(text.expose(), passphrase).map(Arc::new),
        Err(fault) => Err(fault.clone()),
    };
    let itself = text.as_ref().ok().and_then(|text| certificate_in(text.expose()));
    let public = match (&private, &itself) {
        (Ok(key), _) => Some(key.public_key().clone()),
        (Err(_), Some(certificate)) => Some(certificate.public_key().clone().into()),
        (Err(_), None) => None
            // OpenSSH's own format tells the public half without the passphrase; and the file may
            // be a public key itself, to pick one of the agent's.
            .or_else(|| public_half(text.as_ref().ok()?.expose()))
            .or_else(|| public_in(text.as_ref().ok()?.expose()))
            .or_else(|| public_in(&read_public(&beside(".pub"))?)),
    };
    let certificate = itself.or_else(|| certificate_in(&read_public(&beside("-cert.pub"))?));
    KeyFile { path, private, public, certificate: certificate.map(Arc::new) }
}

/// Reads the user certificate in `path` (or in `path.pub`, as OpenSSH does), if it is one.
pub(super) fn read_certificate(path: &Path) -> Option<Certificate> {
    let mut public = path.to_owned().into_os_string();
    public.push(".pub");
    certificate_in(&read_public(path)?)
        .or_else(|| certificate_in(&read_public(Path::new(&public))?))
}

fn read_public(path: &Path) -> Option<Vec<u8>> {
    let about = std::fs::metadata(path).ok()?;
    if !about.is_file() || about.len() > SIZE_LIMIT {
        return None;
    }
    std::fs::read(path).ok()
}

fn public_in(text: &[u8]) -> Option<PublicKey> {
    public_blobs(text).find_map(|(kind, blob)| {
        parse_public_key(&blob).ok().filter(|key| key.algorithm().as_str() == kind)
    })
}

fn certificate_in(text: &[u8]) -> Option<Certificate> {
    public_blobs(text)
        .filter(|(kind, _)| is_certificate(kind))
        .find_map(|(_, blob)| certificate_from(&blob))
}

/// Whether a kind of key is that of a certificate (`PROTOCOL.certkeys` in OpenSSH's source).
pub(super) fn is_certificate(kind: &str) -> bool {
    kind.ends_with("-cert-v01@openssh.com")
}

/// Reads a certificate's bytes. One whose authority is a certificate in turn is none, as in OpenSSH.
pub(super) fn certificate_from(blob: &[u8]) -> Option<Certificate> {
    let mark = b"-cert-v01@";
    let levels = blob.windows(mark.len()).filter(|window| window == mark).count();
    if levels == 1 { Certificate::from_bytes(blob).ok() } else { None }
}

/// `KIND BASE64 comment` of each line that has such a form: the kind and the key's bytes.
fn public_blobs(text: &[u8]) -> impl Iterator<Item = (&str, Vec<u8>)> {
    text.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let kind = str::from_utf8(words.next()?).ok()?;
        Some((kind, STANDARD.decode(words.next()?).ok()?))
    })
}

fn read_private(path: &Path) -> Result<Secret<Vec<u8>>, Fault> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Fault::Missing,
        _ => Fault::Unreadable(error.to_string()),
    };
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() || about.len() > SIZE_LIMIT {
        return Err(Fault::Unreadable("not a key file".into()));
    }
    let text = Secret::new(std::fs::read(path).map_err(unreadable)?);
    // As OpenSSH: only of the user's own files, since another owner's are not theirs to mend.
    let is_private = Block::first(text.expose()).is_some();
    if is_private && about.mode() & 0o077 != 0 && is_own(about.uid()) {
        return Err(Fault::OpenToOthers(about.mode() & 0o7777));
    }
    Ok(text)
}

fn is_own(owner: u32) -> bool {
    std::fs::metadata("/proc/self").map_or(true, |own| own.uid() == owner)
}

/// The first private key of a text: its label, the lines between, and all of it. What stands before
/// and behind is nobody's business.
struct Block<'a> {
    label: &'a str,
    body: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Block<'a> {
    fn first(text: &'a [u8]) -> Option<Self> {
        let mut start = 0;
        let mut open: Option<(&str, usize, usize)> = None;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let end = start + line.len();
            let trimmed = line.trim_ascii();
            match open {
                None => {
                    if let Some(label) = label(trimmed, b"-----BEGIN ") {
                        open = Some((label, start, end));
                    }
                }
                Some((begun, from, body)) => {
                    if label(trimmed, b"-----END ") == Some(begun) {
                        let (whole, body) = (&text[from..end], &text[body..start]);
                        return Some(Self { label: begun, body, whole });
                    }
                }
            }
            start = end;
        }
        // The end is missing: whoever reads it will say so.
        open.map(|(label, from, body)| Self { label, body: &text[body..], whole: &text[from..] })
    }

    /// The bytes of OpenSSH's own format, whose lines may be of any length.
    fn openssh_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        if self.label != OPENSSH {
            return None;
        }
        let mut text = Zeroizing::new(Vec::with_capacity(self.body.len()));
        text.extend(self.body.iter().filter(|byte| !byte.is_ascii_whitespace()));
        STANDARD.decode(&*text).ok().map(Zeroizing::new)
    }
}

fn label<'a>(line: &'a [u8], mark: &[u8]) -> Option<&'a str> {
    let label = line.strip_prefix(mark)?.strip_suffix(b"-----")?;
    str::from_utf8(label).ok().filter(|label| label.ends_with("PRIVATE KEY"))
}

fn public_half(text: &[u8]) -> Option<PublicKey> {
    let bytes = Block::first(text)?.openssh_bytes()?;
    Some(openssh::read(&bytes).ok()?.public_key().clone())
}

fn open(text: &[u8], passphrase: Option<&Secret<String>>) -> Result<PrivateKey, Fault> {
    let block = Block::first(text).ok_or_else(|| Fault::Unreadable("not a private key".into()))?;
    let key = if block.label == OPENSSH {
        open_openssh(&block, passphrase)?
    } else {
        open_pem(&block, passphrase)?
    };
    match key.key_data() {
        KeypairData::SkEd25519(_) | KeypairData::SkEcdsaSha2NistP256(_) => Err(Fault::NeedsDevice),
        _ => Ok(key),
    }
}

fn open_openssh(
    block: &Block<'_>,
    passphrase: Option<&Secret<String>>,
) -> Result<PrivateKey, Fault> {
    let bytes = block
        .openssh_bytes()
        .ok_or_else(|| Fault::Unreadable("not a usable private key (not base64)".into()))?;
    let unusable = |error: ssh_key::Error| match openssh::kind(&bytes) {
        Some(kind) => {
            let kind = printable(kind, 64);
            Fault::Unreadable(format!("not a usable private key of kind {kind} ({error})"))
        }
        None => unreadable(&error),
    };
    let key = openssh::read(&bytes).map_err(unusable)?;
    if !key.is_encrypted() {
        return Ok(key);
    }
    let passphrase = passphrase.ok_or(Fault::Encrypted)?.expose().as_bytes();
    openssh::decrypt(&key, &bytes, passphrase).map_err(|error| match error {
        ssh_key::Error::Crypto => Fault::WrongPassphrase,
        other => unusable(other),
    })
}

/// PKCS#8, PKCS#1 and SEC 1 are opened where certificates' keys are.
fn open_pem(block: &Block<'_>, passphrase: Option<&Secret<String>>) -> Result<PrivateKey, Fault> {
    let file = Secret::new(block.whole.to_vec());
    let opened =
        material::PrivateKey::from_pem(&file, passphrase).map_err(|error| match error {
            MaterialError::KeyEncrypted => Fault::Encrypted,
            MaterialError::WrongPassphrase => Fault::WrongPassphrase,
            MaterialError::UnsupportedEncryption(what) => Fault::Unreadable(format!(
                "its encryption, {what}, is not supported: rewrite it with ssh-keygen -p"
            )),
            other => unreadable(&other),
        })?;
    let text = str::from_utf8(opened.pem().expose()).map_err(|error| unreadable(&error))?;
    decode_secret_key(text, None).map_err(|error| unreadable(&error))
}

/// The libraries' texts name formats and fields, never contents.
fn unreadable(error: &dyn std::fmt::Display) -> Fault {
    Fault::Unreadable(format!("not a usable private key ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::Algorithm;
    use russh::keys::ssh_key::LineEnding;
    use std::os::unix::fs::PermissionsExt;

    fn write(dir: &Path, name: &str, text: &[u8], mode: u32) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn key() -> PrivateKey {
        PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap()
    }

    #[test]
    fn no_passphrase_and_a_wrong_one_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let plain = key();
        let locked = plain.encrypt(&mut russh::keys::key::safe_rng(), "right").unwrap();
        let text = locked.to_openssh(LineEnding::LF).unwrap();
        let path = write(dir.path(), "id", text.as_bytes(), 0o600);
        let open = |passphrase: Option<&str>| {
            read(path.clone(), passphrase.map(|text| text.to_owned().into()).as_ref())
        };
        assert_eq!(open(None).private.unwrap_err(), Fault::Encrypted);
        assert_eq!(open(Some("wrong")).private.unwrap_err(), Fault::WrongPassphrase);
        assert_eq!(open(Some("right")).private.unwrap().public_key(), plain.public_key());
        assert_eq!(
            open(None).public.unwrap().key_data(),
            plain.public_key().key_data(),
            "the public half needs no passphrase"
        );
    }

    #[test]
    fn what_is_no_key_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let text = key().to_openssh(LineEnding::LF).unwrap();
        let fault = |path: PathBuf| read(path, None).private.unwrap_err();
        assert_eq!(fault(dir.path().join("none")), Fault::Missing);
        let open = write(dir.path(), "open", text.as_bytes(), 0o640);
        assert_eq!(fault(open), Fault::OpenToOthers(0o640));
        let garbage = write(dir.path(), "garbage", b"hello", 0o600);
        assert_eq!(fault(garbage), Fault::Unreadable("not a private key".into()));
        assert!(matches!(fault(dir.path().to_owned()), Fault::Unreadable(_)));
        let cut = write(dir.path(), "cut", text[..120].as_bytes(), 0o600);
        assert!(matches!(fault(cut), Fault::Unreadable(_)));
    }

    #[test]
    fn what_stands_around_a_key_does_not_matter() {
        let key = key();
        let text = key.to_openssh(LineEnding::LF).unwrap();
        let one_line: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let one_line = format!("-----BEGIN {OPENSSH}-----\n{one_line}\n-----END {OPENSSH}-----");
        for (what, bytes) in [
            ("a blank line", [text.as_bytes(), b"\n"].concat()),
            ("spaces", [text.as_bytes(), b"  \n\t"].concat()),
            ("a public key", [text.as_bytes(), b"ssh-ed25519 AAAA me\n"].concat()),
            ("a comment in Latin-1", [b"# M\xfcller\n", text.as_bytes(), b"M\xfcller"].concat()),
            ("carriage returns", text.replace('\n', "\r\n").into_bytes()),
            ("no line ends", one_line.into_bytes()),
            ("no newline at the end", text.trim_end().as_bytes().to_vec()),
        ] {
            let opened = open(&bytes, None).unwrap_or_else(|fault| panic!("{what}: {fault}"));
            assert_eq!(opened.public_key().key_data(), key.public_key().key_data(), "{what}");
        }
    }

    #[test]
    fn a_kind_that_is_not_known_is_named() {
        use russh::keys::ssh_encoding::Encode;
        let mut public = Vec::new();
        "ssh-mldsa44-ed25519".encode(&mut public).unwrap();
        let mut bytes = b"openssh-key-v1\0".to_vec();
        for text in ["none", "none", ""] {
            text.encode(&mut bytes).unwrap();
        }
        1_u32.encode(&mut bytes).unwrap();
        public.encode(&mut bytes).unwrap();
        let body = STANDARD.encode(bytes);
        let text = format!("-----BEGIN {OPENSSH}-----\n{body}\n-----END {OPENSSH}-----\n");
        let fault = open(text.as_bytes(), None).unwrap_err().to_string();
        assert!(fault.contains("kind ssh-mldsa44-ed25519"), "{fault}");
    }

    #[test]
    fn a_public_key_file_names_a_key_of_the_agent() {
        let dir = tempfile::tempdir().unwrap();
        let key = key();
        let line = key.public_key().to_openssh().unwrap();
        let text = [b"# M\xfcller's\n\n", line.as_bytes(), b" M\xfcller\n"].concat();
        let path = write(dir.path(), "id.pub", &text, 0o644);
        assert_eq!(read(path, None).public.unwrap().key_data(), key.public_key().key_data());
    }
}
