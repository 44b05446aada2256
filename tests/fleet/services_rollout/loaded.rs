//! What a service says that it has loaded, as the proof of a change that no handshake can prove: another machine shows the
//! new certificate already, and the service listens where nobody would look.

use crate::common::daemon::Daemon;
use crate::common::fleet::S_CLIENT;
use crate::services_rollout::service::{ENVOY, HAPROXY_RUNTIME, Service};
use crate::services_rollout::site::{Host, Hosts, Task, step};

/// No other service here listens on a port that the host would be asked on.
static HOSTS: Hosts = Hosts::new(&["haproxy", "envoy"], &[]);

/// Serves a generation at a place on the controller.
fn other_machine(host: &Host, place: &str, generation: &str) -> Daemon {
    let file = |name| host.fleet().pki(generation, name).display().to_string();
    let (cert, key) = (file("fullchain.pem"), file("privkey.pem"));
    let serve = ["s_server", "-accept", place, "-cert", &cert, "-key", &key, "-www"];
    let mut daemon =
        Daemon::start("other", host.fleet().controller("openssl", &serve), &host.file("."));
    daemon.wait_until(|| {
        let look = format!("{S_CLIENT} -connect {place}");
        let look = host.fleet().controller("sh", &["-c", &look]).output();
        String::from_utf8_lossy(&look.unwrap().stdout).contains("BEGIN CERTIFICATE")
    });
    daemon
}

/// `idle`: nothing that HAProxy or Envoy would load.
fn proven_by_what_is_loaded(service: &Service, place: &str, idle: impl Fn(Task) -> Task) {
    let Some(host) = HOSTS.host(&[service]) else { return };
    let _other = other_machine(&host, place, "gen2");
    let seen_there = format!("endpoint: '{place}', proof: required");
    let task = Task::of(service, "gen2").seen_at(&seen_there);

    let plan = host.run("plan", std::slice::from_ref(&task), &[]);
    assert!(plan.stdout.contains("has to say after it that it has loaded"), "{plan}");
    let before = host.state(service);
    let ran = host.apply(&idle(task.clone().attempts(2)), "rolled_back");
    assert_eq!(step(&ran, &host), "verify", "{ran}");
    assert!(ran.stdout.contains("what it has loaded does not prove it"), "{ran}");
    assert_eq!(host.state(service), before);
    host.expect(service, "gen1");

    let ran = host.apply(&task, "changed");
    assert!(ran.stdout.contains("says that it has loaded the new certificate"), "{ran}");
    assert!(!ran.stdout.contains("NOT PROVEN"), "{ran}");
    host.expect(service, "gen2");
}

#[test]
fn of_haproxy_by_its_runtime_api() {
    let idle = |task: Task| task.with("reload: [/bin/true]");
    proven_by_what_is_loaded(&HAPROXY_RUNTIME, "127.0.0.1:14443", idle);
}

#[test]
fn of_envoy_by_its_admin_interface() {
    // Files that no secret of its names.
    let elsewhere = |_| {
        let dest = "cert: /etc/envoy/certs/cert.pem, key: /etc/envoy/certs/key.pem";
        let seen_there = "endpoint: '127.0.0.1:14444', proof: required";
        Task::at(&ENVOY, "gen2", dest).seen_at(seen_there).attempts(2)
    };
    proven_by_what_is_loaded(&ENVOY, "127.0.0.1:14444", elsewhere);
}
