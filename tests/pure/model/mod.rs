//! The protocol between controller, link and host, checked exhaustively: every interleaving of steps,
//! lost and delayed messages, deaths, cut links, power losses and recoveries within the bounds below
//! ends in an allowed state. Then the protocol is broken in one place after another, and each time the
//! same check must fail: it is known to bite.
//!
//! What is modelled, and where it is in the code (`src/remote/sh/*.sh` unless said otherwise):
//!
//! | model | code |
//! | --- | --- |
//! | [`Step::WriteJournal`](host::Step) … `KeepOld` | `stage` in stage.sh: `journal_write`, `guard_start`, `stage_content`, `stage_old_files` |
//! | `AwaitCommit`, `AwaitConfirm` | `verdict` in wait.sh; [`Action::TimeIsUp`](protocol::Action) is its timer, `EndOfInput` its reader's |
//! | `Arm`, `FlushArmed` | `arm` in commit.sh: `echo armed >>"$J"`, then `flush` of files, directories and journal |
//! | `Rename`, `FlushRenames` | `switch`: one `mv` renames file by file, then `flush` of the directories |
//! | `Reload` | `reload`; a service refuses a pair that does not match and keeps what it had |
//! | `Record`, `FlushRecord`, `StopGuard`, `Finish`, `Clear` | `confirm`: the journal's rename to `done.ID`, `flush`, `guard_stop`, `finish`; then `unlock` with the journal |
//! | `DropStage`, `ForgetStage` | `fail` and `discard` in transaction.sh: `sweep` |
//! | `Claim` … `Forget` | `journal_claim` and `back` in journal.sh and undo.sh: new ones removed, old ones renamed back, `flush`, `services_back`, `sweep` |
//! | `Look`, `FlushFound` | `recover_one` and `orphans` in recover.sh |
//! | guard | guard.sh: goes back when the program is dead, ends it when it outlives its time |
//! | lock | lock.sh: guard and contact begin only while nobody else is at work |
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
mod protocol;

use protocol::{Mutation, Protocol};
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
