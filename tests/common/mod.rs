//! What several integration tests need. Each test binary uses its own part of it.
#![allow(dead_code, unreachable_pub, reason = "no test binary uses everything")]

pub mod daemon;
pub mod fleet;
pub mod oracle;
pub mod pki;
pub mod sshd;
pub mod world;

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

/// Whether every program is installed. When one is missing the test says so on stderr and is to
/// return; with `CERTROLL_TEST_REQUIRE_ALL=1` (as in CI) it fails instead.
pub(crate) fn have(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_program = |file: PathBuf| {
        let found = file.metadata();
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let installed = |program: &&str| {
        std::env::split_paths(&path).any(|directory| is_program(directory.join(program)))
    };
    let missing: Vec<&str> = programs.iter().copied().filter(|one| !installed(one)).collect();
    missing.is_empty() || skip(&format!("not installed: {}", missing.join(", ")))
}

/// Whether the test runs as root; see [`have`].
pub(crate) fn am_root() -> bool {
    // It belongs to the effective user.
    let process = std::fs::metadata("/proc/self").expect("a process of its own");
    process.uid() == 0 || skip("needs root")
}

/// Says loudly that the running test is skipped; fails it when everything is required.
pub(crate) fn skip(reason: &str) -> bool {
    let required = std::env::var_os("CERTROLL_TEST_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!required, "required by CERTROLL_TEST_REQUIRE_ALL=1, but: {reason}");
    // Straight to the descriptor: what `eprintln!` says in a test that passes is not shown.
    writeln!(std::io::stderr(), "SKIPPED: {reason}").expect("stderr takes a line");
    false
}

/// Whether this process runs the test `name` and nothing beside it. Otherwise such a process is started and must
/// pass, and the test is to return: what it measures, such as memory, is the whole process's.
pub(crate) fn alone(name: &str) -> bool {
    const ALONE: &str = "CERTROLL_TEST_ALONE";
    if std::env::var_os(ALONE).is_some_and(|test| test == name) {
        return true;
    }
    let program = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    command.args(["--exact", name, "--nocapture"]).env(ALONE, name);
    let output = command.output().expect("the same program starts");
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    false
}
