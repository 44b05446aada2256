//! Logging in: keys of the agent and of files, certificates, passwords.
//!
//! Neither the method `none` nor a list of methods is asked for: the likeliest key is offered at
//! once, and what the server says to a wrong one tells the methods that it takes.

mod agent;
mod key_file;

pub(super) use agent::Agent;
pub(super) use key_file::KeyFiles;

use super::target::Target;
use agent::{AgentSigner, LocalSigner};
use key_file::{Fault, KeyFile};
use russh::client::{AuthResult, Handle, Handler, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Rounds of keyboard-interactive questions; PAM asks once or twice.
const ROUNDS: usize = 5;

/// What all log-ins share.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    files: KeyFiles,
    agents: Mutex<HashMap<std::path::PathBuf, Arc<Agent>>>,
    /// The fingerprint of the key that a user was last let in with: the next host's first offer.
    accepted: Mutex<HashMap<String, String>>,
}

/// A key that can be offered.
struct Offer {
    /// For the operator: where it comes from.
    label: String,
    fingerprint: String,
    proof: Proof,
}

enum Proof {
    Key(Arc<PrivateKey>),
    Certificate(Arc<PrivateKey>, Box<Certificate>),
    AgentKey(Arc<Agent>, PublicKey),
    AgentCertificate(Arc<Agent>, Box<Certificate>),
}

/// What was tried in vain.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    pub(super) tried: Vec<String>,
    /// What the server would still take.
    pub(super) methods: Vec<String>,
}

impl Keyring {
    fn agent(&self, socket: &Path) -> Arc<Agent> {
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        agents.entry(socket.to_owned()).or_insert_with(|| Arc::new(Agent::new(socket))).clone()
    }

    fn last_accepted(&self, user: &str) -> Option<String> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).get(user).cloned()
    }

    fn remember(&self, user: &str, fingerprint: &str) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.insert(user.to_owned(), fingerprint.to_owned());
    }

    /// Keys in OpenSSH's order: the agent's that are configured, the agent's others, files; except
    /// that the one which worked last time goes first.
    async fn offers(&self, target: &Target, tried: &mut Vec<String>) -> Vec<Offer> {
        let mut files = Vec::new();
        for path in &target.identities {
            files.push(self.files.load(path, target.passphrase.as_ref()).await);
        }
        let extra: Vec<_> = target
            .certificates
            .iter()
            .filter_map(|path| {
                let certificate = key_file::read_certificate(path);
                if certificate.is_none() {
                    tried.push(format!("certificate {} (not readable)", path.display()));
                }
                certificate
            })
            .collect();
        let (mut offers, others) = self.agent_offers(target, &files, tried).await;
        if !target.identities_only {
            offers.extend(others);
        }
        for file in &files {
            file_offers(file, &extra, &mut offers, tried);
        }
        if let Some(last) = self.last_accepted(&target.user)
            && let Some(at) = offers.iter().position(|offer| offer.fingerprint == last)
        {
            offers[..=at].rotate_right(1);
        }
        offers
    }

    /// The agent's keys that belong to the configured files, and its others.
    async fn agent_offers(
        &self,
        target: &Target,
        files: &[Arc<KeyFile>],
        tried: &mut Vec<String>,
    ) -> (Vec<Offer>, Vec<Offer>) {
        let super::target::AgentChoice::Socket(socket) = &target.agent else {
            return Default::default();
        };
        let agent = self.agent(socket);
        let identities = match agent.identities().await {
            Ok(identities) => identities,
            Err(reason) => {
                tried.push(format!("agent {} ({reason})", socket.display()));
                return Default::default();
            }
        };
        let (mut configured, mut others) = (Vec::new(), Vec::new());
        for identity in identities.iter() {
            let key = identity.public_key();
            let comment = crate::model::text::printable(identity.comment().as_bytes(), 100);
            let fingerprint = super::host_key::fingerprint(key.key_data());
            let (kind, proof) = match identity {
                AgentIdentity::PublicKey { key, .. } => {
                    ("key", Proof::AgentKey(agent.clone(), key.clone()))
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    let certificate = Box::new(certificate.clone());
                    ("certificate", Proof::AgentCertificate(agent.clone(), certificate))
                }
            };
            let offer = Offer { label: format!("agent's {kind} {comment}"), fingerprint, proof };
            let belongs = |file: &Arc<KeyFile>| {
                file.public.as_ref().is_some_and(|public| public.key_data() == key.key_data())
            };
            if files.iter().any(belongs) { &mut configured } else { &mut others }.push(offer);
        }
        (configured, others)
    }
}

fn file_offers(
    file: &KeyFile,
    extra: &[Certificate],
    offers: &mut Vec<Offer>,
    tried: &mut Vec<String>,
) {
    let path = file.path.display();
    let key = match &file.private {
        Ok(key) => key,
        Err(fault) => {
            // A public key that the agent could serve needs no file of its own.
            let in_agent = file.public.as_ref().is_some_and(|public| {
                let fingerprint = super::host_key::fingerprint(public.key_data());
                offers.iter().any(|offer| offer.fingerprint == fingerprint)
            });
            if !in_agent || matches!(fault, Fault::WrongPassphrase) {
                tried.push(format!("key {path} ({fault})"));
            }
            return;
        }
    };
    let fingerprint = super::host_key::fingerprint(key.public_key().key_data());
    let own = |certificate: &&Certificate| {
        certificate.public_key() == key.public_key().key_data()
            && certificate.cert_type() == CertType::User
    };
    for certificate in file.certificate.iter().chain(extra).filter(own) {
        offers.push(Offer {
            label: format!("certificate of {path}"),
            fingerprint: fingerprint.clone(),
            proof: Proof::Certificate(key.clone(), Box::new(certificate.clone())),
        });
    }
    let served = |offer: &Offer| {
        matches!(offer.proof, Proof::AgentKey(..)) && offer.fingerprint == fingerprint
    };
    if !offers.iter().any(served) {
        let label = format!("key {path}");
        offers.push(Offer { label, fingerprint, proof: Proof::Key(key.clone()) });
    }
}

/// Logs in, or tells what was refused.
pub(super) async fn log_in<H: Handler>(
    handle: &mut Handle<H>,
    target: &Target,
    keyring: &Keyring,
) -> Result<(), Refusal> {
    let mut login = LogIn { handle, target, tried: Vec::new(), allowed: None };
    let mut offers = keyring.offers(target, &mut login.tried).await.into_iter();
    let mut methods = methods(target);
    loop {
        let usable = |method: &MethodKind| {
            login.allowed.as_ref().is_none_or(|allowed| allowed.contains(method))
        };
        let Some(at) = methods.iter().position(usable) else { break };
        let method = methods.remove(at);
        let step = match method {
            MethodKind::PublicKey => login.public_keys(&mut offers, keyring).await,
            MethodKind::Password => login.password().await,
            MethodKind::KeyboardInteractive => login.questions().await,
            _ => Step::Refused,
        };
        match step {
            Step::In => return Ok(()),
            Step::Closed => {
                let refused = login.tried.len();
                login.tried.push(format!(
                    "then the server closed the connection, after {refused} tries: name the right \
                     key alone (ansible_ssh_private_key_file, IdentitiesOnly)"
                ));
                break;
            }
            // Another factor is wanted, maybe of a kind that was tried already.
            Step::Partly => {
                login.tried.push(format!("{} (accepted, more is wanted)", name(method)));
                if method == MethodKind::PublicKey && offers.len() > 0 {
                    methods.push(method);
                }
            }
            Step::Stuck => break,
            Step::Refused => {}
        }
    }
    let methods = login.allowed.iter().flat_map(|allowed| allowed.iter());
    Err(Refusal {
        methods: methods.map(|kind| name(*kind).to_owned()).collect(),
        tried: login.tried,
    })
}

fn name(kind: MethodKind) -> &'static str {
    <&'static str>::from(&kind)
}

/// The methods that there is something to try for, in order.
fn methods(target: &Target) -> Vec<MethodKind> {
    let preferred = &target.methods;
    let mut methods: Vec<MethodKind> = if preferred.is_empty() {
        // Before keyboard-interactive, unlike OpenSSH: a server that takes both is asked once.
        vec![MethodKind::PublicKey, MethodKind::Password, MethodKind::KeyboardInteractive]
    } else {
        preferred.iter().filter_map(|name| name.parse().ok()).collect()
    };
    if target.password.is_none() {
        methods.retain(|method| *method == MethodKind::PublicKey);
    }
    methods
}

struct LogIn<'a, H: Handler> {
    handle: &'a mut Handle<H>,
    target: &'a Target,
    tried: Vec<String>,
    /// What the server takes; unknown before the first refusal.
    allowed: Option<MethodSet>,
}

enum Step {
    In,
    Partly,
    Refused,
    /// The connection has ended.
    Closed,
    /// A question stays open, before which nothing else can be tried.
    Stuck,
}

impl<H: Handler> LogIn<'_, H> {
    async fn public_keys(
        &mut self,
        offers: &mut std::vec::IntoIter<Offer>,
        keyring: &Keyring,
    ) -> Step {
        for offer in offers {
            let step = match self.offer(&offer).await {
                Ok(result) => self.judge(result),
                Err(reason) => {
                    self.tried.push(format!("{} ({reason})", offer.label));
                    continue;
                }
            };
            match step {
                Step::In | Step::Partly => {
                    keyring.remember(&self.target.user, &offer.fingerprint);
                    return step;
                }
                Step::Refused => self.tried.push(format!("{} (refused)", offer.label)),
                Step::Closed | Step::Stuck => {
                    self.tried.push(format!("{} (refused)", offer.label));
                    return step;
                }
            }
            let allowed = self.allowed.as_ref();
            if allowed.is_some_and(|allowed| !allowed.contains(&MethodKind::PublicKey)) {
                break;
            }
        }
        Step::Refused
    }

    async fn offer(&mut self, offer: &Offer) -> Result<AuthResult, String> {
        let user = self.target.user.clone();
        let rsa = match &offer.proof {
            Proof::Key(key) | Proof::Certificate(key, _) => key.algorithm().is_rsa(),
            Proof::AgentKey(_, key) => key.algorithm().is_rsa(),
            Proof::AgentCertificate(_, certificate) => certificate.algorithm().is_rsa(),
        };
        let hash = if rsa { self.rsa_hash().await } else { None };
        let said = |error: &dyn std::fmt::Display| error.to_string();
        match &offer.proof {
            Proof::Key(key) => {
                let key = PrivateKeyWithHashAlg::new(key.clone(), hash);
                let tried = self.handle.authenticate_publickey(user, key).await;
                tried.map_err(|error| said(&error))
            }
            Proof::Certificate(key, certificate) => {
                let mut signer = LocalSigner(key.clone());
                let certificate = (**certificate).clone();
                self.handle
                    .authenticate_certificate_with(user, certificate, hash, &mut signer)
                    .await
                    .map_err(|error| said(&error))
            }
            Proof::AgentKey(agent, key) => {
                let mut signer = AgentSigner(agent.clone());
                self.handle
                    .authenticate_publickey_with(user, key.clone(), hash, &mut signer)
                    .await
                    .map_err(|error| said(&error))
            }
            Proof::AgentCertificate(agent, certificate) => {
                let mut signer = AgentSigner(agent.clone());
                let certificate = (**certificate).clone();
                self.handle
                    .authenticate_certificate_with(user, certificate, hash, &mut signer)
                    .await
                    .map_err(|error| said(&error))
            }
        }
    }

    /// RSA with SHA-2, the better one that the server knows. Without a word from it: SHA-512, which
    /// OpenSSH has since 7.2. Never SHA-1.
    async fn rsa_hash(&self) -> Option<HashAlg> {
        let told = self.handle.best_supported_rsa_hash().await;
        Some(told.ok().flatten().flatten().unwrap_or(HashAlg::Sha512))
    }

    async fn password(&mut self) -> Step {
        let Some(password) = &self.target.password else { return Step::Refused };
        let asked_blindly = self.allowed.is_none();
        let answer = self.handle.authenticate_password(&self.target.user, password.expose()).await;
        let step = answer.map_or(Step::Closed, |result| self.judge(result));
        match step {
            Step::In | Step::Partly => {}
            // It does not take passwords at all, so this one was not judged.
            Step::Refused if asked_blindly && !self.takes(MethodKind::Password) => {}
            Step::Refused | Step::Closed | Step::Stuck => {
                self.tried.push("password (refused)".into());
                // Where a server takes both, the same wrong word would count twice.
                if let Some(allowed) = &mut self.allowed {
                    allowed.remove(MethodKind::KeyboardInteractive);
                }
            }
        }
        step
    }

    fn takes(&self, method: MethodKind) -> bool {
        self.allowed.as_ref().is_some_and(|allowed| allowed.contains(&method))
    }

    /// Keyboard-interactive (RFC 4256): every hidden question is taken to ask for the password,
    /// once; anything else wants a person.
    async fn questions(&mut self) -> Step {
        let Some(password) = &self.target.password else { return Step::Refused };
        let started = self
            .handle
            .authenticate_keyboard_interactive_start(self.target.user.clone(), None)
            .await;
        let mut answer = started;
        let mut given = false;
        for _ in 0..ROUNDS {
            let prompts = match answer {
                Ok(KeyboardInteractiveAuthResponse::Success) => return Step::In,
                Ok(KeyboardInteractiveAuthResponse::Failure {
                    remaining_methods,
                    partial_success,
                }) => {
                    if given {
                        self.tried.push("keyboard-interactive (refused)".into());
                    }
                    return self.judge(AuthResult::Failure { remaining_methods, partial_success });
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => prompts,
                Err(_) => return Step::Closed,
            };
            let mut responses = Vec::with_capacity(prompts.len());
            for prompt in &prompts {
                if prompt.echo || given {
                    let text = crate::model::text::printable(prompt.prompt.as_bytes(), 100);
                    self.tried.push(format!(
                        "keyboard-interactive (it asks {:?}, which certroll cannot answer)",
                        text.trim()
                    ));
                    return Step::Stuck;
                }
                given = true;
                responses.push(password.expose().clone());
            }
            answer = self.handle.authenticate_keyboard_interactive_respond(responses).await;
        }
        Step::Closed
    }

    fn judge(&mut self, result: AuthResult) -> Step {
        match result {
            AuthResult::Success => Step::In,
            AuthResult::Failure { remaining_methods, partial_success } => {
                if remaining_methods.is_empty() || self.handle.is_closed() {
                    return Step::Closed;
                }
                self.allowed = Some(remaining_methods);
                if partial_success { Step::Partly } else { Step::Refused }
            }
        }
    }
}
