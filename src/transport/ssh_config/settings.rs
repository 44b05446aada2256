//! What a configuration says about one host: of each keyword the first value.

use crate::source::Span;
use std::time::Duration;

/// Values as written: `~` and `%` tokens are expanded when a [`Target`](crate::transport::Target)
/// is made of them. `None` means that nothing was said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// `HostName`.
    pub host_name: Option<String>,
    /// `Port`.
    pub port: Option<u16>,
    /// `User`.
    pub user: Option<String>,
    /// `IdentityFile`, all of them.
    pub identity_files: Vec<String>,
    /// `CertificateFile`, all of them.
    pub certificate_files: Vec<String>,
    /// `IdentitiesOnly`.
    pub identities_only: Option<bool>,
    /// `IdentityAgent`.
    pub identity_agent: Option<String>,
    /// `ProxyJump` or `ProxyCommand`, whichever came first.
    pub proxy: Option<Proxy>,
    /// `UserKnownHostsFile`.
    pub user_known_hosts: Option<Vec<String>>,
    /// `GlobalKnownHostsFile`.
    pub global_known_hosts: Option<Vec<String>>,
    /// `StrictHostKeyChecking`.
    pub host_key_checking: Option<Checking>,
    /// `HostKeyAlias`.
    pub host_key_alias: Option<String>,
    /// `HashKnownHosts`.
    pub hash_known_hosts: Option<bool>,
    /// `NoHostAuthenticationForLocalhost`.
    pub no_checking_for_localhost: Option<bool>,
    /// `ConnectTimeout`. `none` is as good as unset, here and below.
    pub connect_timeout: Option<Duration>,
    /// `ConnectionAttempts`.
    pub connection_attempts: Option<u32>,
    /// `ServerAliveInterval`.
    pub server_alive_interval: Option<Duration>,
    /// `ServerAliveCountMax`.
    pub server_alive_count_max: Option<u32>,
    /// `PreferredAuthentications`, a comma-separated list.
    pub preferred_authentications: Option<String>,
    /// `PubkeyAuthentication`.
    pub pubkey: Option<bool>,
    /// `PasswordAuthentication`.
    pub password: Option<bool>,
    /// `KbdInteractiveAuthentication`.
    pub kbd_interactive: Option<bool>,
    /// `BatchMode`. Without effect: nothing is ever asked in the middle of a run.
    pub batch_mode: Option<bool>,
    /// `AddressFamily`.
    pub address_family: Option<AddressFamily>,
    /// `BindAddress`.
    pub bind_address: Option<String>,
    /// `Tag`, for `Match tagged`.
    pub tag: Option<String>,
    /// What was asked for and cannot be done, in the order written.
    pub refused: Vec<Refused>,
    /// Keywords in [`refused`](Self::refused) that an earlier harmless value has decided.
    harmless: Vec<&'static str>,
}

/// A keyword whose value asks for something that certroll does not do.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// The keyword.
    pub keyword: &'static str,
    /// The remedy.
    pub remedy: &'static str,
    /// Where.
    pub span: Option<Span>,
}

/// How a host is reached other than by TCP from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// `ProxyJump`: the first hop first. Empty for `none`.
    Jump(Vec<Hop>),
    /// `ProxyCommand`, not expanded. Nothing for `none`.
    Command(Option<String>),
}

/// One jump host as written: `user@host:port` or `ssh://user@host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Account.
    pub user: Option<String>,
    /// Name, looked up in the configuration in turn.
    pub host: String,
    /// TCP port.
    pub port: Option<u16>,
}

impl std::fmt::Display for Hop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { user, host, port } = self;
        if let Some(user) = user {
            write!(f, "{user}@")?;
        }
        match port {
            Some(port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Some(port) => write!(f, "{host}:{port}"),
            None => f.write_str(host),
        }
    }
}

/// `StrictHostKeyChecking`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checking {
    /// `yes`.
    Yes,
    /// `ask`: as nobody can be asked, the same as `yes`.
    Ask,
    /// `accept-new`.
    AcceptNew,
    /// `no`, `off`.
    No,
}

/// `AddressFamily`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AddressFamily {
    /// IPv4 and IPv6.
    #[default]
    Any,
    /// IPv4 only.
    Inet,
    /// IPv6 only.
    Inet6,
}

/// One value of one keyword.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::transport) enum Setting {
    HostName(String),
    Port(u16),
    User(String),
    IdentityFile(String),
    CertificateFile(String),
    IdentitiesOnly(bool),
    IdentityAgent(String),
    Proxy(Proxy),
    UserKnownHosts(Vec<String>),
    GlobalKnownHosts(Vec<String>),
    HostKeyChecking(Checking),
    HostKeyAlias(String),
    HashKnownHosts(bool),
    NoCheckingForLocalhost(bool),
    ConnectTimeout(Duration),
    ConnectionAttempts(u32),
    ServerAliveInterval(Duration),
    ServerAliveCountMax(u32),
    PreferredAuthentications(String),
    Pubkey(bool),
    Password(bool),
    KbdInteractive(bool),
    BatchMode(bool),
    AddressFamily(AddressFamily),
    BindAddress(String),
    Tag(String),
    /// A value of a keyword that is refused, unless it switches the thing off.
    Beyond {
        refused: Refused,
        harmless: bool,
    },
}

impl Settings {
    /// What `%j` stands for: the jump hosts as written.
    pub(in crate::transport) fn jump(&self) -> String {
        match &self.proxy {
            Some(Proxy::Jump(hops)) => {
                hops.iter().map(Hop::to_string).collect::<Vec<_>>().join(",")
            }
            _ => String::new(),
        }
    }

    /// Takes a value, unless an earlier one stands.
    pub(in crate::transport) fn add(&mut self, setting: &Setting) {
        fn first<T: Clone>(slot: &mut Option<T>, value: &T) {
            slot.get_or_insert_with(|| value.clone());
        }
        fn another(list: &mut Vec<String>, value: &String) {
            if !list.contains(value) {
                list.push(value.clone());
            }
        }
        match setting {
            Setting::HostName(value) => first(&mut self.host_name, value),
            Setting::Port(value) => first(&mut self.port, value),
            Setting::User(value) => first(&mut self.user, value),
            Setting::IdentityFile(value) => another(&mut self.identity_files, value),
            Setting::CertificateFile(value) => another(&mut self.certificate_files, value),
            Setting::IdentitiesOnly(value) => first(&mut self.identities_only, value),
            Setting::IdentityAgent(value) => first(&mut self.identity_agent, value),
            Setting::Proxy(value) => {
                // `ProxyJump none` ends the search for jump hosts, but not that for a command.
                let open = self.proxy.as_ref().is_none_or(|proxy| *proxy == Proxy::Jump(vec![]));
                if self.proxy.is_none() || (open && matches!(value, Proxy::Command(_))) {
                    self.proxy = Some(value.clone());
                }
            }
            Setting::UserKnownHosts(value) => first(&mut self.user_known_hosts, value),
            Setting::GlobalKnownHosts(value) => first(&mut self.global_known_hosts, value),
            Setting::HostKeyChecking(value) => first(&mut self.host_key_checking, value),
            Setting::HostKeyAlias(value) => first(&mut self.host_key_alias, value),
            Setting::HashKnownHosts(value) => first(&mut self.hash_known_hosts, value),
            Setting::NoCheckingForLocalhost(value) => {
                first(&mut self.no_checking_for_localhost, value);
            }
            Setting::ConnectTimeout(value) => first(&mut self.connect_timeout, value),
            Setting::ConnectionAttempts(value) => first(&mut self.connection_attempts, value),
            Setting::ServerAliveInterval(value) => first(&mut self.server_alive_interval, value),
            Setting::ServerAliveCountMax(value) => first(&mut self.server_alive_count_max, value),
            Setting::PreferredAuthentications(value) => {
                first(&mut self.preferred_authentications, value);
            }
            Setting::Pubkey(value) => first(&mut self.pubkey, value),
            Setting::Password(value) => first(&mut self.password, value),
            Setting::KbdInteractive(value) => first(&mut self.kbd_interactive, value),
            Setting::BatchMode(value) => first(&mut self.batch_mode, value),
            Setting::AddressFamily(value) => first(&mut self.address_family, value),
            Setting::BindAddress(value) => first(&mut self.bind_address, value),
            Setting::Tag(value) => first(&mut self.tag, value),
            Setting::Beyond { refused, harmless } => self.beyond(refused, *harmless),
        }
    }

    fn beyond(&mut self, refused: &Refused, harmless: bool) {
        let keyword = refused.keyword;
        if self.harmless.contains(&keyword)
            || self.refused.iter().any(|earlier| earlier.keyword == keyword)
        {
            return;
        }
        if harmless {
            self.harmless.push(keyword);
        } else {
            self.refused.push(refused.clone());
        }
    }
}
