//! The programs that a lab's hosts started, so that none outlives the lab.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The variable that marks the environment of every program of a lab.
const MARK: &str = "CERTROLL_LAB";

/// Every program that was started and has not ended.
///
/// The SSH servers never kill a program, as a real one does not: input just ends. Dropping this
/// does, with whatever those programs put into the background.
#[derive(Debug)]
pub struct Children {
    mark: String,
    groups: Mutex<BTreeSet<u32>>,
}

impl Default for Children {
    fn default() -> Self {
        Self { mark: format!("{:032x}", rand::random::<u128>()), groups: Mutex::default() }
    }
}

impl Children {
    /// The entry for a program's environment.
    pub fn mark(&self) -> (&'static str, &str) {
        (MARK, &self.mark)
    }

    /// A program leads this process group.
    pub(super) fn started(&self, group: u32) {
        self.groups().insert(group);
    }

    /// It has ended. Its id may be somebody else's soon.
    pub(super) fn ended(&self, group: u32) {
        self.groups().remove(&group);
    }

    /// Process ids of everything that still runs: the groups' leaders, and where the system tells
    /// a process's environment (Linux) all that descend from them.
    pub fn running(&self) -> Vec<u32> {
        let mut all: BTreeSet<u32> = self.groups().clone();
        all.extend(self.marked());
        all.into_iter().collect()
    }

    fn groups(&self) -> std::sync::MutexGuard<'_, BTreeSet<u32>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Programs that carry the mark, wherever they went: a guard leaves its group on purpose.
    fn marked(&self) -> Vec<u32> {
        let entry = format!("{MARK}={}", self.mark);
        let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
        let ids = processes.filter_map(|one| one.ok()?.file_name().to_str()?.parse().ok());
        ids.filter(|id: &u32| *id != std::process::id())
            .filter(|id| {
                let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
                environment.split(|byte| *byte == 0).any(|found| found == entry.as_bytes())
            })
            .collect()
    }

    /// Ends everything, at once. The signal is sent by `sh`, which has it built in.
    pub fn end(&self) {
        // Twice: a program may start another one between the look and the signal.
        for _ in 0..2 {
            let groups = self.groups().iter().map(|group| format!("-{group}")).collect::<Vec<_>>();
            let marked = self.marked().iter().map(u32::to_string).collect::<Vec<_>>();
            if groups.is_empty() && marked.is_empty() {
                return;
            }
            let sent = Command::new("/bin/sh")
                .args(["-c", r#"for id; do kill -s KILL -- "$id"; done"#, "sh"])
                .args(groups.iter().chain(&marked))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if sent.is_err() {
                return;
            }
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.end();
    }
}
