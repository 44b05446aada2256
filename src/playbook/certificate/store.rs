//! What takes a pair in place of files on the host: plain types, everything rendered.

use std::path::PathBuf;

/// A place that is no file on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// `kubernetes`: a secret of a cluster.
    Cluster(ClusterSecret),
    /// `bigip`: an entry of a client-ssl profile.
    BigIp(ClientSslProfile),
    /// `windows`: a certificate store of Windows.
    Windows(WindowsStore),
}

impl Store {
    /// The name of the built-in profile that describes it: the key of the task that names it.
    pub fn profile(&self) -> &'static str {
        match self {
            Self::Cluster(_) => "kubernetes",
            Self::BigIp(_) => "bigip",
            Self::Windows(_) => "windows",
        }
    }
}

/// `kubernetes`: which secret of which cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSecret {
    /// A kubeconfig file on the controller; `None`: the usual ones.
    pub kubeconfig: Option<PathBuf>,
    /// One of its contexts; `None`: its current one.
    pub context: Option<String>,
    /// The secret's namespace.
    pub namespace: String,
    /// Its name.
    pub secret: String,
    /// The old pair is kept in a second secret.
    pub keep_previous: bool,
    /// It is written although a controller owns it.
    pub take_over: bool,
    /// It is created where it is absent.
    pub create: bool,
}

/// `bigip`: which entry of which profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSslProfile {
    /// Its full name, as `/Common/www-clientssl`.
    pub profile: String,
    /// The entry of its `cert-key-chain`; `None`: the one with this kind of key.
    pub entry: Option<String>,
    /// The device group that is synchronised after a change.
    pub sync_group: Option<String>,
}

impl ClientSslProfile {
    /// The partition that it is in.
    pub fn partition(&self) -> &str {
        self.profile.split('/').nth(1).unwrap_or("Common")
    }
}

/// `windows`: which store, and what refers to the certificate in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowsStore {
    /// What refers to it.
    pub used: WindowsUse,
    /// The store of the machine that it is put into: `My` or `WebHosting`.
    pub store: &'static str,
}

/// What refers to a certificate on Windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowsUse {
    /// A binding of a site of IIS.
    Iis {
        /// The site's name.
        site: String,
        /// `IP:port:host`, as IIS has it.
        binding: String,
    },
    /// Remote Desktop.
    Rdp,
    /// The listener of WinRM for HTTPS on all addresses.
    WinRm,
}
