//! Services that read their files without being told: one hundred rollouts in a row, while somebody
//! makes handshakes all the time.

use crate::services_rollout::service::{ENVOY, Service, TRAEFIK};
use crate::services_rollout::site::{Host, Task, host};
use std::io::Write;
use std::process::{Child, Stdio};

/// Makes handshakes until its input ends, then prints how many there were, and each leaf or failure
/// that was not one of the wanted.
const HANDSHAKES: &str = r"
import hashlib, select, socket, ssl, sys, time
address, port, wanted = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
count, odd = {}, []
while not select.select([sys.stdin], [], [], 0.003)[0]:
    try:
        with socket.create_connection((address, port), 5) as plain:
            with context.wrap_socket(plain, server_hostname='www.fleet.test') as tls:
                leaf = hashlib.sha256(tls.getpeercert(True)).hexdigest()
    except OSError as error:
        leaf = repr(error)
    count[leaf] = count.get(leaf, 0) + 1
    if leaf not in wanted:
        odd.append(leaf)
print(*(count.get(leaf, 0) for leaf in wanted), len(odd), *odd[:3])
";

struct Watch(Child);

impl Watch {
    fn start(host: &Host, service: &Service) -> Self {
        let address = host.address();
        let port = service.port.to_string();
        let leaves = ["gen1", "gen2"].map(|generation| host.fleet().leaf(generation));
        let arguments = ["-c", HANDSHAKES, &address, &port, &leaves[0], &leaves[1]];
        let mut command = host.fleet().controller("python3", &arguments);
        Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }

    /// Handshakes with each of the two, others, and what those were.
    fn end(mut self) -> String {
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        let output = self.0.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

/// One hundred rollouts in one run: gen2, gen1, gen2, …
fn hundred(host: &Host, service: &Service) {
    let watch = Watch::start(host, service);
    let play = host.play(&[Task::of(service, "{{ item }}")]) + "      loop: \"{{ all }}\"\n";
    let play =
        play.replace("  tasks:", "  vars:\n    all: \"{{ ['gen2', 'gen1'] * 50 }}\"\n  tasks:");
    let ran = host.run_play("apply", &play, &[]);
    let seen = watch.end();

    assert_eq!(ran.outcome(host.name), "changed", "{ran}");
    let counts: Vec<u32> = seen.split(' ').take(3).map(|n| n.trim().parse().unwrap()).collect();
    let [old, new, odd] = counts[..] else { panic!("{seen}") };
    assert!(old > 50 && new > 50, "{seen}");
    assert_eq!(odd, 0, "{seen}");
    host.expect(service, "gen1");
    let commits = ran
        .events()
        .iter()
        .filter(|event| event["event"] == "step_end" && event["step"] == "confirm")
        .count();
    assert_eq!(commits, 100, "{ran}");
}

#[test]
fn envoy_never_sees_half_a_pair() {
    let Some(host) = host(&[&ENVOY]) else { return };
    let failures = || {
        let statistics = host.sh("curl -s '127.0.0.1:9901/stats?filter=key_rotation_failed'");
        (statistics, host.sh("grep -c 'Failed to' /var/log/envoy.log || true"))
    };
    let before = failures();
    hundred(&host, &ENVOY);
    assert_eq!(failures(), before);
}

/// As Kubernetes lays out what it mounts: Envoy watches the directory of the links and sees no rename behind them.
#[test]
fn envoy_behind_links_is_left_alone_and_traefik_is_not() {
    let linked = "mkdir -p DIR/..v1 && cp -p DIR/fullchain.pem DIR/privkey.pem DIR/..v1/ &&
        ln -sfn ..v1 DIR/..data && ln -sf ..data/fullchain.pem ..data/privkey.pem DIR/";
    for service in [&ENVOY, &TRAEFIK] {
        let Some(host) = host(&[service]) else { return };
        host.sh(&linked.replace("DIR", &format!("{}/tls", service.directory)));
        let before = host.state(service);
        let task = Task::of(service, "gen2");
        if service.name == "envoy" {
            let ran = host.apply(&task, "failed");
            assert!(ran.stdout.contains("watches the link's directory"), "{ran}");
            assert_eq!(host.state(service), before);
        } else {
            host.apply(&task, "changed");
            host.expect(service, "gen2");
        }
        host.sh(&format!(
            "cd {}/tls && rm -rf fullchain.pem privkey.pem ..data ..v1",
            service.directory
        ));
    }
}

#[test]
fn traefik_never_sees_half_a_pair() {
    let Some(host) = host(&[&TRAEFIK]) else { return };
    // One hundred rollouts with the usual two seconds between two looks would take too long here.
    host.sh("kill $(pgrep -x traefik); while pgrep -x traefik; do sleep 0.1; done
         sed -i 's/^providers:/&\\n  providersThrottleDuration: 50ms/' /etc/traefik/traefik.yml
         sh /opt/fleet/services/traefik/start");
    host.expect(&TRAEFIK, "gen1");
    let errors = || host.sh("grep -c ERR /var/log/traefik.log || true");
    let before = errors();
    hundred(&host, &TRAEFIK);
    assert_eq!(errors(), before);
}
