//! What can go wrong on the way to a running program: each with the host, the address, and what
//! the operator can do.

mod start;

pub use start::StartError;

use std::path::PathBuf;
use std::time::Duration;

/// Why there is no session with a host.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address.
    #[error("cannot resolve '{address}': {reason}; set ansible_host or HostName to an address")]
    Resolve {
        /// The name as given.
        address: String,
        /// The resolver's words.
        reason: String,
    },
    /// Nobody listens.
    #[error("{address} port {port} refused the connection: is sshd running, on that port?")]
    Refused {
        /// As given in the target.
        address: String,
        /// TCP port.
        port: u16,
    },
    /// No answer in time.
    #[error("{address} port {port}: {stage} took longer than {}", seconds(*.after))]
    Timeout {
        /// As given in the target.
        address: String,
        /// TCP port.
        port: u16,
        /// What was under way: `the connection and key exchange`, `authentication`.
        stage: &'static str,
        /// The limit.
        after: Duration,
    },
    /// The network says that it cannot be reached.
    #[error("no route to {address} port {port}")]
    NoRoute {
        /// As given in the target.
        address: String,
        /// TCP port.
        port: u16,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A key that no `known_hosts` file has.
    #[error(transparent)]
    HostKeyUnknown(Box<HostKeyUnknown>),
    /// Another key than the one known.
    #[error(transparent)]
    HostKeyChanged(Box<HostKeyChanged>),
    /// A key marked `@revoked`, or a certificate of a revoked authority.
    #[error(
        "the {algorithm} host key {fingerprint} of {name} is revoked by {}:{line}: do not trust \
         this machine until its operator has given it a new key", file.display()
    )]
    HostKeyRevoked {
        /// As looked up: `host` or `[host]:port`.
        name: String,
        /// `ssh-ed25519` and so on.
        algorithm: String,
        /// `SHA256:…`.
        fingerprint: String,
        /// The file that revokes it.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// A host certificate by a trusted authority that is not good for this host, or not now.
    #[error("the host certificate of {name} is not valid: {reason}")]
    HostCertificate {
        /// As looked up.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A `known_hosts` file to which an accepted key could not be added.
    #[error("cannot add the host key to the known hosts file {}", file.display())]
    KnownHosts {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Neither a key nor a password. Nothing was connected to.
    #[error("no way to log in to {address} port {port} as {user}: {}", list(.tried))]
    NoCredentials {
        /// Account.
        user: String,
        /// As given in the target.
        address: String,
        /// TCP port.
        port: u16,
        /// What cannot be used, and why.
        tried: Vec<String>,
    },
    /// No method was accepted.
    #[error("{user}@{address} port {port} refused every login that was tried: {}{}",
        list(.tried), allowed(.methods))]
    AuthFailed {
        /// Account.
        user: String,
        /// As given in the target.
        address: String,
        /// TCP port.
        port: u16,
        /// Each key and method in order, with its result.
        tried: Vec<String>,
        /// What the server would still take.
        methods: Vec<String>,
    },
    /// A bastion on the way failed.
    #[error("jump host {which} failed")]
    Jump {
        /// `user@address:port` of the bastion.
        which: String,
        /// Its own error.
        #[source]
        source: std::sync::Arc<ConnectError>,
    },
    /// The last bastion could not connect onwards.
    #[error("jump host {which} cannot connect to {address} port {port}: {reason}")]
    JumpOnwards {
        /// `user@address:port` of the bastion.
        which: String,
        /// What it was asked to connect to.
        address: String,
        /// TCP port.
        port: u16,
        /// Its words.
        reason: String,
    },
    /// The proxy command did not run.
    #[error("cannot run the proxy command '{command}'")]
    ProxyCommand {
        /// After expansion.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// The proxy command ran and complained, and no connection came of it.
    #[error("the proxy command '{command}' failed: {said}")]
    ProxyFailed {
        /// After expansion.
        command: String,
        /// Its words, printable.
        said: String,
        /// What became of the connection.
        source: Box<ConnectError>,
    },
    /// Nobody waited for it any more.
    #[error("the attempt was given up")]
    Cancelled,
    /// An SSH server that shares no algorithm of some kind with certroll.
    #[error(
        "{address} port {port} and certroll have no {what} in common: it has {theirs}; allow it one \
         of {ours}"
    )]
    NoCommonAlgorithm {
        /// As given in the target.
        address: String,
        /// TCP port.
        port: u16,
        /// What there is none of, with its keyword in `sshd_config`.
        what: &'static str,
        /// The server's, printable.
        theirs: String,
        /// certroll's.
        ours: String,
    },
    /// Something that is not SSH.
    #[error("{address} port {port} does not speak SSH as expected: {reason}")]
    Protocol {
        /// As given in the target.
        address: String,
        /// TCP port.
        port: u16,
        /// What was wrong.
        reason: String,
    },
    /// Any other failure of the socket.
    #[error("connection to {address} port {port} failed")]
    Io {
        /// As given in the target.
        address: String,
        /// TCP port.
        port: u16,
        /// The operating system's error.
        source: std::io::Error,
    },
}

impl ConnectError {
    /// Whether another attempt in the same run would end alike: the host was reached, and it or its key
    /// was refused. Such attempts count against us where sshd keeps `PerSourcePenalties`.
    pub fn is_final(&self) -> bool {
        match self {
            Self::AuthFailed { .. }
            | Self::HostKeyUnknown(_)
            | Self::HostKeyChanged(_)
            | Self::HostKeyRevoked { .. }
            | Self::HostCertificate { .. }
            | Self::NoCommonAlgorithm { .. } => true,
            Self::Jump { source, .. } => source.is_final(),
            _ => false,
        }
    }

    /// Whether another attempt a moment later could end otherwise.
    pub(in crate::transport) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Resolve { .. }
                | Self::Refused { .. }
                | Self::Timeout { .. }
                | Self::NoRoute { .. }
                | Self::Protocol { .. }
                | Self::Io { .. }
        )
    }
}

/// Details of [`ConnectError::HostKeyUnknown`].
#[derive(Debug)]
pub struct HostKeyUnknown {
    /// As looked up: `host` or `[host]:port`.
    pub name: String,
    /// `ssh-ed25519` and so on.
    pub algorithm: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// The files that were searched, each with why it could not be, if so.
    pub files: Vec<(PathBuf, Option<String>)>,
    /// Kinds of keys that are known of the host and that certroll cannot ask for.
    pub other_kinds: Vec<String>,
    /// Shell line that fetches the key again and adds it.
    pub remedy: String,
}

/// Details of [`ConnectError::HostKeyChanged`].
#[derive(Debug)]
pub struct HostKeyChanged {
    /// As looked up.
    pub name: String,
    /// The new key's algorithm.
    pub algorithm: String,
    /// The new key, `SHA256:…`.
    pub fingerprint: String,
    /// The known ones: file, line, algorithm and fingerprint.
    pub known: Vec<(PathBuf, usize, String, String)>,
    /// Shell line that removes the known key.
    pub remedy: String,
}

impl std::fmt::Display for HostKeyUnknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, algorithm, fingerprint, files, other_kinds, remedy } = self;
        let file = |(file, fault): &(PathBuf, Option<String>)| match fault {
            Some(fault) => format!("{}: {fault}", file.display()),
            None => file.display().to_string(),
        };
        let files: Vec<_> = files.iter().map(file).collect();
        let searched =
            if files.is_empty() { "no known_hosts file given".into() } else { files.join(", ") };
        write!(f, "the host key of {name} is not known ({searched}): {algorithm} {fingerprint}")?;
        if !other_kinds.is_empty() {
            write!(
                f,
                " (the only keys known for it are of unsupported types: {})",
                other_kinds.join(", ")
            )?;
        }
        write!(f, "; compare that with the machine's own, then add it: {remedy}")
    }
}

impl std::fmt::Display for HostKeyChanged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, algorithm, fingerprint, known, remedy } = self;
        write!(f, "the host key of {name} has changed: it shows {algorithm} {fingerprint}")?;
        for (file, line, algorithm, fingerprint) in known {
            write!(f, ", known is {algorithm} {fingerprint} ({}:{line})", file.display())?;
        }
        write!(
            f,
            "; someone may be intercepting the connection, or the machine was reinstalled: then remove the old key \
             with: {remedy}"
        )
    }
}

impl std::error::Error for HostKeyUnknown {}

impl std::error::Error for HostKeyChanged {}

/// Why a channel to a third machine could not be opened through a session.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The host could not or would not connect.
    #[error("{via} cannot connect to {host} port {port}: {reason}")]
    Refused {
        /// The host that was asked.
        via: String,
        /// What to connect to.
        host: String,
        /// TCP port.
        port: u16,
        /// `connect failed`, `administratively prohibited`, …
        reason: String,
    },
    /// The session is gone.
    #[error("the connection to {via} was lost")]
    Lost {
        /// The host that was asked.
        via: String,
    },
}

fn list(tried: &[String]) -> String {
    if tried.is_empty() {
        "there is no key, agent or password to try".into()
    } else {
        tried.join(", ")
    }
}

fn allowed(methods: &[String]) -> String {
    if methods.is_empty() {
        String::new()
    } else {
        format!("; it would take {}", methods.join(" or "))
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
