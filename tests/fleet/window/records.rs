//! Records of runs where their disk is full, and of two runs at the same time.

use super::{nginx, of, run_of, traces};
use crate::chaos::ground::{Controller, EVERY, Play, at_once, ground};
use crate::common::fleet::Ran;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own, so small that it fills up.
struct Disk(PathBuf);

impl Disk {
    fn of(size: &str, place: &Path) -> Self {
        fs::create_dir_all(place).unwrap();
        let options = format!("size={size}");
        let arguments = ["-t", "tmpfs", "-o", &options, "disk"];
        assert!(Command::new("mount").args(arguments).arg(place).status().unwrap().success());
        Self(place.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.0).status().ok();
    }
}

fn history(controller: &Controller) -> Vec<Value> {
    let listed = controller.plain(&["history", "-o", "json"]);
    assert_eq!(listed.code, 0, "{listed}");
    listed.events()
}

/// What is warned of the record, in the events and on standard error.
fn warnings(ran: &Ran) -> Vec<String> {
    let notes = of(ran, "note").into_iter().filter_map(|note| {
        let message = note["message"].as_str()?;
        message.contains("this run is not recorded").then(|| message.to_owned())
    });
    let told = ran.stderr.lines().filter(|line| line.contains("the record of this run"));
    notes.chain(told.map(str::to_owned)).collect()
}

#[test]
fn a_state_disk_that_fills_up_fails_no_host_and_what_it_holds_reads() {
    let Some(ground) = ground() else { return };
    let play = Play::nginx("gen2").keyword("serial: 2");
    let controller = ground.controller("full", &EVERY, &play);
    let _disk = Disk::of("16k", &controller.state());

    let ran = controller.run("apply");

    assert_eq!(ran.code, 0, "{ran}");
    for host in EVERY {
        assert_eq!(ran.outcome(host), "changed", "{ran}");
        assert_eq!(nginx(&ground, host), "gen2");
    }
    let warned = warnings(&ran);
    assert!(
        warned.len() == 1 && warned[0].contains("No space left on device"),
        "{warned:?}: {ran}"
    );
    // What fitted is there, and tells where it ends.
    let run = run_of(&ran);
    let listed = history(&controller);
    assert_eq!((listed.len(), &listed[0]["run"]), (1, &Value::from(run.clone())), "{listed:?}");
    let shown = controller.plain(&["history", "show", &run]);
    assert!(shown.code == 0 && shown.stdout.contains("h001"), "{shown}");
    let next = controller.run("apply");
    assert_eq!((next.code, warnings(&next).len()), (0, 1), "{next}");
    assert!(EVERY.iter().all(|host| next.outcome(host) == "unchanged"), "{next}");

    // A run can go on from what fitted: nothing is done twice.
    let before = at_once(&EVERY, |host| traces(&ground, host));
    let resumed = controller.follow(&["apply", "--resume", &run]);
    assert_eq!(resumed.code, 0, "{resumed}");
    assert_eq!(at_once(&EVERY, |host| traces(&ground, host)), before, "{resumed}");
}

#[test]
fn two_runs_at_the_same_time_switch_each_host_once_and_leave_two_records() {
    let Some(ground) = ground() else { return };
    let play = Play::nginx("gen2").keyword("serial: 4");
    let controller = ground.controller("both", &EVERY, &play);

    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| controller.run("apply"));
        let other = controller.run("apply");
        (one.join().unwrap(), other)
    });

    assert_eq!((one.code, other.code), (0, 0), "{one}\n{other}");
    for host in EVERY {
        // Which of them is left to chance. The other one finds the files as it wants them, and reloads at most: where it
        // looked at the service just before the first one reloaded it.
        let switched = [&one, &other].map(|ran| {
            let ends = of(ran, "step_end").into_iter();
            ends.filter(|end| end["host"] == host && end["detail"] == "2 files").count()
        });
        assert_eq!(switched.iter().sum::<usize>(), 1, "{host}: {one}\n{other}");
        for ran in [&one, &other] {
            let outcome = ran.outcome(host);
            assert!(["changed", "unchanged"].contains(&outcome.as_str()), "{host}: {ran}");
        }
        let held = ground.look(host);
        assert_eq!((nginx(&ground, host).as_str(), held.litter), ("gen2", Vec::new()), "{host}");
    }
    let mut listed: Vec<String> =
        history(&controller).iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect();
    let mut runs = vec![run_of(&one), run_of(&other)];
    listed.sort();
    runs.sort();
    assert_eq!(listed, runs);
    for ran in [&one, &other] {
        let record = controller.plain(&["history", "show", &run_of(ran), "-o", "json"]);
        assert_eq!(record.stdout, ran.stdout, "each record has its own run's lines and no other's");
    }
}
