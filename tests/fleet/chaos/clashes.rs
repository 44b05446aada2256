//! Others at work on the same files: a second controller, an ACME client, a lock from before a crash.

use crate::chaos::ground::{Controller, Ground, Play, ground};
use crate::common::fleet::Ran;
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

const HOST: &str = "h001";

/// A check of the operator's on the controller that waits until the test says `go`, and then does this. It is between
/// commit and confirmation.
struct Gate(TempDir);

impl Gate {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn go(&self) {
        std::fs::write(self.0.path().join("go"), "").unwrap();
    }

    fn then(&self, generation: &str, script: &str) -> Play {
        let wait = format!("while [ ! -e {}/go ]; do sleep 0.1; done", self.0.path().display());
        Play::nginx(generation).with(&format!(
            "checks: [{{command: [sh, -c, '{wait}; {script}'], on: controller, timeout: 5m}}]"
        ))
    }
}

/// Runs `apply` and does something at a moment of it, which must come.
fn apply_and(controller: &Controller, event: &str, step: &str, mut deed: impl FnMut()) -> Ran {
    let mut came = false;
    let ran = controller.watched("apply", |seen, _| {
        if !came && seen["event"] == event && seen["step"] == step {
            came = true;
            deed();
        }
    });
    assert!(came, "{event} of {step} never came: {ran}");
    ran
}

/// The first controller applies; when it has committed, the second does. How both ended, and whether the first was
/// still at work when the second ended. The first goes on when the second has ended, or after a while.
fn two_controllers(
    ground: &Ground,
    patience: &str,
    first_goes_on: Option<Duration>,
) -> (Ran, Ran, bool) {
    let gate = Gate::new();
    let first = ground.controller("first", &[HOST], &gate.then("gen2", "true"));
    let second = Play::nginx("gen2").with(&format!("lock_timeout: {patience}"));
    let second = ground.controller("second", &[HOST], &second);
    let (committed, wait) = mpsc::channel();
    std::thread::scope(|scope| {
        let first = scope
            .spawn(move || apply_and(&first, "step_end", "reload", || committed.send(()).unwrap()));
        wait.recv().unwrap();
        if let Some(pause) = first_goes_on {
            let gate = &gate;
            scope.spawn(move || {
                std::thread::sleep(pause);
                gate.go();
            });
        }
        let ran = second.run("apply");
        let still_at_work = !first.is_finished();
        gate.go();
        (first.join().unwrap(), ran, still_at_work)
    })
}

#[test]
fn a_second_controller_waits_a_while_and_says_who_is_at_work_since_when() {
    let Some(ground) = ground() else { return };
    let (first, second, first_was_at_work) = two_controllers(&ground, "5s", None);

    assert_eq!((first.code, first.outcome(HOST)), (0, "changed".to_owned()), "{first}");
    // The files are as the second wants them, but they may yet go back: that is no `unchanged`.
    assert_eq!((second.code, second.outcome(HOST)), (2, "failed".to_owned()), "{second}");
    assert!(first_was_at_work, "{second}");
    let failure = second.events().into_iter().find(|event| event["event"] == "failure").unwrap();
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("certroll apply by ") && message.contains(" since 20"), "{message}");
}

#[test]
fn a_second_controller_goes_on_when_the_first_is_done() {
    let Some(ground) = ground() else { return };
    let pause = Duration::from_secs(4);
    let (first, second, _) = two_controllers(&ground, "4m", Some(pause));

    assert_eq!((first.code, first.outcome(HOST)), (0, "changed".to_owned()), "{first}");
    assert_eq!((second.code, second.outcome(HOST)), (0, "unchanged".to_owned()), "{second}");
}

#[test]
fn files_that_an_acme_client_renews_between_plan_and_commit_are_left_alone() {
    let Some(ground) = ground() else { return };
    // It comes when everything was compared, and waits for the client to be done.
    let slow = "touch /root/compared; while [ -e /root/compared ]; do sleep 0.1; done; nginx -t";
    let slow = Play::nginx("gen2")
        .with(&format!("validate: [sh, -c, '{slow}']"))
        .with("validate_timeout: 5m");
    let controller = ground.controller("first", &[HOST], &slow);

    let ran = apply_and(&controller, "step_start", "stage", || {
        let wait =
            "n=0; while [ ! -e /root/compared ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done";
        ground.sh(HOST, wait);
        ground.fleet.fleet(&["put", HOST, "nginx", "gen3-rsa"]);
        ground.sh(HOST, "rm /root/compared");
    });

    assert_eq!((ran.code, ran.outcome(HOST)), (2, "failed".to_owned()), "{ran}");
    assert!(ran.stdout.contains("is not as planned"), "{ran}");
    let held = ground.look(HOST);
    let nginx = &held.services[0];
    assert_eq!((nginx.certificate.as_str(), nginx.key.as_str()), ("gen3-rsa", "gen3-rsa"));
    assert_eq!((nginx.served.as_str(), held.litter), ("gen1", Vec::new()), "not ours to reload");
    ground.controller("next", &[HOST], &Play::of("gen2")).all_is_well_after_apply(&[HOST], "gen2");
}

#[test]
fn files_that_an_acme_client_renews_before_the_confirmation_survive_a_rollback() {
    let Some(ground) = ground() else { return };
    let gate = Gate::new();
    let controller = ground.controller("first", &[HOST], &gate.then("gen2", "exit 1"));

    let ran = apply_and(&controller, "step_end", "reload", || {
        ground.fleet.fleet(&["put", HOST, "nginx", "gen3-rsa"]);
        gate.go();
    });

    // Neither old nor new: the loudest outcome.
    assert_eq!((ran.code, ran.outcome(HOST)), (2, "unknown".to_owned()), "{ran}");
    assert!(ran.stdout.contains("which another process modified meanwhile"), "{ran}");
    let held = ground
        .look_until(HOST, Duration::from_secs(60), |held| held.services[0].served == "gen3-rsa");
    let nginx = &held.services[0];
    assert_eq!((nginx.certificate.as_str(), nginx.key.as_str()), ("gen3-rsa", "gen3-rsa"));
    ground.controller("next", &[HOST], &Play::of("gen2")).all_is_well_after_apply(&[HOST], "gen2");
}

/// Where the lock's directory outlives a reboot, the lock does too.
#[test]
fn a_lock_from_before_a_power_loss_holds_nobody_up() {
    let Some(ground) = ground() else { return };
    let gate = Gate::new();
    let controller = ground.controller("first", &[HOST], &gate.then("gen2", "true"));
    let ran = apply_and(&controller, "step_end", "reload", || {
        ground.sh(HOST, "cp -a /run/certroll /root/locks");
        ground.fleet.fleet(&["powerloss", HOST]);
        gate.go();
    });
    assert_eq!(ran.outcome(HOST), "unknown", "{ran}");
    ground.sh(HOST, "mv /root/locks /run/certroll && ls /run/certroll/lock/*");
    ground.controller("next", &[HOST], &Play::of("gen2")).all_is_well_after_apply(&[HOST], "gen2");
}
