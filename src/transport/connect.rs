//! From a target to a session: the way there, the key exchange, the log-in.

use super::auth::{self, Keyring};
use super::client::{Client, ClientError, Notes};
use super::error::{ConnectError, DialError};
use super::greeting::{self, Ungreeted};
use super::host_key::{Expectation, KnownHostsCache};
use super::proxy;
use super::session::{Session, Tunnel};
use super::ssh_config::AddressFamily;
use super::target::Target;
use super::tcp;
use crate::model::Timestamp;
use crate::model::text::printable;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use russh::client::{self, Config, Handle};
use russh::{AlgorithmKind, SshId};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// For the whole log-in: PAM delays a refusal by seconds, and a key may wait for a touch.
const LOG_IN_TIMEOUT: Duration = Duration::from_secs(60);

/// `ConnectionAttempts` are made so far apart, as by OpenSSH.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// Makes sessions. Cheap to clone; clones share bastion connections (one to each), agents, opened
/// key files and known hosts.
#[derive(Clone, Debug)]
pub struct Connector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    now: Timestamp,
    keyring: Keyring,
    known_hosts: KnownHostsCache,
    /// Held while a host key is added, so that lines do not mix.
    remembering: tokio::sync::Mutex<()>,
    bastions: Mutex<HashMap<String, (Offered, Bastion)>>,
}

/// What a bastion was tried with, as text: its refusal says nothing about anything else.
type Offered = String;

/// A bastion's session, or the attempt at one, shared by all who wait for it.
type Bastion = Shared<BoxFuture<'static, Result<Session, Arc<ConnectError>>>>;

impl Connector {
    /// `now` is what the validity of host certificates is judged by.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Inner {
            now,
            keyring: Keyring::default(),
            known_hosts: KnownHostsCache::default(),
            remembering: tokio::sync::Mutex::default(),
            bastions: Mutex::default(),
        }))
    }

    /// Connects, checks the host's key, logs in.
    ///
    /// # Errors
    /// Each of [`ConnectError`]. Dropped before its end, it leaves no connection behind, except one
    /// to a bastion that others may use.
    pub async fn connect(&self, target: &Target) -> Result<Session, ConnectError> {
        // A connection without a log-in counts against us where PerSourcePenalties are kept.
        let credentials = self.0.keyring.credentials(target, self.0.now).await;
        if !auth::can_try(target, &credentials) {
            return Err(ConnectError::NoCredentials {
                user: target.user.clone(),
                address: target.address.clone(),
                port: target.port,
                tried: credentials.faults,
            });
        }
        match (target.jumps.split_last(), &target.proxy_command) {
            (Some((last, before)), _) => {
                let which = last.to_string();
                let bastion = Target { jumps: before.to_vec(), ..last.clone() };
                let through = self
                    .bastion(bastion)
                    .await
                    .map_err(|source| ConnectError::Jump { which: which.clone(), source })?;
                let stream = onwards(&through, &which, target);
                self.over(target, stream, Some(through.clone())).await
            }
            (None, Some(command)) => {
                let said = proxy::Said::default();
                match self.over(target, proxy::run(command, &said), None).await {
                    Err(error) if error.may_pass() => Err(said.explain(command, error).await),
                    result => result,
                }
            }
            (None, None) => {
                let mut left = target.connection_attempts;
                loop {
                    match self.over(target, direct(target), None).await {
                        Err(error) if left > 1 && error.may_pass() => {
                            tokio::time::sleep(BETWEEN_ATTEMPTS).await;
                        }
                        result => return result,
                    }
                    left -= 1;
                }
            }
        }
    }

    /// The session with a bastion, shared by all who go through it: the one there is, or a new one.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn bastion(
        &self,
        target: Target,
    ) -> BoxFuture<'static, Result<Session, Arc<ConnectError>>> {
        let path = target.jumps.iter().chain([&target]).map(|hop| format!("{hop} "));
        let slot: String = path.collect();
        let connector = self.clone();
        async move {
            let attempt = connector.attempt(&slot, &target);
            let result = attempt.clone().await;
            if result.as_ref().is_err_and(|error| !error.is_final()) {
                // All who waited share the failure; who comes later tries anew.
                let mut bastions =
                    connector.0.bastions.lock().unwrap_or_else(PoisonError::into_inner);
                if bastions.get(&slot).is_some_and(|(_, current)| current.ptr_eq(&attempt)) {
                    bastions.remove(&slot);
                }
            }
            result
        }
        .boxed()
    }

    fn attempt(&self, slot: &str, target: &Target) -> Bastion {
        let mut bastions = self.0.bastions.lock().unwrap_or_else(PoisonError::into_inner);
        let offered = offered(target);
        let stands = |(with, bastion): &(Offered, Bastion)| match bastion.peek() {
            Some(Ok(session)) => !session.is_closed(),
            Some(Err(error)) => error.is_final() && *with == offered,
            None => true,
        };
        if let Some((_, bastion)) = bastions.get(slot).filter(|entry| stands(entry)) {
            return bastion.clone();
        }
        let connector = Self(self.0.clone());
        let target = target.clone();
        // In a task of its own: whoever asked first may be cancelled while others still wait.
        let task = tokio::spawn(async move { connector.connect(&target).await.map_err(Arc::new) });
        let lost = |_| Arc::new(ConnectError::Cancelled);
        let bastion = async move { task.await.map_err(lost)? }.boxed().shared();
        bastions.insert(slot.to_owned(), (offered, bastion.clone()));
        bastion
    }

    async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        target: &Target,
        stream: impl Future<Output = Result<S, ConnectError>>,
        through: Option<Session>,
    ) -> Result<Session, ConnectError> {
        let notes = Notes::default();
        let shaking = async {
            let stream = greeting::greet(stream.await?).await;
            let stream = stream.map_err(|why| ungreeted(target, why))?;
            let known = target.known_hosts.iter().map(|path| self.0.known_hosts.read(path));
            let expectation = Expectation::new(target, known.collect());
            let config = Arc::new(config(target, &expectation));
            let handler = Client { expectation, now: self.0.now, notes: notes.clone() };
            let shaken = client::connect_stream(config, stream, handler).await;
            shaken.map_err(|error| refused(target, error, &notes))
        };
        let late = |stage, after| {
            move |_| ConnectError::Timeout {
                address: target.address.clone(),
                port: target.port,
                stage,
                after,
            }
        };
        let limit = target.connect_timeout;
        let mut handle = tokio::time::timeout(limit, shaking)
            .await
            .map_err(late("the connection and key exchange", limit))??;
        if let Some(line) = notes.take_remember() {
            self.remember(target, &line).await?;
        }
        tokio::time::timeout(LOG_IN_TIMEOUT, self.log_in(&mut handle, target, &notes))
            .await
            .map_err(late("authentication", LOG_IN_TIMEOUT))??;
        Ok(Session::new(handle, target.host.to_string(), notes.host_key(), through))
    }

    async fn log_in(
        &self,
        handle: &mut Handle<Client>,
        target: &Target,
        notes: &Notes,
    ) -> Result<(), ConnectError> {
        let withheld = notes.is_impostor() && target.password.is_some();
        let without = withheld.then(|| Target { password: None, ..target.clone() });
        let offered = without.as_ref().unwrap_or(target);
        // Asked again: another host may have shown by now which key is the right one.
        let credentials = self.0.keyring.credentials(offered, self.0.now).await;
        let tried = auth::log_in(handle, offered, &self.0.keyring, credentials).await;
        let Err(refusal) = tried else {
            return Ok(());
        };
        let mut tried = refusal.tried;
        if refusal.closed {
            tried.push(hung_up(tried.len(), notes.banner().unwrap_or_default().as_bytes()));
        }
        if withheld {
            tried.push("password (withheld, as the host key is not the known one)".into());
        }
        if let Some(farewell) = notes.farewell() {
            tried.push(format!("its last words: {}", printable(farewell.as_bytes(), 200).trim()));
        }
        Err(ConnectError::AuthFailed {
            user: target.user.clone(),
            address: target.address.clone(),
            port: target.port,
            tried,
            methods: refusal.methods,
        })
    }

    async fn remember(&self, target: &Target, line: &str) -> Result<(), ConnectError> {
        let Some(file) = target.known_hosts.first() else { return Ok(()) };
        let _alone = self.0.remembering.lock().await;
        append(file, line).map_err(|source| ConnectError::KnownHosts { file: file.clone(), source })
    }
}

/// What decides whether a bastion and each one before it lets us in, and whether we trust it. A password does not
/// show in it, and none is ever used for a bastion of an inventory.
fn offered(target: &Target) -> Offered {
    let hops = target.jumps.iter().chain([target]);
    let parts = hops.map(|hop| {
        let keys = (&hop.identities, &hop.certificates, hop.identities_only, &hop.agent);
        let trust = (&hop.known_hosts, hop.host_key_checking, &hop.host_key_alias);
        format!("{keys:?} {trust:?} {:?} {}\n", hop.methods, hop.password.is_some())
    });
    parts.collect()
}

/// Adds a line, after the newline that somebody's editor may have left out.
fn append(file: &Path, line: &str) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom, Write};
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(directory) = file.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut file =
        std::fs::OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)?;
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let gap = if last == [b'\n'] { "" } else { "\n" };
    file.write_all(format!("{gap}{line}\n").as_bytes())
}

fn config(target: &Target, expectation: &Expectation) -> Config {
    let keepalive = target.keepalive;
    Config {
        client_id: SshId::Standard(Cow::Borrowed(greeting::OURS)),
        preferred: expectation.preferred(),
        keepalive_interval: keepalive.map(|keepalive| keepalive.interval),
        keepalive_max: keepalive.map_or(0, |keepalive| keepalive.count),
        nodelay: true,
        ..Config::default()
    }
}

async fn direct(target: &Target) -> Result<tcp::Prompt, ConnectError> {
    let Target { address, port, .. } = target;
    let resolve = |reason: String| ConnectError::Resolve { address: address.clone(), reason };
    let found = tokio::net::lookup_host((address.as_str(), *port)).await.map_err(|error| {
        // glibc's texts come wrapped by std; the wrapping says nothing.
        let text = error.to_string();
        let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
        resolve(text.to_owned())
    })?;
    let mut addresses = Vec::new();
    for address in found {
        let wanted = match target.address_family {
            AddressFamily::Any => {
                target.bind_address.is_none_or(|own| own.is_ipv4() == address.is_ipv4())
            }
            AddressFamily::Inet => address.is_ipv4(),
            AddressFamily::Inet6 => address.is_ipv6(),
        };
        if wanted && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(resolve("the name has no address of the wanted family".into()));
    }
    tcp::connect(addresses, target.bind_address).await.map_err(|error| socket(target, error))
}

async fn onwards(through: &Session, which: &str, target: &Target) -> Result<Tunnel, ConnectError> {
    through.dial(&target.address, target.port).await.map_err(|error| ConnectError::JumpOnwards {
        which: which.to_owned(),
        address: target.address.clone(),
        port: target.port,
        reason: match error {
            DialError::Refused { reason, .. } => reason,
            DialError::Lost { .. } => "its connection was lost".into(),
        },
    })
}

fn socket(target: &Target, source: io::Error) -> ConnectError {
    let (address, port) = (target.address.clone(), target.port);
    match source.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused { address, port },
        io::ErrorKind::TimedOut => ConnectError::Timeout {
            address,
            port,
            stage: "the connection and key exchange",
            after: target.connect_timeout,
        },
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ConnectError::NoRoute { address, port, source }
        }
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => closed(target, &[]),
        _ => ConnectError::Io { address, port, source },
    }
}

fn protocol(target: &Target, reason: String) -> ConnectError {
    ConnectError::Protocol { address: target.address.clone(), port: target.port, reason }
}

fn ungreeted(target: &Target, why: Ungreeted) -> ConnectError {
    match why {
        Ungreeted::Io(error) => socket(target, error),
        Ungreeted::Closed(said) => closed(target, &said),
        Ungreeted::NoSsh(said) => {
            let said = printable(&said[..said.len().min(200)], 200);
            protocol(target, format!("it says {:?}", said.trim()))
        }
    }
}

fn refused(target: &Target, error: ClientError, notes: &Notes) -> ConnectError {
    match error {
        ClientError::HostKey(error) => *error,
        ClientError::Russh(russh::Error::IO(error)) => socket(target, error),
        ClientError::Russh(russh::Error::Disconnect | russh::Error::HUP) => {
            closed(target, notes.farewell().unwrap_or_default().as_bytes())
        }
        ClientError::Russh(russh::Error::NoCommonAlgo { kind, ours, theirs }) => {
            // Extensions are among them, in the form of names.
            let is_one = |name: &String| {
                !["kex-strict-", "ext-info-"].iter().any(|mark| name.starts_with(mark))
            };
            let list = |names: Vec<String>| {
                let names: Vec<_> = names.into_iter().filter(is_one).collect();
                printable(names.join(", ").as_bytes(), 500)
            };
            ConnectError::NoCommonAlgorithm {
                address: target.address.clone(),
                port: target.port,
                what: match kind {
                    AlgorithmKind::Kex => "key exchange (KexAlgorithms)",
                    AlgorithmKind::Key => "kind of host key (HostKeyAlgorithms)",
                    AlgorithmKind::Cipher => "cipher (Ciphers)",
                    AlgorithmKind::Mac => "message authentication (MACs)",
                    AlgorithmKind::Compression => "compression (Compression)",
                },
                theirs: list(theirs),
                ours: list(ours),
            }
        }
        ClientError::Russh(error) => protocol(target, printable(error.to_string().as_bytes(), 300)),
    }
}

/// The server hung up after so many refusals. What it said before that is of the account (PAM tells it in a banner).
fn hung_up(refused: usize, said: &[u8]) -> String {
    let words = printable(said, 1000).split_whitespace().collect::<Vec<_>>().join(" ");
    let said = if words.is_empty() {
        words
    } else {
        format!(" and said {:?}", printable(words.as_bytes(), 300))
    };
    let cause = match refused {
        0 | 1 if said.is_empty() => {
            ": the account may be locked or expired, as the log of its sshd tells"
        }
        0 | 1 => "",
        _ => {
            ": name the right key alone (ansible_ssh_private_key_file, IdentitiesOnly), unless it shuts out this account"
        }
    };
    format!("then the server closed the connection{said}{cause}")
}

/// The server hung up before the log-in, perhaps with a word about why.
fn closed(target: &Target, said: &[u8]) -> ConnectError {
    let text = printable(said, 200);
    let text = text.trim();
    let cause = if text.contains("Not allowed at this time") {
        "PerSourcePenalties in its sshd_config: log-ins from here failed a little before; it lets \
         nobody in from this address for up to some minutes"
    } else if text.contains("MaxStartups") {
        "MaxStartups in its sshd_config: too many log-ins at once, try fewer --forks"
    } else {
        "the usual causes are MaxStartups (too many log-ins at once) and PerSourcePenalties (log-ins \
         from this address that failed a little before) in its sshd_config, a proxy, or a firewall"
    };
    let said = if text.is_empty() { String::new() } else { format!(" and said {text:?}") };
    protocol(target, format!("it closed the connection before the log-in{said}: {cause}"))
}
