//! Where and how a certificate is looked at, and the operator's own checks.

use crate::services_rollout::service::{DOVECOT, NGINX, POSTFIX, Service};
use crate::services_rollout::site::{Task, host, step};
use std::io::Write;

#[test]
fn through_the_host_a_service_on_loopback_can_be_seen() {
    let Some(host) = host(&[&NGINX]) else { return };
    // Nobody but the host itself can see it.
    host.sh("sed -i 's/listen 443/listen 127.0.0.1:443/' /etc/nginx/sites-enabled/fleet.conf
         nginx -s quit; while pgrep -x nginx; do sleep 0.05; done; nginx");
    let at = |via: &str| {
        Task::of(&NGINX, "gen2").seen_at(&format!("endpoint: '127.0.0.1:443', via: {via}"))
    };

    // The control: from here that address shows nothing.
    let ran = host.apply(&at("controller").attempts(5), "rolled_back");
    assert_eq!(step(&ran, &host), "verify", "{ran}");
    let ran = host.apply(&at("host"), "changed");
    assert!(ran.stdout.contains("127.0.0.1:443"), "{ran}");
    // No endpoint at all: the profile's, on the host's loopback.
    host.apply(&Task::of(&NGINX, "gen1").seen_at("via: host"), "changed");
    host.sh("sed -i 's/listen 127.0.0.1:443/listen 443/' /etc/nginx/sites-enabled/fleet.conf
         nginx -s quit; while pgrep -x nginx; do sleep 0.05; done; nginx");
    host.expect(&NGINX, "gen1");
}

#[test]
fn through_a_bastion_only_where_there_is_one() {
    let Some(host) = host(&[&NGINX]) else { return };
    let before = host.state(&NGINX);
    let task = Task::of(&NGINX, "gen2").seen_at("endpoint: '{{ ansible_host }}:443', via: bastion");
    let ran = host.apply(&task, "rolled_back");
    assert!(ran.stdout.contains("without a bastion"), "{ran}");
    assert_eq!(host.state(&NGINX), before);
}

#[test]
fn every_address_of_a_name_must_show_it_so_often_in_a_row() {
    let Some(host) = host(&[&NGINX]) else { return };
    // A second address, which goes on with its own files.
    let (own, second) = (host.address(), "198.18.200.1");
    host.sh(&format!(
        "ip addr add {second}/16 dev eth0
         cp -a /etc/nginx/tls /etc/nginx/certs
         echo 'server {{ listen {second}:443 ssl; server_name www.fleet.test;
                ssl_certificate /etc/nginx/certs/fullchain.pem;
                ssl_certificate_key /etc/nginx/certs/privkey.pem; }}' >/etc/nginx/sites-enabled/not-broken.conf
         nginx -s reload"
    ));
    let names = host.fleet().dir().join("hosts");
    let mut known = std::fs::OpenOptions::new().append(true).open(names).unwrap();
    known
        .write_all(format!("{own} both.fleet.test\n{second} both.fleet.test\n").as_bytes())
        .unwrap();
    let at = |more: &str| {
        Task::of(&NGINX, "gen2").seen_at(&format!("endpoint: 'both.fleet.test:443'{more}"))
    };

    let ran = host.apply(&at(", addresses: all").attempts(5), "rolled_back");
    assert!(ran.stdout.contains(second), "{ran}");
    host.expect(&NGINX, "gen1");
    // The control: its own address alone is right.
    let ran = host.apply(
        &Task::of(&NGINX, "gen2").seen_at("endpoint: '{{ ansible_host }}:443', consecutive: 3"),
        "changed",
    );
    assert!(ran.stdout.contains("3 answers in a row"), "{ran}");
    host.sh(&format!("ip addr del {second}/16 dev eth0"));
}

#[test]
fn the_operators_checks_run_on_the_controller_and_on_the_host() {
    let Some(host) = host(&[&NGINX]) else { return };
    let before = host.state(&NGINX);
    let checks = |on_host: &str| {
        format!(
            "checks: [{{command: [sh, -c, 'test -d \"$HOME/.ssh\"'], on: controller}}, \
             {{shell: '[ \"$(hostname)\" = {on_host} ] && curl -sk https://127.0.0.1 | grep -q .', on: host}}]"
        )
    };

    let ran = host.apply(&Task::of(&NGINX, "gen2").with(&checks("elsewhere")), "rolled_back");
    assert_eq!(step(&ran, &host), "checks", "{ran}");
    assert!(ran.stdout.contains("on the host"), "{ran}");
    assert_eq!(host.state(&NGINX), before);
    host.expect(&NGINX, "gen1");

    host.apply(&Task::of(&NGINX, "gen2").with(&checks(host.name)), "changed");
    host.expect(&NGINX, "gen2");
}

#[test]
fn checks_that_hang_flood_or_leave_a_process_behind_are_bounded_and_roll_back() {
    let Some(host) = host(&[&NGINX]) else { return };
    let before = host.state(&NGINX);
    let mark = format!("{}.25", 7000 + std::process::id() % 1000);
    let hang = format!("sleep {mark} & sleep {mark}; echo never");
    let flood = "yes 'line after line' | head -c 50000000; printf '\\033[31mlast words\\n'; exit 3";
    for place in ["controller", "host"] {
        for (shell, limit, words) in
            [(hang.as_str(), "2s", "timed out"), (flood, "60s", "exited with code 3")]
        {
            let check = serde_json::json!([{"shell": shell, "on": place, "timeout": limit}]);
            let task = Task::of(&NGINX, "gen2").with(&format!("checks: {check}"));
            let ran = host.apply(&task, "rolled_back");
            assert_eq!(step(&ran, &host), "checks", "{place}: {ran}");
            assert!(ran.stdout.contains(words), "{place} {words}: {ran}");
            assert!(ran.stdout.contains(&format!("on the {place}")), "{ran}");
            assert!(ran.stdout.len() < 60_000, "{} bytes", ran.stdout.len());
            if shell == flood {
                assert!(ran.stdout.contains("last words"), "{place}: {ran}");
                assert!(!ran.stdout.contains("u001b"), "{place}: {ran}");
            }
            assert_eq!(host.state(&NGINX), before);
            host.expect(&NGINX, "gen1");
        }
        // The whole process group is gone.
        let left = format!("pgrep -fx 'sleep {mark}' || true");
        let found = match place {
            "host" => host.sh(&left),
            _ => {
                let found = host.fleet().controller("sh", &["-c", &left]).output().unwrap();
                String::from_utf8(found.stdout).unwrap()
            }
        };
        assert_eq!(found, "", "{place}");
    }
    // What stays behind without holding anything up is the operator's.
    let quiet = serde_json::json!([{"shell": "sleep 321 >/dev/null 2>&1 & exit 0", "on": "host"}]);
    let begun = std::time::Instant::now();
    host.apply(&Task::of(&NGINX, "gen2").with(&format!("checks: {quiet}")), "changed");
    assert!(begun.elapsed().as_secs() < 300);
    host.sh("pkill -fx 'sleep 321' || true");
}

#[test]
fn a_service_that_is_gone_for_some_seconds_is_waited_for() {
    let Some(host) = host(&[&NGINX]) else { return };
    let slow = "reload: {shell: 'nginx -s quit; while pgrep -x nginx >/dev/null; do sleep 0.05; done; (sleep 8; nginx) >/dev/null 2>&1 &'}";
    let at = "verify: {endpoint: '{{ ansible_host }}:443', server_name: www.fleet.test, attempts: 60, backoff: 1s, max_backoff: 1s}";
    let ran = host.apply(&Task::of(&NGINX, "gen2").with(slow).with(at), "changed");
    let events = ran.events();
    let tries: Vec<_> = events.iter().filter(|event| event["event"] == "verify_attempt").collect();
    assert!(tries.len() >= 2, "{ran}");
    for (index, attempt) in tries.iter().enumerate() {
        assert_eq!(
            (attempt["attempt"].as_u64(), attempt["attempts"].as_u64()),
            (Some(index as u64 + 1), Some(60))
        );
    }
    assert!(tries[0]["detail"].as_str().unwrap().starts_with("connection refused"), "{ran}");
    host.expect(&NGINX, "gen2");
}

#[test]
fn the_chain_must_lead_to_the_roots_that_are_named() {
    let Some(host) = host(&[&NGINX]) else { return };
    let pki = host.fleet().dir().join("pki");
    let at = |trust: &str| {
        Task::of(&NGINX, "gen2")
            .seen_at(&format!("endpoint: '{{{{ ansible_host }}}}:443', trust: {trust}"))
    };
    let stranger = crate::common::pki::Authority::new("Stranger");
    std::fs::write(host.file("stranger.pem"), &stranger.root_pem).unwrap();
    for trust in ["stranger.pem", "system"] {
        let ran = host.apply(&at(trust), "rolled_back");
        assert!(ran.stdout.contains("is served, but it leads to no trusted root"), "{ran}");
        host.expect(&NGINX, "gen1");
    }
    let root = pki.join("ca.crt");
    host.apply(&at(root.to_str().unwrap()), "changed");
    // A file that holds no roots is found before anything is connected to.
    std::fs::write(host.file("empty.pem"), "nothing").unwrap();
    let ran = host.run("apply", &[at("empty.pem")], &[]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("empty.pem: no certificates in PEM form"), "{ran}");
}

/// A good change must not be rolled back because nobody here can look at it.
#[test]
fn a_server_that_no_handshake_can_judge_is_left_alone_and_told_why() {
    let Some(host) = host(&[&NGINX]) else { return };
    host.sh("sed -i 's/listen 443 ssl.*/&\\n ssl_protocols TLSv1.2; ssl_ciphers AES256-GCM-SHA384;/' /etc/nginx/sites-enabled/fleet.conf
         nginx -s quit; while pgrep -x nginx; do sleep 0.05; done; nginx");
    host.give(&NGINX, "gen3-rsa");
    let before = host.state(&NGINX);
    let ran = host.apply(&Task::of(&NGINX, "gen2"), "failed");
    assert_eq!(step(&ran, &host), "verify", "{ran}");
    assert!(ran.stdout.contains("TLS 1.2 with RSA key exchange alone"), "{ran}");
    assert_eq!(host.state(&NGINX), before);
    host.sh("nginx -s quit; while pgrep -x nginx; do sleep 0.05; done; cp -a /root/kept/nginx/. /etc/nginx/; nginx");
}

#[test]
fn a_default_virtual_host_is_named_in_the_plan() {
    let Some(host) = host(&[&NGINX]) else { return };
    host.give(&NGINX, "wrong-name");
    let task =
        Task::at(&NGINX, "gen2", "cert: /etc/nginx/certs/new.pem, key: /etc/nginx/certs/new.key");
    let plan = host.run("plan", &[task], &[]);
    let told = "answers to www.fleet.test with a certificate for elsewhere.example";
    assert!(plan.stdout.contains(told), "{plan}");
}

#[test]
fn without_an_endpoint_the_places_that_serve_it_count() {
    let usual = |service: &Service| {
        Task::of(service, "gen2").with(
            "verify: {server_name: www.fleet.test, attempts: 60, backoff: 200ms, max_backoff: 1s}",
        )
    };
    // Postfix listens on 25 and 465, not on 587; Dovecot on all of its ports.
    for (service, places) in [(&POSTFIX, ":25, "), (&DOVECOT, ":993, ")] {
        let Some(host) = host(&[service]) else { return };
        let ran = host.apply(&usual(service), "changed");
        assert!(
            ran.stdout.contains(places) || ran.stdout.contains("new certificates served on"),
            "{ran}"
        );
        assert!(!ran.stdout.contains(":587 "), "{ran}");
        host.expect(service, "gen2");
    }
}
