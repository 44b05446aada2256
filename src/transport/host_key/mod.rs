//! Whether the machine that answers is the one that was meant.
//!
//! OpenSSH's rules (`check_host_key` and `hostfile.c` in its source); `tests/transport/host_keys.rs`
//! compares with `ssh` itself. So a host whose keys are known, but of other algorithms than the one
//! it shows, has a *changed* key and not an unknown one: the known algorithms are asked for first.

mod known_hosts;
pub(in crate::transport) mod pattern;

pub(in crate::transport) use known_hosts::{KnownHosts, KnownHostsCache};

use super::error::{ConnectError, HostKeyChanged, HostKeyUnknown};
use super::target::{HostKeyChecking, Target};
use crate::model::Timestamp;
use known_hosts::{Entry, Marker};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Preferred, cipher, kex};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

/// An entry and the file that it is from.
type Known = (Arc<KnownHosts>, Arc<Entry>);

/// Whether a host's certificate is to be trusted.
enum Trust {
    Known,
    /// No; with the reason where its authority would be.
    Not(Option<String>),
}

/// What is known of one host before it is connected to.
#[derive(Debug)]
pub(super) struct Expectation {
    /// As known_hosts files have it: `host`, or `[host]:port`.
    name: String,
    /// What a certificate has to name.
    principal: String,
    /// The entries for the name.
    named: Vec<Known>,
    /// Those for the name without its port, where the port is not 22.
    bare: Vec<Known>,
    /// The files that were searched, each with why it could not be, if so.
    files: Vec<(PathBuf, Option<String>)>,
    checking: HostKeyChecking,
    target: Target,
}

/// The outcome for a key that may be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is known.
    Known,
    /// It is not, and should be remembered by this line (without newline).
    Remember(String),
    /// It is not, but any will do.
    Unchecked,
    /// It is another than the known one, or revoked, but any will do: no place for passwords.
    Impostor,
}

impl Expectation {
    pub(super) fn new(target: &Target, files: Vec<Arc<KnownHosts>>) -> Self {
        let (name, bare, principal) = match &target.host_key_alias {
            Some(alias) => (alias.to_ascii_lowercase(), None, alias.to_ascii_lowercase()),
            None => {
                let address = target.address.to_ascii_lowercase();
                match target.port {
                    22 => (address.clone(), None, address),
                    port => (format!("[{address}]:{port}"), Some(address.clone()), address),
                }
            }
        };
        let checking = target.host_key_checking;
        let matching = |name: &str| -> Vec<_> {
            let entries = |file: &Arc<KnownHosts>| -> Vec<_> {
                file.matching(name).map(|entry| (file.clone(), entry.clone())).collect()
            };
            files.iter().flat_map(entries).collect()
        };
        let named = matching(&name);
        let bare = bare.as_deref().map(matching).unwrap_or_default();
        let files =
            files.iter().map(|file| (file.file().to_owned(), file.fault().map(str::to_owned)));
        let files = files.collect();
        Self { name, principal, named, bare, files, checking, target: target.clone() }
    }

    /// Algorithms in the order in which they are asked for: those of known keys first, and
    /// certificates only where an authority could vouch for one.
    pub(super) fn preferred(&self) -> Preferred {
        // russh's default without SHA-1 signatures, as in OpenSSH since 8.8.
        let default = Preferred::DEFAULT;
        let all: Vec<_> = (default.key.iter())
            .filter(|algorithm| **algorithm != Algorithm::Rsa { hash: None })
            .cloned()
            .collect();
        let known: Vec<&str> =
            self.entries(Marker::None).map(|(_, entry)| &*entry.key_type).collect();
        let is_known = |algorithm: &Algorithm| known.contains(&key_type(algorithm));
        let (first, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(is_known);
        let authority = |(_, entry): &Known| entry.marker == Marker::CertAuthority;
        let has_authority = self.named.iter().chain(&self.bare).any(authority);
        let key: Vec<_> = first.into_iter().chain(rest).collect();
        let host_key_certificates =
            if has_authority { Cow::Owned(key.clone()) } else { Cow::Borrowed(&[][..]) };
        Preferred {
            key: Cow::Owned(key),
            host_key_certificates,
            kex: Cow::Borrowed(KEX),
            cipher: Cow::Borrowed(CIPHERS),
            ..default
        }
    }

    /// Judges what the host has shown (and proved to own).
    pub(super) fn judge(
        &self,
        shown: &PublicKeyOrCertificate,
        now: Timestamp,
    ) -> Result<Verdict, ConnectError> {
        let verdict = self.strictly(shown, now);
        match (self.checking, verdict) {
            (HostKeyChecking::DangerOff, Err(ConnectError::HostKeyUnknown(_))) => {
                Ok(Verdict::Unchecked)
            }
            (HostKeyChecking::DangerOff, Err(_)) => Ok(Verdict::Impostor),
            (_, verdict) => verdict,
        }
    }

    fn strictly(
        &self,
        shown: &PublicKeyOrCertificate,
        now: Timestamp,
    ) -> Result<Verdict, ConnectError> {
        let fault = match shown.certificate().map(|certificate| self.certificate(certificate, now))
        {
            Some(Ok(Trust::Known)) => return Ok(Verdict::Known),
            // By an authority that nobody vouches for, or not for this host: its plain key may
            // still be known.
            Some(Ok(Trust::Not(fault))) => fault,
            Some(Err(error)) => return Err(error),
            None => None,
        };
        match (fault, self.plain(&shown.public_key())) {
            (Some(reason), Err(ConnectError::HostKeyUnknown(_))) => {
                Err(ConnectError::HostCertificate { name: self.name.clone(), reason })
            }
            (_, verdict) => verdict,
        }
    }

    fn certificate(
        &self,
        certificate: &Certificate,
        now: Timestamp,
    ) -> Result<Trust, ConnectError> {
        let (key, authority) = (certificate.public_key(), certificate.signature_key());
        self.refuse_revoked(key)?;
        self.refuse_revoked(authority)?;
        let vouched = |entries: &[Known]| knows(entries, Marker::CertAuthority, authority);
        let bare = vouched(&self.bare)
            && revoked(&self.bare, key).is_none()
            && revoked(&self.bare, authority).is_none();
        if !vouched(&self.named) && !bare {
            return Ok(Trust::Not(None));
        }
        Ok(match certificate_fault(certificate, &self.principal, now) {
            None => Trust::Known,
            fault => Trust::Not(fault),
        })
    }

    fn plain(&self, key: &PublicKey) -> Result<Verdict, ConnectError> {
        let data = key.key_data();
        self.refuse_revoked(data)?;
        if knows(&self.named, Marker::None, data) {
            return Ok(Verdict::Known);
        }
        let known: Vec<_> = self.entries(Marker::None).filter(|(_, entry)| entry.usable).collect();
        if !known.is_empty() {
            return Err(ConnectError::HostKeyChanged(Box::new(self.changed(key, &known))));
        }
        // OpenSSH takes a key known for the plain name as good for another port as well.
        if knows(&self.bare, Marker::None, data) && revoked(&self.bare, data).is_none() {
            return Ok(Verdict::Known);
        }
        if self.checking == HostKeyChecking::AcceptNew
            && !self.target.known_hosts.is_empty()
            && let Ok(line) = PublicKey::from(data.clone()).to_openssh()
        {
            let name = if self.target.hash_known_hosts {
                known_hosts::hashed(&self.name)
            } else {
                self.name.clone()
            };
            return Ok(Verdict::Remember(format!("{name} {line}")));
        }
        Err(ConnectError::HostKeyUnknown(Box::new(self.unknown(key))))
    }

    fn entries(&self, marker: Marker) -> impl Iterator<Item = (&KnownHosts, &Entry)> {
        let all = self.named.iter().map(|(file, entry)| (&**file, &**entry));
        all.filter(move |(_, entry)| entry.marker == marker)
    }

    fn refuse_revoked(&self, key: &KeyData) -> Result<(), ConnectError> {
        match revoked(&self.named, key) {
            None => Ok(()),
            Some((file, entry)) => Err(ConnectError::HostKeyRevoked {
                name: self.name.clone(),
                algorithm: entry.key_type.to_string(),
                fingerprint: fingerprint(key),
                file: file.file().to_owned(),
                line: entry.line,
            }),
        }
    }

    fn unknown(&self, key: &PublicKey) -> HostKeyUnknown {
        let Target { address, port, user, jumps, known_hosts, .. } = &self.target;
        let algorithm = key_type(&key.algorithm()).to_owned();
        let file = known_hosts
            .first()
            .map_or("~/.ssh/known_hosts".into(), |file| shell_word(&file.display().to_string()));
        let behind = !jumps.is_empty() || self.target.proxy_command.is_some();
        let remedy = if self.target.host_key_alias.is_none() && !behind {
            let port = if *port == 22 { String::new() } else { format!("-p {port} ") };
            let kind = algorithm.strip_prefix("ssh-").unwrap_or(&algorithm);
            let kind = if kind.starts_with("ecdsa") { "ecdsa" } else { kind };
            format!("ssh-keyscan {port}-t {kind} {} >> {file}", shell_word(address))
        } else {
            // ssh-keyscan knows neither aliases nor bastions.
            let mut words = vec!["ssh".to_owned()];
            if !jumps.is_empty() {
                let hops: Vec<_> = jumps.iter().map(ToString::to_string).collect();
                words.push(format!("-J {}", shell_word(&hops.join(","))));
            }
            if let Some(command) = &self.target.proxy_command {
                words.push(format!("-o {}", shell_word(&format!("ProxyCommand={command}"))));
            }
            if let Some(alias) = &self.target.host_key_alias {
                words.push(format!("-o {}", shell_word(&format!("HostKeyAlias={alias}"))));
            }
            words.push(format!("-o StrictHostKeyChecking=ask -o UserKnownHostsFile={file}"));
            words.push(format!("-p {port} {} true", shell_word(&format!("{user}@{address}"))));
            words.join(" ")
        };
        HostKeyUnknown {
            name: self.name.clone(),
            algorithm,
            fingerprint: fingerprint(key.key_data()),
            files: self.files.clone(),
            other_kinds: self
                .entries(Marker::None)
                .map(|(_, entry)| entry.key_type.to_string())
                .collect(),
            remedy,
        }
    }

    fn changed(&self, key: &PublicKey, known: &[(&KnownHosts, &Entry)]) -> HostKeyChanged {
        let file = known
            .first()
            .map_or(String::new(), |(file, _)| shell_word(&file.file().display().to_string()));
        let known = known.iter().map(|(file, entry)| {
            let fingerprint = PublicKey::from_bytes(&entry.key)
                .map_or_else(|_| "an unreadable key".into(), |key| fingerprint(key.key_data()));
            (file.file().to_owned(), entry.line, entry.key_type.to_string(), fingerprint)
        });
        HostKeyChanged {
            name: self.name.clone(),
            algorithm: key_type(&key.algorithm()).to_owned(),
            fingerprint: fingerprint(key.key_data()),
            known: known.collect(),
            remedy: format!("ssh-keygen -R {} -f {file}", shell_word(&self.name)),
        }
    }
}

/// russh's own order without the group exchanges that cost a round trip more; all of these are in
/// OpenSSH since 7.3.
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
    kex::DH_GEX_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// russh's own order, with the GCM that some servers offer alone.
const CIPHERS: &[cipher::Name] = &[
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// What is wrong with a certificate whose authority is trusted. PROTOCOL.certkeys in OpenSSH's
/// source names the fields; a principal may be a pattern, an empty list is good for any host.
fn certificate_fault(certificate: &Certificate, name: &str, now: Timestamp) -> Option<String> {
    if certificate.cert_type() != CertType::Host {
        return Some("it is a user certificate".into());
    }
    if let Some((option, _)) = certificate.critical_options().iter().next() {
        return Some(format!(
            "it has the critical option {option:?}, which no host certificate has"
        ));
    }
    let principals = certificate.valid_principals();
    let named =
        principals.iter().any(|pattern| pattern::matches(&pattern.to_ascii_lowercase(), name));
    if !principals.is_empty() && !named {
        return Some(format!("it is for {}, not for {name}", principals.join(", ")));
    }
    let now = u64::try_from(now.unix()).unwrap_or(0);
    if now < certificate.valid_after() {
        return Some(format!("it is not valid before {}", moment(certificate.valid_after())));
    }
    if now >= certificate.valid_before() {
        return Some(format!("it expired at {}", moment(certificate.valid_before())));
    }
    let authority = PublicKey::from(certificate.signature_key().clone());
    let fingerprint = authority.fingerprint(HashAlg::Sha256);
    let valid = certificate.validate_at(now, [&fingerprint]);
    valid.is_err().then(|| "its signature is wrong".into())
}

fn moment(unix: u64) -> Timestamp {
    Timestamp::from_unix(i64::try_from(unix).unwrap_or(i64::MAX))
}

fn knows(entries: &[Known], marker: Marker, key: &KeyData) -> bool {
    let blob = blob(key);
    entries.iter().any(|(_, entry)| entry.marker == marker && *entry.key == *blob)
}

fn revoked<'a>(entries: &'a [Known], key: &KeyData) -> Option<&'a Known> {
    let blob = blob(key);
    entries.iter().find(|(_, entry)| entry.marker == Marker::Revoked && *entry.key == *blob)
}

fn blob(key: &KeyData) -> Vec<u8> {
    // A key that came over the wire can be written again; if not, it equals nothing known.
    PublicKey::from(key.clone()).to_bytes().unwrap_or_default()
}

pub(super) fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// The key's type as known_hosts files have it, whatever hash it signs with.
fn key_type(algorithm: &Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Ed25519 => "ssh-ed25519",
        Algorithm::Rsa { .. } => "ssh-rsa",
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => "ecdsa-sha2-nistp256",
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 } => "ecdsa-sha2-nistp384",
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 } => "ecdsa-sha2-nistp521",
        Algorithm::SkEd25519 => "sk-ssh-ed25519@openssh.com",
        Algorithm::SkEcdsaSha2NistP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
        _ => "other",
    }
}

/// For a line that the operator pastes into a shell.
fn shell_word(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), |word| word.into_owned())
}
