//! `certroll discover` over real hosts, each with nginx and Postfix: `cargo bench --bench discover [HOSTS [RUNS]]`, as root.
//!
//! Controller and hosts share this machine's processors, so the wall is mostly the hosts' own work; processor time, memory
//! and bytes are not. Without `--bench` it makes one small round, to see that it works.

#[path = "../common/mod.rs"]
mod common;
#[path = "rollout/measure.rs"]
mod measure;

use common::fleet::Fleet;
use measure::{Cost, measure};
use serde_json::Value;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Each with one certificate of its own: nginx's on one port, Postfix' on two.
const SERVICES: [&str; 2] = ["nginx", "postfix"];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let whole = arguments.iter().any(|argument| argument == "--bench");
    let mut given = arguments.iter().filter_map(|argument| argument.parse::<usize>().ok());
    let mut or = |full, small| given.next().unwrap_or(if whole { full } else { small });
    let (hosts, runs) = (or(50, 2), or(3, 1).max(1));
    let Some(fleet) = Fleet::up(hosts, &SERVICES) else { return Ok(()) };
    let directory = tempfile::tempdir()?;
    let inventory = fleet.dir().join("inventory.ini").display().to_string();
    let certroll = env!("CARGO_BIN_EXE_certroll");
    let argv = [certroll, "discover", "-b", "-i", &inventory, "-o", "json"].map(str::to_owned);
    let mut costs = Vec::new();
    for _ in 0..runs {
        let cost = measure(&fleet, directory.path(), &argv)?;
        costs.push(Cost { correct: found_on(directory.path())? == hosts, ..cost });
    }
    tell(hosts, &costs)
}

/// Hosts of which all was found: what else lies on the machine that they are made of is nobody's.
fn found_on(directory: &Path) -> io::Result<usize> {
    let told = fs::read_to_string(directory.join("measured.out"))?;
    let events = told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found = events.filter(|event| event["event"] == "host_certificates");
    let is_whole = |event: &Value| {
        let certificates = event["certificates"].as_array().map(Vec::as_slice).unwrap_or_default();
        let served = certificates.iter().filter(|one| one["state"] == "served").count();
        served == SERVICES.len()
    };
    Ok(found.filter(is_whole).count())
}

fn tell(hosts: usize, costs: &[Cost]) -> io::Result<()> {
    let mut out = io::stdout();
    let cores = std::thread::available_parallelism()?;
    let many = hosts as f64;
    writeln!(
        out,
        "discover: {hosts} hosts with {}, {cores} cores for all of it; load average {}",
        SERVICES.join(" and "),
        fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default()
    )?;
    for cost in costs {
        writeln!(
            out,
            "{:.2} s; controller CPU {:.1} ms/host, {:.1} MiB; CPU on the host {:.0} ms; {:.1} KiB out and {:.1} KiB back, \
             {:.0} packets, {:.1} log-ins and {:.1} execs per host; all of it found: {}",
            cost.wall,
            cost.cpu * 1000.0 / many,
            cost.peak_mib,
            cost.host_cpu * 1000.0 / many,
            cost.sent / 1024.0 / many,
            cost.received / 1024.0 / many,
            cost.packets / many,
            cost.logins / many,
            cost.execs / many,
            if cost.correct { "yes" } else { "NO" },
        )?;
    }
    Ok(())
}
