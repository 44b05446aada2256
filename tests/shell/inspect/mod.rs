//! The read-only inspection, by every shell that is installed, over real files.

mod containers;
mod files;
mod host;
mod keys;
mod place;

use crate::common::pki::{Authority, Pair};
use certroll::testing::host::TimedCommand;
use certroll::testing::host::{FileFacts, RegularFile};
use certroll::testing::model::CommandLine;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("Inspect"));

static LEAF: LazyLock<Pair> = LazyLock::new(|| AUTHORITY.leaf(&["www.example.net"]));

const SHELLS: [&str; 6] =
    ["dash", "busybox sh", "bash --posix", "mksh", "ksh93", "zsh --emulate sh"];

fn shells() -> Vec<&'static str> {
    let installed = |shell: &&str| {
        let program = shell.split(' ').next().unwrap_or(shell);
        let quiet = std::process::Stdio::null;
        Command::new(program).args(["-c", ":"]).stdout(quiet()).stderr(quiet()).status().is_ok()
    };
    let found: Vec<_> = SHELLS.into_iter().filter(installed).collect();
    assert!(found.contains(&"dash") || found.contains(&"bash --posix"), "{found:?}");
    found
}

fn regular(facts: &FileFacts) -> &RegularFile {
    facts.file().unwrap_or_else(|| panic!("{facts:?}"))
}

fn argv(words: &[&str]) -> CommandLine {
    CommandLine::Argv(words.iter().map(|&word| word.to_owned()).collect())
}

fn timed(words: &[&str], seconds: u64) -> TimedCommand {
    TimedCommand { command: argv(words), timeout: Duration::from_secs(seconds) }
}
