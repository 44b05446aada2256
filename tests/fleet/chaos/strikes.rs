//! Rollouts of both services that are struck at every moment, and what follows.

use crate::chaos::ground::{Ground, HOSTS, Play, ground};
use crate::chaos::trouble::{Blow, Moment, Strike, Trouble, end_of, start_of};
use crate::common::fleet::Ran;
use std::time::Duration;

/// How the next contact comes about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// None is needed: hosts settle by themselves.
    Nothing,
    /// `certroll recover`, before anything else.
    Recover,
    /// `certroll apply` meets what was left.
    Apply,
}

/// One rollout of the generation that `hosts` do not have yet, struck; then it is seen to be well.
fn round(ground: &Ground, hosts: &[&'static str], strikes: &[Strike], next: Next) {
    round_of(ground, hosts, strikes, next, Play::impatient);
}

/// The same with another play, for the rollout that is struck.
pub(crate) fn round_of(
    ground: &Ground,
    hosts: &[&'static str],
    strikes: &[Strike],
    next: Next,
    play: impl Fn(Play) -> Play,
) -> Ran {
    let before: Vec<_> = hosts.iter().map(|host| ground.look(host)).collect();
    let was: Vec<[&str; 2]> = before.iter().map(|held| held.whole().unwrap()).collect();
    let wanted = if was[0][0] == "gen1" { "gen2" } else { "gen1" };
    let controller = ground.controller(hosts[0], hosts, &play(Play::of(wanted)));

    let mut trouble = Trouble::new(ground, strikes);
    let ran = trouble.strike(&controller);
    trouble.settles_while_cut();
    trouble.heal();

    if next == Next::Recover {
        let recover = controller.run("recover");
        assert_eq!(recover.code, 0, "{recover}");
        // Whoever recovers is told whose transaction it was, and of which run.
        for line in recover.stdout.lines().filter(|line| line.contains(" was interrupted")) {
            assert!(line.contains("certroll apply by ") && line.contains(", run "), "{recover}");
        }
    }
    if next != Next::Apply {
        std::thread::scope(|scope| {
            for (host, was) in hosts.iter().zip(&was) {
                let (trouble, ran) = (&trouble, &ran);
                scope.spawn(move || {
                    let held = ground.look_until(host, Duration::from_secs(60), |held| {
                        held.litter.is_empty() && held.whole().is_some()
                    });
                    trouble.is_as_told(host, *was, wanted, &held, ran);
                });
            }
        });
    }
    let patient = ground.controller(hosts[0], hosts, &Play::of(wanted));
    patient.all_is_well_after_apply(hosts, wanted);
    ran
}

/// The same blow at many moments, each to one host of its own.
fn each_host(moments: &[Moment], blow: Blow) -> Vec<Strike> {
    let strike = |(host, moment): (&&'static str, &Moment)| Strike { host, moment: *moment, blow };
    HOSTS.iter().zip(moments).map(strike).collect()
}

/// The same blow at many moments: that many controllers, each with two hosts, three at a time.
fn each_controller(ground: &Ground, moments: &[Moment], blow: Blow) {
    for (number, moments) in moments.chunks(3).enumerate() {
        std::thread::scope(|scope| {
            for (hosts, moment) in HOSTS.chunks(2).zip(moments) {
                let next = if number % 2 == 0 { Next::Nothing } else { Next::Apply };
                let strike = Strike { host: hosts[number % 2], moment: *moment, blow };
                scope.spawn(move || round(ground, hosts, &[strike], next));
            }
        });
    }
}

#[test]
fn a_controller_dies_at_any_moment() {
    let Some(ground) = ground() else { return };
    let random = || rand::random::<u64>() % 400;
    let moments: Vec<Moment> = ["nginx", "postfix"]
        .into_iter()
        .flat_map(|service| {
            [
                end_of(service, "connect", 0),
                start_of(service, "stage", 30),
                end_of(service, "stage", 0),
                start_of(service, "commit", 40),
                start_of(service, "commit", random()),
                end_of(service, "reload", 0),
                start_of(service, "verify", random() / 4),
                start_of(service, "confirm", 0),
                start_of(service, "confirm", random() / 10),
            ]
        })
        .collect();
    each_controller(&ground, &moments, Blow::ControllerDies);
}

#[test]
fn a_controller_that_freezes_is_told_that_hosts_went_back() {
    let Some(ground) = ground() else { return };
    let moments = [
        end_of("nginx", "stage", 0),
        end_of("nginx", "reload", 0),
        start_of("postfix", "commit", 20),
    ];
    each_controller(&ground, &moments, Blow::ControllerFreezes);
}

#[test]
fn a_link_is_cut_at_any_moment() {
    let Some(ground) = ground() else { return };
    for service in ["nginx", "postfix"] {
        let moments = [
            end_of(service, "connect", 0),
            start_of(service, "stage", 20),
            start_of(service, "commit", 0),
            start_of(service, "commit", rand::random::<u64>() % 300),
            end_of(service, "reload", 0),
            start_of(service, "confirm", 0),
        ];
        round(&ground, &HOSTS, &each_host(&moments, Blow::LinkIsCut), Next::Nothing);
    }
}

#[test]
fn power_is_lost_at_any_moment() {
    let Some(ground) = ground() else { return };
    for (service, next) in [("nginx", Next::Recover), ("postfix", Next::Apply)] {
        let moments = [
            start_of(service, "stage", 60),
            end_of(service, "stage", 0),
            start_of(service, "commit", 60),
            start_of(service, "commit", rand::random::<u64>() % 300),
            end_of(service, "reload", 0),
            start_of(service, "confirm", 10),
        ];
        round(&ground, &HOSTS, &each_host(&moments, Blow::PowerIsLost), next);
    }
}

#[test]
fn the_program_on_the_host_dies_at_any_moment() {
    let Some(ground) = ground() else { return };
    let moments = [
        start_of("nginx", "stage", 80),
        end_of("nginx", "stage", 0),
        start_of("nginx", "commit", 60),
        start_of("postfix", "commit", rand::random::<u64>() % 300),
        end_of("postfix", "reload", 0),
        start_of("postfix", "confirm", 0),
    ];
    round(&ground, &HOSTS, &each_host(&moments, Blow::ProgramDies), Next::Recover);
}
