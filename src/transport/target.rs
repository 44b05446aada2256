//! Where to connect, and as whom: everything resolved, nothing looked up any more.

use super::ssh_config::AddressFamily;
use crate::model::{HostName, Secret};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A host as SSH sees it, after inventory, `ssh_config` and command line have had their say.
#[derive(Clone, Debug)]
pub struct Target {
    /// The name by which the operator knows the host.
    pub host: HostName,
    /// Name or address to connect to, without brackets.
    pub address: String,
    /// TCP port.
    pub port: u16,
    /// Account to log in to.
    pub user: String,
    /// Private key files, in the order in which they are offered. A missing one is passed over, and
    /// the failure message names it.
    pub identities: Vec<PathBuf>,
    /// User certificates (`CertificateFile`) beyond `KEY-cert.pub` beside each key.
    pub certificates: Vec<PathBuf>,
    /// Offer nothing but `identities`, even if the agent holds more (`IdentitiesOnly`).
    pub identities_only: bool,
    /// For the methods `password` and `keyboard-interactive`.
    pub password: Option<Secret<String>>,
    /// Opens encrypted key files.
    pub passphrase: Option<Secret<String>>,
    /// Which agent is asked for keys.
    pub agent: AgentChoice,
    /// Authentication methods in order, by their names in RFC 4252. Empty: `publickey`,
    /// `keyboard-interactive`, `password`.
    pub methods: Vec<String>,
    /// Files of known host keys; the first is where the operator is told to add one.
    pub known_hosts: Vec<PathBuf>,
    /// What to do about a host key that is not known.
    pub host_key_checking: HostKeyChecking,
    /// Add host keys under a hash of the name (`HashKnownHosts`).
    pub hash_known_hosts: bool,
    /// The name to look up in `known_hosts` in place of `address` (`HostKeyAlias`).
    pub host_key_alias: Option<String>,
    /// Bastions to pass, the one next to the controller first. Each one's own `jumps` are ignored.
    pub jumps: Vec<Target>,
    /// A command whose stdin and stdout are the connection, in place of TCP (`ProxyCommand`). Run by
    /// the controller's `sh`; tokens are expanded already.
    pub proxy_command: Option<String>,
    /// For TCP and the key exchange together. Authentication has its own limit, since servers
    /// delay it on purpose.
    pub connect_timeout: Duration,
    /// How often a TCP connection is tried, a second apart (`ConnectionAttempts`).
    pub connection_attempts: u32,
    /// Which of a name's addresses are used.
    pub address_family: AddressFamily,
    /// The controller's own address to connect from (`BindAddress`).
    pub bind_address: Option<IpAddr>,
    /// How a silent peer is noticed.
    pub keepalive: Option<Keepalive>,
}

impl Target {
    /// A target with OpenSSH's defaults and no keys, known hosts or agent at all.
    pub fn new(host: HostName, address: impl Into<String>, user: impl Into<String>) -> Self {
        Self {
            host,
            address: address.into(),
            port: 22,
            user: user.into(),
            identities: Vec::new(),
            certificates: Vec::new(),
            identities_only: false,
            password: None,
            passphrase: None,
            agent: AgentChoice::None,
            methods: Vec::new(),
            known_hosts: Vec::new(),
            host_key_checking: HostKeyChecking::Strict,
            hash_known_hosts: false,
            host_key_alias: None,
            jumps: Vec::new(),
            proxy_command: None,
            connect_timeout: Duration::from_secs(10),
            connection_attempts: 1,
            address_family: AddressFamily::Any,
            bind_address: None,
            keepalive: Some(Keepalive::default()),
        }
    }
}

/// `user@address:port`, as `ssh -J` takes it.
impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, address, port, .. } = self;
        if address.contains(':') {
            write!(f, "{user}@[{address}]:{port}")
        } else {
            write!(f, "{user}@{address}:{port}")
        }
    }
}

/// Which `ssh-agent` to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum AgentChoice {
    /// None.
    #[default]
    None,
    /// The one behind this socket (`SSH_AUTH_SOCK` or `IdentityAgent`).
    Socket(PathBuf),
}

/// What happens when a host's key is not among the known ones. A *changed* or *revoked* key is
/// refused by all but [`DangerOff`](Self::DangerOff).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HostKeyChecking {
    /// Refuse.
    #[default]
    Strict,
    /// Trust on first use: accept an unknown key and add it to the first `known_hosts` file.
    AcceptNew,
    /// Accept any key at all: the connection may end at an impostor.
    DangerOff,
}

/// `ServerAliveInterval` and `ServerAliveCountMax`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Keepalive {
    /// Silence after which the peer is asked for a sign of life.
    pub interval: Duration,
    /// Unanswered questions after which the connection is given up.
    pub count: usize,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self { interval: Duration::from_secs(15), count: 3 }
    }
}
