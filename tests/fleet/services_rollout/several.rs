//! Several services for one pair, many certificates in one service, several tasks in one play: one
//! transaction each, all or none.

use crate::common::fleet::S_CLIENT;
use crate::services_rollout::service::{APACHE, DOVECOT, HAPROXY, NGINX, POSTFIX, Service};
use crate::services_rollout::site::{Host, Task, host, step};
use std::fmt::Write;
use std::time::{Duration, Instant};

const PAIR: &str = "cert: /etc/ssl/mail/cert.pem, key: /etc/ssl/mail/key.pem";
const PLACES: &str = "endpoint: ['{{ ansible_host }}:25', '{{ ansible_host }}:465', '{{ ansible_host }}:993', \
     '{{ ansible_host }}:143']";

/// Postfix and Dovecot read the same pair, which is `gen1`.
fn mail(host: &Host) -> Task {
    host.sh(
        "mkdir -p /etc/ssl/mail && cd /etc/ssl/mail && rm -rf .certroll
         cp /etc/postfix/tls/fullchain.pem cert.pem && (umask 077; cp /etc/postfix/tls/privkey.pem key.pem)
         postconf -e smtpd_tls_cert_file=/etc/ssl/mail/cert.pem smtpd_tls_key_file=/etc/ssl/mail/key.pem
         sed -i 's#/etc/dovecot/tls/fullchain#/etc/ssl/mail/cert#; s#/etc/dovecot/tls/privkey#/etc/ssl/mail/key#' \
             /etc/dovecot/dovecot.conf
         postfix reload; doveadm reload",
    );
    expect(host, "gen1");
    Task::at(&POSTFIX, "gen2", PAIR).services("[postfix, dovecot]").seen_at(PLACES)
}

fn expect(host: &Host, generation: &str) {
    for place in ["postfix:25", "postfix:465", "dovecot:993", "dovecot:143"] {
        host.fleet().expect(host.name, place, generation);
    }
}

#[test]
fn postfix_and_dovecot_share_a_pair_that_changes_once() {
    let Some(host) = host(&[&POSTFIX, &DOVECOT]) else { return };
    let task = mail(&host);
    let reloads = |service: &Service| host.sh(service.reloads).trim().parse::<u32>().unwrap();
    let before = (reloads(&POSTFIX), reloads(&DOVECOT));

    host.apply(&task, "changed");

    expect(&host, "gen2");
    assert_eq!((reloads(&POSTFIX), reloads(&DOVECOT)), (before.0 + 1, before.1 + 1));
    host.apply(&task, "unchanged");
    assert_eq!((reloads(&POSTFIX), reloads(&DOVECOT)), (before.0 + 1, before.1 + 1));
}

#[test]
fn when_one_of_two_services_fails_both_go_back() {
    let Some(host) = host(&[&POSTFIX, &DOVECOT]) else { return };
    let task = mail(&host);
    let state = || host.fleet().snapshot(host.name, &["/etc/ssl/mail"]);
    let before = state();
    // What Dovecot would need is not there.
    let missing = task.with("checks: [{command: [doveadm, no-such-command], on: host}]");

    let ran = host.apply(&missing, "rolled_back");

    assert_eq!(step(&ran, &host), "checks", "{ran}");
    assert_eq!(state(), before);
    expect(&host, "gen1");
}

#[test]
fn tasks_of_one_play_are_done_in_order_and_a_failure_ends_the_host() {
    let Some(host) = host(&[&NGINX, &HAPROXY, &APACHE]) else { return };
    let failing = Task::of(&HAPROXY, "gen2").with("reload: [/bin/false]");
    let play = [Task::of(&NGINX, "gen2"), failing, Task::of(&APACHE, "gen2")];

    let ran = host.run("apply", &play, &[]);

    assert_eq!((ran.code, ran.outcome(host.name)), (2, "rolled_back".to_owned()), "{ran}");
    host.expect(&NGINX, "gen2");
    host.expect(&HAPROXY, "gen1");
    host.expect(&APACHE, "gen1");
}

/// Certificates `v0` … for `v0.fleet.test` …, each with an older one, and nginx that serves the old ones.
pub(crate) struct Many {
    directory: std::path::PathBuf,
    count: usize,
}

impl Many {
    pub(crate) fn new(host: &Host, count: usize) -> Self {
        let directory = host.file("many");
        std::fs::create_dir(&directory).unwrap();
        let authority = crate::common::pki::Authority::new("Many");
        for index in 0..count {
            let name = format!("v{index}.fleet.test");
            for age in ["old", "new"] {
                let pair = authority.leaf(&[&name]);
                let write = |what: &str, text: String| {
                    std::fs::write(directory.join(format!("{age}{index}.{what}")), text).unwrap();
                };
                write("pem", format!("{}{}", pair.pem, pair.intermediate_pem));
                write("key", pair.key_pem.clone());
            }
        }
        let mut sites = String::new();
        for index in 0..count {
            writeln!(
                sites,
                "server {{ listen 443 ssl; server_name v{index}.fleet.test; \
                 ssl_certificate /etc/nginx/certs/v{index}.pem; \
                 ssl_certificate_key /etc/nginx/certs/v{index}.key; }}"
            )
            .unwrap();
        }
        let root = host.fleet().root(host.name);
        std::fs::create_dir(root.join("etc/nginx/certs")).unwrap();
        for index in 0..count {
            for what in ["pem", "key"] {
                let to = root.join(format!("etc/nginx/certs/v{index}.{what}"));
                std::fs::copy(directory.join(format!("old{index}.{what}")), to).unwrap();
            }
        }
        std::fs::write(root.join("etc/nginx/sites-enabled/broken-by-none-many.conf"), sites)
            .unwrap();
        host.sh("nginx -s reload");
        Self { directory, count }
    }

    pub(crate) fn task(&self) -> Task {
        let mut files = "        certificates:\n".to_owned();
        for index in 0..self.count {
            writeln!(
                files,
                "          - source: {{cert: {0}/new{index}.pem, key: {0}/new{index}.key}}\n            \
                 dest: {{cert: /etc/nginx/certs/v{index}.pem, key: /etc/nginx/certs/v{index}.key}}",
                self.directory.display()
            )
            .unwrap();
        }
        Task::of(&NGINX, "gen2")
            .files(&files)
            .with("verify: {endpoint: '{{ ansible_host }}:443', attempts: 60, max_backoff: 1s}")
    }

    /// Whether a sample of them serves the certificate of that age.
    pub(crate) fn served(&self, host: &Host, age: &str) -> bool {
        let address = host.address();
        let last = self.count - 1;
        [0, 1, self.count / 4, self.count / 2, last - 1, last].iter().all(|index| {
            let script = format!(
                "{S_CLIENT} -connect {address}:443 -servername v{index}.fleet.test </dev/null 2>/dev/null \
                 | openssl x509 | cmp -s - <(openssl x509 -in {}/{age}{index}.pem)",
                self.directory.display()
            );
            let mut command = host.fleet().controller("bash", &["-c", &script]);
            command.status().unwrap().success()
        })
    }

    /// Waits until they serve the certificates of that age.
    pub(crate) fn expect(&self, host: &Host, age: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while !self.served(host, age) {
            assert!(Instant::now() < end, "{age} is not served");
        }
    }
}

#[test]
fn three_hundred_certificates_change_together_over_one_connection_with_one_reload() {
    const COUNT: usize = 300;
    let Some(host) = host(&[&NGINX]) else { return };
    let many = Many::new(&host, COUNT);
    many.expect(&host, "old");
    let state = || host.fleet().snapshot(host.name, &["/etc/nginx/certs"]);
    let before = state();
    let log = |what: &str| -> usize {
        host.sh(&format!("grep -c '{what}' /var/log/sshd.log || true")).trim().parse().unwrap()
    };
    let reloads = || host.sh("cat /root/reloads");
    let reload = "reload: {shell: 'echo again >>/root/reloads; nginx -s reload'}";
    host.sh(": >/root/reloads");

    // The last one of the operator's checks says no: all of them go back.
    let refused = many.task().with(reload).with("checks: [{command: ['false']}]");
    let ran = host.apply(&refused, "rolled_back");
    assert_eq!(state(), before, "{ran}");
    assert!(many.served(&host, "old"));

    // There and back.
    assert_eq!(reloads(), "again\nagain\n");
    let (connections, begun) = (log("Accepted publickey"), Instant::now());
    host.apply(&many.task().with(reload), "changed");
    let took = begun.elapsed();

    assert!(many.served(&host, "new"));
    assert_eq!(log("Accepted publickey"), connections + 1);
    assert_eq!(reloads(), "again\nagain\nagain\n");
    let keys = host.sh("stat -c '%a %U:%G' /etc/nginx/certs/*.key | sort | uniq -c");
    assert_eq!(keys.trim(), format!("{COUNT} 640 root:root"));
    let ran = host.apply(&many.task(), "unchanged");
    assert!(ran.stderr.len() < 10_000, "{ran}");
    println!("{COUNT} certificates in {took:?}");
}
