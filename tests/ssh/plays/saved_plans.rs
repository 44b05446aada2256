//! A plan that is saved, reviewed, and carried out to the letter.

use super::site::{CERTIFICATE, Ran, Site};
use certroll::testing::model::Fingerprint;
use std::fs;
use std::path::Path;

const HEAD: &str = "- name: play\n  hosts: web\n  serial: [1, 100%]\n  tasks:\n";

fn playbook() -> String {
    format!("{HEAD}{CERTIFICATE}")
}

async fn planned(site: &Site, file: &str) -> Ran {
    let plan = site.run("plan", &playbook(), &["--out", file]).await;
    assert_eq!(plan.code, 0, "{plan}");
    assert!(plan.stderr.contains(&format!("plan saved in {file}, sha256 ")), "{plan}");
    plan
}

/// `certroll apply PLAN`; nothing else is said, not even where the inventory is.
async fn applied(site: &Site, file: &str, more: &[&str]) -> Ran {
    site.certroll(&[&["apply", file, "-o", "json"], more].concat()).await
}

fn rewrite(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("readable");
    assert!(text.contains(from), "{from} is not in {}", path.display());
    fs::write(path, text.replacen(from, to, 1)).expect("writable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_applied_to_the_letter_and_again() {
    let site = Site::good(3).await;
    planned(&site, "a.plan").await;
    assert!(!site.serves_new("edge1"));
    let saved = fs::read_to_string(site.lab.directory().join("a.plan")).unwrap();
    let key = fs::read_to_string(site.lab.directory().join("certs/edge1/privkey.pem")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(!saved.contains(secret), "a key is in the plan");

    let shown = site.certroll(&["show", "a.plan"]).await;
    assert_eq!(shown.code, 0, "{shown}");
    for words in ["plan a.plan", "edge3", "replace", "to do it: certroll apply a.plan"] {
        assert!(shown.stdout.contains(words), "{words}: {shown}");
    }
    for (format, words) in [
        ("markdown", "## Hosts"),
        ("html", "<!doctype html>"),
        ("json", "\"plan_host\""),
        ("junit", "<testcase"),
    ] {
        let shown = site.certroll(&["show", "a.plan", "--format", format]).await;
        assert!(shown.code == 0 && shown.stdout.contains(words), "{words}: {shown}");
        assert!(!shown.stdout.contains(secret), "a key is shown");
    }

    let apply = applied(&site, "a.plan", &[]).await;
    assert_eq!(apply.code, 0, "{apply}");
    assert_eq!(apply.outcomes(), "edge1=changed edge2=changed edge3=changed");
    let events = apply.events();
    let batches: Vec<usize> = events
        .iter()
        .filter(|event| event["event"] == "batch_start")
        .map(|event| event["hosts"].as_array().unwrap().len())
        .collect();
    assert_eq!(batches, [1, 2]);
    assert!(saved.ends_with(&format!("{{\"sha256\":{}}}\n", events[0]["plan"])), "its digest");
    assert!(["edge1", "edge2", "edge3"].iter().all(|host| site.serves_new(host)));
    let again = applied(&site, "a.plan", &[]).await;
    assert_eq!(again.outcomes(), "edge1=unchanged edge2=unchanged edge3=unchanged");

    // What looks after its hosts takes the plan too, from any directory: `apply` names these commands.
    let plan = site.lab.directory().join("a.plan");
    let plan = plan.to_str().unwrap();
    let told = site.certroll(&["apply", "a.plan"]).await;
    assert!(told.stdout.contains(&format!("certroll verify {plan}\n")), "{told}");
    for verb in ["verify", "status", "recover"] {
        let ran = site.certroll(&[verb, plan, "--limit", "edge2"]).await;
        assert!(ran.code == 0 && ran.stdout.contains("edge2"), "{verb}: {ran}");
        assert!(!ran.stdout.contains("edge1"), "{verb}: {ran}");
    }
    for verb in ["plan", "rollback"] {
        let ran = site.certroll(&[verb, plan]).await;
        assert!(ran.code == 1 && ran.stderr.contains("is a saved plan, and this needs"), "{ran}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_since_is_left_alone_and_said() {
    let site = Site::good(4).await;
    planned(&site, "a.plan").await;
    // One host changed by hand, one gone from the inventory, one new.
    let by_hand = site.file("edge2", "tls/cert.pem");
    let mut text = fs::read_to_string(&by_hand).unwrap();
    text.push('\n');
    fs::write(&by_hand, &text).unwrap();
    let inventory = site.lab.directory().join("inventory.ini");
    let lines = fs::read_to_string(&inventory).unwrap();
    let host = |line: &&str| line.starts_with("edge4 ");
    let edge4 = lines.lines().find(host).expect("edge4").to_owned();
    rewrite(&inventory, &edge4, &edge4.replace("edge4 ", "edge9 "));
    let renamed = fs::read_to_string(&inventory).unwrap().replace("\nedge4\n", "\nedge9\n");
    fs::write(&inventory, renamed).unwrap();

    let apply = applied(&site, "a.plan", &["--report", "run.md", "--report", "run.json"]).await;
    assert_eq!(apply.code, 2, "{apply}");
    assert_eq!(apply.outcomes(), "edge4=skipped edge1=changed edge2=failed edge3=changed");
    let summary = apply.summary();
    let reason = summary["hosts"]["edge2"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("stale: ") && reason.contains("was modified since"), "{reason}");
    assert_eq!(fs::read_to_string(&by_hand).unwrap(), text, "it is left alone");
    assert!(!site.serves_new("edge2"));
    for words in [
        "1 host joined since the plan and will not be touched: edge9",
        "1 host of the plan left the play since and will not be touched: edge4",
    ] {
        assert!(apply.stdout.contains(words), "{words}: {apply}");
    }
    let report = fs::read_to_string(site.lab.directory().join("run.md")).unwrap();
    assert!(report.contains("stale: ") && report.contains("| edge3 | changed |"), "{report}");
    let report = fs::read_to_string(site.lab.directory().join("run.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["summary"]["hosts"]["edge1"]["outcome"], "changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_than_what_was_reviewed_reaches_a_host() {
    let site = Site::good(2).await;
    planned(&site, "a.plan").await;
    let directory = site.lab.directory().to_owned();
    let plan = directory.join("a.plan");
    let whole = fs::read(&plan).unwrap();
    let refused = |ran: &Ran, words: &str| {
        assert_eq!(ran.code, 1, "{ran}");
        assert!(ran.stderr.contains(words), "{words}: {ran}");
        assert!(!ran.stdout.contains("\"connect\""), "{ran}");
    };

    // A byte of the plan.
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&plan, &bytes).unwrap();
    refused(&applied(&site, "a.plan", &[]).await, "it was modified or cut off");
    // Another version's.
    fs::write(&plan, "{\"certroll_plan\":99}\n{}\n").unwrap();
    refused(&applied(&site, "a.plan", &[]).await, "it has format 99 of saved plans");
    fs::write(&plan, &whole).unwrap();
    // Too old, and flags that it has settled.
    refused(&applied(&site, "a.plan", &["--plan-max-age", "0s"]).await, "is older than 0s");
    refused(
        &applied(&site, "a.plan", &["--tags", "x"]).await,
        "--tags: a saved plan already sets this",
    );
    refused(&applied(&site, "a.plan", &["--check"]).await, "has been made and reviewed already");
    // Another playbook.
    rewrite(&directory.join("play.yml"), "serial: [1", "serial: [2");
    refused(&applied(&site, "a.plan", &[]).await, "play.yml was modified since the plan was made");
    fs::write(directory.join("play.yml"), playbook()).unwrap();
    // A certificate that was renewed meanwhile.
    let made = rcgen::generate_simple_self_signed(["edge2.demo.test".to_owned()]).unwrap();
    let certs = directory.join("certs/edge2");
    fs::write(certs.join("fullchain.pem"), made.cert.pem()).unwrap();
    fs::write(certs.join("privkey.pem"), made.signing_key.serialize_pem()).unwrap();
    let renewed = applied(&site, "a.plan", &[]).await;
    refused(&renewed, &site.lab.leaves("edge2").unwrap().1.to_string());
    refused(&renewed, &Fingerprint::of(made.cert.der()).to_string());
    assert!(!site.serves_new("edge1") && !site.serves_new("edge2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_plans_are_compared() {
    let site = Site::good(3).await;
    planned(&site, "a.plan").await;
    let same = site.certroll(&["show", "--diff", "a.plan", "a.plan"]).await;
    assert_eq!((same.code, same.stdout.as_str()), (0, "the plans say the same\n"));
    let apply = site.run("apply", &playbook(), &["--limit", "edge1"]).await;
    assert_eq!(apply.code, 0, "{apply}");
    let plan = site.run("plan", &playbook(), &["--out", "b.plan", "--limit", "!edge3"]).await;
    assert_eq!(plan.code, 0, "{plan}");
    let diff = site.certroll(&["show", "--diff", "a.plan", "b.plan"]).await;
    for words in ["edge3\n  - is not in the second plan", "edge1\n", " replace, ", " unchanged, "] {
        assert!(diff.stdout.contains(words), "{words}: {diff}");
    }
}
