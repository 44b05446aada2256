//! Ctrl-C, once and twice, in the middle of a rollout.

use crate::chaos::ground::{HOSTS, Play, ground};
use crate::chaos::strikes::{Next, round_of};
use crate::chaos::trouble::{Blow, Strike, end_of, start_of};

#[test]
fn one_interrupt_lets_the_hosts_in_flight_end_and_begins_no_others() {
    let Some(ground) = ground() else { return };
    let moment = start_of("nginx", "verify", 0);
    let strikes = [Strike { host: "h001", moment, blow: Blow::Interrupted }];
    // The proof goes on until the signal has arrived: a quick one would be over, and the next task begun.
    let slow = "checks: [{command: ['sleep', '3'], on: controller}]";
    let in_twos = |play: Play| play.with(slow).keyword("serial: 2");

    let ran = round_of(&ground, &HOSTS, &strikes, Next::Nothing, in_twos);

    assert_eq!(ran.code, 130, "{ran}");
    assert_eq!(ran.outcome("h001"), "changed", "{ran}");
    for host in &HOSTS[2..] {
        assert_eq!(ran.outcome(host), "skipped", "{ran}");
    }
}

#[test]
fn two_interrupts_cut_the_links_and_hosts_undo_themselves() {
    let Some(ground) = ground() else { return };
    let moment = end_of("postfix", "verify", 0);
    let strikes = [Strike { host: "h001", moment, blow: Blow::InterruptedTwice }];
    let slow = "checks: [{command: ['sleep', '200'], on: controller, timeout: 400s}]";
    let postfix_is_slow = |play: Play| Play::postfix(&play.generation).with(slow);

    let ran = round_of(&ground, &HOSTS[..3], &strikes, Next::Nothing, postfix_is_slow);

    assert_eq!(ran.code, 130, "{ran}");
    assert_eq!(ran.outcome("h001"), "unknown", "{ran}");
    let took = ran.events().last().unwrap()["elapsed_ms"].as_u64().unwrap();
    assert!(took < 150_000, "the check was waited for: {ran}");
}
