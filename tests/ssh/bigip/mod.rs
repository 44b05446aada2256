//! An entry of a BIG-IP's profile: planned, changed, verified, undone. The device is a FAKE (`fake_tmsh.py`), written from
//! documents; nothing here was run on the real thing.

mod cut;
mod site;

use serde_json::json;
use site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_is_planned_installed_switched_verified_saved_and_taken_back() {
    let Some(site) = Site::new().await else { return };
    let new = site.pair("new");
    let before = site.state()["running"].clone();
    let refused = site.run(&["apply"]).await;
    refused.expect(
        2,
        &["bigip is experimental", "never run on the real thing", "--allow-experimental"],
    );
    let planned = site.run(&["plan", "--allow-experimental"]).await;
    planned.expect(0, &["/Common/www/cert", "never run on the real thing"]);
    assert_eq!(site.state()["running"], before, "a plan changes nothing");

    site.apply().await.expect(0, &["changed=1"]);
    site.is_new();
    let objects = site.state();
    assert!(objects["running"]["cert"]["/Common/www.crt"].is_string(), "the old one stays");
    site.apply().await.expect(0, &["unchanged=1"]);
    site.run(&["status"]).await.expect(0, &[]);
    let line = new.key_pem.lines().nth(1).expect("a line of base64");
    for file in walk(&site.kept()) {
        let text = std::fs::read(&file).expect("readable");
        assert!(
            !text.windows(line.len()).any(|part| part == line.as_bytes()),
            "{file:?} has the key"
        );
    }
    let log = objects["log"].to_string();
    assert!(!log.contains(line) && !log.contains("BEGIN"), "keys go by files: {log}");

    site.run(&["rollback", "--allow-experimental"]).await.expect(0, &["changed=1"]);
    assert_eq!(site.points(), ["/Common/www.crt", "/Common/www.key", "none"]);
    assert_eq!(site.state()["saved"], site.state()["running"]);

    // Older ones go, as far as nothing uses them.
    site.playbook("newer", "", "        backups: 1\n");
    let mut made = Vec::new();
    for _ in 0..3 {
        site.pair("newer");
        site.apply().await.expect(0, &["changed=1"]);
        made.push(site.points()[0].clone());
        if made.len() == 1 {
            site.knobs(json!({"in_use": [made[0]]}));
        }
    }
    let running = &site.state()["running"]["cert"];
    assert!(running[&made[0]].is_string(), "another profile uses it: {running:#}");
    assert!(running[&made[1]].is_string() && running[&made[2]].is_string(), "{running:#}");
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_device_is_decides_whether_and_how_it_is_changed() {
    let Some(site) = Site::new().await else { return };
    site.pair("new");
    let blocked = [
        (json!({"failover": "STANDBY"}), "not the active one (STANDBY)"),
        (json!({"phase": "initializing"}), "mcpd is not ready"),
        (json!({"garbage": true}), "mcpd is not ready"),
    ];
    for (knobs, why) in blocked {
        site.knobs(knobs);
        site.apply().await.expect(2, &[why]);
        site.knobs(json!({}));
        site.is_old();
    }
    let whole = site.state();
    let profile = |state: &mut serde_json::Value, value| {
        state["running"]["profile"]["/Common/www"] = value;
    };
    let entry = whole["running"]["profile"]["/Common/www"]["entries"]["default"].clone();
    let mut locked = entry.clone();
    locked["passphrase"] = json!("x");
    let shapes = [
        (json!({"inherits": true, "entries": {"default": entry}}), "takes its parent's"),
        (json!({"inherits": false, "entries": {}}), "takes its parent's"),
        (json!({"inherits": false, "entries": {"default": locked}}), "has a passphrase"),
        (
            json!({"inherits": false, "entries": {"a": entry, "b": entry}}),
            "say which in `bigip.entry`",
        ),
    ];
    for (shape, why) in shapes {
        site.set(|state| profile(state, shape));
        site.apply().await.expect(2, &[why]);
    }
    site.set(|state| *state = whole.clone());

    // Versions that append the suffix, terminals that end lines with CR, groups that were in sync and that were not.
    let ways = [
        (json!({"suffix": true}), ".crt.crt", false),
        (json!({"crlf": true, "sync": "In Sync"}), ".crt", true),
        (json!({"sync": "Changes Pending"}), ".crt", false),
    ];
    site.playbook("new", ", sync_group: peers", "");
    for (knobs, ending, synced) in ways {
        site.pair("new");
        site.set(|state| {
            *state = whole.clone();
            state["knobs"] = knobs;
        });
        let ran = site.apply().await;
        ran.expect(0, &["changed=1"]);
        site.is_new();
        let state = site.state();
        assert!(site.points()[0].ends_with(ending), "{state:#}");
        assert_eq!(state["peer"] == state["running"], synced, "{state:#}");
        if !synced {
            ran.expect(0, &["NOT synchronised"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_goes_back() {
    let Some(site) = Site::new().await else { return };
    site.pair("new");
    site.knobs(json!({"refuse_modify": true}));
    site.apply().await.expect(2, &["must have RSA certificate/key pair"]);
    site.is_old();
    site.knobs(json!({"refuse_save": true}));
    site.apply()
        .await
        .expect(2, &["the disk is full", "rolled back: the entry points to the old objects"]);
    site.is_old();
    site.knobs(json!({}));
    site.goes_blind(true);
    site.apply().await.expect(2, &["rolled back: the entry points to the old objects"]);
    site.is_old();
    site.goes_blind(false);
    // The trial says it before anything is switched.
    site.knobs(json!({"refuse_create": true}));
    site.apply().await.expect(2, &["key and certificate do not match", "untouched"]);
    site.is_old();
    let log = site.state()["log"].to_string();
    let switched = log.matches("modify ltm profile").count();
    site.knobs(json!({}));
    site.apply().await.expect(0, &["changed=1"]);
    site.is_new();
    assert_eq!(switched, 5, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_shell_is_tmsh_is_told_so_and_nothing_is_done() {
    let Some(site) = Site::new().await else { return };
    site.pair("new");
    site.log_in_to_tmsh();
    site.apply().await.expect(4, &["the shell of this account is tmsh", "whose shell is bash"]);
    site.is_old();
    assert!(
        site.state().get("log").is_none() || !site.state()["log"].to_string().contains("install")
    );
}
