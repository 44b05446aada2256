//! Which keys and certificates are offered to a server, in which order, and who signs with each.

use super::agent::{Agent, Held};
use super::key_file::{self, Fault, KeyFile, KeyFiles};
use crate::model::Timestamp;
use crate::transport::host_key;
use crate::transport::target::{AgentChoice, Target};
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, PrivateKey};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What all log-ins share.
#[derive(Debug, Default)]
pub(in crate::transport) struct Keyring {
    files: KeyFiles,
    agents: Mutex<HashMap<PathBuf, Arc<Agent>>>,
    /// What a user was last let in with: the next host's first offer.
    accepted: Mutex<HashMap<String, OfferId>>,
}

/// A key that can be offered.
pub(super) struct Offer {
    /// For the operator: where it comes from.
    pub(super) label: String,
    /// For the operator, when it is refused: why that may be.
    pub(super) hint: String,
    id: OfferId,
    /// Offered in place of the plain key.
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) holder: Holder,
}

/// Fingerprint of the key, and whether its certificate was offered.
type OfferId = (String, bool);

/// Who signs.
#[derive(Clone)]
pub(super) enum Holder {
    File(Arc<PrivateKey>),
    /// An agent, asked by this name for the key: its own certificate, or the plain key.
    Agent(Arc<Agent>, AgentIdentity),
}

/// What there is to log in with, apart from a password.
#[derive(Default)]
pub(in crate::transport) struct Credentials {
    pub(super) offers: Vec<Offer>,
    /// What cannot be used, and why.
    pub(in crate::transport) faults: Vec<String>,
}

impl Offer {
    fn new(
        label: String,
        key: &KeyData,
        certificate: Option<Arc<Certificate>>,
        holder: Holder,
        now: Timestamp,
    ) -> Self {
        let hint = certificate.as_ref().and_then(|certificate| outside_its_time(certificate, now));
        let id = (host_key::fingerprint(key), certificate.is_some());
        Self { label, hint: hint.unwrap_or_default(), id, certificate, holder }
    }

    pub(super) fn is_rsa(&self) -> bool {
        match &self.holder {
            Holder::File(key) => key.algorithm().is_rsa(),
            Holder::Agent(_, key) => key.public_key().algorithm().is_rsa(),
        }
    }
}

/// Such a certificate is offered even so: the server's clock decides.
fn outside_its_time(certificate: &Certificate, now: Timestamp) -> Option<String> {
    let now = u64::try_from(now.unix()).unwrap_or(0);
    let moment = |unix| Timestamp::from_unix(i64::try_from(unix).unwrap_or(i64::MAX));
    if now >= certificate.valid_before() {
        return Some(format!("; it expired at {}", moment(certificate.valid_before())));
    }
    (now < certificate.valid_after())
        .then(|| format!("; it is not valid before {}", moment(certificate.valid_after())))
}

impl Keyring {
    fn agent(&self, socket: &Path) -> Arc<Agent> {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.entry(socket.to_owned()).or_insert_with(|| Arc::new(Agent::new(socket))).clone()
    }

    pub(super) fn remember(&self, user: &str, offer: &Offer) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.insert(user.to_owned(), offer.id.clone());
    }

    /// What a target can be logged in to with. The order is OpenSSH's (`pubkey_prepare` in its
    /// source): certificates, the agent's keys that are configured, the agent's others, files;
    /// except that certificates beside keys come first too, and before all what worked last time.
    pub(in crate::transport) async fn credentials(
        &self,
        target: &Target,
        now: Timestamp,
    ) -> Credentials {
        let mut files = Vec::new();
        for path in &target.identities {
            files.push(self.files.load(path, target.passphrase.as_ref()).await);
        }
        let mut faults = Vec::new();
        let agent = self.held_by_agent(target, &mut faults).await;
        let mut offers =
            Gathering { target, files: &files, agent: agent.as_ref(), now }.all(&mut faults);
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = accepted.get(&target.user)
            && let Some(at) = offers.iter().position(|offer| offer.id == *last)
        {
            offers[..=at].rotate_right(1);
        }
        Credentials { offers, faults }
    }

    async fn held_by_agent(
        &self,
        target: &Target,
        faults: &mut Vec<String>,
    ) -> Option<(Arc<Agent>, Arc<[Held]>)> {
        let AgentChoice::Socket(socket) = &target.agent else { return None };
        let agent = self.agent(socket);
        match agent.identities().await {
            Ok(held) => Some((agent, held)),
            Err(reason) => {
                faults.push(format!("agent {} ({reason})", agent.socket().display()));
                None
            }
        }
    }
}

/// What was found in files and in the agent.
struct Gathering<'a> {
    target: &'a Target,
    files: &'a [Arc<KeyFile>],
    agent: Option<&'a (Arc<Agent>, Arc<[Held]>)>,
    now: Timestamp,
}

impl<'a> Gathering<'a> {
    fn all(&self, faults: &mut Vec<String>) -> Vec<Offer> {
        let mut offers = self.certificates(faults);
        let (configured, others): (Vec<_>, Vec<_>) =
            self.agent_offers(faults).into_iter().partition(|(configured, _)| *configured);
        let allowed = others.into_iter().filter(|_| !self.target.identities_only);
        for (_, offer) in configured.into_iter().chain(allowed) {
            let is_there =
                |other: &Offer| other.id == offer.id && other.certificate == offer.certificate;
            if !offers.iter().any(is_there) {
                offers.push(offer);
            }
        }
        for file in self.files {
            self.file_offer(file, &mut offers, faults);
        }
        offers
    }

    /// Certificates in files. As with OpenSSH, those beside keys count only where none is named.
    fn certificates(&self, faults: &mut Vec<String>) -> Vec<Offer> {
        let mut found: Vec<(PathBuf, Arc<Certificate>)> = Vec::new();
        for path in &self.target.certificates {
            match key_file::read_certificate(path) {
                Some(certificate) => found.push((path.clone(), Arc::new(certificate))),
                None => faults.push(format!("certificate {} (not readable)", path.display())),
            }
        }
        if self.target.certificates.is_empty() {
            let beside = |file: &Arc<KeyFile>| Some((file.path.clone(), file.certificate.clone()?));
            found.extend(self.files.iter().filter_map(beside));
        }
        found.retain(|(_, certificate)| certificate.cert_type() == CertType::User);
        let mut offers = Vec::new();
        for (path, certificate) in found {
            let path = path.display();
            let key = certificate.public_key();
            let Some(holder) = self.holder(key) else {
                faults.push(format!("certificate of {path} (its private key is nowhere)"));
                continue;
            };
            let label = match holder {
                Holder::File(_) => format!("certificate of {path}"),
                Holder::Agent(..) => format!("certificate of {path} with the agent's key"),
            };
            offers.push(Offer::new(label, key, Some(certificate.clone()), holder, self.now));
        }
        offers
    }

    /// Who can sign for a certificate's key.
    fn holder(&self, key: &KeyData) -> Option<Holder> {
        let opened = self.files.iter().filter_map(|file| file.private.as_ref().ok());
        let mut opened = opened.filter(|private| private.public_key().key_data() == key);
        if let Some(private) = opened.next() {
            return Some(Holder::File(private.clone()));
        }
        let (agent, held) = self.agent?;
        let mut plain = held.iter().filter_map(|held| held.identity.as_ref().ok()).filter(
            |identity| matches!(identity, AgentIdentity::PublicKey { key: held, .. } if held.key_data() == key),
        );
        Some(Holder::Agent(agent.clone(), plain.next()?.clone()))
    }

    /// The agent's keys and certificates; true: a configured file is about that key.
    fn agent_offers(&self, faults: &mut Vec<String>) -> Vec<(bool, Offer)> {
        let Some((agent, held)) = self.agent else { return Vec::new() };
        let mut found = Vec::new();
        for Held { comment, identity } in held.iter() {
            let identity = match identity {
                Ok(identity) => identity,
                Err(kind) => {
                    faults.push(format!("agent's key {comment} ({kind}, which is not known here)"));
                    continue;
                }
            };
            let key = identity.public_key();
            let belongs = |file: &Arc<KeyFile>| {
                file.public.as_ref().is_some_and(|public| public.key_data() == key.key_data())
            };
            let configured = self.files.iter().any(belongs);
            let holder = Holder::Agent(agent.clone(), identity.clone());
            let (kind, certificate) = match identity {
                AgentIdentity::PublicKey { .. } => ("key", None),
                AgentIdentity::Certificate { certificate, .. } => {
                    ("certificate", Some(Arc::new(certificate.clone())))
                }
            };
            let label = format!("agent's {kind} {comment}");
            let offer = Offer::new(label, key.key_data(), certificate, holder, self.now);
            found.push((configured, offer));
        }
        found
    }

    /// A file's plain key, unless the agent offers it.
    fn file_offer(&self, file: &KeyFile, offers: &mut Vec<Offer>, faults: &mut Vec<String>) {
        let path = file.path.display();
        let by_agent = |key: &KeyData| {
            let fingerprint = host_key::fingerprint(key);
            offers
                .iter()
                .any(|offer| matches!(offer.holder, Holder::Agent(..)) && offer.id.0 == fingerprint)
        };
        match &file.private {
            Ok(key) => {
                let data = key.public_key().key_data();
                let plain = (host_key::fingerprint(data), false);
                if !offers.iter().any(|offer| offer.id == plain) {
                    let (label, holder) = (format!("key {path}"), Holder::File(key.clone()));
                    offers.push(Offer::new(label, data, None, holder, self.now));
                }
            }
            Err(fault) => {
                // A key that the agent serves needs no file of its own.
                let served = file.public.as_ref().is_some_and(|public| by_agent(public.key_data()));
                if !served || *fault == Fault::WrongPassphrase {
                    faults.push(format!("key {path} ({fault})"));
                }
            }
        }
    }
}
