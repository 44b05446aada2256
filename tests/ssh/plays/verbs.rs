//! `plan`, `apply`, `verify`, `status`, `rollback`, `recover` and `ping` on the embedded fleet.

use crate::plays::site::{CERTIFICATE, Site};
use certroll::testing::lab::story::Scenario;
use serde_json::Value;

fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_runs_no_command_and_says_what_it_cannot_know() {
    let site = Site::new(&[Scenario::None, Scenario::Drifted, Scenario::Unreachable]).await;
    let tasks = format!(
        "    - name: change\n      shell: echo x >>{{{{ host_dir }}}}/log.txt\n      register: changed\n\
         \x20   - name: depends\n      debug: {{msg: \"{{{{ changed.stdout }}}}\"}}\n\
         \x20   - name: reads\n      command: [echo, really]\n      check_mode: false\n{CERTIFICATE}"
    );
    let ran = site.play("plan", "", &tasks, &[]).await;
    assert_eq!(ran.code, 4, "{ran}");
    assert!(site.log("edge1").is_empty());
    assert_eq!(ran.output("edge1", "reads"), "really");
    assert_eq!(ran.output("edge1", "depends"), "needs 'changed', which only apply sets");
    let events = ran.events();
    let rows = |host: &str| -> Vec<&Value> {
        let hosts = of(&events, "plan_host");
        let host = hosts.into_iter().find(|event| event["host"] == host).expect("planned");
        host["rows"].as_array().expect("rows").iter().map(|row| &row["action"]).collect()
    };
    assert_eq!(rows("edge1"), ["replace", "replace"]);
    assert_eq!(rows("edge2"), ["reload_only", "reload_only"]);
    let batch = &of(&events, "plan_batch")[0];
    assert_eq!(
        (&batch["counts"]["change"], &batch["counts"]["unreachable"]),
        (&1.into(), &1.into())
    );
    assert!(batch["unknown"].to_string().contains("task 'change'"), "{batch}");
    assert_eq!(ran.summary()["pending"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_changes_have_an_exit_code_when_asked_for() {
    let site = Site::good(1).await;
    assert_eq!(site.play("plan", "", CERTIFICATE, &[]).await.code, 0);
    assert_eq!(site.play("plan", "", CERTIFICATE, &["--exit-code"]).await.code, 3);
    let check = site.play("apply", "", CERTIFICATE, &["--check"]).await;
    assert_eq!((check.code, site.serves_new("edge1")), (0, false), "{check}");
    assert_eq!(site.play("apply", "", CERTIFICATE, &[]).await.code, 0);
    assert!(site.serves_new("edge1"));
    assert_eq!(site.play("plan", "", CERTIFICATE, &["--exit-code"]).await.code, 0);
    let again = site.play("apply", "", CERTIFICATE, &[]).await;
    assert_eq!(again.outcomes(), "edge1=unchanged", "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_alone_tells_new_from_old() {
    let site = Site::good(2).await;
    let before = site.play("verify", "", CERTIFICATE, &[]).await;
    assert_eq!(
        (before.code, before.outcomes().as_str()),
        (2, "edge1=failed edge2=failed"),
        "{before}"
    );
    // A failure names the file of the task, and the way there.
    std::fs::write(site.lab.directory().join("renew.yml"), CERTIFICATE).expect("writable");
    let before = site.play("verify", "", "    - import_tasks: renew.yml\n", &[]).await;
    let events = before.events();
    let failures = of(&events, "failure");
    let way = "renew.yml:2, included from play.yml:4";
    assert!(failures.iter().all(|failure| failure["place"] == way), "{before}");
    assert!(of(&events, "task_end").iter().all(|end| end["place"] == "renew.yml:2"), "{before}");

    site.play("apply", "", CERTIFICATE, &["--limit", "edge2"]).await;
    let after = site.play("verify", "", CERTIFICATE, &[]).await;
    assert_eq!(
        (after.code, after.outcomes().as_str()),
        (2, "edge1=failed edge2=unchanged"),
        "{after}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_generation_comes_back_and_status_names_it() {
    let site = Site::good(1).await;
    let old = std::fs::read(site.file("edge1", "tls/cert.pem")).expect("it is there");
    let none = site.play("rollback", "", CERTIFICATE, &[]).await;
    assert_eq!((none.code, none.outcomes().as_str()), (2, "edge1=failed"), "{none}");
    assert_eq!(site.play("apply", "", CERTIFICATE, &[]).await.code, 0);
    let new = std::fs::read(site.file("edge1", "tls/cert.pem")).expect("it is there");

    let status = site.play("status", "", CERTIFICATE, &[]).await;
    assert_eq!(status.code, 0, "{status}");
    let events = status.events();
    let status = of(&events, "host_status")[0];
    let file = &status["files"][1];
    assert_eq!(file["as_wanted"], true, "{status}");
    assert_eq!(status["served"][0]["as_in_file"], true, "{status}");
    let generation = file["backups"][0]["generation"].as_str().expect("a backup").to_owned();

    // Without the certificate here the host is asked all the same, and its servers are: that the files are compared with
    // nothing is said.
    let directory = site.lab.directory();
    let (here, away) = (directory.join("certs"), directory.join("away"));
    std::fs::rename(&here, &away).expect("a move");
    let status = site.play("status", "", CERTIFICATE, &[]).await;
    assert_eq!((status.code, status.outcomes().as_str()), (0, "edge1=unchanged"), "{status}");
    let events = status.events();
    let held = of(&events, "host_status")[0];
    let file = &held["files"][0];
    assert_eq!(file["as_wanted"], serde_json::Value::Null, "{status}");
    assert!(file["certificate"].is_object(), "{status}");
    assert_eq!(file["backups"][0]["generation"], generation.as_str(), "{status}");
    let served = &held["served"][0];
    assert_eq!(served["as_in_file"], true, "{status}");
    assert_eq!(served["certificate"]["sha256"], file["certificate"]["sha256"], "{status}");
    let words = "what is served is compared with its files";
    assert!(of(&events, "note").iter().any(|note| note.to_string().contains(words)), "{status}");
    assert_eq!(site.play("verify", "", CERTIFICATE, &[]).await.code, 1);
    std::fs::rename(&away, &here).expect("a move");

    let wrong = site.play("rollback", "", CERTIFICATE, &["--to", "nope"]).await;
    assert_eq!(wrong.code, 2);
    assert!(wrong.stdout.contains(&generation), "{wrong}");
    let back = site.play("rollback", "", CERTIFICATE, &["--to", &generation]).await;
    assert_eq!((back.code, back.outcomes().as_str()), (0, "edge1=changed"), "{back}");
    assert!(!site.serves_new("edge1"));
    assert_eq!(std::fs::read(site.file("edge1", "tls/cert.pem")).expect("there"), old);
    // The way back is itself a transaction, so there is a way forth.
    let forth = site.play("rollback", "", CERTIFICATE, &[]).await;
    assert_eq!(forth.code, 0, "{forth}");
    assert!(site.serves_new("edge1"));
    assert_eq!(std::fs::read(site.file("edge1", "tls/cert.pem")).expect("there"), new);

    // Words that mean the same on every host.
    let leaf = site.lab.leaves("edge1").expect("a host").0.to_string();
    for (to, outcome, serves_new) in [
        (&leaf[..12], "edge1=changed", false),
        ("previous", "edge1=changed", true),
        ("2020-01-01", "edge1=changed", false),
        ("2100-01-01T00:00:00Z", "edge1=unchanged", false),
        (&leaf, "edge1=unchanged", false),
    ] {
        let back = site.play("rollback", "", CERTIFICATE, &["--to", to]).await;
        assert_eq!((back.code, back.outcomes().as_str()), (0, outcome), "{to}: {back}");
        assert_eq!(site.serves_new("edge1"), serves_new, "{to}");
    }
    let nowhere = site.play("rollback", "", CERTIFICATE, &["--to", "0123456789ab"]).await;
    assert_eq!(nowhere.code, 2, "{nowhere}");
    assert!(nowhere.stdout.contains("no generation with certificate 0123456789ab"), "{nowhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_no_task_has_is_an_error() {
    let site = Site::good(1).await;
    let tagged = format!("{CERTIFICATE}      tags: [renew]\n");
    let wrong = site.play("plan", "", &tagged, &["--tags", "renwe"]).await;
    assert_eq!(wrong.code, 1, "{wrong}");
    for words in ["--tags: no task has the tag 'renwe'", "did you mean 'renew'?"] {
        assert!(wrong.stderr.contains(words), "{words}: {wrong}");
    }
    let right = site.play("plan", "", &tagged, &["--tags", "renew,tagged"]).await;
    assert_eq!(right.code, 0, "{right}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_and_recover_change_nothing_where_nothing_is_to_be_done() {
    let site = Site::new(&[Scenario::None, Scenario::Unreachable]).await;
    let recover = site.play("recover", "", CERTIFICATE, &[]).await;
    assert_eq!(
        (recover.code, recover.outcomes().as_str()),
        (4, "edge1=unchanged edge2=unreachable"),
        "{recover}"
    );
    assert_eq!(recover.output("edge1", "recover"), "nothing to recover");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_nobody_is_an_error() {
    let site = Site::good(1).await;
    let empty = site.lab.directory().join("empty.ini");
    std::fs::write(&empty, "[web]\n").unwrap();
    for arguments in
        [&["ping", "web"][..], &["discover", "--exit-code"], &["init", "--out", "ours"]]
    {
        let ran = site.certroll(&[arguments, &["-i", "empty.ini"]].concat()).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran}");
        assert!(ran.stderr.contains("' matches no host\n"), "{ran}");
    }
    assert!(!site.lab.directory().join("ours").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_run_left_a_transaction_unfinished_is_told_by_plan_status_and_recover() {
    use std::os::unix::fs::DirBuilderExt;
    let site = Site::good(1).await;
    let by = "certroll apply by ops@deploy1 since 2026-11-24T10:00:00Z, run 5d1f0a4c9be2d713";
    let hex: String = by.bytes().map(|byte| format!("{byte:02x}")).collect();
    let directory = site.file("edge1", "state/lib");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).expect("a directory");
    let journal = directory.join("j.20261124T100000Z-1");
    std::fs::write(&journal, format!("certroll-journal 1\nby {hex}\nkeep 0\nend\n"))
        .expect("written");

    let plan = site.play("plan", "", CERTIFICATE, &[]).await;
    let batch = of(&plan.events(), "plan_batch")[0]["unknown"].to_string();
    assert!(batch.contains(&format!("an interrupted transaction ({by}) is unfinished")), "{plan}");
    let status = site.play("status", "", CERTIFICATE, &[]).await;
    assert_eq!(of(&status.events(), "host_status")[0]["journals"][0]["by"], by, "{status}");
    let recover = site.play("recover", "", CERTIFICATE, &[]).await;
    assert_eq!((recover.code, recover.outcomes().as_str()), (0, "edge1=changed"), "{recover}");
    assert!(recover.output("edge1", "recover").contains(by), "{recover}");
    assert!(!journal.exists(), "{recover}");
}

/// A process of this machine holds the host's lock, as another run's would.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_waited_for_as_long_as_the_command_line_says() {
    let site = Site::good(1).await;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a process");
    let began = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(19));
    let locks = site.file("edge1", "state/run/lock");
    std::fs::create_dir_all(&locks).expect("a directory");
    let name = format!("{}.{}.{}", boot.trim(), std::process::id(), began.expect("a time"));
    std::fs::write(locks.join(&name), "6f6e65\n").expect("a lock");
    for verb in ["apply", "recover"] {
        let begun = std::time::Instant::now();
        let ran = site.play(verb, "", CERTIFICATE, &["--lock-timeout", "2s"]).await;
        assert_eq!(ran.code, 2, "{ran}");
        let reason = ran.summary()["hosts"]["edge1"]["reason"].to_string();
        assert!(
            reason.contains("the host is locked by process") && reason.contains("one"),
            "{ran}"
        );
        assert!(!site.serves_new("edge1"));
        // Without the flag.
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{ran}");
    }
    std::fs::remove_file(locks.join(&name)).expect("it is there");
    let ran = site.play("apply", "", CERTIFICATE, &["--lock-timeout", "2s"]).await;
    assert_eq!(ran.outcomes(), "edge1=changed", "{ran}");
}
