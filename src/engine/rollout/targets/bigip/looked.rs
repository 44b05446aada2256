//! What a look at the device has shown: its state, the profile, its objects, what is under way and what was.

use crate::bigip::{
    Answers, Entry, Profile, fingerprint, is_active, is_in_sync, is_name, is_running, status,
};
use crate::host::{JournalFacts, JournalState, LockHolder, TransactionId};
use crate::material::{Certificate, certificates_in};
use crate::model::Fingerprint;
use crate::model::text::printable;
use crate::playbook::certificate::ClientSslProfile;
use std::collections::HashMap;
use std::sync::Arc;

/// Earlier states that are looked at.
const EARLIER: usize = 5;

/// What a look showed.
pub(super) struct Looked {
    /// The account, as the device names it.
    pub(super) user: String,
    /// mcpd is up.
    pub(super) running: bool,
    /// This is the active unit.
    pub(super) active: bool,
    /// As `STANDBY`, where it is not.
    pub(super) failover: String,
    /// As `In Sync` or `Standalone`.
    pub(super) sync: String,
    pub(super) in_sync: bool,
    /// The profile, or what tmsh said in its place.
    pub(super) profile: Result<Profile, String>,
    /// Earlier states of this profile, the newest first.
    pub(super) earlier: Vec<Before>,
    /// What is under way or was left.
    pub(super) now: Option<Now>,
    /// The certificates of the objects that are named above.
    pub(super) objects: HashMap<String, Object>,
}

/// What an entry pointed to before a change.
pub(super) struct Before {
    /// The change.
    pub(super) id: TransactionId,
    pub(super) entry: Entry,
}

/// A transaction of which something is there.
pub(super) struct Now {
    pub(super) id: String,
    pub(super) holder: String,
    /// The process there that undoes it, while that is.
    job: Option<u32>,
}

/// The certificates in an object.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    /// Out of its file, where that can be read.
    pub(super) certificates: Vec<Arc<Certificate>>,
    /// Of its first certificate, as the device says.
    pub(super) first: Option<Fingerprint>,
    /// Of its first certificate: an RSA key.
    pub(super) is_rsa: bool,
}

impl Object {
    pub(super) fn fingerprints(&self) -> Vec<Fingerprint> {
        if self.certificates.is_empty() {
            return self.first.into_iter().collect();
        }
        self.certificates.iter().map(|certificate| certificate.fingerprint).collect()
    }
}

impl Looked {
    /// The certificates in an object.
    pub(super) fn object(&self, name: &str) -> Option<&Object> {
        self.objects.get(name)
    }
}

/// Reads the first answers; the objects are still to be asked for.
pub(super) fn read(wanted: &ClientSslProfile, answers: &Answers) -> Looked {
    let said = |kind: &str| answers.find(kind).unwrap_or_default();
    Looked {
        user: printable(said("who").trim().as_bytes(), 60),
        running: is_running(said("mcp")),
        active: is_active(said("failover")),
        failover: status(said("failover")).unwrap_or_else(|| "not told".to_owned()),
        sync: status(said("sync")).unwrap_or_else(|| "not told".to_owned()),
        in_sync: is_in_sync(said("sync")),
        profile: Profile::read(said("profile"), wanted.partition()),
        earlier: said("history")
            .lines()
            .rev()
            .filter_map(|line| before(wanted, line))
            .take(EARLIER)
            .collect(),
        now: answers.find("now").map(now),
        objects: HashMap::new(),
    }
}

/// `ID PARTITION PROFILE ENTRY CERT KEY CHAIN`, of this profile.
fn before(wanted: &ClientSslProfile, line: &str) -> Option<Before> {
    let words: Vec<&str> = line.split(' ').collect();
    let [id, _, profile, name, cert, key, chain] = *words.as_slice() else { return None };
    let known = [name, cert, key].into_iter().all(is_name) && (chain == "none" || is_name(chain));
    if !known || profile != wanted.profile {
        return None;
    }
    let [name, cert, key, chain] = [name, cert, key, chain].map(str::to_owned);
    let entry = Entry { name, cert, key, chain, passphrase: false };
    Some(Before { id: TransactionId::parse(id)?, entry })
}

/// What is told of the transaction that is under way.
pub(super) fn now(text: &str) -> Now {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        printable(line.unwrap_or_default().as_bytes(), 300)
    };
    Now { id: value("id"), holder: value("holder"), job: value("alive").parse().ok() }
}

impl Now {
    /// As a journal is told: what is unconfirmed is nobody's state yet, whether somebody works on it or not.
    pub(super) fn journal(&self) -> JournalFacts {
        JournalFacts { id: self.id.clone(), state: JournalState::Undo, by: self.holder.clone() }
    }

    /// Who works on it.
    pub(super) fn lock(&self) -> Option<LockHolder> {
        Some(LockHolder { pid: self.job?, note: self.holder.clone() })
    }
}

/// Reads what is told of objects.
pub(super) fn objects(answers: &Answers) -> HashMap<String, Object> {
    let mut objects: HashMap<String, Object> = HashMap::new();
    for text in answers.all("object") {
        let Some((name, said)) = text.split_once('\n') else { continue };
        let Some(first) = fingerprint(said) else { continue };
        let is_rsa = said.lines().any(|line| line.trim().starts_with("key-type rsa"));
        let object = Object { first: Some(first), is_rsa, ..Object::default() };
        objects.insert(name.to_owned(), object);
    }
    for text in answers.all("file") {
        let Some((name, pem)) = text.split_once('\n') else { continue };
        let certificates = certificates_in(pem.as_bytes());
        if let (Some(object), Some(leaf)) = (objects.get_mut(name), certificates.first()) {
            // The file is only believed where it is the object that tmsh tells of.
            if object.first == Some(leaf.fingerprint) {
                object.is_rsa = leaf.public_key.rsa_bits().is_some();
                object.certificates = certificates.into_iter().map(Arc::new).collect();
            }
        }
    }
    objects
}
