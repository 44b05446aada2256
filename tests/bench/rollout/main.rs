//! A rollout of one nginx certificate over real hosts, beside an OpenSSH loop, asyncssh, parallel-ssh and pyinfra (and
//! Ansible, where it is installed) that do the same: `cargo bench --bench rollout [HOSTS [CERTIFICATES [RUNS]]]`, as root.
//!
//! Controller and hosts share this machine's processors, so walls of many hosts are mostly the hosts' own
//! work; controller CPU, memory, bytes and counts are not. Then what a host costs that has nothing to do, what one transaction
//! costs, a host with many certificates, the rollout with 40 ms of latency, and what a container costs. Without `--bench` it makes one small
//! round, to see that it works. `CERTROLL_BENCH_BESIDE='NAME=PROGRAM'`: another build of certroll, as one more contender.

mod again;
#[path = "../../common/mod.rs"]
mod common;
mod host_cost;
mod latency;
mod many;
mod measure;
mod peers;

use common::fleet::Fleet;
use latency::Far;
use measure::{Cost, measure, measure_within};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// `docs/performance.md` says where they come from.
const CPU_AIM_MS: f64 = 5.0;
const MEMORY_AIM_MIB: f64 = 25.0;
const MEMORY_AIM_MIB_PER_HOST: f64 = 0.1;
const FORKS_AIM: usize = 45;
const FLUSHES_AIM: usize = 10;
/// From a controller in another country to a host and back.
const RTT_MS: u64 = 40;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let whole = arguments.iter().any(|argument| argument == "--bench");
    let mut given = arguments.iter().filter_map(|argument| argument.parse::<usize>().ok());
    let mut or = |full, small| given.next().unwrap_or(if whole { full } else { small });
    let (hosts, certificates, runs) = (or(4, 1), or(300, 3), or(3, 1).max(1));
    let Some(fleet) = Fleet::up(hosts, &["nginx"]) else { return Ok(()) };
    let directory = tempfile::tempdir()?;
    let near = rollouts(&fleet, directory.path(), hosts, runs, None)?;
    again::nothing_to_do(&fleet, directory.path(), hosts, runs)?;
    one_transaction(&fleet, directory.path())?;
    many_certificates(&fleet, directory.path(), certificates)?;
    match Far::from(&fleet, directory.path(), RTT_MS)? {
        Some(far) => {
            let far = rollouts(&fleet, directory.path(), hosts, runs, Some(&far))?;
            round_trips(&near, &far)?;
        }
        None => writeln!(io::stdout(), "LEFT OUT: {RTT_MS} ms of latency, without a C compiler")?,
    }
    if whole { containers() } else { Ok(()) }
}

/// What a service in a container costs its host more than the same one without.
fn containers() -> io::Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/containers/scenes.sh");
    for engine in ["podman", "docker"] {
        if common::have(&[engine, "strace", "nginx"]) {
            let certroll = env!("CARGO_BIN_EXE_certroll");
            std::process::Command::new("bash")
                .arg(&script)
                .args([certroll, engine, "cost"])
                .status()?;
        }
    }
    Ok(())
}

/// Every contender beside the others, from here or from far away; what takes minutes from there is left out then.
fn rollouts(
    fleet: &Fleet,
    directory: &Path,
    hosts: usize,
    runs: usize,
    far: Option<&Far>,
) -> io::Result<Walls> {
    let mut out = io::stdout();
    let mut peers = peers::peers(fleet, directory)?;
    peers.retain(|peer| far.is_none() || peer.goes_far);
    let there = far.map(|far| far.there().to_vec()).unwrap_or_default();
    let mut costs: Vec<Vec<Cost>> = peers.iter().map(|_| Vec::new()).collect();
    for run in 0..runs {
        for (peer, costs) in peers.iter().zip(&mut costs) {
            // There and back again, so that each run changes something.
            let (old, new) = if run % 2 == 0 { ("gen1", "gen2") } else { ("gen2", "gen1") };
            fleet.reset(old);
            let cost = measure_within(fleet, directory, &(peer.argv)(new), &there)?;
            costs.push(Cost { correct: serves(fleet, new), ..cost });
        }
    }
    let cores = std::thread::available_parallelism()?;
    writeln!(
        out,
        "{hosts} hosts, nginx, a new certificate and key each; {cores} cores for all of it{}",
        if far.is_some() { format!("; {RTT_MS} ms to a host and back") } else { String::new() }
    )?;
    writeln!(out, "(median of {runs}; wall also min to max; ratio: its wall to asyncssh's)")?;
    writeln!(
        out,
        "{:<23} {:>22} {:>8} {:>11} {:>11} {:>9} {:>9} {:>9} {:>8} {:>7} {:>6} right",
        "",
        "wall s",
        "ratio",
        "CPU ms/host",
        "on the host",
        "peak MiB",
        "KiB out",
        "KiB back",
        "packets",
        "logins",
        "execs"
    )?;
    let walls: Walls = peers
        .iter()
        .zip(&costs)
        .map(|(peer, costs)| {
            (peer.name.clone(), Spread::of(costs.iter().map(|cost| cost.wall)).median)
        })
        .collect();
    // Without it, to the first.
    let measure = walls.iter().find(|(name, _)| name == "asyncssh").unwrap_or(&walls[0]).1;
    for (peer, costs) in peers.iter().zip(&costs) {
        let of = |pick: fn(&Cost) -> f64| Spread::of(costs.iter().map(pick));
        let each = |pick: fn(&Cost) -> f64| of(pick).median / hosts as f64;
        let wall = of(|cost| cost.wall);
        let right = costs.iter().filter(|cost| cost.correct).count();
        writeln!(
            out,
            "{:<23} {:>22} {:>8.2} {:>11.1} {:>11.0} {:>9.1} {:>9.1} {:>9.1} {:>8.0} {:>7.1} {:>6.1} {right}/{runs}",
            peer.name,
            format!("{:.2} ({:.2}–{:.2})", wall.median, wall.min, wall.max),
            wall.median / measure,
            each(|cost| cost.cpu * 1000.0),
            each(|cost| cost.host_cpu * 1000.0),
            of(|cost| cost.peak_mib).median,
            each(|cost| cost.sent / 1024.0),
            each(|cost| cost.received / 1024.0),
            each(|cost| cost.packets),
            each(|cost| cost.logins),
            each(|cost| cost.execs),
        )?;
    }
    let memory = MEMORY_AIM_MIB + MEMORY_AIM_MIB_PER_HOST * hosts as f64;
    writeln!(
        out,
        "aims for certroll: at most {CPU_AIM_MS} ms of CPU per host and {memory:.1} MiB\n"
    )?;
    Ok(walls)
}

/// The median wall of each contender, in seconds.
type Walls = Vec<(String, f64)>;

/// How many round trips the distance cost each: with one host those that it waits for one after another, with its own handshakes;
/// with many they hide behind each other.
fn round_trips(near: &Walls, far: &Walls) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "round trips, by what {RTT_MS} ms added to the wall:")?;
    for (name, there) in far {
        if let Some((_, here)) = near.iter().find(|(known, _)| known == name) {
            writeln!(out, "  {name:<23} {:>5.1}", (there - here) * 1000.0 / RTT_MS as f64)?;
        }
    }
    writeln!(out)
}

/// Whether openssl sees the generation on every host within two seconds: nginx lets its old workers go 100 ms after it has
/// started new ones, and until then both take connections.
fn serves(fleet: &Fleet, generation: &str) -> bool {
    let list = fleet.fleet(&["hosts"]);
    let names: Vec<&str> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    let wanted = format!(" {generation} ");
    let end = Instant::now() + Duration::from_secs(2);
    let seen =
        || names.iter().all(|host| fleet.fleet(&["expect", host, "nginx"]).contains(&wanted));
    while !seen() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

fn one_transaction(fleet: &Fleet, directory: &Path) -> io::Result<()> {
    let mut out = io::stdout();
    let certroll = peers::peers(fleet, directory)?.swap_remove(0);
    fleet.reset("gen1");
    let host = "h001";
    let Some(watch) = host_cost::watch(fleet, host)? else {
        return writeln!(out, "strace is not installed: the host's processes are not counted\n");
    };
    let argv = [(certroll.argv)("gen2"), ["-l", host].map(str::to_owned).to_vec()].concat();
    measure(fleet, directory, &argv)?;
    let programs = watch.end()?;
    writeln!(out, "one pair with validation and reload, on the host:")?;
    for program in &programs {
        let started: Vec<String> =
            program.started.iter().map(|(name, count)| format!("{name} ×{count}")).collect();
        let (forks, flushes) = (program.forks, program.flushes);
        writeln!(out, "  {forks} forks, {flushes} flushes: {}", started.join(", "))?;
    }
    writeln!(out, "aims for a transaction: at most {FORKS_AIM} forks and {FLUSHES_AIM} flushes\n")
}

fn many_certificates(fleet: &Fleet, directory: &Path, count: usize) -> io::Result<()> {
    let mut out = io::stdout();
    let host = "h001";
    let argv = many::prepare(fleet, host, directory, count)?;
    let before = many::reloads(fleet, host);
    let cost = measure(fleet, directory, &argv)?;
    let reloads = many::reloads(fleet, host) - before;
    writeln!(
        out,
        "{count} certificates on one host: {:.2} s, {:.0} ms of controller CPU, {:.1} MiB, {:.0} KiB out, \
         {:.0} KiB back, {:.0} log-in, {:.0} execs, reloads that nginx saw: {reloads}",
        cost.wall,
        cost.cpu * 1000.0,
        cost.peak_mib,
        cost.sent / 1024.0,
        cost.received / 1024.0,
        cost.logins,
        cost.execs,
    )?;
    let told = std::fs::read_to_string(directory.join("measured.out"))?;
    let summary = told.lines().rev().find(|line| line.contains(" in ")).unwrap_or("no summary");
    writeln!(out, "  {summary}")
}

struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
        Self { min: at(0), median: at(values.len() / 2), max: at(values.len().saturating_sub(1)) }
    }
}
