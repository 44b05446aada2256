//! Windows over OpenSSH, against a fake: `fake.py`, which is no Windows and proves nothing about one. The sshd in front of it
//! is real, and so are the certificates that it serves.

mod site;

use serde_json::json;
use site::{NAME, Site, verify};

#[test]
fn a_certificate_is_planned_switched_verified_and_then_left_alone() {
    let Some(site) = Site::new() else { return };
    let new = site.pair(false);
    site.by_name("");
    let before = site.all();
    site.expect(&["plan"], 2, &["windows is experimental", "never run on the real thing"]);
    let readers = "the new key gets the readers of the old one: S-1-5-18, S-1-5-20, S-1-5-32-544";
    let intermediates = "intermediates are added to LocalMachine\\CA for the whole machine: 1";
    site.expect(&["plan", "--allow-experimental"], 0, &["change", readers, intermediates]);
    assert_eq!(site.all(), before, "a plan changes nothing");

    site.apply(0, &["changed=1", "as WIN\\dora: Windows build 20348", "its key has 3 readers"]);
    let after = site.state();
    assert_eq!(site.named(), new);
    assert_eq!(after["bindings"][0]["attributes"], before["bindings"][0]["attributes"]);
    assert_eq!(after["bindings"][0]["flags"], 65);
    assert_eq!(after["bindings"][1], before["bindings"][1], "another site of the port");
    let old = before["own"].as_str().unwrap();
    assert!(after["stores"]["My"][old].is_object(), "the old certificate stays");
    assert!(after["task"].is_null() && after["journal"].is_null(), "{after}");

    site.apply(0, &["unchanged=1"]);
    site.expect(&["status", "--allow-experimental"], 0, &[]);
}

#[test]
fn each_kind_of_console_and_each_old_windows_is_understood() {
    let Some(site) = Site::new() else { return };
    site.by_name("");
    for (knobs, is_rsa) in [
        (json!({"shell": "powershell"}), false),
        (json!({"noise": true, "german": true}), true),
        (json!({"longest": 2000}), false),
        (json!({"old": "refuses"}), true),
        (json!({"old": "keyless"}), false),
    ] {
        site.knobs(&knobs);
        let new = site.pair(is_rsa);
        site.apply(0, &["changed=1"]);
        assert_eq!(site.named(), new, "{knobs}");
    }
}

#[test]
fn what_cannot_be_done_is_told_and_leaves_everything_old() {
    let Some(site) = Site::new() else { return };
    site.by_name("");
    site.pair(false);
    let before = site.all();
    for (knobs, code, words) in [
        (json!({"user": "nobody"}), 4, "is no administrator there"),
        (json!({"no_powershell": true}), 2, "is not recognized"),
        (json!({"longest": 400}), 2, "not properly encoded"),
        (json!({"garbage": "observe"}), 2, "more than any answer has"),
        (json!({"garbage": "cut observe"}), 2, "its answer is cut off"),
        (json!({"old": "never"}), 2, "neither from a PFX with AES"),
        (json!({"switch_fails": site.pair(false)}), 2, "the access is denied"),
        (json!({"switch_lies": true}), 2, "does not name it"),
        // A key that the one who serves cannot open.
        (json!({"acl_lost": true}), 2, "may not read the new key"),
    ] {
        site.knobs(&knobs);
        site.apply(code, &[words]);
        assert_eq!(site.all(), before, "{knobs}");
    }
    site.knobs(&json!({}));
    site.change(|state| {
        state["http"][format!("127.0.0.1:{}", site.ports.named)] = state["other"].clone();
    });
    let stale = site.all();
    site.apply(2, &["the entry overrules it", "netsh http delete sslcert ipport=127.0.0.1:"]);
    assert_eq!(site.all(), stale);
}

#[test]
fn references_are_compared_exactly() {
    let Some(site) = Site::new() else { return };
    site.pair(false);
    let (named, plain) = (site.ports.named, site.ports.plain);
    site.playbook("{iis: {site: Shop, binding: '*:1:x'}}", &verify(named));
    site.apply(2, &["there is no such thing as the https binding *:1:x of 'Shop'"]);
    site.playbook("{iis: {site: Other, binding: '*:1:x'}, rdp: true}", &verify(named));
    site.apply(1, &["takes one of 'iis', 'rdp' and 'winrm'"]);
    site.playbook(&format!("{{iis: {{site: Plain, binding: '*:{plain}:'}}}}"), &verify(plain));
    let words = format!("*:{plain}:b.win.test of 'Beside' change with it");
    site.expect(&["plan", "--allow-experimental"], 0, &[&words]);
    site.change(|state| state["bindings"][2]["flags"] = 2.into());
    site.apply(2, &["out of the central store"]);
}

#[test]
fn remote_desktop_and_winrm_have_references_of_their_own() {
    let Some(site) = Site::new() else { return };
    let new = site.pair(true);
    site.playbook("{rdp: true}", "        verify: false\n");
    site.apply(0, &["changed=1"]);
    assert_eq!(site.state()["rdp"]["thumbprint"], new);
    site.playbook("{winrm: true}", &verify(site.ports.winrm));
    site.apply(0, &["changed=1", "it was there already"]);
    assert_eq!(site.state()["winrm"]["thumbprint"], new);
    assert_eq!(site.state()["winrm"]["hostname"], NAME);
}

#[test]
fn a_connection_that_is_cut_at_any_step_changes_nothing_of_the_end() {
    let Some(site) = Site::new() else { return };
    site.by_name("");
    for cut in [
        "before begin",
        "after begin",
        "during commit",
        "after commit",
        "before confirm",
        "after confirm",
    ] {
        let new = site.pair(false);
        site.knobs(&json!({"cut": cut}));
        site.apply(0, &["changed=1"]);
        assert_eq!(site.named(), new, "{cut}");
        assert!(site.state()["task"].is_null(), "{cut}");
    }
    let before = site.all();
    site.pair(false);
    for cut in ["before undo", "after undo"] {
        site.knobs(&json!({"cut": cut, "acl_lost": true}));
        site.apply(2, &["names the old certificate again"]);
        assert_eq!(site.all(), before, "{cut}");
    }
}

#[test]
fn the_machine_undoes_by_itself_what_a_dead_controller_left() {
    let Some(site) = Site::new() else { return };
    site.by_name("        lock_timeout: 1s\n        checks: [{command: [sleep, '600'], on: controller, timeout: 20m}]\n");
    let before = site.all();
    let switched = || {
        let new = site.pair(false);
        let mut run = site.start();
        site.until("it is switched", |state| state["journal"]["state"] == "switched");
        assert_eq!(site.named(), new);
        run.kill().expect("killed");
        run.wait().expect("waited for");
    };

    // At startup, before its time.
    switched();
    site.apply(2, &["another run is changing something there"]);
    site.reboot();
    assert_eq!(site.all(), before);

    // At its time.
    site.knobs(&json!({"within": 3}));
    switched();
    site.until("it goes back", |state| state["task"].is_null());
    assert_eq!(site.all(), before);

    // And the next contact, where the task never ran.
    site.knobs(&json!({"within": 1, "no_scheduler": true}));
    switched();
    std::thread::sleep(std::time::Duration::from_secs(3));
    site.expect(&["recover"], 0, &["was never confirmed: the reference names the old certificate"]);
    assert_eq!(site.all(), before);
}
