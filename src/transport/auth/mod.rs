//! Logging in: keys of the agent and of files, certificates, passwords.
//!
//! Neither the method `none` nor a list of methods is asked for: the likeliest key is offered at
//! once, and what the server says to a wrong one tells the methods that it takes.

mod agent;
mod key_file;
mod offers;
mod openssh;

pub(super) use offers::{Credentials, Keyring};

use super::target::Target;
use agent::{AgentSigner, LocalSigner};
use offers::{Holder, Offer};
use russh::client::{AuthResult, Handle, Handler, KeyboardInteractiveAuthResponse};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

/// Rounds of keyboard-interactive questions; PAM asks once or twice.
const ROUNDS: usize = 5;

/// What was tried in vain.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    pub(super) tried: Vec<String>,
    /// What the server would still take.
    pub(super) methods: Vec<String>,
    /// The server has closed the connection.
    pub(super) closed: bool,
}

/// Logs in, or tells what was refused.
pub(super) async fn log_in<H: Handler>(
    handle: &mut Handle<H>,
    target: &Target,
    keyring: &Keyring,
    credentials: Credentials,
) -> Result<(), Refusal> {
    let mut login = LogIn { handle, target, tried: credentials.faults, allowed: None };
    let mut offers = credentials.offers.into_iter();
    let mut methods = methods(target);
    let mut closed = false;
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
                closed = true;
                break;
            }
            // Another factor is wanted, maybe of a kind that was tried already.
            Step::Partly => {
                login.tried.push(format!(
                    "{} (accepted, but the server requires another method)",
                    name(method)
                ));
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
        closed,
    })
}

fn name(kind: MethodKind) -> &'static str {
    <&'static str>::from(&kind)
}

/// Whether there is anything to try.
pub(super) fn can_try(target: &Target, credentials: &Credentials) -> bool {
    let with =
        |method: &MethodKind| *method != MethodKind::PublicKey || !credentials.offers.is_empty();
    methods(target).iter().any(with)
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
                    keyring.remember(&self.target.user, &offer);
                    return step;
                }
                Step::Refused => {
                    self.tried.push(format!("{} (refused{})", offer.label, offer.hint))
                }
                Step::Closed | Step::Stuck => {
                    self.tried.push(format!("{} (refused{})", offer.label, offer.hint));
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
        let hash = if offer.is_rsa() { Some(self.rsa_hash().await?) } else { None };
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let certificate = offer.certificate.as_deref().cloned();
        match (&offer.holder, certificate) {
            (Holder::File(key), None) => {
                let key = PrivateKeyWithHashAlg::new(key.clone(), hash);
                let tried = self.handle.authenticate_publickey(user, key).await;
                tried.map_err(|error| said(&error))
            }
            (Holder::File(key), Some(certificate)) => self
                .handle
                .authenticate_certificate_with(
                    user,
                    certificate,
                    hash,
                    &mut LocalSigner(key.clone()),
                )
                .await
                .map_err(|error| said(&error)),
            (Holder::Agent(agent, key), certificate) => {
                let binding = self.handle.agent_session_binding().cloned();
                let mut signer = AgentSigner { agent, key, binding };
                let tried = match certificate {
                    Some(certificate) => {
                        self.handle
                            .authenticate_certificate_with(user, certificate, hash, &mut signer)
                            .await
                    }
                    None => {
                        let key = key.public_key().into_owned();
                        self.handle.authenticate_publickey_with(user, key, hash, &mut signer).await
                    }
                };
                tried.map_err(|error| said(&error))
            }
        }
    }

    /// RSA with SHA-2, the better one that the server knows. Without a word from it: SHA-512, which
    /// OpenSSH has since 7.2. Never SHA-1: a server that knows nothing else is not asked.
    async fn rsa_hash(&self) -> Result<HashAlg, String> {
        match self.handle.best_supported_rsa_hash().await.ok().flatten() {
            None => Ok(HashAlg::Sha512),
            Some(Some(hash)) => Ok(hash),
            Some(None) => Err("the server knows RSA with SHA-1 only, which is not used".into()),
        }
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
