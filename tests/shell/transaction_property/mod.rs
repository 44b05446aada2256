//! Random histories of one host: rollouts that are confirmed, taken back or left alone, programs that die at any
//! step or in the middle of an action that lives on, changes by others at any moment, recoveries that die
//! themselves.
//!
//! After every contact that was left in peace the host must hold one of the states that the history allows:
//! a rollout is all there or not there at all; it is there if its controller was told so, and only if it was
//! confirmed; what others did is still there; and the rest is the very same files as before. Nothing
//! else is left but the generations that were asked for, the service has loaded what is there, and no
//! key can be read by others at any time. A history that breaks this is shrunk to its essence.
//!
//! The histories are the same in every run. `CERTROLL_TEST_SEED=NUMBER` tries others,
//! `CERTROLL_TEST_HISTORY=NUMBER` only one of them, and `CERTROLL_TEST_SHELL=NAME` under one shell.
#![allow(clippy::unwrap_used, clippy::print_stderr, unreachable_pub, reason = "tests")]

mod deaths;
mod history;
mod ledger;
mod world;

use crate::transaction::host::{Shell, shells};
use deaths::Programs;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A slow machine tries fewer histories, not longer.
const TIME: Duration = Duration::from_secs(80);

const HISTORIES: u32 = 200;

/// Part of their time is waiting.
const AT_ONCE: usize = 4;

fn number(name: &str) -> Option<u32> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Lives through history `number` and gives how many events it has; or its essence, if it ends badly.
fn try_history(
    shell: &'static Shell,
    number: u32,
    programs: &Programs,
    shrinks: u32,
) -> Result<usize, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let seed = self::number("CERTROLL_TEST_SEED").unwrap_or(1);
    let bytes = [seed, number, 0, 0, 0, 0, 0, 0].map(u32::to_le_bytes).concat();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases: 1,
        max_shrink_iters: shrinks,
        failure_persistence: None,
        ..Config::default()
    };
    let events = std::cell::Cell::new(0);
    let ended = TestRunner::new_with_rng(config, rng).run(&history::histories(), |history| {
        events.set(history.events.len());
        runtime.block_on(world::live(shell, &history, programs))
    });
    match ended {
        Ok(()) => Ok(events.get()),
        Err(TestError::Fail(why, history)) => Err(format!(
            "{why}\nunder {} (CERTROLL_TEST_SEED={seed} CERTROLL_TEST_HISTORY={number}): {history:#?}",
            shell.name
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// Every history under dash, and each under some of the others, which take longer.
fn jobs() -> Vec<(&'static Shell, u32)> {
    let numbers = match number("CERTROLL_TEST_HISTORY") {
        Some(one) => one..one + 1,
        None => 0..HISTORIES,
    };
    let only = std::env::var("CERTROLL_TEST_SHELL").ok();
    let lives = |shell: &Shell, number: u32| match (&only, shell.name) {
        (Some(only), name) => only == name,
        (None, "dash") => true,
        (None, name) if name.starts_with("busybox") => number.is_multiple_of(2),
        (None, "bash") => number % 4 == 1,
        (None, "mksh") => number % 4 == 2,
        (None, _) => number % 4 == 3,
    };
    numbers
        .flat_map(|number| shells().iter().map(move |shell| (shell, number)))
        .filter(|&(shell, number)| lives(shell, number))
        .collect()
}

#[test]
fn any_history_ends_in_an_allowed_state() {
    let (began, programs, jobs) = (Instant::now(), deaths::programs(), jobs());
    let next = AtomicUsize::new(0);
    let (failed, lived) = (Mutex::new(None), Mutex::new(BTreeMap::new()));
    let work = || {
        while began.elapsed() < TIME && failed.lock().unwrap().is_none() {
            let Some(&(shell, number)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            match try_history(shell, number, &programs, 300) {
                Ok(events) => {
                    let mut lived = lived.lock().unwrap();
                    let (histories, sum) = lived.entry(shell.name).or_insert((0, 0));
                    (*histories, *sum) = (*histories + 1, *sum + events);
                }
                Err(why) => *failed.lock().unwrap() = Some(why),
            }
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    if let Some(why) = failed.into_inner().unwrap() {
        panic!("{why}");
    }
    let lived = lived.into_inner().unwrap();
    let events: usize = lived.values().map(|(_, events)| events).sum();
    let seconds = began.elapsed().as_secs();
    eprintln!("{events} events in {seconds} s, (histories, events) under each shell: {lived:?}");
    if next.into_inner() < jobs.len() {
        eprintln!("the machine was too slow for all {} histories", jobs.len());
    }
}

/// The control: programs with a fault are found out, and the same without one is not.
#[test]
fn a_program_with_a_fault_is_found_out() {
    let shell = &shells()[0];
    let sound = deaths::faulty("guard_told=0 guard_pid=\n", "guard_told=0 guard_pid=\n");
    for number in 0..5 {
        try_history(shell, number, &sound, 0).unwrap();
    }
    for (fault, from, to) in deaths::FAULTS {
        let programs = deaths::faulty(from, to);
        let found = (0..400).find_map(|number| {
            try_history(shell, number, &programs, 0).err().map(|why| (number, why))
        });
        let (number, why) = found.unwrap_or_else(|| panic!("{fault}: not found"));
        let why = why.lines().next().unwrap_or_default();
        eprintln!("{fault}: found by history {number}: {why}");
    }
}
