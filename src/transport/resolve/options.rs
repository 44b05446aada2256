//! What command line, plays and tasks say about connections.

use crate::model::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// What the command line says about connections. Weaker than variables and keywords.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// `-u`.
    pub user: Option<String>,
    /// `--private-key`.
    pub private_key: Option<PathBuf>,
    /// Opens encrypted key files.
    pub passphrase: Option<Secret<String>>,
    /// `-k`.
    pub password: Option<Secret<String>>,
    /// `-b`.
    pub becoming: bool,
    /// `--become-user`.
    pub become_user: Option<String>,
    /// `--become-method`.
    pub become_method: Option<String>,
    /// `become_flags` of the configuration.
    pub become_flags: Option<String>,
    /// `become_exe` of the configuration.
    pub become_exe: Option<String>,
    /// `-c`: `ssh` or `local`.
    pub connection: Option<String>,
    /// `remote_port` of the configuration.
    pub port: Option<u16>,
    /// `retries` of the configuration: further attempts to connect.
    pub retries: Option<u32>,
    /// `-K`.
    pub become_password: Option<Secret<String>>,
    /// `-T`.
    pub timeout: Option<Duration>,
    /// `ANSIBLE_HOST_KEY_CHECKING` and its like. `Some(false)` accepts any key.
    pub host_key_checking: Option<bool>,
    /// Further options of `ssh`, in front of everything else (`ansible_ssh_args`).
    pub ssh_args: Option<String>,
    /// `--ssh-common-args`.
    pub ssh_common_args: Option<String>,
    /// `--ssh-extra-args`.
    pub ssh_extra_args: Option<String>,
}

/// What a play or task says about connections, rendered. Stronger than the command line, weaker
/// than variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keywords {
    /// `remote_user`.
    pub remote_user: Option<String>,
    /// `become`.
    pub becoming: Option<bool>,
    /// `become_user`.
    pub become_user: Option<String>,
    /// `become_method`.
    pub become_method: Option<String>,
    /// `become_flags`.
    pub become_flags: Option<String>,
    /// `become_exe`.
    pub become_exe: Option<String>,
}
