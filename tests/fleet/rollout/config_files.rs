//! `with`: a virtual host's configuration and its certificate in one act, on real nginx.

use crate::common::fleet::{Ran, S_CLIENT};
use crate::rollout::site::{HOSTS, Site, Task, all, site};
use std::fs;

const VHOST: &str = "/etc/nginx/sites-enabled/shop.conf";

/// The play that gives nginx a generation and the virtual host that `shop.conf.j2` describes.
fn shop(site: &Site, generation: &str, template: &str, more: &[&str]) -> String {
    fs::create_dir_all(site.file("templates")).unwrap();
    fs::write(site.file("templates/shop.conf.j2"), template).unwrap();
    let with = format!("with: [{{template: shop.conf.j2, dest: {VHOST}, mode: \"0640\"}}]");
    let task = more.iter().fold(Task::nginx(generation).with(&with), |task, line| task.with(line));
    site.play(&[task])
}

/// A virtual host that answers with `words` and the host's name.
fn answers(words: &str) -> String {
    format!(
        "server {{\n  listen 8443 ssl;\n  server_name shop.fleet.test;\n  \
         ssl_certificate /etc/nginx/tls/fullchain.pem;\n  \
         ssl_certificate_key /etc/nginx/tls/privkey.pem;\n  \
         return 200 \"{words} {{{{ inventory_hostname }}}}\\n\";\n}}\n"
    )
}

/// What a host's configuration is, but for what is kept of earlier times.
fn without_generations(site: &Site, host: &str) -> String {
    let state = site.state(host);
    let lines = state.lines().filter(|line| !line.contains("/.certroll"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The name of a run.
fn run_of(ran: &Ran) -> String {
    let events = ran.events();
    let start = events.iter().find(|event| event["event"] == "run_start").unwrap();
    start["run"].as_str().unwrap().to_owned()
}

/// What the virtual host answers on a host; nothing where none is there.
fn asked(site: &Site, host: &str) -> String {
    let ask = format!(
        "printf 'GET / HTTP/1.0\\r\\nHost: shop.fleet.test\\r\\n\\r\\n' | \
         {S_CLIENT} -quiet -connect 127.0.0.1:8443 2>/dev/null | tail -n 1 || true"
    );
    site.fleet.sh(host, &ask).trim().to_owned()
}

#[test]
fn a_virtual_host_comes_with_its_certificate_and_goes_back_with_it() {
    let Some(site) = site() else { return };
    let first = shop(&site, "gen2", &answers("one"), &[]);
    let before = site.snapshots();
    let untouched = HOSTS.map(|host| without_generations(&site, host));

    let plan = site.run_as_told(&["plan", "play.yml", "-i", &site.inventory(), "--diff"], &first);
    assert_eq!(plan.code, 0, "{plan}");
    for line in [
        "  create       /etc/nginx/sites-enabled/shop.conf",
        "  +  server_name shop.fleet.test;",
        "  +  return 200 \"one h001\\n\";",
    ] {
        assert!(plan.stdout.contains(line), "no {line:?}: {plan}");
    }
    assert_eq!(site.snapshots(), before);
    assert_eq!(asked(&site, "h001"), "");

    let apply = site.run("apply", &first, &[]);
    assert_eq!((apply.code, apply.outcomes()), (0, all("changed")), "{apply}");
    site.fleet.expect("all", "nginx", "gen2");
    for host in HOSTS {
        assert_eq!(asked(&site, host), format!("one {host}"));
    }
    assert_eq!(site.fleet.sh("h001", &format!("stat -c '%a %U:%G' {VHOST}")), "640 root:root\n");
    let again = site.run("apply", &first, &[]);
    assert_eq!(again.outcomes(), all("unchanged"), "{again}");

    // What the run made goes with it; and that can be taken back, too.
    let run = run_of(&apply);
    let check = site.run_as_told(&["rollback", "--run", &run, "--check", "--diff"], &first);
    assert_eq!(check.code, 0, "{check}");
    for line in
        ["  remove       /etc/nginx/sites-enabled/shop.conf", "  -  return 200 \"one h001\\n\";"]
    {
        assert!(check.stdout.contains(line), "no {line:?}: {check}");
    }
    assert_eq!(asked(&site, "h001"), "one h001");
    let kept = site.state("h001");
    // The service refuses what is left: all is as it was.
    site.fleet.sh("h001", &format!("echo 'include {VHOST};' >/etc/nginx/conf.d/needs.conf"));
    let refused = site.run("rollback", &first, &["--limit", "h001"]);
    assert_eq!((refused.code, refused.outcome("h001")), (2, "failed".to_owned()), "{refused}");
    assert!(refused.stdout.contains("shop.conf"), "{refused}");
    site.fleet.sh("h001", "rm /etc/nginx/conf.d/needs.conf");
    assert_eq!(site.state("h001"), kept);
    let back = site.run_as_told(&["rollback", "--run", &run, "-o", "json"], &first);
    assert_eq!((back.code, back.outcomes()), (0, all("changed")), "{back}");
    site.fleet.expect("all", "nginx", "gen1");
    for host in HOSTS {
        assert_eq!(asked(&site, host), "");
        assert_eq!(site.fleet.sh(host, &format!("ls {VHOST} 2>&1 || true")).lines().count(), 1);
    }
    assert_eq!(HOSTS.map(|host| without_generations(&site, host)), untouched);
    let forth = site.run("rollback", &first, &[]);
    assert_eq!(forth.outcomes(), all("changed"), "{forth}");
    assert_eq!(asked(&site, "h002"), "one h002");
    assert_eq!(site.fleet.sh("h001", &format!("stat -c '%a %U:%G' {VHOST}")), "640 root:root\n");
    // By the mark in the generation, without the record of the run; and forth.
    for words in ["", "one h002"] {
        let ran = site.run("rollback", &first, &[]);
        assert_eq!((ran.code, ran.outcomes()), (0, all("changed")), "{ran}");
        assert_eq!(asked(&site, "h002"), words);
    }

    // Other lines and another certificate; then both as they were.
    let second = shop(&site, "gen1", &answers("two"), &[]);
    let plan = site.run_as_told(&["plan", "play.yml", "-i", &site.inventory(), "--diff"], &second);
    for line in [
        "  -  return 200 \"one h001",
        "  +  return 200 \"two h001",
        "     server_name shop.fleet.test;",
    ] {
        assert!(plan.stdout.contains(line), "no {line:?}: {plan}");
    }
    let apply = site.run("apply", &second, &[]);
    assert_eq!(apply.outcomes(), all("changed"), "{apply}");
    assert_eq!(asked(&site, "h002"), "two h002");
    let back = site.run("rollback", &second, &[]);
    assert_eq!((back.code, back.outcomes()), (0, all("changed")), "{back}");
    site.fleet.expect("all", "nginx", "gen2");
    for host in HOSTS {
        assert_eq!(asked(&site, host), format!("one {host}"));
    }
}

#[test]
fn a_configuration_that_is_refused_or_not_confirmed_leaves_everything_old() {
    let Some(site) = site() else { return };
    let states = HOSTS.map(|host| site.state(host));
    let broken = shop(&site, "gen2", "server { listen 8443 ssl; no_such_word on; }\n", &[]);

    let refused = site.run("apply", &broken, &["--limit", "h001"]);

    assert_eq!((refused.code, refused.outcome("h001")), (2, "failed".to_owned()), "{refused}");
    assert!(refused.stdout.contains("no_such_word"), "{refused}");
    assert_eq!(site.state("h001"), states[0]);
    // Accepted and in place, then judged by a check of the operator's.
    let checks = &["checks: [{command: [/bin/false]}]"];
    let undone = site.run("apply", &shop(&site, "gen2", &answers("one"), checks), &[]);
    assert_eq!(undone.outcome("h001"), "rolled_back", "{undone}");
    assert_eq!(HOSTS.map(|host| site.state(host)), states);
    assert_eq!(asked(&site, "h001"), "");
    site.fleet.expect("all", "nginx", "gen1");
}

#[test]
fn a_configuration_that_fails_on_the_host_is_mended_by_the_one_that_comes() {
    let Some(site) = site() else { return };
    site.fleet.sh("h001", &format!("echo 'server {{ ssl_certificate /nowhere; }}' >{VHOST}"));

    let ran = site.run("apply", &shop(&site, "gen2", &answers("one"), &[]), &["--limit", "h001"]);

    assert_eq!((ran.code, ran.outcome("h001")), (0, "changed".to_owned()), "{ran}");
    assert_eq!(asked(&site, "h001"), "one h001");
}

#[test]
fn a_change_of_the_configuration_alone_is_proven_by_new_workers_or_not_at_all() {
    let Some(site) = site() else { return };
    let only = &["--limit", "h001"];
    let ran = site.run("apply", &shop(&site, "gen2", &answers("one"), &[]), only);
    assert_eq!(ran.outcome("h001"), "changed", "{ran}");

    let second = shop(&site, "gen2", &answers("two"), &[]);
    let plan = site.run("plan", &second, only);
    let note = "only the configuration of nginx changes, which no handshake shows; so no handshake can prove \
                the change: nginx has to have new workers after it";
    assert!(plan.stdout.contains(note), "{plan}");
    let ran = site.run("apply", &second, only);
    assert_eq!((ran.code, ran.outcome("h001")), (0, "changed".to_owned()), "{ran}");
    assert!(ran.stdout.contains("newer than the change"), "{ran}");
    assert!(!ran.stdout.contains("not proven"), "{ran}");
    assert_eq!(asked(&site, "h001"), "two h001");

    // Nobody tells nginx: its workers are the old ones, and so are the words that it answers.
    let third = shop(&site, "gen2", &answers("three"), &["reload: false"]);
    let ran = site.run("apply", &third, only);
    assert_eq!((ran.code, ran.outcome("h001")), (0, "changed".to_owned()), "{ran}");
    assert!(ran.stdout.contains("changed, not proven: only the configuration of nginx"), "{ran}");
    assert_eq!(asked(&site, "h001"), "two h001");
}
