//! The steps that the program is stopped at are all there are, and stand between all actions.

use super::imports::{End, import_points};
use super::scene::*;
use std::collections::BTreeSet;
use std::path::Path as File;

/// Commands that change something, at the place of a command.
const ACTIONS: [&str; 20] = [
    "mkdir",
    "mv",
    "ln",
    "rm",
    "rmdir",
    "cp",
    "chmod",
    "chown",
    "chgrp",
    "setfacl",
    "chcon",
    "restorecon",
    "flush",
    "run_encoded",
    "run_twice_if_signalled",
    "owner_set",
    "journal_write",
    "keep_attributes",
    "finish_modes",
    "write_in_place",
];

/// Parts that run as a transaction or a recovery.
const PARTS: [&str; 22] = [
    "core/boot",
    "core/flush",
    "core/guard",
    "core/journal",
    "core/lock",
    "core/recover",
    "core/request",
    "core/services",
    "core/wait",
    "files/compare",
    "files/finish",
    "files/in_place",
    "files/links",
    "files/sealed",
    "files/seed",
    "files/stage",
    "files/switch",
    "files/undo",
    "files/validate",
    "recovery_main",
    "transaction",
    "transaction_main",
];

fn part(name: &str) -> String {
    let root = File::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join(format!("src/remote/sh/{name}.sh"))).unwrap()
}

/// Lines without comments, and without the programs in quotes that run in private namespaces.
fn code(text: &str) -> Vec<String> {
    let mut quoted = false;
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim) {
        quoted |= line.contains("_text='");
        if !quoted && !line.is_empty() && !line.starts_with('#') {
            lines.push(line.to_owned());
        }
        quoted &= line != "'";
    }
    lines
}

/// Whether a line runs one of the actions: as its first command, or after `||`, `&&`, `then`, `{`, `;`.
fn acts(line: &str) -> bool {
    let mut command = true;
    let mut quoted = false;
    for word in line.split_whitespace() {
        if command && !quoted && ACTIONS.contains(&word) {
            return true;
        }
        if word.matches('\'').count() % 2 == 1 {
            quoted = !quoted;
        }
        let opens = ["||", "&&", "then", "{", "else", "do", "(", "!"].contains(&word);
        command = opens || word.ends_with(';') || word.ends_with(')');
    }
    false
}

#[test]
fn a_step_follows_every_action() {
    let mut count = 0;
    for name in PARTS {
        let lines = code(&part(name));
        for (at, line) in lines.iter().enumerate() {
            let definition = line.contains("() {") && !line.contains("||");
            if definition || !acts(line) {
                continue;
            }
            count += 1;
            let followed = next_action(&lines[at + 1..]);
            assert!(followed, "{name}.sh: no step after: {line}\nbut: {}", lines[at + 1]);
        }
    }
    assert!(count > 30, "only {count} actions found");
}

/// Whether a step comes before anything else happens. Other branches do not happen; the end of a
/// function that is an action itself leaves the step to its callers.
fn next_action(lines: &[String]) -> bool {
    let mut elsewhere = false;
    for line in lines {
        if elsewhere {
            elsewhere = !line.ends_with(";;");
            continue;
        }
        if line.ends_with(')') && !line.contains('(') {
            elsewhere = true;
            continue;
        }
        if line.starts_with("step ") || line == "}" {
            return true;
        }
        let other_branch =
            line.ends_with(";;") || ["esac", "fi", "else", ";;"].contains(&line.as_str());
        let assignment = line.starts_with("journal=") || line.starts_with("armed=");
        if !other_branch && !assignment {
            return false;
        }
    }
    false
}

#[test]
fn actions_are_found() {
    assert!(acts("mv -- a b"));
    assert!(acts("[ -d x ] || mkdir x"));
    assert!(acts("if x; then rm y; fi"));
    assert!(!acts("echo mv; have mv"));
    assert!(!acts("for v in mkdir mv ln; do"));
}

#[tokio::test]
async fn every_step_of_the_program_is_passed_by_some_path() {
    let mut passed = BTreeSet::new();
    let shell = &crate::transaction::host::shells()[0];
    for path in ALL {
        passed.extend(points(shell, path).await);
    }
    passed.extend(super::crash::recovery_points(shell).await);
    passed.extend(super::boot::boot_points(shell).await);
    for end in [End::Confirmed, End::GivenUp] {
        passed.extend(import_points(shell, end).await);
    }
    let names: BTreeSet<&str> = passed
        .iter()
        .filter_map(|point| point.split_once(' ')?.1.split_once('#'))
        .map(|(name, _)| name)
        .collect();
    let mut missed = Vec::new();
    for name in PARTS {
        for line in code(&part(name)) {
            let step = line.strip_prefix("step ");
            let plain = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(step.is_none_or(plain), "a whole line is left out of the program: {line}");
            missed.extend(step.filter(|step| !names.contains(step)).map(str::to_owned));
        }
    }
    // Not on this file system, or not without somebody else's doing; other tests pass them.
    let elsewhere = [
        "dead_lock_removed",
        "lock_given_back", // lock.rs
        "written_all",     // many.rs
        "owner_kept",
        "mode_kept",
        "list_kept",
        "label_kept", // without GNU cp: under busybox
        "copied",
        "relinking",
        "relinked", // causes.rs
        "labelled", // SELinux
        "conflict_kept",
        "conflict_flushed",
        "revived", // causes.rs
        "taken_back",
        "emptied_removed", // flushes.rs
        "torn_removed",
        "orphan_removed", // lock.rs
        "guard_locked",   // endings.rs
    ];
    missed.retain(|step| !elsewhere.contains(&step.as_str()));
    assert_eq!(missed, Vec::<String>::new());
}
