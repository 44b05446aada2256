//! What one command on the controller costs: wall, CPU, memory, and what it says to the hosts.

use crate::common::fleet::Fleet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

/// How often memory is looked at. What lives shorter is not seen, and hardly matters.
const LOOK: Duration = Duration::from_millis(5);

/// Runs `$@` and tells what it took to the millisecond, and the controller's network before and after.
const TIMED: &str = r#"
into=$1; shift
TIMEFORMAT='%R %U %S'
grep br0: /proc/net/dev >"$into.before"
{ time "$@" >"$into.out" 2>"$into.err"; } 2>"$into.time"
status=$?
grep br0: /proc/net/dev >"$into.after"
exit $status
"#;

/// One run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    /// Seconds.
    pub(crate) wall: f64,
    /// Seconds of user and system time on the controller.
    pub(crate) cpu: f64,
    /// Seconds of processor time on all hosts together.
    pub(crate) host_cpu: f64,
    /// The largest sum of peaks of processes that lived at the same time.
    pub(crate) peak_mib: f64,
    /// Bytes from the controller to the hosts, and back, with all headers.
    pub(crate) sent: f64,
    pub(crate) received: f64,
    /// Both ways.
    pub(crate) packets: f64,
    /// Log-ins that the hosts saw, and programs that they were asked to start.
    pub(crate) logins: f64,
    pub(crate) execs: f64,
    /// Whether every host serves what it should.
    pub(crate) correct: bool,
}

/// Runs `argv` as the controller, with its files in `directory`.
pub(crate) fn measure(fleet: &Fleet, directory: &Path, argv: &[String]) -> io::Result<Cost> {
    measure_within(fleet, directory, argv, &[])
}

/// The same, started by the words `within`: in another network, for instance.
pub(crate) fn measure_within(
    fleet: &Fleet,
    directory: &Path,
    argv: &[String],
    within: &[String],
) -> io::Result<Cost> {
    let into = directory.join("measured");
    let into = into.to_string_lossy();
    let before = seen_by_hosts(fleet);
    let busy = used_by_hosts(fleet);
    let start = ["bash", "-c", TIMED, "timed", &into].map(str::to_owned);
    let words = within.iter().chain(&start).chain(argv);
    let words: Vec<&str> = words.map(String::as_str).collect();
    let mut child = fleet
        .controller(words[0], &words[1..])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .spawn()?;
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        peak = peak.max(descendants(child.id()).into_iter().map(peak_kib).sum());
        thread::sleep(LOOK);
    }
    let read = |suffix: &str| fs::read_to_string(format!("{into}.{suffix}"));
    let times = numbers(&read("time")?);
    let network =
        |suffix| read(suffix).map(|text| numbers(text.trim_start().trim_start_matches("br0:")));
    let (old, new) = (network("before")?, network("after")?);
    let grown = |column: usize| new[column] - old[column];
    let after = seen_by_hosts(fleet);
    Ok(Cost {
        // The last line: a shell may have said something before.
        wall: times[times.len() - 3],
        cpu: times[times.len() - 2] + times[times.len() - 1],
        host_cpu: used_by_hosts(fleet) - busy,
        peak_mib: peak as f64 / 1024.0,
        received: grown(0),
        sent: grown(8),
        packets: grown(1) + grown(9),
        logins: after.0 - before.0,
        execs: after.1 - before.1,
        correct: false,
    })
}

fn numbers(text: &str) -> Vec<f64> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// (log-ins, programs started) as all hosts' sshd have logged them.
fn seen_by_hosts(fleet: &Fleet) -> (f64, f64) {
    let list = fleet.fleet(&["hosts"]);
    list.lines().filter_map(|line| line.split(' ').nth(2)).fold((0.0, 0.0), |sum, process| {
        let log = fs::read_to_string(format!("/proc/{process}/root/var/log/sshd.log"));
        let log = log.unwrap_or_default();
        let count = |what: &str| log.matches(what).count() as f64;
        (sum.0 + count("Accepted publickey"), sum.1 + count("Starting session: command"))
    })
}

/// Seconds that the processes of all hosts, and those that they have waited for, have used: what has ended counts by
/// its parent.
fn used_by_hosts(fleet: &Fleet) -> f64 {
    let list = fleet.fleet(&["hosts"]);
    let first = list.lines().filter_map(|line| line.split(' ').nth(2));
    let spaces: Vec<_> = first.filter_map(process_space).collect();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ticks: f64 = processes
        .filter_map(|entry| {
            let process = entry.file_name().into_string().ok()?;
            process_space(&process).filter(|space| spaces.contains(space))?;
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // utime, stime, cutime and cstime, after the name that may hold anything.
            let fields = stat.rsplit(')').next()?.split_whitespace().skip(11).take(4);
            Some(fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>())
        })
        .sum();
    // USER_HZ is 100 on every Linux that runs this.
    ticks / 100.0
}

fn process_space(process: &str) -> Option<std::path::PathBuf> {
    fs::read_link(format!("/proc/{process}/ns/pid")).ok()
}

/// All processes below one; of the chain of wrappers only the last counts for much.
fn descendants(process: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![process];
    while let Some(process) = open.pop() {
        let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
        for child in children.unwrap_or_default().split(' ').filter_map(|id| id.parse().ok()) {
            found.push(child);
            open.push(child);
        }
    }
    found
}

/// The most memory that a process has had so far.
fn peak_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
