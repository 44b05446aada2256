//! Every playbook that comes with the program is read without a word of complaint.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::path::Path;
use std::process::Command;

#[test]
fn every_playbook_passes_the_syntax_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(root.join("playbooks")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // The command that its comment gives.
        let line = text.lines().find_map(|line| line.strip_prefix("#   certroll plan")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_certroll"))
            .current_dir(root)
            .env_clear()
            .env("HOME", root.join("target"))
            .args(["plan", "--syntax-check"])
            .args(line.split_whitespace())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{}: {said}", path.display());
        count += 1;
    }
    assert!(count >= 14, "only {count} playbooks");
}
