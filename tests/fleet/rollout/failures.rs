//! Each thing that goes wrong ends as it is told to: untouched, rolled back or unreachable, and the
//! other hosts are done.

use crate::rollout::site::{HOSTS, Task, all, all_but, site};
use std::fs;

/// The step at which a host failed, from the summary.
fn step(ran: &crate::common::fleet::Ran, host: &str) -> String {
    ran.summary()["hosts"][host]["step"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn bad_material_stops_the_run_before_any_connection() {
    let Some(site) = site() else { return };
    let connections =
        |host| site.fleet.sh(host, "grep -c 'Connection from' /var/log/sshd.log || true");
    let before = (HOSTS.map(connections), site.snapshots());
    for generation in [
        "mismatched",
        "rsa-leaf-ec-key",
        "expired",
        "not-yet-valid",
        "wrong-name",
        "truncated",
        "garbage",
        "encrypted-key",
    ] {
        for verb in ["plan", "apply"] {
            let ran = site.run(verb, &site.play(&[Task::nginx(generation)]), &[]);
            assert_eq!(ran.code, 1, "{verb} of {generation}: {ran}");
        }
    }
    assert_eq!((HOSTS.map(connections), site.snapshots()), before);
    // The control: a connection is seen.
    assert_eq!(site.run("plan", &site.play(&[Task::nginx("gen2")]), &[]).code, 0);
    assert!(HOSTS.map(connections).iter().zip(&before.0).all(|(after, before)| after != before));
}

#[test]
fn a_host_whose_configuration_is_broken_is_left_alone() {
    let Some(site) = site() else { return };
    site.fleet.sh("h002", "echo 'no such directive;' >/etc/nginx/sites-enabled/broken.conf");
    let before = site.state("h002");

    let apply = site.run("apply", &site.play(&[Task::nginx("gen2")]), &[]);

    assert_eq!(
        (apply.code, apply.outcomes()),
        (2, all_but("h002", "failed", "changed")),
        "{apply}"
    );
    assert_eq!(step(&apply, "h002"), "validate", "{apply}");
    assert!(
        apply.stdout.contains("no such directive") || apply.stdout.contains("unknown directive"),
        "{apply}"
    );
    assert_eq!(site.state("h002"), before);
    site.fleet.expect("h002", "nginx", "gen1");
    for host in ["h001", "h003", "h004"] {
        site.fleet.expect(host, "nginx", "gen2");
    }
}

#[test]
fn with_any_errors_fatal_one_host_that_fails_to_validate_keeps_all_untouched() {
    let Some(site) = site() else { return };
    site.fleet.sh("h003", "echo 'no such directive;' >/etc/nginx/sites-enabled/broken.conf");
    let before = HOSTS.map(|host| site.state(host));
    let playbook = site
        .play(&[Task::nginx("gen2")])
        .replace("  become: true\n", "  become: true\n  any_errors_fatal: true\n");

    let apply = site.run("apply", &playbook, &[]);

    assert_eq!(apply.code, 2, "{apply}");
    assert_eq!(apply.outcome("h003"), "failed", "{apply}");
    assert!(apply.outcomes().iter().all(|(_, outcome)| outcome != "changed"), "{apply}");
    assert_eq!(HOSTS.map(|host| site.state(host)), before);
    site.fleet.expect("all", "nginx", "gen1");
}

#[test]
fn a_reload_that_fails_is_rolled_back_to_the_exact_state() {
    let Some(site) = site() else { return };
    let before = HOSTS.map(|host| site.state(host));

    let apply =
        site.run("apply", &site.play(&[Task::nginx("gen2").with("reload: /bin/false")]), &[]);

    assert_eq!((apply.code, apply.outcomes()), (2, all("rolled_back")), "{apply}");
    for host in HOSTS {
        assert_eq!(step(&apply, host), "reload", "{apply}");
    }
    assert_eq!(HOSTS.map(|host| site.state(host)), before);
    site.fleet.expect("all", "nginx", "gen1");
}

#[test]
fn a_handshake_that_shows_another_certificate_is_rolled_back() {
    let Some(site) = site() else { return };
    // h004 takes no part and serves gen1.
    let elsewhere = site.fleet.sh("h004", "hostname -I").trim().to_owned();
    for (service, task) in [
        ("nginx", Task::nginx("gen2").seen_at(&format!("{elsewhere}:443")).in_vain()),
        ("postfix", Task::postfix("gen2").seen_at(&format!("{elsewhere}:25")).in_vain()),
    ] {
        let before = site.state("h001");

        let apply = site.run("apply", &site.play(&[task]), &["--limit", "h001"]);

        assert_eq!((apply.code, apply.outcome("h001")), (2, "rolled_back".to_owned()), "{apply}");
        assert_eq!(step(&apply, "h001"), "verify", "{apply}");
        assert_eq!(site.state("h001"), before);
        site.fleet.expect("h001", service, "gen1");
    }
}

#[test]
fn a_host_that_is_cut_off_is_unreachable_and_the_others_are_done() {
    let Some(site) = site() else { return };
    site.fleet.fleet(&["cut", "h003"]);

    let apply = site.run("apply", &site.play(&[Task::nginx("gen2")]), &["--timeout", "20"]);

    assert_eq!(
        (apply.code, apply.outcomes()),
        (4, all_but("h003", "unreachable", "changed")),
        "{apply}"
    );
    site.fleet.fleet(&["heal", "h003"]);
    site.fleet.expect("h003", "nginx", "gen1");
    let again = site.run("apply", &site.play(&[Task::nginx("gen2")]), &[]);
    assert_eq!(
        (again.code, again.outcomes()),
        (0, all_but("h003", "changed", "unchanged")),
        "{again}"
    );
}

#[test]
fn a_changed_host_key_is_refused() {
    let Some(site) = site() else { return };
    let file = site.fleet.dir().join("ssh/known_hosts");
    let real = fs::read_to_string(&file).unwrap();
    // Every key that is known for h002 becomes h001's key of the same kind.
    let key_of = |host: &str, kind: &str| {
        let line = real.lines().find(|line| line.starts_with(host) && line.contains(kind));
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    let mut forged = real.clone();
    for kind in ["ssh-ed25519", "ecdsa-sha2-nistp256"] {
        forged = forged.replace(&key_of("h002", kind), &key_of("h001", kind));
    }
    assert_ne!(forged, real);
    let before = site.state("h002");

    fs::write(&file, &forged).unwrap();
    let apply = site.run("apply", &site.play(&[Task::nginx("gen2")]), &[]);
    fs::write(&file, &real).unwrap();

    assert_eq!(
        (apply.code, apply.outcomes()),
        (4, all_but("h002", "unreachable", "changed")),
        "{apply}"
    );
    let line = forged.lines().position(|line| line.starts_with("h002")).unwrap() + 1;
    let place = format!("{}:{line}", file.display());
    assert!(apply.stdout.contains(&place), "{place} is not named: {apply}");
    assert_eq!(site.state("h002"), before);
}

#[test]
fn where_nothing_can_be_written_is_said_with_the_place_and_the_reason() {
    let Some(site) = site() else { return };
    let before = HOSTS.map(|host| site.state(host));
    let (state, run) = ("/var/lib/certroll", "/run/certroll");
    let (full, closed) = ("its file system is full", "its file system is mounted read-only");
    let cases = [
        ("h001", "cannot write the journal", state, full),
        ("h002", "cannot write the lock", run, full),
        ("h003", "cannot write the journal", state, closed),
        ("h004", "cannot write the lock", run, closed),
    ];
    for (host, _, place, why) in cases {
        let mount = if why == full {
            format!(
                "mount -t tmpfs -o size=16k none {place}; head -c 1m /dev/zero >{place}/fill || :"
            )
        } else {
            format!("mount -t tmpfs -o ro none {place}")
        };
        site.fleet.sh(host, &format!("mkdir -p {place}; {mount}"));
    }

    let apply = site.run("apply", &site.play(&[Task::nginx("gen2")]), &[]);

    for (host, _, place, _) in cases {
        site.fleet.sh(host, &format!("umount {place}"));
    }
    assert_eq!((apply.code, apply.outcomes()), (2, all("failed")), "{apply}");
    for (host, what, place, why) in cases {
        assert!(apply.stdout.contains(&format!("{what} in {place}: {why}")), "{host}: {apply}");
    }
    assert_eq!(HOSTS.map(|host| site.state(host)), before);
}
