//! Material that passes every check but the service's own loading: a certificate that is signed with SHA-1, which
//! OpenSSL's usual security level refuses. `apachectl configtest` accepts it, `graceful` answers 0, and the server ends.

use crate::services_rollout::service::{
    APACHE, CADDY, DOVECOT, ENVOY, HAPROXY, NGINX, POSTFIX, Service,
};
use crate::services_rollout::site::{Host, Task, host, step};
use std::sync::Once;

const WEAK: &str = "weak";
/// BoringSSL takes SHA-1, and not this key; certroll cannot look at it either.
const SHORT: &str = "short-key";

fn make_weak(host: &Host) {
    static MADE: Once = Once::new();
    MADE.call_once(|| {
        host.fleet().fleet(&["issue", WEAK, "--kind", "sha1"]);
        host.fleet().fleet(&["issue", SHORT, "--kind", "rsa1024"]);
    });
}

#[test]
fn apache_dies_of_it_and_is_started_again_on_its_old_files() {
    let Some(host) = host(&[&APACHE]) else { return };
    make_weak(&host);
    let before = host.state(&APACHE);
    let running = || host.sh("cat /run/apache2/apache2.pid");
    // `apache2ctl graceful` starts a server that is down, if it is down already when the files are back: on
    // a slow machine it may have to be revived all the same. systemd's reload starts none, nor does a signal.
    let signal = "reload: {shell: 'kill -USR1 $(cat /run/apache2/apache2.pid)'}";
    let weak = || Task::of(&APACHE, WEAK).attempts(8);
    for (task, revived) in [(weak(), false), (weak().with(signal), true)] {
        let pid = running();

        let ran = host.apply(&task, "rolled_back");

        // The control: it really ended.
        assert_ne!(running(), pid, "{ran}");
        let told = ran.stdout.contains("apache had died and was started again");
        assert!(told || !revived, "{ran}");
        assert_eq!(step(&ran, &host), "verify", "{ran}");
        assert_eq!(host.state(&APACHE), before);
        host.expect(&APACHE, "gen1");
    }
    host.apply(&Task::of(&APACHE, "gen2"), "changed");
    host.expect(&APACHE, "gen2");
}

/// Nothing live changed, and the step that says no is the validation.
fn refused_before(host: &Host, service: &Service, task: &Task) {
    let before = (host.state(service), host.sh(service.reloads));
    let ran = host.apply(task, "failed");
    assert_eq!(step(&ran, host), "validate", "{ran}");
    assert_eq!((host.state(service), host.sh(service.reloads)), before);
    host.expect(service, "gen1");
}

#[test]
fn a_sealed_boot_finds_it_before_anything_changes() {
    for service in [&APACHE, &POSTFIX, &DOVECOT] {
        let Some(host) = host(&[service]) else { return };
        make_weak(&host);
        let boot = |generation| Task::of(service, generation).with("validate: boot");

        // Postfix takes it: what clients offer decides there.
        if service.name != "postfix" {
            refused_before(&host, service, &boot(WEAK));
        }

        let ran = host.apply(&boot("gen2"), "changed");
        assert!(ran.stdout.contains("ok by a sealed boot"), "{ran}");
        host.expect(service, "gen2");
    }
}

#[test]
fn services_whose_check_loads_the_pair_find_it_before_anything_changes() {
    for service in [&NGINX, &HAPROXY, &ENVOY] {
        let Some(host) = host(&[service]) else { return };
        make_weak(&host);
        let task = match service.name {
            "envoy" => Task::of(service, SHORT).with("verify: false"),
            _ => Task::of(service, WEAK),
        };
        refused_before(&host, service, &task);
    }
}

#[test]
fn a_key_that_caddy_cannot_read_is_found_before_anything_changes() {
    let Some(host) = host(&[&CADDY]) else { return };
    let task = Task::of(&CADDY, "gen2").with("key_owner: root").with("key_group: root");
    refused_before(&host, &CADDY, &task);
}

#[test]
fn a_key_that_the_host_keeps_must_belong_to_the_new_leaf() {
    let Some(host) = host(&[&NGINX]) else { return };
    let before = host.state(&NGINX);
    let files = |generation| {
        format!(
            "        source: {{cert: PKI/{generation}/fullchain.pem}}\n        \
             dest: {{cert: {}, key: {}}}\n",
            NGINX.cert,
            NGINX.key.unwrap()
        )
    };
    // nginx -t would accept the RSA leaf beside the EC key and then serve nothing.
    for generation in ["gen2", "gen3-rsa"] {
        let ran = host.apply(&Task::of(&NGINX, generation).files(&files(generation)), "failed");
        assert!(ran.stdout.contains("does not belong to the new certificate"), "{ran}");
        assert_eq!(host.state(&NGINX), before);
    }
    let ran = host.run("plan", &[Task::of(&NGINX, "gen1").files(&files("gen1"))], &["--exit-code"]);
    assert_eq!(ran.code, 0, "{ran}");
}

#[test]
fn bad_material_stops_every_service_before_any_connection() {
    let Some(host) = host(&[]) else { return };
    let connections = || host.sh("grep -c 'Connection from' /var/log/sshd.log || true");
    let before = connections();
    for service in [&HAPROXY, &APACHE, &ENVOY, &DOVECOT] {
        for generation in [
            "mismatched",
            "rsa-leaf-ec-key",
            "garbage",
            "truncated",
            "expired",
            "not-yet-valid",
            "encrypted-key",
            "not-there",
        ] {
            let ran = host.run("apply", &[Task::of(service, generation)], &[]);
            assert_eq!(ran.code, 1, "{} {generation}: {ran}", service.name);
        }
    }
    assert_eq!(connections(), before);
}
