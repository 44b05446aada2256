//! The rules of Ansible's language over real SSH: one site that asks for nearly all of them, run by both programs on the
//! same hosts. What was set and registered is written to the hosts in its end, so that their files tell everything.

use super::{HOSTS, copy, fleet, keep_facts, program, run, spare};
use crate::common::fleet::Fleet;
use std::fs;
use std::path::Path;

/// As both find the hosts.
fn clean(fleet: &Fleet) {
    for host in HOSTS {
        fleet.sh(
            host,
            "[ ! -x /etc/init.d/crrules ] || /etc/init.d/crrules stop
             rm -rf /var/tmp/rules /var/tmp/rules-home /etc/init.d/crrules /etc/rc?.d/???crrules
             ! getent passwd crrules >/dev/null || userdel crrules
             ! getent group crrules >/dev/null || groupdel crrules",
        );
    }
}

/// What a run left: every file with its kind, mode, owner, target and content, and the account.
fn left(fleet: &Fleet) -> Vec<String> {
    let look = "cd /var/tmp/rules && find . -printf '%p %M %u:%g %l\\n' | sort && \
                for file in $(find . -type f | sort); do echo \"== $file\"; cat \"$file\"; done; \
                ls /etc/rc?.d/*crrules; /etc/init.d/crrules status; \
                id crrules; getent passwd crrules; getent shadow crrules | cut -d: -f2";
    HOSTS.iter().map(|host| fleet.sh(host, look)).collect()
}

#[test]
fn the_rules_of_the_language_leave_the_same() {
    let Some(ansible) = program("ansible-playbook") else { return };
    let Some(fleet) = fleet() else { return };
    let site = tempfile::tempdir().unwrap();
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/from_ansible/rules"),
        site.path(),
    );
    let inventory = fleet.dir().join("inventory.ini").display().to_string();
    let settings = format!(
        "[defaults]\ninventory = {inventory}\nroles_path = deep\nforks = 2\nforce_handlers = true\n"
    );
    fs::write(site.path().join("ansible.cfg"), settings).unwrap();
    let arguments = ["deploy.yml", "-e", "from_extra=extra"];

    clean(&fleet);
    let mut command = fleet.controller(&ansible, &arguments);
    spare(&mut command);
    keep_facts(&mut command, &fleet);
    let theirs = run(&fleet, command, site.path());
    assert_eq!(theirs.code, 0, "{theirs}");
    let wanted = left(&fleet);
    for (host, left) in HOSTS.iter().zip(&wanted) {
        assert!(left.contains("\"from_extra\"") || left.contains("\"extra\""), "{host}: {left}");
    }

    clean(&fleet);
    let plan = run(&fleet, fleet.certroll(&[&["plan"], &arguments[..]].concat()), site.path());
    // As with `--check`, a line cannot be found in a file that is yet to come.
    assert!(plan.stdout.contains("/var/tmp/rules/lines does not exist"), "{plan}");
    let there = fleet.sh("h001", "ls -d /var/tmp/rules 2>/dev/null || true");
    assert_eq!(there, "", "a plan changes nothing");
    let ours = run(&fleet, fleet.certroll(&[&["apply"], &arguments[..]].concat()), site.path());
    assert_eq!(ours.code, 0, "{ours}");
    for ((host, ours_left), theirs_left) in HOSTS.iter().zip(left(&fleet)).zip(&wanted) {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(&ours_left), lines(theirs_left), "{host}\n{ours}");
    }
    clean(&fleet);
}
