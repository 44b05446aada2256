//! Where hosts and variables come from, and how to log in.

use crate::cli::shard::parse;
use crate::model::Shard;
use clap::Args;
use std::path::PathBuf;

/// Where hosts and variables come from.
#[derive(Debug, Args, Clone)]
pub(in crate::cli) struct InventorySource {
    /// Inventory file, directory, executable, or a comma-separated host list; repeatable
    #[arg(short = 'i', long = "inventory", value_name = "INVENTORY")]
    pub sources: Vec<String>,
    /// Limit the run to these hosts: a pattern, @FILE, or hosts of a past run: @failed, @unreachable, @changed, @failed:RUN
    #[arg(short = 'l', long, value_name = "PATTERN")]
    pub limit: Option<String>,
    /// Only the hosts of shard K of N, so that N runs share a fleet. `auto/N` takes K from an array job of
    /// Slurm or Kubernetes, `auto` takes both from GitLab's `parallel`
    #[arg(long, value_name = "K/N", value_parser = parse)]
    pub shard: Option<Shard>,
    /// Extra variables: k=v, JSON or YAML, or @FILE; repeatable; they override all others
    #[arg(short = 'e', long = "extra-vars", value_name = "VARS")]
    pub extra_vars: Vec<String>,
    /// File with a vault password, or a program that prints one; repeatable
    #[arg(long = "vault-password-file", visible_alias = "vault-pass-file", value_name = "FILE")]
    pub vault_password_files: Vec<PathBuf>,
    /// A vault password under a label: LABEL@FILE, or LABEL@prompt; repeatable
    #[arg(long = "vault-id", value_name = "LABEL@SOURCE")]
    pub vault_ids: Vec<String>,
    /// Ask for the vault password
    #[arg(short = 'J', long = "ask-vault-pass", visible_alias = "ask-vault-password")]
    pub ask_vault_pass: bool,
}

/// How to log in and become.
#[derive(Debug, Args, Clone, Default)]
pub(in crate::cli) struct ConnectionArgs {
    /// Log in as this user
    #[arg(short = 'u', long, value_name = "USER")]
    pub user: Option<String>,
    /// Log in with this key
    #[arg(long = "private-key", visible_alias = "key-file", value_name = "FILE")]
    pub private_key: Option<PathBuf>,
    /// Ask for the login password
    #[arg(short = 'k', long)]
    pub ask_pass: bool,
    /// Become another user on the host
    #[arg(short = 'b', long = "become")]
    pub becoming: bool,
    /// The user to become
    #[arg(long, value_name = "USER")]
    pub become_user: Option<String>,
    /// How to become: sudo, doas or su
    #[arg(long, value_name = "METHOD")]
    pub become_method: Option<String>,
    /// Ask for the become password
    #[arg(short = 'K', long)]
    pub ask_become_pass: bool,
    /// A file with the become password, or a program that prints it
    #[arg(long, visible_alias = "become-pass-file", value_name = "FILE")]
    pub become_password_file: Option<PathBuf>,
    /// A file with the login password, or a program that prints it
    #[arg(long, visible_alias = "conn-pass-file", value_name = "FILE")]
    pub connection_password_file: Option<PathBuf>,
    /// How hosts are reached: ssh, or local for the controller itself
    #[arg(short = 'c', long, value_name = "KIND")]
    pub connection: Option<String>,
    /// Seconds to wait for a connection
    #[arg(short = 'T', long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Additional OpenSSH options, as in `-o ProxyJump=bastion`
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub ssh_common_args: Option<String>,
    /// Additional OpenSSH options, as in Ansible; if both set an option, --ssh-common-args wins
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub ssh_extra_args: Option<String>,
    /// OpenSSH client configuration instead of ~/.ssh/config
    #[arg(long, value_name = "FILE", env = "CERTROLL_SSH_CONFIG")]
    pub ssh_config: Option<PathBuf>,
    /// What only the environment and ansible.cfg say
    #[arg(skip)]
    pub more: MoreSettings,
}

/// Settings of connections that have no flag.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct MoreSettings {
    /// `remote_port`.
    pub port: Option<u16>,
    /// `retries`: further attempts to connect.
    pub retries: Option<u32>,
    /// `host_key_checking`.
    pub host_key_checking: Option<bool>,
    /// `ssh_args`.
    pub ssh_args: Option<String>,
    /// `become_flags`.
    pub become_flags: Option<String>,
    /// `become_exe`.
    pub become_exe: Option<String>,
}
