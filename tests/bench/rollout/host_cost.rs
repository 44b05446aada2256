//! What a transaction costs its host: processes and flushes, counted by strace beside the rollout.

use crate::common::fleet::Fleet;
use std::collections::{BTreeMap, HashMap};
use std::process::{Child, Stdio};
use std::time::Duration;
use std::{fs, io, thread};

const TRACE: &str = "/run/trace";

/// What one program of certroll's did on the host, with all that it started.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) forks: usize,
    pub(crate) flushes: usize,
    /// How often each program was executed.
    pub(crate) started: BTreeMap<String, usize>,
}

/// strace, attached to a host's sshd.
pub(crate) struct Watch<'a> {
    fleet: &'a Fleet,
    host: &'a str,
    strace: Child,
}

/// Starts to watch, where strace is installed.
pub(crate) fn watch<'a>(fleet: &'a Fleet, host: &'a str) -> io::Result<Option<Watch<'a>>> {
    if fleet.sh(host, "command -v strace || true").is_empty() {
        return Ok(None);
    }
    let script = format!(
        "rm -f {TRACE}; exec strace -f -qq -s 80 -o {TRACE} \
         -e trace=execve,clone,clone3,fork,vfork,fsync,fdatasync,sync,syncfs -p $(pgrep -o -x sshd)"
    );
    let strace = fleet
        .beside_ssh(host, &script)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()?;
    // It is attached when sshd says so.
    for _ in 0..500 {
        let traced = fleet.sh(host, "grep TracerPid /proc/$(pgrep -o -x sshd)/status");
        if !traced.trim_end().ends_with("\t0") {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(Some(Watch { fleet, host, strace }))
}

impl Watch<'_> {
    /// Ends it: the programs in the order in which they were started.
    pub(crate) fn end(mut self) -> io::Result<Vec<Program>> {
        // What is left of the transaction, its guard for one, ends within a second.
        thread::sleep(Duration::from_millis(1500));
        self.fleet.sh(self.host, "pkill -INT -x strace");
        self.strace.wait()?;
        let trace = fs::read_to_string(self.fleet.root(self.host).join(&TRACE[1..]))?;
        Ok(read(&trace))
    }
}

/// Sorts the calls of a trace by the program of ours that their process descends from.
fn read(trace: &str) -> Vec<Program> {
    let calls = calls(trace);
    let mut parent: HashMap<u32, u32> = HashMap::new();
    let mut programs: Vec<Program> = Vec::new();
    let mut own: HashMap<u32, usize> = HashMap::new();
    // First who belongs to whom: a child may show up before its parent's call has ended.
    for Call { process, name, text, result } in &calls {
        if matches!(*name, "clone" | "clone3" | "fork" | "vfork")
            && let Ok(child) = result.parse()
        {
            parent.insert(child, *process);
        } else if *name == "execve" && text.contains("[\"sh\", \"-c\", \"echo;echo @certroll1") {
            own.entry(*process).or_insert_with(|| {
                programs.push(Program::default());
                programs.len() - 1
            });
        }
    }
    let owner = |process: u32| {
        let mut line = std::iter::successors(Some(process), |one| parent.get(one).copied());
        line.find_map(|one| own.get(&one).copied())
    };
    for Call { process, name, text, result } in &calls {
        let Some(program) = owner(*process).and_then(|at| programs.get_mut(at)) else { continue };
        match *name {
            "execve" if result == "0" && !own.contains_key(process) => {
                let path = text.split('"').nth(1).unwrap_or_default();
                let file = path.rsplit('/').next().unwrap_or_default();
                *program.started.entry(file.to_owned()).or_default() += 1;
            }
            "clone" | "clone3" | "fork" | "vfork" => program.forks += 1,
            "fsync" | "fdatasync" | "sync" | "syncfs" => program.flushes += 1,
            _ => {}
        }
    }
    programs
}

struct Call<'a> {
    process: u32,
    name: &'a str,
    text: String,
    result: String,
}

/// The calls in the order in which they ended; one that another process's line interrupts is told in two.
fn calls(trace: &str) -> Vec<Call<'_>> {
    let mut begun: HashMap<u32, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((process, call)) = line.split_once(' ') else { continue };
        let (Ok(process), call) = (process.parse(), call.trim_start()) else { continue };
        if let Some(first) = call.strip_suffix("<unfinished ...>") {
            begun.insert(process, first);
            continue;
        }
        let (first, rest) = match call.split_once(" resumed>") {
            Some((_, rest)) => (begun.remove(&process).unwrap_or_default(), rest),
            None => (call, ""),
        };
        let Some((name, _)) = first.split_once('(') else { continue };
        let text = format!("{first}{rest}");
        let result = text.rsplit_once(" = ").map_or("", |(_, result)| result);
        let result = result.split(' ').next().unwrap_or_default().to_owned();
        calls.push(Call { process, name, text, result });
    }
    calls
}
