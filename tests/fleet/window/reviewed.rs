//! A plan that was reviewed, and what is applied of it later.

use super::{batches, logins, nginx, of, traces};
use crate::chaos::ground::{Controller, EVERY, Ground, Play, at_once, ground};
use crate::common::fleet::Ran;
use serde_json::Value;
use std::fs;

/// With the pair of a generation in a directory of its own, which can be renewed.
fn material(ground: &Ground, controller: &Controller, generation: &str) {
    let directory = controller.file("material");
    fs::create_dir_all(&directory).unwrap();
    for file in ["fullchain.pem", "privkey.pem"] {
        fs::copy(ground.fleet.pki(generation, file), directory.join(file)).unwrap();
    }
}

/// A controller with a playbook of nginx for all hosts of its inventory, in batches of 1, 2 and the rest.
fn reviewer<'a>(ground: &'a Ground, name: &str) -> Controller<'a> {
    let first = ground.controller(name, &["web"], &Play::nginx("gen2"));
    material(ground, &first, "gen2");
    let play = Play::nginx(first.file("material").to_str().unwrap());
    ground.controller(name, &["web"], &play.keyword("serial: [1, 2, 100%]"))
}

fn planned(controller: &Controller) -> Ran {
    let plan = controller.run_with("plan", &["--out", "a.plan"]);
    assert_eq!(plan.code, 0, "{plan}");
    plan
}

/// Each row of a plan as `stat` and `sha256sum` would show the file once it is done.
fn promised(plan: &Ran, host: &str) -> Vec<(String, String, String)> {
    let of_host = of(plan, "plan_host").into_iter().filter(|event| event["host"] == host);
    let rows: Vec<Value> =
        of_host.flat_map(|event| event["rows"].as_array().unwrap().clone()).collect();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.iter().map(|row| (text(&row["file"]), text(&row["after"]), text(&row["mode"]))).collect()
}

#[test]
fn a_reviewed_plan_is_applied_to_the_letter_and_once() {
    let Some(ground) = ground() else { return };
    let controller = reviewer(&ground, "letter");
    let before = at_once(&EVERY, |host| traces(&ground, host));
    let plan = planned(&controller);
    assert_eq!(at_once(&EVERY, |host| traces(&ground, host)), before, "a plan changes nothing");
    let shown = controller.plain(&["show", "a.plan"]);
    assert!(shown.code == 0 && shown.stdout.contains("to do it: certroll apply a.plan"), "{shown}");

    let apply = controller.follow(&["apply", "a.plan"]);

    assert_eq!(apply.code, 0, "{apply}");
    assert_eq!(batches(&apply), batches(&plan), "the batches of the plan: {apply}");
    assert_eq!(batches(&apply).iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 5]);
    for host in EVERY {
        assert_eq!(apply.outcome(host), "changed", "{apply}");
        assert_eq!(nginx(&ground, host), "gen2");
        let promised = promised(&plan, host);
        assert_eq!(promised.len(), 2, "{plan}");
        for (file, digest, mode) in promised {
            let found = ground.sh(host, &format!("sha256sum <{file}; stat -c 0%a {file}"));
            let (found, its_mode) = found.split_once('\n').unwrap();
            assert!(found.starts_with(&digest) && !digest.is_empty(), "{host}: {file}: {found}");
            assert!(mode.is_empty() || its_mode.trim() == mode, "{host}: {file}: {its_mode}");
        }
    }
    let done = at_once(&EVERY, |host| traces(&ground, host));
    let again = controller.follow(&["apply", "a.plan"]);
    assert!(EVERY.iter().all(|host| again.outcome(host) == "unchanged"), "{again}");
    assert_eq!(at_once(&EVERY, |host| traces(&ground, host)), done);
}

#[test]
fn hosts_that_changed_joined_or_left_since_the_review_are_left_alone_and_said() {
    let Some(ground) = ground() else { return };
    let mut controller = reviewer(&ground, "since");
    let without = |name: &str| {
        let begin = format!("{name} ");
        move |text: String| -> String {
            text.lines()
                .filter(|line| !line.starts_with(&begin))
                .map(|line| format!("{line}\n"))
                .collect()
        }
    };
    controller.with_inventory(without("h008"));
    let plan = planned(&controller);
    assert_eq!(plan.outcomes().len(), 7, "{plan}");
    // Until the change window one host is changed by hand, one joins, and one leaves.
    ground.fleet.fleet(&["put", "h004", "nginx", "gen3-rsa"]);
    controller.with_inventory(without("h006"));
    let alone = ["h004", "h006", "h008"];
    let before = at_once(&alone, |host| traces(&ground, host));

    let apply = controller.follow(&["apply", "a.plan"]);

    assert_eq!(apply.code, 2, "{apply}");
    for host in EVERY {
        let expected = match host {
            "h004" => "failed",
            "h006" => "skipped",
            "h008" => continue,
            _ => "changed",
        };
        assert_eq!(apply.outcome(host), expected, "{host}: {apply}");
        if expected == "changed" {
            assert_eq!(nginx(&ground, host), "gen2");
        }
    }
    assert!(apply.summary()["hosts"]["h008"].is_null(), "{apply}");
    let reason = apply.summary()["hosts"]["h004"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("stale: ") && reason.contains("was modified since"), "{reason}");
    for words in [
        "1 host joined since the plan and will not be touched: h008",
        "1 host of the plan left the play since and will not be touched: h006",
    ] {
        assert!(apply.stdout.contains(words), "{words}: {apply}");
    }
    assert_eq!(
        at_once(&alone, |host| traces(&ground, host)),
        before,
        "neither written nor reloaded"
    );
}

#[test]
fn another_certificate_or_a_changed_byte_stops_before_any_connection() {
    let Some(ground) = ground() else { return };
    let controller = reviewer(&ground, "stops");
    planned(&controller);
    let before = at_once(&EVERY, |host| logins(&ground, host));
    let refused = |words: &[&str]| {
        let ran = controller.follow(&["apply", "a.plan"]);
        assert_eq!(ran.code, 1, "{ran}");
        for word in words {
            assert!(ran.stderr.contains(word), "{word}: {ran}");
        }
    };

    material(&ground, &controller, "gen3-rsa");
    refused(&[&ground.fleet.leaf("gen2"), &ground.fleet.leaf("gen3-rsa")]);
    material(&ground, &controller, "gen2");
    let path = controller.file("a.plan");
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    refused(&["it was modified or cut off"]);
    assert_eq!(at_once(&EVERY, |host| logins(&ground, host)), before);

    // The control: as it was reviewed it is done, and connections are seen.
    fs::write(&path, &whole).unwrap();
    let ran = controller.follow(&["apply", "a.plan"]);
    assert_eq!(ran.code, 0, "{ran}");
    let after = at_once(&EVERY, |host| logins(&ground, host));
    assert!(after.iter().zip(&before).all(|(after, before)| after != before), "{after:?}");
}
