//! The record of a run, and what is made of it.

use super::site::{CERTIFICATE, Ran, Site, ended};
use certroll::testing::lab::story::Scenario;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_certroll");

fn records(site: &Site) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(site.state().join("certroll/runs")) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn listed(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_changes_something_is_recorded_as_it_was() {
    let site = Site::new(&[Scenario::None, Scenario::BrokenConfiguration]).await;
    site.play("plan", "", CERTIFICATE, &[]).await;
    assert_eq!(records(&site).len(), 0, "a plan changes nothing and leaves nothing");
    let apply = site.play("apply", "", CERTIFICATE, &["-e", "token=swordfish"]).await;
    assert_eq!(apply.code, 2, "{apply:?}");
    let [record] = &records(&site)[..] else { panic!("one record") };
    assert_eq!(fs::metadata(record).unwrap().permissions().mode() & 0o777, 0o600);

    let kept = fs::read_to_string(record).unwrap();
    assert_eq!(kept, apply.stdout, "the record has the very lines of -o json");
    assert!(!kept.contains("swordfish"), "values of -e may be secret");
    // The control: what is looked for can be found where it is.
    let key = fs::read_to_string(site.lab.directory().join("certs/edge1/privkey.pem")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(fs::read_to_string(site.file("edge1", "tls/key.pem")).unwrap().contains(secret));
    assert!(!kept.contains(secret), "a key is in the record");

    let list = listed(&site.certroll(&["history", "-o", "json"]).await);
    assert_eq!(list.len(), 1);
    assert_eq!((&list[0]["state"], &list[0]["exit_code"]), (&"ended".into(), &2.into()));
    assert_eq!(list[0]["hosts"], serde_json::json!({"failed": 1, "changed": 1}));
    let run = list[0]["run"].as_str().unwrap();
    assert_eq!(apply.events()[0]["run"], run);

    let again = site.certroll(&["history", "show", &run[..6], "-o", "json"]).await;
    assert_eq!(again.stdout, apply.stdout);
    let shown = site.certroll(&["history", "show", "last"]).await;
    for words in
        ["apply play.yml by ", "PLAY RECAP", "VALIDATE FAILED on edge2", "1 failed, 1 changed"]
    {
        assert!(shown.stdout.contains(words), "{words}: {shown:?}");
    }
    assert_eq!(shown.stderr, "");
    let nobody = site.certroll(&["history", "show", "zz"]).await;
    assert_eq!(nobody.code, 1);
    assert!(nobody.stderr.contains("`certroll history` lists the runs"), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_a_killed_run_reads() {
    let site = Site::good(3).await;
    let slow = format!("{CERTIFICATE}    - pause: {{seconds: 600}}\n");
    let playbook = format!("- name: play\n  hosts: web\n  serial: 1\n  tasks:\n{slow}");
    let mut child = site.start("apply", &playbook, &[]);
    let limit = Instant::now() + Duration::from_secs(60);
    let done = |site: &Site| {
        let text = records(site).first().map(|path| fs::read_to_string(path).unwrap());
        text.is_some_and(|text| text.contains("\"event\":\"certificate_end\""))
    };
    while !done(&site) {
        assert!(Instant::now() < limit, "no certificate in a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let going_on = listed(&site.certroll(&["history", "-o", "json"]).await);
    assert_eq!(going_on[0]["state"], "running");
    child.kill().await.unwrap();

    let list = listed(&site.certroll(&["history", "-o", "json"]).await);
    assert_eq!((&list[0]["state"], &list[0]["exit_code"]), (&"killed".into(), &Value::Null));
    assert_eq!(list[0]["hosts"], serde_json::json!({"changed": 1, "skipped": 2}));
    let shown = site.certroll(&["history", "show", "last"]).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    for words in ["KILLED", "not begun: the run was cut off", "edge3"] {
        assert!(shown.stdout.contains(words), "{words}: {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_written_is_one_warning_and_no_failure() {
    let site = Site::good(1).await;
    fs::write(site.state(), "a file where a directory should be").unwrap();
    let apply = site.play("apply", "", CERTIFICATE, &[]).await;
    assert_eq!(apply.code, 0, "{apply:?}");
    let warned = apply.events().into_iter().filter(|event| {
        event["event"] == "note"
            && event["message"].as_str().unwrap().starts_with("this run is not recorded: ")
    });
    assert_eq!(warned.count(), 1, "{apply:?}");
    assert_eq!(apply.events()[0]["recorded"], false);
    assert!(site.serves_new("edge1"));
}

/// A limit on the size of files stands for a full disk: the first write beyond it fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_on_the_way_is_one_warning_and_no_failure() {
    let site = Site::good(1).await;
    let playbook = format!("- name: play\n  hosts: web\n  tasks:\n{CERTIFICATE}");
    fs::write(site.lab.directory().join("play.yml"), playbook).unwrap();
    // POSIX, ulimit: blocks of 512 bytes. The ignored signal stays ignored in what is executed.
    let script = "trap '' XFSZ; ulimit -f 4; exec \"$@\"";
    let arguments = ["-c", script, "sh", PROGRAM, "apply", "play.yml", "-o", "json"];
    let more = ["-i", "inventory.ini", "--ssh-config", "none"];
    let apply = ended(site.program("sh", &arguments, &more).spawn().unwrap()).await;
    assert_eq!(apply.code, 0, "{apply:?}");
    let warning = "warning: the record of this run is incomplete: ";
    assert_eq!(apply.stderr.matches(warning).count(), 1, "{apply:?}");
    assert!(site.serves_new("edge1"));
    let shown = site.certroll(&["history", "show", "last"]).await;
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.contains("KILLED"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_switched_off_and_pruned() {
    let site = Site::good(1).await;
    site.play("apply", "", CERTIFICATE, &["--no-record"]).await;
    assert_eq!(records(&site).len(), 0);
    for _ in 0..3 {
        let apply = site.play("apply", "", CERTIFICATE, &["--keep-runs", "2"]).await;
        assert_eq!(apply.code, 0, "{apply:?}");
    }
    assert_eq!(records(&site).len(), 2);
    let list = site.certroll(&["history"]).await;
    assert_eq!(
        list.stdout.matches("1 changed").count() + list.stdout.matches("1 unchanged").count(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_left_is_done_by_the_command_that_it_ends_with() {
    let site = Site::new(&[Scenario::BrokenConfiguration, Scenario::None, Scenario::None]).await;
    let head = "  serial: 1\n";
    let stopped = site.play("apply", head, CERTIFICATE, &[]).await;
    assert_eq!(stopped.code, 2, "{stopped:?}");
    let run = stopped.events()[0]["run"].as_str().unwrap()[..8].to_owned();
    let shown = site.certroll(&["history", "show", "last"]).await;
    let next = format!("-i inventory.ini --ssh-config none --limit @failed:{run}`");
    assert!(shown.stdout.contains(&next), "{shown:?}");

    let settings = site.file("edge1", "service.conf");
    let text = fs::read_to_string(&settings).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("max_")).collect();
    fs::write(settings, lines.join("\n")).unwrap();
    let limit = format!("@failed:{run}");
    let rest = site.play("apply", head, CERTIFICATE, &["--limit", &limit]).await;
    assert_eq!(rest.code, 0, "{rest:?}");
    let hosts = rest.events().last().unwrap()["hosts"].as_object().unwrap().clone();
    assert_eq!(hosts.keys().collect::<Vec<_>>(), ["edge1", "edge2", "edge3"]);
    assert!(["edge1", "edge2", "edge3"].iter().all(|host| site.serves_new(host)));

    // Now the last run of this playbook has failed nowhere, and changed all three.
    let none = site.play("apply", head, CERTIFICATE, &["--limit", "@failed"]).await;
    assert_eq!(none.code, 1, "{none:?}");
    assert!(none.stderr.contains("@failed matches no host of run"), "{none:?}");
    let plan = site.play("plan", head, CERTIFICATE, &["-l", "@changed"]).await;
    assert_eq!(plan.code, 0, "{plan:?}");
    assert_eq!(plan.events().last().unwrap()["hosts"].as_object().unwrap().len(), 3);
}
