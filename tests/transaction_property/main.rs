//! Random histories of one host: rollouts that are confirmed, taken back or left alone, deaths of the
//! program at random steps, changes by others at random moments, recoveries that die themselves.
//!
//! After every contact that was left in peace the host must hold one of the states that the history allows:
//! a rollout is all there or not there at all, it is there if its controller was told so and only if it was
//! confirmed, what others wrote is still there, and the rest is as it was. Nothing else is left but the
//! generations, the service was told to load what is there, and no key can be read by others at
//! any time. A history that breaks this is shrunk to its essence.
#![allow(clippy::unwrap_used, clippy::print_stderr, unreachable_pub, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod history;
#[path = "../transaction/host.rs"]
mod host;
mod world;

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::time::{Duration, Instant};

/// A slow machine tries fewer histories, not longer.
const TIME: Duration = Duration::from_secs(55);

/// Tries histories under a shell until `count` are well or the time is over.
fn try_histories(shell: &str, count: u32) {
    let Some(shell) = host::shells().iter().find(|known| known.name == shell) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let began = Instant::now();
    let (mut tried, mut contacts) = (0, 0);
    while tried < count && began.elapsed() < TIME {
        let config = Config {
            cases: 10,
            max_shrink_iters: 300,
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner = match std::env::var("CERTROLL_TEST_SEED") {
            // The same histories again, to look into a failure.
            Ok(seed) => {
                let seed = (seed.parse::<u64>().unwrap() + u64::from(tried)).to_le_bytes();
                let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed.repeat(4));
                TestRunner::new_with_rng(config, rng)
            }
            Err(_) => TestRunner::new(config),
        };
        let counted = std::cell::Cell::new(0);
        let ended = runner.run(&history::histories(), |history| {
            counted.set(counted.get() + history.len());
            runtime.block_on(world::live(shell, &history))
        });
        if let Err(error) = ended {
            panic!("under {}: {error}", shell.name);
        }
        contacts += counted.get();
        tried += 10;
    }
    eprintln!("{}: {tried} histories with {contacts} events, all well", shell.name);
}

#[test]
fn any_history_under_dash_ends_in_an_allowed_state() {
    try_histories("dash", 600);
}

#[test]
fn any_other_history_under_dash_ends_in_an_allowed_state() {
    try_histories("dash", 600);
}

#[test]
fn any_history_under_busybox_ends_in_an_allowed_state() {
    try_histories("busybox", 100);
}

#[test]
fn any_history_under_bash_ends_in_an_allowed_state() {
    try_histories("bash", 60);
}

#[test]
fn any_history_under_mksh_ends_in_an_allowed_state() {
    try_histories("mksh", 60);
}

#[test]
fn any_history_under_ksh93_ends_in_an_allowed_state() {
    try_histories("ksh93", 60);
}

/// The control: a program with a fault is found out. It forgets to restore one file of two.
#[test]
fn a_program_that_forgets_a_file_is_found_out() {
    let shell = &host::shells()[0];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config =
        Config { cases: 300, max_shrink_iters: 60, failure_persistence: None, ..Config::default() };
    let ended = TestRunner::new(config).run(&history::histories(), |history| {
        runtime.block_on(world::live_with_a_fault(shell, &history))
    });
    let error = ended.expect_err("the fault shows").to_string();
    assert!(error.contains("is not allowed"), "{error}");
}
