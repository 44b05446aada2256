//! What operators see while a run goes on, when it is stopped, and when nothing is to do.

use crate::plays::site::{CERTIFICATE, Site, ended};
use serde_json::Value;
use std::time::Duration;
use tokio::process::Child;

/// Holds every host between the handshake and the confirmation, until `go` is in its directory.
const GATE: &str = "        checks:\n        - {command: [sh, -c, \"echo x >>{{ host_dir }}/log.txt; while ! [ -e {{ host_dir }}/go ]; do sleep 0.1; done\"], on: host, timeout: 5m}\n";

fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("it runs").to_string();
    let sent = std::process::Command::new("kill").args([name, &pid]).status();
    assert!(sent.expect("kill runs").success());
}

/// Waits at most a minute.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: not within a minute");
}

fn playbook(task: &str) -> String {
    format!("- name: play\n  hosts: web\n  tasks:\n{task}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_was_stopped_says_that_and_when_the_host_went_back() {
    let site = Site::good(1).await;
    let task = format!("{CERTIFICATE}        confirm_timeout: 14s\n{GATE}");
    let child = site.start("apply", &playbook(&task), &[]);
    until("the check", || !site.log("edge1").is_empty()).await;
    assert!(site.serves_new("edge1"));
    signal(&child, "-STOP");
    until("the host goes back by itself", || !site.serves_new("edge1")).await;
    // A pause that the controller remembers, however fast the host was.
    tokio::time::sleep(Duration::from_secs(5)).await;
    std::fs::write(site.file("edge1", "go"), "").expect("writable");
    signal(&child, "-CONT");
    let ran = ended(child).await;
    assert_eq!((ran.code, ran.outcomes().as_str()), (2, "edge1=rolled_back"), "{ran}");
    let events = ran.events();
    let failure = events.iter().find(|event| event["event"] == "failure").expect("a failure");
    let said = failure["message"].as_str().expect("words");
    assert!(said.starts_with("the controller was silent for "), "{said}");
    assert!(said.contains(" s, so the host went back by itself at 20"), "{said}");
    assert!(said.ends_with("14s after the switch"), "{said}");
    assert!(!site.serves_new("edge1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_and_status_tell_of_a_run_that_is_at_work() {
    let site = Site::good(1).await;
    let task = format!("{CERTIFICATE}{GATE}");
    let child = site.start("apply", &playbook(&task), &[]);
    until("the check", || !site.log("edge1").is_empty()).await;
    let plan = site.run("plan", &playbook(&task), &[]).await;
    let events = plan.events();
    let batch = events.iter().find(|event| event["event"] == "plan_batch").expect("a plan");
    let unknown = batch["unknown"].to_string();
    assert!(unknown.contains("edge1: the host is locked by certroll apply by "), "{unknown}");
    let status = site.run("status", &playbook(&task), &["--exit-code"]).await;
    let events = status.events();
    let held = events.iter().find(|event| event["event"] == "host_status").expect("a status");
    assert!(held["lock"].as_str().is_some_and(|lock| lock.contains("apply by ")), "{status}");
    std::fs::write(site.file("edge1", "go"), "").expect("writable");
    let ran = ended(child).await;
    assert_eq!((ran.code, ran.outcomes().as_str()), (0, "edge1=changed"), "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cron_hears_nothing_while_all_is_well_and_status_has_a_code_for_what_is_not() {
    let site = Site::good(2).await;
    std::fs::write(site.lab.directory().join("play.yml"), playbook(CERTIFICATE)).expect("writable");
    let flags = ["play.yml", "-i", "inventory.ini", "--ssh-config", "none"];
    let verb = |verb: &'static str, more: &'static [&'static str]| {
        let words = [&[verb][..], &flags, more].concat();
        let site = &site;
        async move { site.certroll(&words).await }
    };
    let before = verb("status", &["-q", "--exit-code"]).await;
    assert_eq!(before.code, 3, "{before}");
    assert!(before.stdout.contains("differs from the playbook"), "{before}");
    let first = verb("apply", &["-q"]).await;
    assert!(first.code == 0 && first.stdout.contains("2 hosts: 2 changed"), "{first}");
    for (name, more) in [
        ("apply", &["-q"][..]),
        ("plan", &["-q"]),
        ("verify", &["-q"]),
        ("status", &["-q", "--exit-code"]),
    ] {
        let quiet = verb(name, more).await;
        assert_eq!(
            (quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()),
            (0, "", ""),
            "{name}"
        );
    }
    std::fs::write(site.file("edge2", "tls/cert.pem"), "overwritten\n").expect("writable");
    let after = verb("status", &["-q", "--exit-code"]).await;
    assert_eq!(after.code, 3, "{after}");
    let calm = verb("status", &[]).await;
    assert_eq!(calm.code, 0, "{calm}");
}

/// Whether the only run tells already that a host's certificate is done with.
fn ended_in_the_record(site: &Site, host: &str) -> bool {
    let Ok(mut entries) = std::fs::read_dir(site.state().join("certroll/runs")) else {
        return false;
    };
    let Some(Ok(entry)) = entries.next() else { return false };
    let record = std::fs::read_to_string(entry.path()).expect("readable");
    let events = record.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.into_iter().any(|event| event["event"] == "certificate_end" && event["host"] == host)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_took_as_long_as_it_was_at_work_itself() {
    let site = Site::good(2).await;
    let task = format!("{CERTIFICATE}{GATE}");
    let child = site.start("apply", &playbook(&task), &[]);
    std::fs::write(site.file("edge1", "go"), "").expect("writable");
    until("the check", || !site.log("edge2").is_empty()).await;
    until("the end of the other one", || ended_in_the_record(&site, "edge1")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    std::fs::write(site.file("edge2", "go"), "").expect("writable");
    let ran = ended(child).await;
    assert_eq!(ran.outcomes(), "edge1=changed edge2=changed", "{ran}");
    let events = ran.events();
    let position = |kind: &str, host: &str| {
        let is_it = |event: &Value| event["event"] == kind && event["host"] == host;
        events.iter().position(is_it).unwrap_or_else(|| panic!("no {kind} of {host}: {ran}"))
    };
    // Told when it happened: while the other host was still at work.
    let first = &events[position("certificate_end", "edge1")];
    let second = &events[position("certificate_end", "edge2")];
    let at = |event: &Value| event["elapsed_ms"].as_u64().expect("a number");
    assert!(at(second) - at(first) >= 2_000, "{first} {second}");
    let took =
        |host: &str| events[position("task_end", host)]["millis"].as_u64().expect("a number");
    assert!(took("edge2") - took("edge1") >= 2_000, "{ran}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_of_forty_columns_shows_a_board_that_goes_away() {
    let site = Site::good(2).await;
    let task = format!("{CERTIFICATE}{GATE}");
    std::fs::write(site.lab.directory().join("play.yml"), playbook(&task)).expect("writable");
    let program = env!("CARGO_BIN_EXE_certroll");
    let line = format!(
        "stty cols 40 rows 50; exec {program} apply play.yml -i inventory.ini --ssh-config none"
    );
    let mut command = site.program("script", &["-qec", &line, "/dev/null"], &[]);
    command.env("TERM", "xterm").env("LC_ALL", "C.UTF-8").env("SHELL", "/bin/sh");
    let child = command.spawn().expect("script starts");
    until("the check", || !site.log("edge1").is_empty() && !site.log("edge2").is_empty()).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    for host in ["edge1", "edge2"] {
        std::fs::write(site.file(host, "go"), "").expect("writable");
    }
    let ran = ended(child).await;
    assert_eq!(ran.code, 0, "{ran}");
    // Ages grow while nothing happens.
    let seen = |age: &u32| ran.stdout.contains(&format!(" {age}s  running the checks"));
    assert!((1..60).filter(seen).count() > 1, "{ran}");
    let mut terminal = vt100::Parser::new(50, 40, 200);
    terminal.process(ran.stdout.as_bytes());
    let shown = terminal.screen().contents();
    assert!(!shown.contains("running the checks"), "{shown}");
    assert!(shown.contains("changed\n    edge1  demo-web "), "{shown}");
}
