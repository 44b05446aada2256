//! What holds for every service alike.

use crate::common::fleet::S_CLIENT;
use crate::services_rollout::service::{
    APACHE, CADDY, DOVECOT, ENVOY, HAPROXY, HITCH, LIGHTTPD, NGINX, POSTFIX, POSTFIX_CHAIN,
    Service, TRAEFIK,
};
use crate::services_rollout::site::{Host, Task, host, step};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// The certificates in a service's files, and the public half of the key as openssl reads it there.
fn read_back(host: &Host, service: &Service) -> (Vec<String>, String) {
    let key = service.key.unwrap_or(service.cert);
    let certificates = blocks(&host.sh(&format!("cat {}", service.cert)));
    (certificates, host.sh(&format!("openssl pkey -in {key} -pubout")))
}

/// The same of a generation.
fn given(host: &Host, generation: &str) -> (Vec<String>, String) {
    let chain = std::fs::read_to_string(host.fleet().pki(generation, "fullchain.pem")).unwrap();
    let key = host.fleet().pki(generation, "privkey.pem").display().to_string();
    let mut public = host.fleet().controller("openssl", &["pkey", "-in", &key, "-pubout"]);
    (blocks(&chain), String::from_utf8(public.output().unwrap().stdout).unwrap())
}

/// The certificates that the service sends, in order.
fn sent(host: &Host, service: &Service) -> Vec<String> {
    let address = host.address();
    let mut arguments = vec![
        "s_client",
        "-showcerts",
        "-servername",
        crate::services_rollout::site::NAME,
        "-connect",
    ];
    let place = format!("{address}:{}", service.port);
    arguments.push(&place);
    if service.starttls != "none" {
        arguments.extend(["-starttls", service.starttls]);
    }
    let output = host.fleet().controller("openssl", &arguments).output().unwrap();
    blocks(&String::from_utf8_lossy(&output.stdout))
}

fn blocks(pem: &str) -> Vec<String> {
    let end = "-----END CERTIFICATE-----";
    pem.split_inclusive(end)
        .filter_map(|piece| Some(piece[piece.find("-----BEGIN CERTIFICATE-----")?..].to_owned()))
        .collect()
}

/// Plan, apply, a second apply; other key types; what was sent and what lies there.
pub fn renewed(host: &Host, service: &Service) {
    let before = host.state_with_times(service);
    let task = Task::of(service, "gen2");

    let plan = host.run("plan", std::slice::from_ref(&task), &["--exit-code"]);
    assert_eq!(plan.code, 3, "{plan}");
    assert_eq!(host.state_with_times(service), before);
    host.expect(service, "gen1");
    // Files that the configuration names give no reason for a warning.
    assert!(!plan.stdout.contains("not named"), "{plan}");

    host.apply(&task, "changed");
    host.expect(service, "gen2");
    assert_eq!(read_back(host, service), given(host, "gen2"));
    let fullchain = std::fs::read_to_string(host.fleet().pki("gen2", "fullchain.pem")).unwrap();
    assert_eq!(sent(host, service), blocks(&fullchain));

    let state = host.state_with_times(service);
    let reloaded = host.sh(service.reloads);
    host.apply(&task, "unchanged");
    assert_eq!(host.state_with_times(service), state);
    assert_eq!(host.sh(service.reloads), reloaded);
    refuses_a_bad_pair(host, service, "gen2");
    assert_eq!(host.sh(service.reloads), reloaded);

    for generation in ["gen3-rsa", "gen4-p384"] {
        let task = Task::of(service, generation);
        // What it serves now has another kind of key, and is seen all the same.
        let plan = host.run("plan", std::slice::from_ref(&task), &[]);
        assert!(!plan.stdout.contains("served nothing"), "{plan}");
        host.apply(&task, "changed");
        host.expect(service, generation);
        assert_eq!(read_back(host, service), given(host, generation));
    }
    // The control of the comparison above.
    assert_ne!(host.sh(service.reloads), reloaded);
}

/// A key that is not the certificate's, the controller's as well as the one that the host keeps, is told before anything
/// changes; `served` stays.
pub fn refuses_a_bad_pair(host: &Host, service: &Service, served: &str) {
    let state = host.state_with_times(service);
    for key in ["gen1", "keep"] {
        let ran = host.run("apply", &[Task::of(service, "gen4-p384").with_key(key)], &[]);
        assert_ne!(ran.code, 0, "{key}: {ran}");
        assert!(ran.to_string().contains("belong"), "{key}: {ran}");
        assert_eq!(host.state_with_times(service), state, "{key}: {ran}");
        host.expect(service, served);
    }
}

/// A handshake that shows another certificate, a check of the operator's that fails.
pub fn rolled_back(host: &Host, service: &Service) {
    let before = host.state(service);
    // Nothing serves this generation there, and the hosts beside this one are other tests'.
    let elsewhere = Elsewhere::serves(host, "gen1");
    let lost = Task::of(service, "gen4-p384")
        .seen_at(&format!("endpoint: '127.0.0.1:{}', starttls: none, timeout: 3s", elsewhere.port))
        .attempts(8);
    let refused =
        Task::of(service, "gen3-rsa").with("checks: [{command: ['false'], on: controller}]");

    for (task, at) in [(lost, "verify"), (refused, "checks")] {
        let ran = host.apply(&task, "rolled_back");
        assert_eq!(step(&ran, host), at, "{ran}");
        assert_eq!(host.state(service), before, "{at}");
        host.expect(service, "gen1");
    }
}

/// A server of openssl's beside the controller, with a port of its own. Ends when it is dropped.
struct Elsewhere {
    server: Child,
    port: u16,
}

impl Elsewhere {
    fn serves(host: &Host, generation: &str) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(44_330);
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        let pki = |file| host.fleet().pki(generation, file).display().to_string();
        let (chain, key, accept) =
            (pki("fullchain.pem"), pki("privkey.pem"), format!("127.0.0.1:{port}"));
        let words = ["s_server", "-www", "-accept", &accept, "-cert_chain", &chain];
        let words = [&words[..], &["-cert", &chain, "-key", &key]].concat();
        let mut command = host.fleet().controller("openssl", &words);
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = quiet.spawn().unwrap();
        let look = format!("echo | {S_CLIENT} -connect {accept} >/dev/null 2>&1");
        let begun = Instant::now();
        while !host.fleet().controller("sh", &["-c", &look]).status().unwrap().success() {
            assert!(begun.elapsed() < Duration::from_secs(60), "openssl s_server does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        Self { server, port }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The profile's own places, owners and modes on a host that has no such directory yet.
fn first_time(service: &Service, usual: [&str; 2]) {
    let Some(host) = host(&[service]) else { return };
    let Service { directory, cert, .. } = service;
    let key = service.key.unwrap_or("no such key");
    let names = format!(
        "find {directory} -type f -exec sed -i 's#{cert}#{}#; s#{key}#{}#' {{}} +",
        usual[0], usual[1]
    );
    host.sh(&format!("rm -f {}", usual.join(" ")));
    // Envoy takes up new names at once, and only if they are there.
    let by_itself = service.name == "envoy";
    if !by_itself {
        host.sh(&names);
    }
    let task = Task::at(service, "gen2", "");
    let task = if by_itself { task.with("verify: false") } else { task };

    let ran = host.apply(&task, "changed");

    if by_itself {
        host.sh(&names);
    }
    host.expect(service, "gen2");
    for (file, attributes) in usual.iter().zip(service.fresh) {
        if !file.is_empty() {
            let found = host.sh(&format!("stat -c '%U:%G %a' {file}"));
            assert_eq!(found.trim(), attributes, "{file}: {ran}");
        }
    }
    // Back to where the next test looks.
    for file in usual.iter().filter(|file| !file.is_empty()) {
        host.sh(&format!("rm {file}"));
    }
}

/// New files whose service was never told.
pub fn drifted(host: &Host, service: &Service) {
    host.apply(&Task::of(service, "gen2"), "changed");
    // The process holds gen1, the files are gen2.
    host.give(service, "gen1");
    host.fleet().fleet(&["put", host.name, service.name, "gen2"]);
    host.expect(service, "gen1");
    let files = host.state(service);

    let plan = host.run("plan", &[Task::of(service, "gen2")], &["--exit-code"]);
    assert_eq!(plan.code, 3, "{plan}");
    assert!(plan.stdout.contains("drift"), "{plan}");
    host.apply(&Task::of(service, "gen2"), "changed");
    host.expect(service, "gen2");
    assert_eq!(host.state(service), files);
}

/// A configuration that is broken before anything changes.
fn broken_before(service: &Service) {
    let Some(host) = host(&[service]) else { return };
    host.sh(service.broken.unwrap());
    let before = host.state(service);

    let plan = host.run("plan", &[Task::of(service, "gen2")], &[]);
    assert_eq!(plan.code, 2, "{plan}");
    assert_eq!(step(&plan, &host), "validate", "{plan}");
    assert!(plan.stdout.contains("on the untouched host"), "{plan}");
    let apply = host.apply(&Task::of(service, "gen2"), "failed");
    assert_eq!(step(&apply, &host), "validate", "{apply}");
    // It is said whose fault that is, as in the plan.
    assert!(apply.stdout.contains("on the untouched host"), "{apply}");
    assert_eq!(host.state(service), before);
}

macro_rules! services {
    ($($module:ident: $service:expr, $usual:expr;)*) => {$(
        mod $module {
            use super::*;
            #[test]
            fn is_renewed_and_then_left_alone() {
                let Some(host) = host(&[&$service]) else { return };
                renewed(&host, &$service);
            }
            #[test]
            fn goes_back_to_exactly_what_was_there() {
                let Some(host) = host(&[&$service]) else { return };
                rolled_back(&host, &$service);
            }
            #[test]
            fn gets_its_files_where_there_were_none() {
                first_time(&$service, $usual);
            }
        }
    )*};
}

services! {
    nginx: NGINX, ["/etc/nginx/certs/cert.pem", "/etc/nginx/certs/key.pem"];
    apache: APACHE, ["/etc/ssl/certs/site.pem", "/etc/ssl/private/site.key"];
    haproxy: HAPROXY, ["/etc/haproxy/certs/site.pem", ""];
    caddy: CADDY, ["/etc/caddy/certs/cert.pem", "/etc/caddy/certs/key.pem"];
    traefik: TRAEFIK, ["/etc/traefik/certs/cert.pem", "/etc/traefik/certs/key.pem"];
    envoy: ENVOY, ["/etc/envoy/certs/cert.pem", "/etc/envoy/certs/key.pem"];
    postfix: POSTFIX, ["/etc/postfix/tls/cert.pem", "/etc/postfix/tls/key.pem"];
    postfix_chain: POSTFIX_CHAIN, ["/etc/postfix/tls/chain.pem", ""];
    dovecot: DOVECOT, ["/etc/dovecot/certs/cert.pem", "/etc/dovecot/certs/key.pem"];
    hitch: HITCH, ["/etc/hitch/tls/site.pem", ""];
    lighttpd: LIGHTTPD, ["/etc/lighttpd/tls/cert.pem", "/etc/lighttpd/tls/key.pem"];
}

#[test]
fn what_a_service_does_not_serve_yet_is_seen_and_reloaded() {
    for service in [&APACHE, &HAPROXY, &CADDY, &DOVECOT] {
        let Some(host) = host(&[service]) else { return };
        drifted(&host, service);
    }
}

#[test]
fn a_configuration_that_was_broken_before_stops_the_plan() {
    for service in [&NGINX, &APACHE, &HAPROXY, &CADDY, &POSTFIX, &DOVECOT, &HITCH, &LIGHTTPD] {
        broken_before(service);
    }
}
