//! Flags of the verbs that go to no host.

use super::output::{Color, Format, OutputArgs, WatchArgs};
use super::sources::{ConnectionArgs, InventorySource};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `history`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct HistoryArgs {
    /// What to do; without it, list the runs
    #[command(subcommand)]
    pub what: Option<HistoryCommand>,
    /// Output flags
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What to do with past runs.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum HistoryCommand {
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
pub(in crate::cli) struct ShowArgs {
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
    pub(in crate::cli) fn output(&self) -> OutputArgs {
        OutputArgs::table(self.color)
    }
}

/// `report`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReportArgs {
    /// The output of the runs with `-o json`, or their records: one file per shard
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write a report of all of them to this file: .html, .md, .json, or .xml for JUnit; repeatable
    #[arg(long = "report", value_name = "FILE")]
    pub reports: Vec<PathBuf>,
    /// Print it as a table, or as a document
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,
    /// Output flags
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `inventory`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["list", "graph", "host"]))]
pub(in crate::cli) struct InventoryArgs {
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
pub(in crate::cli) struct ConfigArgs {
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
pub(in crate::cli) struct ServicesArgs {
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

/// `man`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ManArgs {
    /// The verb; without one, the page that names all verbs
    #[arg(value_name = "VERB", conflicts_with = "out")]
    pub verb: Option<String>,
    /// Write the pages of all verbs to this directory, as `certroll.1`, `certroll-apply.1`, …
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `demo`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DemoArgs {
    /// Write playbook, inventory and hosts to DIR and keep the fleet running until Ctrl-C
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "certroll-demo")]
    pub keep: Option<PathBuf>,
    #[command(flatten)]
    /// Output flags
    pub output: OutputArgs,
    #[command(flatten)]
    /// How it is watched
    pub watch: WatchArgs,
}
