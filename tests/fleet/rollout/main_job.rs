//! Plan, apply, apply again.

use crate::rollout::site::{HOSTS, Site, Task, all, all_but, site};

/// How often the services were told to reload, as they themselves say.
fn reloads(site: &Site, host: &str) -> String {
    site.fleet.sh(host, "pgrep -f 'worker process$' -P $(cat /run/nginx.pid); grep -c 'postfix/master.* reload' /var/log/postfix.log || true")
}

#[test]
fn plan_changes_nothing_and_apply_does_what_it_said() {
    let Some(site) = site() else { return };
    let playbook = site.both("gen2");
    let before = site.snapshots();

    let plan = site.run("plan", &playbook, &[]);
    assert_eq!(plan.code, 0, "{plan}");
    assert_eq!(plan.summary()["pending"], HOSTS.len(), "{plan}");
    assert_eq!(site.run("plan", &playbook, &["--exit-code"]).code, 3);
    assert_eq!(site.snapshots(), before);
    site.fleet.expect("all", "nginx", "gen1");

    let apply = site.run("apply", &playbook, &[]);
    assert_eq!(apply.code, 0, "{apply}");
    assert_eq!(apply.outcomes(), all("changed"));
    for service in ["nginx", "postfix", "postfix:465"] {
        site.fleet.expect("all", service, "gen2");
    }
    // The control of the comparison above: what apply did is seen by it.
    assert!(site.snapshots().iter().zip(&before).all(|(after, before)| after != before));

    let plan = site.run("plan", &playbook, &["--exit-code"]);
    assert_eq!(plan.code, 0, "{plan}");
}

#[test]
fn the_files_are_the_given_ones_with_the_old_owners_and_modes() {
    let Some(site) = site() else { return };
    let live = "/etc/nginx/tls/fullchain.pem /etc/nginx/tls/privkey.pem";
    for file in live.split(' ') {
        site.fleet.sh("h001", &format!("chown 33:8 {file}"));
    }
    site.fleet.sh("h001", "chmod 640 /etc/nginx/tls/privkey.pem");

    let apply = site.run("apply", &site.play(&[Task::nginx("gen2")]), &["--limit", "h001"]);

    assert_eq!(apply.code, 0, "{apply}");
    assert_eq!(
        site.fleet.sh("h001", &format!("stat -c '%a %u:%g' {live}")),
        "644 33:8\n640 33:8\n"
    );
    for (file, source) in live.split(' ').zip(["fullchain.pem", "privkey.pem"]) {
        let given = std::fs::read_to_string(site.fleet.pki("gen2", source)).unwrap();
        assert_eq!(site.fleet.sh("h001", &format!("cat {file}")), given);
    }
}

#[test]
fn a_second_apply_changes_and_reloads_nothing() {
    let Some(site) = site() else { return };
    let playbook = site.both("gen2");
    let first = site.run("apply", &playbook, &[]);
    assert_eq!(first.outcomes(), all("changed"), "{first}");
    let files = site.snapshots();
    let reloaded: Vec<_> = HOSTS.iter().map(|host| reloads(&site, host)).collect();

    let second = site.run("apply", &playbook, &[]);

    assert_eq!((second.code, second.outcomes()), (0, all("unchanged")), "{second}");
    assert_eq!(site.snapshots(), files);
    for (host, before) in HOSTS.iter().zip(&reloaded) {
        assert_eq!(&reloads(&site, host), before, "{host}");
    }
    // The control: the same observation sees a reload.
    site.fleet.fleet(&["reload", "h001", "nginx"]);
    site.fleet.fleet(&["reload", "h001", "postfix"]);
    site.fleet.sh("h001", "until grep -c 'postfix/master.* reload' /var/log/postfix.log | grep -vqx 0; do sleep 0.05; done");
    assert_ne!(reloads(&site, "h001"), reloaded[0]);
}

#[test]
fn a_service_that_serves_an_old_certificate_from_new_files_is_seen_and_mended() {
    let Some(site) = site() else { return };
    let playbook = site.play(&[Task::nginx("gen2")]);
    assert_eq!(site.run("apply", &playbook, &[]).code, 0);
    // h002 is made to drift: the process holds gen1, the files are gen2.
    site.fleet.fleet(&["put", "h002", "nginx", "gen1"]);
    site.fleet.fleet(&["reload", "h002", "nginx"]);
    site.fleet.expect("h002", "nginx", "gen1");
    site.fleet.fleet(&["put", "h002", "nginx", "gen2"]);
    let files = site.state("h002");

    let plan =
        site.run_as_told(&["plan", "play.yml", "-i", &site.inventory(), "--exit-code"], &playbook);
    assert_eq!(plan.code, 3, "{plan}");
    // A line of hosts, and below it what would be done there.
    let (mut hosts, mut drifted) = ("", Vec::new());
    for line in plan.stdout.lines() {
        if line.starts_with("h00") {
            hosts = line;
        } else if line.starts_with("  reload only ") {
            drifted.push(hosts);
        }
    }
    assert!(!drifted.is_empty() && drifted.iter().all(|hosts| *hosts == "h002: nginx"), "{plan}");

    let apply = site.run("apply", &playbook, &[]);
    assert_eq!(apply.outcomes(), all_but("h002", "changed", "unchanged"), "{apply}");
    site.fleet.expect("h002", "nginx", "gen2");
    assert_eq!(site.state("h002"), files);
}

#[test]
fn verify_alone_looks_at_what_is_served_and_needs_no_ssh() {
    let Some(site) = site() else { return };
    let logins = |host| site.fleet.sh(host, "grep -c 'Connection from' /var/log/sshd.log || true");
    let before: Vec<_> = HOSTS.map(logins).into();

    let good = site.run("verify", &site.both("gen1"), &[]);
    assert_eq!(good.code, 0, "{good}");
    let other = [Task::nginx("gen2").in_vain(), Task::postfix("gen2").in_vain()];
    let bad = site.run("verify", &site.play(&other), &["--limit", "h001"]);
    assert_eq!((bad.code, bad.outcome("h001")), (2, "failed".to_owned()), "{bad}");

    assert_eq!(HOSTS.map(logins).to_vec(), before);
    // The control: a login is seen.
    assert_eq!(site.run("plan", &site.both("gen1"), &["--limit", "h001"]).code, 0);
    assert_ne!(logins("h001"), before[0]);
}

/// How many log-ins a host's sshd has let in, and how many programs it was asked to start.
fn logged(site: &Site, host: &str) -> (u32, u32) {
    let count = |what: &str| -> u32 {
        let count = site.fleet.sh(host, &format!("grep -c '{what}' /var/log/sshd.log || true"));
        count.trim().parse().unwrap()
    };
    (count("Accepted publickey"), count("Starting session: command"))
}

#[test]
fn a_rollout_takes_one_connection_and_one_channel_per_host_however_many_certificates_there_are() {
    let Some(site) = site() else { return };
    let one = [Task::nginx("gen2")];
    let three = [Task::nginx("gen3-rsa"), Task::postfix("gen2"), Task::nginx("gen3-rsa")];
    for (verb, tasks, outcome) in [
        ("apply", &one[..], Some("changed")),
        ("plan", &three, None),
        ("apply", &three, Some("changed")),
        ("apply", &three, Some("unchanged")),
    ] {
        let before = HOSTS.map(|host| logged(&site, host));
        let ran = site.run(verb, &site.play(tasks), &[]);
        assert_eq!(ran.code, 0, "{ran}");
        assert!(outcome.is_none_or(|outcome| ran.outcomes() == all(outcome)), "{verb}: {ran}");
        let after = HOSTS.map(|host| logged(&site, host));
        let more = |before: (u32, u32), after: (u32, u32)| (after.0 - before.0, after.1 - before.1);
        let more: Vec<_> = before.into_iter().zip(after).map(|(a, b)| more(a, b)).collect();
        assert_eq!(more, [(1, 1); 4], "{verb} {outcome:?}: {ran}");
    }
    // What stands between two certificates has a channel of its own, and so has what comes after it.
    let command = "    - ansible.builtin.command: 'true'\n";
    let apart = tasks_around(&site, command);
    let before = logged(&site, "h001");
    let ran = site.run("apply", &apart, &["--limit", "h001"]);
    assert_eq!(ran.code, 0, "{ran}");
    let after = logged(&site, "h001");
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 3), "{ran}");
}

/// A certificate for nginx, something else, a certificate for postfix.
fn tasks_around(site: &Site, between: &str) -> String {
    let play = site.both("gen1");
    let (first, second) = play.rsplit_once("    - name:").unwrap();
    format!("{first}{between}    - name:{second}")
}
