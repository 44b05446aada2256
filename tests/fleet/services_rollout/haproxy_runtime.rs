//! HAProxy through its runtime API: no new worker, no connection ended, and a file that says the same.

use crate::services_rollout::main_job::{drifted, renewed, rolled_back};
use crate::services_rollout::service::{HAPROXY, HAPROXY_RUNTIME, Service};
use crate::services_rollout::site::{Host, Task, host, step};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

#[test]
fn is_renewed_and_then_left_alone() {
    let Some(host) = host(&[&HAPROXY_RUNTIME]) else { return };
    renewed(&host, &HAPROXY_RUNTIME);
}

#[test]
fn goes_back_to_exactly_what_was_there() {
    let Some(host) = host(&[&HAPROXY_RUNTIME]) else { return };
    rolled_back(&host, &HAPROXY_RUNTIME);
}

#[test]
fn what_it_does_not_serve_yet_is_seen_and_committed() {
    let Some(host) = host(&[&HAPROXY_RUNTIME]) else { return };
    drifted(&host, &HAPROXY_RUNTIME);
}

/// Asks again and again over one connection, until it is told to stop, when it asks once more, or is not answered.
const KEPT: &str = r"
import http.client, select, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
connection = http.client.HTTPSConnection(sys.argv[1], 8443, context=context, timeout=10)
connection.connect()
socket = connection.sock
def ask():
    try:
        connection.request('GET', '/')
        answer = connection.getresponse()
        answer.read()
        return answer.status if connection.sock is socket else 'connected anew'
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
answer = ask()
print(answer, flush=True)
while answer == 200 and not select.select([sys.stdin], [], [], 0.2)[0]:
    answer = ask()
if answer == 200:
    answer = ask()
print(answer, flush=True)
";

struct Connection(Child, BufReader<std::process::ChildStdout>);

impl Connection {
    fn open(host: &Host) -> Self {
        let mut command = host.fleet().controller("python3", &["-c", KEPT, &host.address()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        assert_eq!(line(&mut lines), "200");
        Self(child, lines)
    }

    fn last_answer(mut self) -> String {
        // It may have ended by itself.
        self.0.stdin.take().unwrap().write_all(b"\n").ok();
        let said = line(&mut self.1);
        self.0.wait().unwrap();
        said
    }
}

fn line(lines: &mut impl BufRead) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

fn workers(host: &Host) -> String {
    host.sh(HAPROXY.reloads)
}

/// A worker ends in its own time once another has taken its place, and with it what was connected to it.
fn wait_for_the_end_of(worker: &str, host: &Host) {
    host.sh(&format!(
        "for i in $(seq 600); do [ -d /proc/{} ] || exit 0; sleep 0.1; done; exit 1",
        worker.trim()
    ));
}

/// The answer when somebody wants to abort what is open.
fn nothing_is_open(host: &Host) {
    let told = host
        .sh("echo 'abort ssl cert /etc/haproxy/tls/site.pem' | socat - /run/haproxy/admin.sock");
    assert!(told.contains("No ongoing transaction"), "{told}");
}

#[test]
fn connections_are_kept_and_no_worker_is_started() {
    let Some(host) = host(&[&HAPROXY_RUNTIME]) else { return };
    let (before, connection) = (workers(&host), Connection::open(&host));
    for generation in ["gen2", "gen3-rsa"] {
        host.apply(&Task::of(&HAPROXY_RUNTIME, generation), "changed");
        host.expect(&HAPROXY_RUNTIME, generation);
    }
    let refused = Task::of(&HAPROXY_RUNTIME, "gen4-p384").with("checks: [{command: ['false']}]");
    host.apply(&refused, "rolled_back");
    host.expect(&HAPROXY_RUNTIME, "gen3-rsa");
    assert_eq!(workers(&host), before);
    assert_eq!(connection.last_answer(), "200");
    // The file is what the next worker loads.
    host.sh("kill -USR2 $(cat /run/haproxy.pid)");
    wait_for_the_end_of(&before, &host);
    host.expect(&HAPROXY_RUNTIME, "gen3-rsa");

    // The control: the ordinary way starts a worker and ends idle connections.
    let (before, connection) = (workers(&host), Connection::open(&host));
    host.apply(&Task::of(&HAPROXY, "gen2"), "changed");
    assert_ne!(workers(&host), before);
    host.expect(&HAPROXY, "gen2");
    wait_for_the_end_of(&before, &host);
    assert_ne!(connection.last_answer(), "200");
}

#[test]
fn what_the_api_refuses_ends_with_the_old_certificate_and_no_open_transaction() {
    let Some(host) = host(&[&HAPROXY_RUNTIME]) else { return };
    if !host.fleet().pki("weak", "fullchain.pem").exists() {
        host.fleet().fleet(&["issue", "weak", "--kind", "sha1"]);
    }
    let (before, running) = (host.state(&HAPROXY_RUNTIME), workers(&host));
    let weak = Task::of(&HAPROXY_RUNTIME, "weak");

    // HAProxy's own check finds it before anything is live; without that, the API does.
    let ran = host.apply(&weak, "failed");
    assert_eq!(step(&ran, &host), "validate", "{ran}");
    let ran = host.apply(&weak.with("validate: none"), "rolled_back");
    assert_eq!(step(&ran, &host), "reload", "{ran}");
    assert!(ran.stdout.contains("/etc/haproxy/tls/site.pem: "), "{ran}");
    host.expect(&HAPROXY_RUNTIME, "gen1");
    assert_eq!((host.state(&HAPROXY_RUNTIME), workers(&host)), (before.clone(), running.clone()));
    nothing_is_open(&host);

    // Somebody else is at it, with another certificate.
    let other = "cp /etc/haproxy/tls/site.pem /root/other.pem
        say() { socat -t 9 - /run/haproxy/admin.sock; }";
    host.sh(&format!(
        "{other}; echo 'new ssl cert /root/other.pem' | say
         {{ echo 'set ssl cert /root/other.pem <<'; cat /root/other.pem; echo; }} | say"
    ));
    let ran = host.apply(&Task::of(&HAPROXY_RUNTIME, "gen2"), "rolled_back");
    assert_eq!(step(&ran, &host), "reload", "{ran}");
    host.expect(&HAPROXY_RUNTIME, "gen1");
    assert_eq!(host.state(&HAPROXY_RUNTIME), before);
    // It is still theirs to end.
    let told = host.sh(&format!("{other}; echo 'abort ssl cert /root/other.pem' | say"));
    assert!(told.contains("aborted"), "{told}");
    host.apply(&Task::of(&HAPROXY_RUNTIME, "gen2"), "changed");
    assert_eq!(workers(&host), running);
}

#[test]
fn what_it_needs_is_told_before_the_change() {
    let Some(host) = host(&[&HAPROXY_RUNTIME]) else { return };
    std::fs::create_dir(host.file("services")).unwrap();
    let own = "extends: haproxy-runtime\nsettings: {socket: /run/haproxy/none.sock}\n";
    std::fs::write(host.file("services/elsewhere.yml"), own).unwrap();
    let elsewhere = Service { profile: "elsewhere", ..HAPROXY_RUNTIME };
    let stopped = |service: &Service, words: &str| {
        let plan = host.run("plan", &[Task::of(service, "gen2")], &[]);
        assert_eq!((plan.code, step(&plan, &host).as_str()), (2, "validate"), "{plan}");
        assert!(plan.stdout.contains(words), "{words}: {plan}");
    };

    stopped(&elsewhere, "HAProxy does not answer");
    host.sh("mv /usr/bin/socat /usr/bin/socat.away");
    stopped(&HAPROXY_RUNTIME, "socat is not installed");
    host.sh("mv /usr/bin/socat.away /usr/bin/socat");
    host.sh("sed -i 's/level admin/level operator/' /etc/haproxy/haproxy.cfg; kill -USR2 $(cat /run/haproxy.pid)
         until echo 'show cli level' | socat - /run/haproxy/admin.sock | grep operator; do sleep 0.1; done");
    stopped(&HAPROXY_RUNTIME, "not of level admin");
    host.sh("sed -i 's/level operator/level admin/' /etc/haproxy/haproxy.cfg; kill -USR2 $(cat /run/haproxy.pid)
         until echo 'show cli level' | socat - /run/haproxy/admin.sock | grep admin; do sleep 0.1; done");
    // The control.
    host.apply(&Task::of(&HAPROXY_RUNTIME, "gen2"), "changed");
}

#[test]
fn several_certificates_are_all_committed() {
    let Some(host) = host(&[&HAPROXY_RUNTIME]) else { return };
    if !host.fleet().pki("api", "fullchain.pem").exists() {
        host.fleet().fleet(&["issue", "api", "--san", "DNS:api.fleet.test"]);
    }
    host.sh(
        "cp -p /etc/haproxy/tls/site.pem /etc/haproxy/tls/api.pem
         sed -i 's#crt /etc/haproxy/tls/site.pem#& crt /etc/haproxy/tls/api.pem#' /etc/haproxy/haproxy.cfg
         kill -USR2 $(cat /run/haproxy.pid)
         until echo 'show ssl cert' | socat - /run/haproxy/admin.sock | grep -q tls/api.pem; do sleep 0.1; done",
    );
    let before = workers(&host);
    let pair = |generation: &str, file: &str| {
        format!(
            "          - {{source: {{cert: PKI/{generation}/fullchain.pem, key: PKI/{generation}/privkey.pem}}, \
             dest: {{cert: /etc/haproxy/tls/{file}}}}}\n"
        )
    };
    let both =
        format!("        certificates:\n{}{}", pair("gen2", "site.pem"), pair("api", "api.pem"));
    let task = Task::of(&HAPROXY_RUNTIME, "gen2").files(&both);
    let loaded = |file: &str| {
        host.sh(&format!(
            "echo 'show ssl cert /etc/haproxy/tls/{file}' | socat - /run/haproxy/admin.sock | grep 'Alternative Name'"
        ))
    };

    host.apply(&task, "changed");

    host.expect(&HAPROXY_RUNTIME, "gen2");
    assert!(loaded("site.pem").contains("www.fleet.test"));
    assert!(loaded("api.pem").contains("api.fleet.test"));
    assert_eq!(workers(&host), before);
    host.apply(&task, "unchanged");
}
