//! Flags of the verbs that read a playbook.

use super::output::{OutputArgs, WatchArgs};
use super::sources::{ConnectionArgs, InventorySource};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Flags of every verb that reads a playbook.
#[derive(Debug, Args, Clone)]
pub(in crate::cli) struct RunArgs {
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
    /// Show old and new certificates in full, and the changed lines of other files
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
    /// Use service profiles that were never run on the real thing (`certroll services` names them)
    #[arg(long)]
    pub allow_experimental: bool,
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
    #[command(flatten)]
    /// How it is watched
    pub watch: WatchArgs,
}

/// Flags that users of ansible-playbook may give, and that are not there.
#[derive(Debug, Args, Clone, Default)]
pub(in crate::cli) struct ElsewhereArgs {
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
    pub(in crate::cli) fn remedies(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let transfers =
            "certroll uses neither sftp nor scp: use --ssh-common-args or --ssh-extra-args";
        [
            (
                self.step,
                "--step",
                "`confirm: prompt` in a certificate task lets you look before each batch is confirmed",
            ),
            (self.flush_cache, "--flush-cache", "certroll keeps no facts from one run to the next: leave it out"),
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
pub(in crate::cli) struct PlanArgs {
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

/// `status`.
#[derive(Debug, Args)]
pub(in crate::cli) struct StatusArgs {
    #[command(flatten)]
    /// Common flags
    pub run: RunArgs,
    /// Exit with code 3 when a host is not as the playbook wants it, serves something other than its files,
    /// or has an unfinished transaction
    #[arg(long)]
    pub exit_code: bool,
}

/// `apply`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ApplyArgs {
    #[command(flatten)]
    /// Common flags
    pub run: RunArgs,
    /// Dry run: the same as `plan`
    #[arg(short = 'C', long)]
    pub check: bool,
    /// Resume a run that was cut off or stopped, or in which hosts failed: the beginning of its name, or `last`. The
    /// command line is the one of that run; hosts that are done are only checked
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
pub(in crate::cli) struct RollbackArgs {
    #[command(flatten)]
    /// Common flags
    pub run: RunArgs,
    /// What to go back to: `previous` (the default), a certificate by its SHA-256 fingerprint or at least eight digits of
    /// it, a moment in UTC (2026-11-24 or 2026-11-24T10:15:00Z), or a generation as `certroll status` names it
    #[arg(long, value_name = "WHEN")]
    pub to: Option<String>,
    /// Roll back what this run changed, its last batch first: the beginning of its name, or `last`. The command line
    /// is the one of that run; a host that has been changed since is left alone
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
pub(in crate::cli) struct RecoverArgs {
    #[command(flatten)]
    /// Common flags
    pub run: RunArgs,
    #[command(flatten)]
    /// Record flags
    pub record: RecordArgs,
}

/// The record of a run, which `certroll history` shows.
#[derive(Debug, Args, Clone)]
pub(in crate::cli) struct RecordArgs {
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
