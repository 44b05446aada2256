//! Controllers that are killed at any moment, and the run that goes on.

use crate::chaos::ground::{EVERY, Ground, Play, at_once, ground, signal};
use crate::common::fleet::Ran;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::io::Write;
use std::time::{Duration, Instant};

/// So many times in every run of the tests; `RESUME_ROUNDS` asks for more.
const ROUNDS: u32 = 3;

fn rounds() -> u32 {
    std::env::var("RESUME_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS)
}

/// For whoever asked for many rounds: nothing depends on how long they take.
struct Took {
    since: Instant,
    parts: String,
}

impl Took {
    fn new() -> Self {
        Self { since: Instant::now(), parts: String::new() }
    }

    fn part(&mut self, name: &str) {
        let seconds = self.since.elapsed().as_secs_f64();
        self.parts.push_str(&format!(", {name} {seconds:.1} s"));
        self.since = Instant::now();
    }
}

/// The worker processes of a host's nginx: a reload replaces them.
fn workers(ground: &Ground, host: &str) -> String {
    ground.sh(host, "ps -eo pid,args | sed -n 's/^ *\\([0-9]*\\) nginx: worker process$/\\1/p' | sort | tr '\\n' ' '")
}

/// The certificate tasks, as `HOST TASK`, with which a step of this kind came to pass.
fn tasks_with<'a>(events: &'a [Value], kind: &str, step: &str) -> Vec<(&'a str, String)> {
    let mut task = String::new();
    let mut found = Vec::new();
    for event in events {
        if event["event"] == "task_start" {
            task = event["task"].as_str().unwrap().to_owned();
        }
        if event["event"] == kind && event["step"] == step {
            found.push((event["host"].as_str().unwrap(), task.clone()));
        }
    }
    found
}

#[test]
fn a_run_of_eight_hosts_in_four_batches_goes_on_after_its_controller_was_killed() {
    let Some(ground) = ground() else { return };
    let seed: u64 = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    // How many events such a run has, unharmed.
    let play = |generation: &str| Play::of(generation).keyword("serial: 2");
    let whole = ground.controller("whole", &EVERY, &play("gen2")).run("apply");
    assert_eq!(whole.code, 0, "{whole}");
    let events = whole.events().len();
    for round in 0..rounds() {
        let mut took = Took::new();
        let wanted = if round % 2 == 0 { "gen1" } else { "gen2" };
        let controller = ground.controller(&format!("round{round}"), &EVERY, &play(wanted));
        let last = random.random_range(1..events);
        let pause = Duration::from_millis(random.random_range(0..60));
        let mut count = 0;
        let killed = controller.watched("apply", |_, pid| {
            count += 1;
            if count == last {
                std::thread::sleep(pause);
                signal(pid, "KILL");
            }
        });
        took.part("killed run");
        let struck = format!("seed {seed}, round {round}, killed at event {last}");
        goes_on(&ground, &controller, &killed, wanted, &struck, &mut took);
        writeln!(std::io::stderr(), "{struck} of {events}{}", took.parts).ok();
    }
}

fn goes_on(
    ground: &Ground,
    controller: &super::ground::Controller<'_>,
    killed: &Ran,
    wanted: &str,
    struck: &str,
    took: &mut Took,
) {
    let before = killed.events();
    let run = before[0]["run"].as_str().unwrap();
    let shown = controller.plain(&["history", "show", run]);
    assert_eq!(shown.code, 0, "the record of the killed run reads: {shown}");
    let whole = before.last().unwrap()["event"] == "summary";
    assert!(whole || shown.stdout.contains("KILLED"), "{shown}");
    let kept = tasks_with(&before, "step_end", "confirm");
    let reloaded: Vec<&str> =
        kept.iter().filter(|(_, task)| task == "nginx").map(|(host, _)| *host).collect();
    let running = at_once(&reloaded, |host| workers(ground, host));
    took.part("looks");

    let resumed = controller.follow(&["apply", "--resume", run]);
    took.part("resumed run");
    assert_eq!(resumed.code, 0, "{struck}: {resumed}\nafter {killed}");
    assert_eq!(resumed.events()[0]["follows"], run);
    let names: Vec<String> = resumed.outcomes().into_iter().map(|(host, _)| host).collect();
    assert_eq!(names, EVERY, "{resumed}");
    for host in EVERY {
        let outcome = resumed.outcome(host);
        assert!(["changed", "unchanged"].contains(&outcome.as_str()), "{host}: {resumed}");
    }
    at_once(&EVERY, |host| {
        let held = ground.look_until(host, Duration::from_secs(60), |held| {
            held.litter.is_empty() && held.whole().is_some()
        });
        assert_eq!(held.whole(), Some([wanted; 2]), "{struck}, {host}: {held:?}");
    });
    // What was confirmed is neither switched nor reloaded again.
    let again = resumed.events();
    let again = tasks_with(&again, "step_start", "commit");
    for one in &kept {
        assert!(!again.contains(one), "{struck}: {one:?} was confirmed: {resumed}\nafter {killed}");
    }
    let now = at_once(&reloaded, |host| workers(ground, host));
    for ((host, then), now) in reloaded.iter().zip(&running).zip(&now) {
        assert_eq!(now, then, "{struck}: {host} was reloaded: {resumed}");
    }
    took.part("looks");
}
