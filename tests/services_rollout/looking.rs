//! Where and how a certificate is looked at, and the operator's own checks.

use crate::service::{DOVECOT, NGINX, POSTFIX, Service};
use crate::site::{Task, host, step};
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
    let ran = host.apply(&at("controller"), "rolled_back");
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

    let ran = host.apply(&at(", addresses: all"), "rolled_back");
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
fn without_an_endpoint_the_places_that_serve_it_count() {
    let usual = |service: &Service| {
        Task::of(service, "gen2")
            .with("verify: {server_name: www.fleet.test, attempts: 8, backoff: 200ms}")
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
