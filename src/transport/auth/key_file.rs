//! Private keys and user certificates in files.

use crate::model::Secret;
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

/// What a path to an identity leads to.
#[derive(Debug)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    pub(super) private: Result<Arc<PrivateKey>, Fault>,
    /// The public half, known even of a key that could not be opened. Decides which of the agent's
    /// keys belong to this file.
    pub(super) public: Option<PublicKey>,
    /// `PATH-cert.pub`.
    pub(super) certificate: Option<Certificate>,
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
        Ok(text) => open(text, passphrase).map(Arc::new),
        Err(fault) => Err(fault.clone()),
    };
    let public = match &private {
        Ok(key) => Some(key.public_key().clone()),
        Err(_) => None
            // OpenSSH's own format tells the public half without the passphrase; and the file may
            // be a public key itself, to pick one of the agent's.
            .or_else(|| {
                Some(
                    PrivateKey::from_openssh(text.as_ref().ok()?.as_bytes())
                        .ok()?
                        .public_key()
                        .clone(),
                )
            })
            .or_else(|| PublicKey::from_openssh(text.as_ref().ok()?.trim()).ok())
            .or_else(|| read_public(&beside(".pub"))),
    };
    let certificate = read_certificate(&beside("-cert.pub"));
    KeyFile { path, private, public, certificate }
}

/// Reads the user certificate in `path`, if it is one.
pub(super) fn read_certificate(path: &Path) -> Option<Certificate> {
    Certificate::from_openssh(std::fs::read_to_string(path).ok()?.trim()).ok()
}

fn read_public(path: &Path) -> Option<PublicKey> {
    PublicKey::from_openssh(std::fs::read_to_string(path).ok()?.trim()).ok()
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, Fault> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Fault::Missing,
        _ => Fault::Unreadable(error.to_string()),
    };
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() || about.len() > SIZE_LIMIT {
        return Err(Fault::Unreadable("not a key file".into()));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(unreadable)?);
    // As OpenSSH: only of the user's own files, since another owner's are not theirs to mend.
    if text.contains("PRIVATE KEY") && about.mode() & 0o077 != 0 && is_own(about.uid()) {
        return Err(Fault::OpenToOthers(about.mode() & 0o7777));
    }
    Ok(text)
}

fn is_own(owner: u32) -> bool {
    std::fs::metadata("/proc/self").map_or(true, |own| own.uid() == owner)
}

fn open(text: &str, passphrase: Option<&Secret<String>>) -> Result<PrivateKey, Fault> {
    if text.trim_start().starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") {
        let key = PrivateKey::from_openssh(text).map_err(|error| unreadable(&error))?;
        return match (key.is_encrypted(), passphrase) {
            (false, _) => Ok(key),
            (true, None) => Err(Fault::Encrypted),
            (true, Some(passphrase)) => {
                key.decrypt(passphrase.expose()).map_err(|_| Fault::WrongPassphrase)
            }
        };
    }
    if !text.contains("PRIVATE KEY-----") {
        return Err(Fault::Unreadable("not a private key".into()));
    }
    let cipher = text.lines().find_map(|line| line.strip_prefix("DEK-Info: "));
    if let Some(cipher) = cipher
        && !cipher.starts_with("AES-128-CBC,")
    {
        let name = cipher.split(',').next().unwrap_or(cipher);
        return Err(Fault::Unreadable(format!(
            "encrypted with {name}, which is not supported: rewrite it with ssh-keygen -p"
        )));
    }
    let encrypted = cipher.is_some() || text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----");
    match (encrypted, passphrase) {
        (true, None) => Err(Fault::Encrypted),
        (true, Some(passphrase)) => {
            decode_secret_key(text, Some(passphrase.expose())).map_err(|_| Fault::WrongPassphrase)
        }
        (false, _) => decode_secret_key(text, None).map_err(|error| unreadable(&error)),
    }
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

    fn write(dir: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
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
        let path = write(dir.path(), "id", &text, 0o600);
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
        assert_eq!(fault(write(dir.path(), "open", &text, 0o640)), Fault::OpenToOthers(0o640));
        let garbage = write(dir.path(), "garbage", "hello", 0o600);
        assert_eq!(fault(garbage), Fault::Unreadable("not a private key".into()));
        assert!(matches!(fault(dir.path().to_owned()), Fault::Unreadable(_)));
        let cut = write(dir.path(), "cut", &text[..120], 0o600);
        assert!(matches!(fault(cut), Fault::Unreadable(_)));
    }

    #[test]
    fn a_public_key_file_names_a_key_of_the_agent() {
        let dir = tempfile::tempdir().unwrap();
        let key = key();
        let path = write(dir.path(), "id.pub", &key.public_key().to_openssh().unwrap(), 0o644);
        assert_eq!(read(path, None).public.unwrap().key_data(), key.public_key().key_data());
    }
}
