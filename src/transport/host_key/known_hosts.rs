//! `known_hosts` files, as `sshd(8)` describes them under "SSH_KNOWN_HOSTS FILE FORMAT".
//!
//! Not read by `ssh_key::known_hosts`: that one ends a line at any `#`, knows single spaces only, and
//! drops keys of kinds that it does not know.

use super::pattern;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use russh::keys::key::parse_public_key;
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Files that were read. Each is read again when it has changed: other programs add keys at any time.
#[derive(Debug, Default)]
pub(in crate::transport) struct KnownHostsCache(Mutex<HashMap<PathBuf, (Stamp, Arc<KnownHosts>)>>);

/// Inode, size, and the nanoseconds of the last modification and change: another one, another content.
type Stamp = (u64, u64, i128, i128);

/// One file.
#[derive(Debug)]
pub(in crate::transport) struct KnownHosts {
    file: PathBuf,
    entries: Vec<Arc<Entry>>,
    /// Where a name stands as it is: a fleet's file has a line for each of its hosts.
    plain: HashMap<Box<str>, Vec<usize>>,
    /// The entries that have to be compared one by one.
    others: Vec<usize>,
    /// Why it could not be read, unless it is just not there.
    fault: Option<String>,
}

/// One line that names hosts and a key.
#[derive(Debug)]
pub(in crate::transport) struct Entry {
    /// Counted from 1, comments included.
    pub(in crate::transport) line: usize,
    pub(in crate::transport) marker: Marker,
    hosts: Hosts,
    /// `ssh-ed25519` and so on, as written.
    pub(in crate::transport) key_type: Box<str>,
    /// The key as on the wire.
    pub(in crate::transport) key: Box<[u8]>,
    /// Whether it is of a kind that is known here.
    pub(in crate::transport) usable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transport) enum Marker {
    None,
    CertAuthority,
    Revoked,
}

#[derive(Debug)]
enum Hosts {
    /// `|1|salt|hash`: HMAC-SHA1 of the name.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
    /// Comma-separated, with `*`, `?` and a leading `!`.
    Patterns(Box<str>),
}

impl KnownHostsCache {
    /// A file's entries. One that cannot be read has none, as with OpenSSH.
    pub(in crate::transport) fn read(&self, path: &Path) -> Arc<KnownHosts> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = match std::fs::metadata(path) {
            Ok(about) => stamp(&about),
            Err(error) => return Arc::new(KnownHosts::unreadable(path, &error)),
        };
        if let Some((read, file)) = files.get(path)
            && *read == stamp
        {
            return file.clone();
        }
        let file = Arc::new(match std::fs::read(path) {
            Ok(text) => KnownHosts::parse(path, &text),
            Err(error) => KnownHosts::unreadable(path, &error),
        });
        files.insert(path.to_owned(), (stamp, file.clone()));
        file
    }
}

fn stamp(about: &std::fs::Metadata) -> Stamp {
    let nanoseconds = |seconds, rest| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    let modified = nanoseconds(about.mtime(), about.mtime_nsec());
    (about.ino(), about.size(), modified, nanoseconds(about.ctime(), about.ctime_nsec()))
}

impl KnownHosts {
    fn unreadable(path: &Path, error: &io::Error) -> Self {
        let fault = (error.kind() != io::ErrorKind::NotFound).then(|| error.to_string());
        Self { fault, ..Self::of(path, Vec::new()) }
    }

    /// Reads a file's text. Lines that are no entries are passed over, as OpenSSH does.
    pub(in crate::transport) fn parse(file: &Path, text: &[u8]) -> Self {
        let entries = text
            .split(|byte| *byte == b'\n')
            .zip(1..)
            .filter_map(|(line, number)| entry(&String::from_utf8_lossy(line), number))
            .map(Arc::new)
            .collect();
        Self::of(file, entries)
    }

    fn of(file: &Path, entries: Vec<Arc<Entry>>) -> Self {
        let (mut plain, mut others) = (HashMap::<Box<str>, Vec<usize>>::new(), Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            match &entry.hosts {
                Hosts::Patterns(list) if !list.contains(['*', '?', '!']) => {
                    for name in list.split(',') {
                        plain.entry(name.into()).or_default().push(place);
                    }
                }
                _ => others.push(place),
            }
        }
        Self { file: file.to_owned(), entries, plain, others, fault: None }
    }

    pub(in crate::transport) fn file(&self) -> &Path {
        &self.file
    }

    pub(in crate::transport) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// The entries for `name`, which is lower-case: `host`, or `[host]:port` when the port is not 22.
    /// Costs a hash for each hashed entry.
    pub(in crate::transport) fn matching<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Entry>> {
        let plain = self.plain.get(name).into_iter().flatten();
        let others = self.others.iter().filter(|place| self.entries[**place].hosts.contain(name));
        let mut places: Vec<usize> = plain.chain(others).copied().collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|place| &self.entries[place])
    }
}

impl Hosts {
    fn contain(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, name.as_bytes(), hash).is_ok()
            }
            Self::Patterns(list) => pattern::list_matches(list, name),
        }
    }
}

/// A name as `HashKnownHosts` writes it.
pub(in crate::transport) fn hashed(name: &str) -> String {
    use rand::Rng;
    let salt: [u8; 20] = rand::rng().random();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    let hash = hmac::sign(&key, name.as_bytes());
    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash))
}

fn entry(text: &str, line: usize) -> Option<Entry> {
    let mut words = text.split_ascii_whitespace();
    let mut first = words.next().filter(|word| !word.starts_with('#'))?;
    let marker = match first {
        "@cert-authority" => Marker::CertAuthority,
        "@revoked" => Marker::Revoked,
        other if other.starts_with('@') => return None,
        _ => Marker::None,
    };
    if marker != Marker::None {
        first = words.next()?;
    }
    let hosts = match first.strip_prefix("|1|") {
        Some(hashed) => {
            let (salt, hash) = hashed.split_once('|')?;
            Hosts::Hashed { salt: decode(salt)?, hash: decode(hash)? }
        }
        None => Hosts::Patterns(first.to_ascii_lowercase().into()),
    };
    let key_type: Box<str> = words.next()?.into();
    let key: Box<[u8]> = decode(words.next()?)?.into();
    let known = parse_public_key(&key).ok();
    if known.as_ref().is_some_and(|key| key.algorithm().as_str() != &*key_type) {
        return None;
    }
    Some(Entry { line, marker, hosts, key_type, key, usable: known.is_some() })
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIK2pr+Bfus1hvPof4Wb/plZCzSbqadHH0u+/f4ODtKnE";

    fn lines(text: &str, name: &str) -> Vec<usize> {
        let text = text.replace("KEY", &format!("ssh-ed25519 {KEY}"));
        let known = KnownHosts::parse(Path::new("kh"), text.as_bytes());
        known.matching(name).map(|entry| entry.line).collect()
    }

    #[test]
    fn names_lists_ports_wildcards_and_negation() {
        let text = "# comment\n\
                    web1,web2,10.0.0.1 KEY comment here\n\
                    \n\
                    [web1]:2222 KEY\n\
                    *.example.com,!secret.example.com KEY\n\
                    web? KEY\n\
                    WEB1\tKEY\n";
        assert_eq!(lines(text, "web1"), [2, 6, 7]);
        assert_eq!(lines(text, "web2"), [2, 6]);
        assert_eq!(lines(text, "10.0.0.1"), [2]);
        assert_eq!(lines(text, "[web1]:2222"), [4]);
        assert_eq!(lines(text, "a.example.com"), [5]);
        assert_eq!(lines(text, "secret.example.com"), [0; 0]);
    }

    #[test]
    fn tabs_carriage_returns_and_garbage() {
        let text = "web1\tssh-ed25519\tnot/base64!\nweb1\nweb1 KEY\r\n\u{0}\u{1}\nweb1\t\tKEY\n";
        assert_eq!(lines(text, "web1"), [3, 5]);
        let known = KnownHosts::parse(Path::new("kh"), b"\xff\xfe web1 \xc3\x28\n");
        assert_eq!(known.entries.len(), 0);
    }

    #[test]
    fn markers() {
        let text = format!(
            "@cert-authority *.a ssh-ed25519 {KEY}\n@revoked * ssh-ed25519 {KEY}\n@new x ssh-ed25519 {KEY}\n"
        );
        let known = KnownHosts::parse(Path::new("kh"), text.as_bytes());
        let markers: Vec<_> = known.matching("h.a").map(|entry| entry.marker).collect();
        assert_eq!(markers, [Marker::CertAuthority, Marker::Revoked]);
    }

    #[test]
    fn a_name_hashed_here_is_found_again() {
        assert_eq!(lines(&format!("{} KEY", hashed("[web1]:2222")), "[web1]:2222"), [1]);
        assert_eq!(lines(&format!("{} KEY", hashed("web1")), "web2"), [0; 0]);
    }

    #[test]
    fn a_hashed_name_made_by_ssh_keygen() {
        // `ssh-keygen -H` of "web1"; sshd(8) names the form.
        let text = format!(
            "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-ed25519 {KEY}\n"
        );
        let known = KnownHosts::parse(Path::new("kh"), text.as_bytes());
        assert_eq!(known.matching("192.168.1.61").count(), 1);
        assert_eq!(known.matching("192.168.1.62").count(), 0);
    }
}
