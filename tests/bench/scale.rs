//! A large fleet, really planned and rolled out: what it takes and what is told of it. `cargo bench --bench scale [HOSTS]`.
//!
//! The hosts are those of `certroll demo`, 2,000 of them, in this process and behind real SSH and real TLS; the shells
//! and files behind them are real, and share this machine's processors with certroll, whose own memory and processor time are
//! what is printed. Each is done with a tenth of the hosts before, which shows what grows with their number. 2,000 hosts
//! take some four minutes on two processors. Without `--bench` it does so with a handful.

use certroll::testing::lab::Lab;
use certroll::testing::lab::story::{HostStory, Kind, Scenario};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often memory and processor time are looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Lines of each run that are shown: of an apply the recap, which has to be short however many hosts there are.
const LAST: usize = 12;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let whole = arguments.iter().any(|argument| argument == "--bench");
    let given = arguments.iter().find_map(|argument| argument.parse().ok());
    let hosts: usize = given.unwrap_or(if whole { 2_000 } else { 10 });
    // Each of them listens twice.
    if hosts > 400 {
        // As many open files as this process may ever have.
        let raise = "prlimit --pid \"$0\" --nofile=\"$(ulimit -Hn)\":";
        let id = std::process::id().to_string();
        if !Command::new("sh").args(["-c", raise, &id]).status()?.success() {
            return Err(io::Error::other("no more open files can be had"));
        }
    }
    let name = |number| format!("edge{number:05}.example.net");
    let story = |number| HostStory::new(name(number), Kind::Web, Scenario::None);
    let stories: Vec<HostStory> = (0..hosts).map(story).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    let begun = Instant::now();
    let lab = runtime.block_on(Lab::temporary(&stories)).map_err(io::Error::other)?;
    // The hosts share one machine and one process. To find a service by the port that it listens on, as a plan does for a
    // profile without `recover`, each of them would look through the sockets of all.
    let profile = lab.directory().join("services/demo-web.yml");
    let text = fs::read_to_string(&profile)?;
    fs::write(profile, text + "recover: [edge-reload]\n")?;
    // The guard of a host that waits for its batch starts a program each second, here on the same processors: in batches
    // that grow with the fleet the time grows with its square, and a thousand waiting hosts leave two processors for
    // nothing else.
    let playbook = lab.playbook();
    let text = fs::read_to_string(&playbook)?;
    fs::write(playbook, text.replace("serial: [1, 100%]", "serial: [1, 100]"))?;
    let tenth = (hosts / 10).max(1);
    let few = format!("all[0:{}]", tenth - 1);
    let mut out = io::stdout();
    writeln!(
        out,
        "{hosts} hosts, one certificate and key each, real SSH and TLS on this machine; they were there after {:.1} s",
        begun.elapsed().as_secs_f64()
    )?;
    writeln!(
        out,
        "{:<34} {:>8} {:>8} {:>12} {:>9} {:>12} {:>7}",
        "", "wall s", "ms/host", "CPU ms/host", "peak MiB", "lines told", "events"
    )?;
    for [of_some, of_all] in [
        [("plan, a tenth of them", &["plan", "--limit", &few][..]), ("plan", &["plan"])],
        [("apply, a tenth of them", &["apply", "--limit", &few]), ("apply", &["apply"])],
        [
            ("apply, nothing to do, a tenth", &["apply", "--limit", &few]),
            ("apply, nothing to do", &["apply"]),
        ],
    ] {
        let some = run(&mut out, lab.directory(), of_some, tenth)?;
        let all = run(&mut out, lab.directory(), of_all, hosts)?;
        // What does not depend on the number of hosts is in both.
        let more = (all.peak_mib - some.peak_mib) * 1024.0 / (hosts - tenth).max(1) as f64;
        writeln!(out, "    {more:.1} KiB for each host beyond the tenth")?;
    }
    drop(lab);
    Ok(())
}

/// One run of certroll, told in a line, with the last that it told itself.
fn run(
    out: &mut impl Write,
    directory: &Path,
    (what, words): (&str, &[&str]),
    hosts: usize,
) -> io::Result<Cost> {
    let cost = certroll(directory, words)?;
    writeln!(
        out,
        "{what:<34} {:>8.1} {:>8.1} {:>12.1} {:>9.1} {:>12} {:>7}",
        cost.wall,
        cost.wall * 1000.0 / hosts as f64,
        cost.cpu * 1000.0 / hosts as f64,
        cost.peak_mib,
        cost.told.lines().count(),
        cost.events,
    )?;
    let told: Vec<&str> = cost.told.lines().collect();
    for line in &told[told.len().saturating_sub(LAST)..] {
        writeln!(out, "    | {line}")?;
    }
    Ok(cost)
}

struct Cost {
    /// Seconds.
    wall: f64,
    /// Seconds of the controller alone.
    cpu: f64,
    peak_mib: f64,
    told: String,
    /// In the record; a plan leaves none.
    events: usize,
}

fn certroll(directory: &Path, words: &[&str]) -> io::Result<Cost> {
    let told = directory.join("told");
    let runs = directory.join("state/certroll/runs");
    fs::remove_dir_all(&runs).ok();
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_certroll"))
        .args(words)
        .args(["-f", "50", "site.yml", "-i", "inventory.ini", "--ssh-config", "none"])
        .current_dir(directory)
        .env("XDG_STATE_HOME", directory.join("state"))
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::null())
        .stdout(File::create(&told)?)
        .stderr(File::create(directory.join("progress"))?)
        .spawn()?;
    let (mut cpu, mut peak) = (0.0, 0);
    let status = loop {
        let about = |file: &str| {
            fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default()
        };
        cpu = seconds(&about("stat")).unwrap_or(cpu);
        peak = peak_kib(&about("status")).unwrap_or(peak);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        thread::sleep(LOOK);
    };
    let wall = begun.elapsed().as_secs_f64();
    let told = fs::read_to_string(told)?;
    // A plan that would change something is no failure.
    if !status.success() {
        let progress = fs::read_to_string(directory.join("progress"))?;
        let words = words.join(" ");
        return Err(io::Error::other(format!("certroll {words}: {status}\n{told}{progress}")));
    }
    let records = fs::read_dir(runs).into_iter().flatten().flatten();
    let lines =
        |file: fs::DirEntry| fs::read_to_string(file.path()).map(|text| text.lines().count());
    let events = records.filter_map(|file| lines(file).ok()).sum();
    Ok(Cost { wall, cpu, peak_mib: peak as f64 / 1024.0, told, events })
}

/// User and system time, after the name that may hold anything. USER_HZ is 100 on every Linux that runs this.
fn seconds(stat: &str) -> Option<f64> {
    let fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
    Some(fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0)
}

fn peak_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
