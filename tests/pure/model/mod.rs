//! The protocol between controller, link and host, checked exhaustively: every interleaving of steps,
//! lost and delayed messages, deaths, cut links, power losses and recoveries within the bounds below
//! ends in an allowed state. Then the protocol is broken in one place after another, and each time the
//! same check must fail: it is known to bite.
//!
//! What is modelled, and where it is in the code (`src/remote/sh/*.sh` unless said otherwise):
//!
//! | model | code |
//! | --- | --- |
//! | [`Step::WriteJournal`](host::Step) … `KeepOld` | `begin` in transaction.sh: `journal_write`, `guard_start`, then `stage` with `stage_content` and `stage_old_files_in` in files/stage.sh |
//! | `AwaitCommit`, `AwaitConfirm` | `verdict` in core/wait.sh; [`Action::TimeIsUp`](protocol::Action) is its timer, `EndOfInput` its reader's |
//! | `Arm`, `FlushArmed` | `arm` in files/switch.sh: `echo armed >>"$journal"`, then `flush` of files, directories and journal |
//! | `Rename`, `FlushRenames` | `switch`: one `mv` renames file by file, then `flush` of the directories |
//! | `Reload` | `reload` in core/services.sh; a service refuses a pair that does not match and keeps what it had |
//! | `Record`, `FlushRecord`, `StopGuard`, `Finish`, `Clear` | `confirm` in transaction.sh: the journal's rename to `done.ID`, `flush`, `guard_stop`, `finish`; then `unlock` with the journal |
//! | `DropStage`, `ForgetStage` | `fail` and `discard` in transaction.sh: `sweep` |
//! | `Claim` … `Forget` | `journal_claim` in core/journal.sh, `restore` in transaction.sh: `undo` in files/undo.sh removes the new ones, renames the old ones back and calls `flush`; then `services_back`, `sweep` |
//! | `Look`, `FlushFound` | `recover_one` and `orphans` in core/recover.sh |
//! | guard | core/guard.sh: goes back when the program is dead, ends it when it outlives its time |
//! | lock | core/lock.sh: guard and contact begin only while nobody else is at work |
//! | [`Controller`](protocol::Controller) | `Transaction` in src/remote/transaction, driven by `prepare`, `finish` and `confirm` in src/engine/rollout/one_host.rs; its ends are `RemoteError::outcome` |
//!
//! The disk is two disks: what processes see, and what has been flushed. At a power loss each file (its
//! live name, its kept old one and its staged new one: a rename moves one of these to another at once) and the
//! journal is on either, independently. Bytes that were never flushed are torn then.
//!
//! Not in the model: changes by others (`tests/shell/transaction_property` has them), several hosts (they share
//! nothing but the barrier, which is a choice of the controller here), several directories (more renames of the
//! same kind), a program that is stopped and not dead before its guard runs or after the record.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by it, tells what it covered, and has no callers"
)]

mod host;
mod mutation;
mod protocol;

use mutation::Mutation;
use protocol::Protocol;
use stateright::{Checker, Model};
use std::collections::BTreeSet;

/// Checks the protocol and gives the number of states and the names of what was found: violations, and
/// examples of what should be possible.
fn check(mutation: Option<Mutation>, faults: u8) -> (usize, BTreeSet<&'static str>, String) {
    let checker = Protocol { mutation, faults }.checker().threads(2).spawn_bfs().join();
    let found = checker.discoveries();
    let violated = found.keys().filter(|name| !name.starts_with("possible: ")).copied();
    let story: Vec<String> = violated
        .map(|name| format!("{name}: {:?}\n", found[name].clone().into_actions()))
        .collect();
    let story = story.concat();
    (checker.unique_state_count(), found.keys().copied().collect(), story)
}

fn violations(found: &BTreeSet<&'static str>) -> Vec<&'static str> {
    found.iter().filter(|name| !name.starts_with("possible: ")).copied().collect()
}

#[test]
fn every_interleaving_ends_all_new_and_verified_or_all_old() {
    let (states, found, story) = check(None, 5);
    assert_eq!(violations(&found), [""; 0], "{story}");
    let possible = found.len();
    assert_eq!(possible, protocol::POSSIBLE.len(), "the model is too narrow: {found:?}");
    assert!(states > 50_000, "only {states} states");
    println!("{states} states, up to five faults: no violation");
}

#[test]
fn every_broken_protocol_is_found_out() {
    for mutation in Mutation::ALL {
        let (states, found, story) = check(Some(mutation), 2);
        let found = violations(&found);
        assert!(!found.is_empty(), "{mutation:?} is not found out in {states} states");
        println!("{mutation:?}: {}", story.lines().next().unwrap());
    }
}

/// The table's second column: functions of the program on the host, and the parts that have them.
#[test]
fn the_code_that_the_table_names_exists() {
    let sh = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/remote/sh");
    let mut code = String::new();
    for directory in ["", "core", "files"] {
        for entry in std::fs::read_dir(sh.join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "sh") {
                code += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    let mut functions = 0;
    let rows = include_str!("mod.rs").lines().filter_map(|line| line.strip_prefix("//! | "));
    for row in rows.filter(|row| !row.contains("src/")) {
        let (_, column) = row.split_once(" | ").unwrap();
        for name in column.split('`').skip(1).step_by(2) {
            if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && name != "mv" {
                assert!(code.contains(&format!("\n{name}() {{")), "{name}: {row}");
                functions += 1;
            }
        }
        for part in column.split([' ', ':', ';', ',']).filter(|word| word.ends_with(".sh")) {
            assert!(sh.join(part).exists(), "{part}: {row}");
        }
    }
    assert!(functions > 15, "only {functions} functions are named");
}
