//! The command line as typed. Flags carry the names that Ansible's users know.

mod hosts;
mod local;
mod meaning;
mod output;
mod run;
mod sources;

use clap::{CommandFactory, Parser, Subcommand};

pub(super) use hosts::{DiscoverArgs, InitArgs, PingArgs, VisitArgs};
pub(super) use local::{
    ConfigArgs, DemoArgs, HistoryArgs, HistoryCommand, InventoryArgs, ManArgs, ReportArgs,
    ServicesArgs, ShowArgs,
};
pub(super) use meaning::refused;
pub(super) use output::{Color, Format, Output, OutputArgs, WatchArgs, WatchedAs};
pub(super) use run::{
    ApplyArgs, PlanArgs, RecordArgs, RecoverArgs, RollbackArgs, RunArgs, StatusArgs,
};
pub(super) use sources::{ConnectionArgs, InventorySource};

/// Rolls TLS certificates out to fleets over SSH: every host ends all new and verified, or all old.
#[derive(Debug, Parser)]
#[command(
    name = "certroll",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "`certroll help TOPIC` prints a page of the documentation; `certroll help topics` lists them."
)]
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
    Status(StatusArgs),
    /// Recover from interrupted transactions, and do nothing else
    Recover(RecoverArgs),
    /// Restore an earlier generation, reload and verify
    Rollback(RollbackArgs),
    /// Print a saved plan, or compare two
    Show(ShowArgs),
    /// Find the certificates on hosts: files, who reads them, what is served, days left
    Discover(DiscoverArgs),
    /// Write a playbook for the certificates that hosts have now: `plan` shows it as unchanged
    Init(InitArgs),
    /// List past runs, or show one of them
    History(HistoryArgs),
    /// Join the shards of a rollout into one recap, report and exit code
    Report(ReportArgs),
    /// List the service profiles
    Services(ServicesArgs),
    /// Print the Ansible settings that apply here, their values, and where each comes from
    Config(ConfigArgs),
    /// Run a rollout on a simulated fleet: no set-up, no root, nothing left behind
    Demo(DemoArgs),
    /// Print shell completions; those for bash, zsh and fish know hosts, groups, tags, tasks, profiles and runs
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page
    Man(ManArgs),
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
    meaning::hidden(Cli::command())
        .mut_subcommand("apply", or("resume"))
        .mut_subcommand("rollback", or("of_run"))
}

impl Command {
    /// The verb.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Apply(args) if args.check => "plan",
            Self::Apply(_) => "apply",
            Self::Verify(_) => "verify",
            Self::Inventory(_) => "inventory",
            Self::Ping(_) => "ping",
            Self::Status(_) => "status",
            Self::Recover(_) => "recover",
            Self::Rollback(_) => "rollback",
            Self::Show(_) => "show",
            Self::Discover(_) => "discover",
            Self::Init(_) => "init",
            Self::History(_) => "history",
            Self::Report(_) => "report",
            Self::Services(_) => "services",
            Self::Config(_) => "config",
            Self::Demo(_) => "demo",
            Self::Completions { .. } => "completions",
            Self::Man(_) => "man",
        }
    }

    /// Its output flags.
    pub(super) fn output(&self) -> Option<&OutputArgs> {
        match self {
            Self::Plan(args) => Some(&args.run.output),
            Self::Apply(args) => Some(&args.run.output),
            Self::Rollback(args) => Some(&args.run.output),
            Self::Recover(args) => Some(&args.run.output),
            Self::Verify(run) => Some(&run.output),
            Self::Status(args) => Some(&args.run.output),
            Self::History(args) => Some(match &args.what {
                Some(HistoryCommand::Show { output, .. }) => output,
                None => &args.output,
            }),
            Self::Report(args) => Some(&args.output),
            Self::Inventory(args) => Some(&args.output),
            Self::Ping(args) => Some(&args.visit.output),
            Self::Discover(args) => Some(&args.visit.output),
            Self::Init(args) => Some(&args.visit.output),
            Self::Services(args) => Some(&args.output),
            Self::Config(args) => Some(&args.output),
            Self::Demo(args) => Some(&args.output),
            Self::Show(_) | Self::Completions { .. } | Self::Man(_) => None,
        }
    }
}
