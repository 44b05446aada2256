//! The command line as typed. Flags carry the names that Ansible's users know.

use crate::model::Shard;
use crate::report::document::Form;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Rolls TLS certificates out to fleets over SSH: every host ends all new and verified, or all old.
#[derive(Debug, Parser)]
#[command(name = "certroll", version, max_term_width = 100, arg_required_else_help = true)]
pub(super) struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what `apply` would do on each host, and change nothing
    Plan(PlanArgs),
    /// Roll certificates out
    Apply(ApplyArgs),
    /// Check by TLS handshakes which certificates are served; needs no SSH
    Verify(RunArgs),
    /// Print the inventory, as ansible-inventory does
    Inventory(InventoryArgs),
    /// Connect to each host and log in, with `become` if asked for; change nothing
    Ping(PingArgs),
    /// Show what each host holds: files, served certificates, locks, unfinished transactions
    Status(RunArgs),
    /// Recover from interrupted transactions, and do nothing else
    Recover(RecoverArgs),
    /// Restore an earlier generation, reload and verify
    Rollback(RollbackArgs),
    /// Print a saved plan, or compare two
    Show(ShowArgs),
    /// Find the certificates on hosts: files, who reads them, what is served, days left
    Discover(DiscoverArgs),
    /// Write a playbook for the certificates that hosts have, which plan shows as unchanged
    Init(InitArgs),
    /// List past runs, or show one of them
    History(HistoryArgs),
    /// List the service profiles
    Services(ServicesArgs),
    /// Print the Ansible settings that apply here, their values, and where each comes from
    Config(ConfigArgs),
    /// Run a rollout on a simulated fleet: no set-up, no root, nothing left behind
    Demo(DemoArgs),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// Flags of every verb that reads a playbook.
#[derive(Debug, Args, Clone)]
pub(super) struct RunArgs {
    /// Playbooks, run in the order given; apply, verify, status and recover also take one saved plan
    #[arg(required = true, value_name = "PLAYBOOK")]
    pub playbooks: Vec<PathBuf>,
    #[command(flatten)]
    /// Inventory flags
    pub inventory: InventorySource,
    #[command(flatten)]
    /// Connection flags
    pub connection: ConnectionArgs,
    /// Run only tasks with one of these tags
    #[arg(short = 't', long, value_name = "TAGS", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// Skip tasks with one of these tags
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub skip_tags: Vec<String>,
    /// Start at the first task whose name matches this glob
    #[arg(long, value_name = "NAME")]
    pub start_at_task: Option<String>,
    /// How many hosts to work on at the same time [default: 50]
    #[arg(short = 'f', long, value_parser = clap::value_parser!(u16).range(1..))]
    pub forks: Option<u16>,
    /// Show old and new certificates in full
    #[arg(short = 'D', long)]
    pub diff: bool,
    /// Print the hosts of each play and exit
    #[arg(long)]
    pub list_hosts: bool,
    /// Print the tasks of each play and exit
    #[arg(long)]
    pub list_tasks: bool,
    /// Print the tags of each play and exit
    #[arg(long)]
    pub list_tags: bool,
    /// Check the syntax of the playbooks and exit
    #[arg(long)]
    pub syntax_check: bool,
    /// `any_errors_fatal` of the configuration, for plays that do not say
    #[arg(skip)]
    pub any_errors_fatal: bool,
    /// `roles_path` of the configuration
    #[arg(skip)]
    pub roles_path: Vec<PathBuf>,
    /// `collections_path` of the configuration
    #[arg(skip)]
    pub collections_path: Vec<PathBuf>,
    /// The configuration file that was read
    #[arg(skip)]
    pub config_file: Option<String>,
    /// Wait this long for another run that holds a host's lock [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub lock_timeout: Option<std::time::Duration>,
    /// Run notified handlers even on hosts that have failed since
    #[arg(long)]
    pub force_handlers: bool,
    /// Do not fail when a play matches no hosts
    #[arg(long)]
    pub allow_empty: bool,
    /// Flags of ansible-playbook that are answered with a remedy
    #[command(flatten)]
    pub elsewhere: ElsewhereArgs,
    /// Write Prometheus metrics of the run to this file (for node_exporter's textfile collector)
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Write a report of the run to this file: .html, .md, .json, or .xml for JUnit; repeatable
    #[arg(long = "report", value_name = "FILE")]
    pub reports: Vec<PathBuf>,
    #[command(flatten)]
    /// Output flags
    pub output: OutputArgs,
}

/// Flags that users of ansible-playbook may give, and that are not there.
#[derive(Debug, Args, Clone, Default)]
pub(super) struct ElsewhereArgs {
    #[arg(long, hide = true)]
    step: bool,
    #[arg(long, hide = true)]
    flush_cache: bool,
    #[arg(short = 'M', long, hide = true)]
    module_path: Vec<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    sftp_extra_args: Option<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    scp_extra_args: Option<String>,
}

impl ElsewhereArgs {
    /// Each flag that was given, with what to do instead.
    pub(super) fn remedies(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let transfers =
            "certroll uses neither sftp nor scp: use --ssh-common-args or --ssh-extra-args";
        [
            (
                self.step,
                "--step",
                "`confirm: prompt` in a certificate task lets you look before each batch is confirmed",
            ),
            (self.flush_cache, "--flush-cache", "certroll gathers no facts: leave it out"),
            (!self.module_path.is_empty(), "--module-path", "certroll has its own modules only: leave it out"),
            (self.sftp_extra_args.is_some(), "--sftp-extra-args", transfers),
            (self.scp_extra_args.is_some(), "--scp-extra-args", transfers),
        ]
        .into_iter()
        .filter_map(|(given, flag, remedy)| given.then_some((flag, remedy)))
    }
}

/// `plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    /// Common flags
    pub run: RunArgs,
    /// Exit with code 3 when changes are pending
    #[arg(long)]
    pub exit_code: bool,
    /// Save the plan in this file, for `certroll show` and for `certroll apply FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `apply`.
#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    /// Common flags
    pub run: RunArgs,
    /// Dry run: the same as `plan`
    #[arg(short = 'C', long)]
    pub check: bool,
    /// Go on with a run that was cut off or stopped, or where hosts failed: the beginning of its name, or `last`. The
    /// command line is that of the run; hosts that are done are only looked at
    #[arg(long, value_name = "RUN", conflicts_with = "no_record")]
    pub resume: Option<String>,
    /// Refuse a saved plan that is older than this
    #[arg(long, value_name = "AGE", default_value = "7d", value_parser = humantime::parse_duration)]
    pub plan_max_age: Duration,
    #[command(flatten)]
    /// Record flags
    pub record: RecordArgs,
}

/// `rollback`.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    #[command(flatten)]
    /// Common flags
    pub run: RunArgs,
    /// What to go back to: `previous` (the default), a certificate by its SHA-256 fingerprint or at least eight digits of
    /// it, a moment in UTC (2026-11-24 or 2026-11-24T10:15:00Z), or a generation as `certroll status` names it
    #[arg(long, value_name = "WHEN")]
    pub to: Option<String>,
    /// Take back what this run changed, its last batch first: the beginning of its name, or `last`. The command line
    /// is that of the run; a host that was changed again since is left alone
    #[arg(long = "run", value_name = "RUN", conflicts_with = "to")]
    pub of_run: Option<String>,
    /// Dry run: show what would be restored, and change nothing
    #[arg(short = 'C', long)]
    pub check: bool,
    #[command(flatten)]
    /// Record flags
    pub record: RecordArgs,
}

/// `recover`.
#[derive(Debug, Args)]
pub(super) struct RecoverArgs {
    #[command(flatten)]
    /// Common flags
    pub run: RunArgs,
    #[command(flatten)]
    /// Record flags
    pub record: RecordArgs,
}

/// The record of a run, which `certroll history` shows.
#[derive(Debug, Args, Clone)]
pub(super) struct RecordArgs {
    /// Keep no record of this run
    #[arg(long)]
    pub no_record: bool,
    /// Keep at most this many records, the newest ones
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub keep_runs: u32,
    /// Remove records older than this
    #[arg(long, value_name = "DAYS", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..))]
    pub keep_days: u32,
}

/// `history`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct HistoryArgs {
    /// What to do; without it, list the runs
    #[command(subcommand)]
    pub what: Option<HistoryCommand>,
    /// Output flags
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What to do with past runs.
#[derive(Debug, Subcommand)]
pub(super) enum HistoryCommand {
    /// Show how a run ended; with -o json, all of its events
    Show {
        /// The run: the beginning of its name, or `last`
        run: String,
        /// Old and new certificates in full
        #[arg(short = 'D', long)]
        diff: bool,
        /// As a table, or as a document
        #[arg(long, value_name = "FORMAT", default_value = "table")]
        format: Format,
        /// Output flags
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// `show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// A plan saved by `plan --out`; with --diff two of them
    #[arg(required = true, value_name = "PLAN")]
    pub files: Vec<PathBuf>,
    /// Show how the second plan differs from the first
    #[arg(long)]
    pub diff: bool,
    /// As a table, or as a document
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,
    /// Old and new certificates in full
    #[arg(short = 'D', long)]
    pub details: bool,
    /// Colours
    #[arg(long, default_value = "auto")]
    pub color: Color,
}

impl ShowArgs {
    /// The same as output flags.
    pub(super) fn output(&self) -> OutputArgs {
        OutputArgs { output: Output::Table, color: self.color, verbose: 0 }
    }
}

/// Forms of a plan or run of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// For a ticket
    Markdown,
    /// For a browser: one file
    Html,
    /// One JSON object with all events
    Json,
    /// JUnit's XML, each host a test case
    Junit,
}

impl Format {
    /// The document that it asks for; none: a table.
    pub(super) fn form(self) -> Option<Form> {
        match self {
            Self::Table => None,
            Self::Markdown => Some(Form::Markdown),
            Self::Html => Some(Form::Html),
            Self::Json => Some(Form::Json),
            Self::Junit => Some(Form::Junit),
        }
    }
}

/// The command line.
pub(super) fn command() -> clap::Command {
    // The command line of an earlier run has its playbooks.
    let or = |flag: &'static str| {
        move |verb: clap::Command| {
            let optional = |arg: clap::Arg| arg.required(false).required_unless_present(flag);
            verb.mut_arg("playbooks", optional)
        }
    };
    Cli::command()
        .mut_subcommand("apply", or("resume"))
        .mut_subcommand("rollback", or("of_run"))
}

/// `ping`.
#[derive(Debug, Args, Clone)]
pub(super) struct PingArgs {
    /// Host pattern
    #[arg(default_value = "all")]
    pub pattern: String,
    #[command(flatten)]
    /// Inventory flags
    pub inventory: InventorySource,
    #[command(flatten)]
    /// Connection flags
    pub connection: ConnectionArgs,
    /// How many hosts to work on at the same time [default: 50]
    #[arg(short = 'f', long, value_parser = clap::value_parser!(u16).range(1..))]
    pub forks: Option<u16>,
    #[command(flatten)]
    /// Output flags
    pub output: OutputArgs,
}

/// `discover`.
#[derive(Debug, Args, Clone)]
pub(super) struct DiscoverArgs {
    /// Host pattern
    #[arg(default_value = "all", conflicts_with = "scan")]
    pub pattern: String,
    /// Only make handshakes with these: HOST:PORT, or a file with one per line; repeatable
    #[arg(long, value_name = "HOST:PORT|FILE", num_args = 1.., conflicts_with_all = ["sources", "limit", "shard"])]
    pub scan: Vec<String>,
    /// Show only what has less time left than this, or a problem: `21d`, `12h`
    #[arg(long, value_name = "TIME", value_parser = days)]
    pub expiring: Option<i64>,
    /// Exit with code 3 when something needs attention; without --expiring, that is less than 21 days left
    #[arg(long)]
    pub exit_code: bool,
    #[command(flatten)]
    /// Inventory flags
    pub inventory: InventorySource,
    #[command(flatten)]
    /// Connection flags
    pub connection: ConnectionArgs,
    /// How many hosts to work on at the same time [default: 50]
    #[arg(short = 'f', long, value_parser = clap::value_parser!(u16).range(1..))]
    pub forks: Option<u16>,
    #[command(flatten)]
    /// Output flags
    pub output: OutputArgs,
}

impl DiscoverArgs {
    /// Days left below which a certificate wants attention.
    pub(super) fn days(&self) -> i64 {
        self.expiring.unwrap_or(crate::engine::USUAL_DAYS)
    }
}

/// `init`.
#[derive(Debug, Args, Clone)]
pub(super) struct InitArgs {
    /// Host pattern
    #[arg(default_value = "all")]
    pub pattern: String,
    /// A new directory for the playbook and the certificates that it names
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    /// Inventory flags
    pub inventory: InventorySource,
    #[command(flatten)]
    /// Connection flags
    pub connection: ConnectionArgs,
    /// Hosts worked on at the same time [default: 50]
    #[arg(short = 'f', long, value_parser = clap::value_parser!(u16).range(1..))]
    pub forks: Option<u16>,
    #[command(flatten)]
    /// Output flags
    pub output: OutputArgs,
}

/// A time in whole days, rounded up; a bare number counts days.
fn days(text: &str) -> Result<i64, String> {
    if let Ok(days) = text.parse::<u32>() {
        return Ok(i64::from(days));
    }
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    i64::try_from(time.as_secs().div_ceil(86_400)).map_err(|error| error.to_string())
}

/// Where hosts and variables come from.
#[derive(Debug, Args, Clone)]
pub(super) struct InventorySource {
    /// Inventory file, directory, executable, or a comma-separated host list; repeatable
    #[arg(short = 'i', long = "inventory", value_name = "INVENTORY")]
    pub sources: Vec<String>,
    /// Limit the hosts further: a pattern, @FILE, or hosts of a past run: @failed, @unreachable, @changed, @failed:RUN
    #[arg(short = 'l', long, value_name = "PATTERN")]
    pub limit: Option<String>,
    /// Only the hosts of shard K of N, so that N runs share a fleet. `auto/N` takes K from an array job of
    /// Slurm or Kubernetes, `auto` takes both from GitLab's `parallel`
    #[arg(long, value_name = "K/N", value_parser = super::shard::parse)]
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
pub(super) struct ConnectionArgs {
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
    /// Further OpenSSH options, as in `-o ProxyJump=bastion`
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub ssh_common_args: Option<String>,
    /// Further OpenSSH options, as Ansible has them; where both set an option, --ssh-common-args wins
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
pub(super) struct MoreSettings {
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

/// What is printed and how.
#[derive(Debug, Args, Clone)]
pub(super) struct OutputArgs {
    /// Tables for people, or one JSON object per line
    #[arg(short = 'o', long, default_value = "table")]
    pub output: Output,
    /// Colours
    #[arg(long, default_value = "auto")]
    pub color: Color,
    /// More detail; up to -vvv
    #[arg(short = 'v', long = "verbose", action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Output forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Table,
    /// One JSON object per line
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On terminals, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// `inventory`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["list", "graph", "host"]))]
pub(super) struct InventoryArgs {
    #[command(flatten)]
    /// Inventory flags
    pub inventory: InventorySource,
    /// All hosts, groups and variables as JSON
    #[arg(long)]
    pub list: bool,
    /// The tree of groups, from GROUP or `all`
    #[arg(long)]
    pub graph: bool,
    /// With --graph: the group to begin with
    #[arg(value_name = "GROUP", requires = "graph")]
    pub group: Option<String>,
    /// The variables of one host as JSON
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// With --list: leave group variables in their groups
    #[arg(long, requires = "list")]
    pub export: bool,
    /// With --graph: show variables
    #[arg(long, requires = "graph")]
    pub vars: bool,
    /// Also read group_vars and host_vars in this directory
    #[arg(long, value_name = "DIR")]
    pub playbook_dir: Option<PathBuf>,
    #[command(flatten)]
    /// Output flags
    pub output: OutputArgs,
}

/// `config`.
#[derive(Debug, Args, Clone)]
pub(super) struct ConfigArgs {
    #[command(flatten)]
    /// Inventory flags
    pub inventory: InventorySource,
    #[command(flatten)]
    /// Connection flags
    pub connection: ConnectionArgs,
    /// How many hosts to work on at the same time
    #[arg(short = 'f', long, value_parser = clap::value_parser!(u16).range(1..))]
    pub forks: Option<u16>,
    #[command(flatten)]
    /// Output flags
    pub output: OutputArgs,
}

/// `services`.
#[derive(Debug, Args)]
pub(super) struct ServicesArgs {
    /// Print one profile in full
    #[arg(long, value_name = "NAME")]
    pub show: Option<String>,
    /// Directory with profiles of your own
    #[arg(long, value_name = "DIR", default_value = "services")]
    pub dir: PathBuf,
    #[command(flatten)]
    /// Output flags
    pub output: OutputArgs,
}

/// `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Write playbook, inventory and hosts to DIR and keep the fleet running until Ctrl-C
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "certroll-demo")]
    pub keep: Option<PathBuf>,
    #[command(flatten)]
    /// Output flags
    pub output: OutputArgs,
}
