//! Flags of the verbs that take a pattern of hosts in place of a playbook.

use super::output::{OutputArgs, WatchArgs};
use super::sources::{ConnectionArgs, InventorySource};
use clap::Args;
use std::path::PathBuf;

/// What these verbs have in common.
#[derive(Debug, Args, Clone)]
pub(in crate::cli) struct VisitArgs {
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
    #[command(flatten)]
    /// How it is watched
    pub watch: WatchArgs,
}

/// `ping`.
#[derive(Debug, Args, Clone)]
pub(in crate::cli) struct PingArgs {
    /// Host pattern
    #[arg(default_value = "all")]
    pub pattern: String,
    #[command(flatten)]
    /// How the hosts are found, reached and told of
    pub visit: VisitArgs,
}

/// `discover`.
#[derive(Debug, Args, Clone)]
pub(in crate::cli) struct DiscoverArgs {
    /// Host pattern
    #[arg(default_value = "all", conflicts_with = "scan")]
    pub pattern: String,
    /// Only make handshakes with these: HOST:PORT, or a file with one per line; repeatable
    #[arg(long, value_name = "HOST:PORT|FILE", num_args = 1.., conflicts_with_all = ["sources", "limit", "shard"])]
    pub scan: Vec<String>,
    /// Show only certificates that expire within this time, or have a problem: `21d`, `12h`
    #[arg(long, value_name = "TIME", value_parser = days)]
    pub expiring: Option<i64>,
    /// Exit with code 3 when something needs attention; without --expiring, that is less than 21 days left
    #[arg(long)]
    pub exit_code: bool,
    /// Write Prometheus metrics of what was found to this file (for node_exporter's textfile collector)
    #[arg(long, value_name = "FILE", conflicts_with = "scan")]
    pub metrics: Option<PathBuf>,
    /// Write a report of what was found to this file: .html, .md, .json, or .xml for JUnit; repeatable
    #[arg(long = "report", value_name = "FILE", conflicts_with = "scan")]
    pub reports: Vec<PathBuf>,
    #[command(flatten)]
    /// How the hosts are found, reached and told of
    pub visit: VisitArgs,
}

impl DiscoverArgs {
    /// Days left below which a certificate needs attention.
    pub(in crate::cli) fn days(&self) -> i64 {
        self.expiring.unwrap_or(crate::engine::USUAL_DAYS)
    }
}

/// `init`.
#[derive(Debug, Args, Clone)]
pub(in crate::cli) struct InitArgs {
    /// Host pattern
    #[arg(default_value = "all")]
    pub pattern: String,
    /// A new directory for the playbook and the certificates that it names; without it, certroll asks on a terminal
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Only what this service reads; repeatable. Without it, certroll asks on a terminal if there are several
    #[arg(long = "service", value_name = "NAME")]
    pub services: Vec<String>,
    /// Ask nothing: take the default wherever no flag answers
    #[arg(short = 'y', long)]
    pub yes: bool,
    #[command(flatten)]
    /// How the hosts are found, reached and told of
    pub visit: VisitArgs,
}

/// A time in whole days, rounded up; a bare number counts days.
fn days(text: &str) -> Result<i64, String> {
    if let Ok(days) = text.parse::<u32>() {
        return Ok(i64::from(days));
    }
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    i64::try_from(time.as_secs().div_ceil(86_400)).map_err(|error| error.to_string())
}
