//! A balancer in front of two members: what it shows is not what a host serves.

use crate::common::daemon::Daemon;
use crate::common::fleet::S_CLIENT;
use crate::rollout::site::{Site, Task, site};
use std::fs;

const BALANCER: &str = "127.0.0.1:4443";

/// HAProxy on the controller, in front of h001 and h002: it leads to the first as long as that lives, to this
/// one alone when `only` says so.
fn balancer(site: &Site, only: &str) -> Daemon {
    let inventory = fs::read_to_string(site.inventory()).unwrap();
    let address = |host: &str| {
        let line = inventory.lines().find(|line| line.starts_with(host)).unwrap();
        let found = line.split_whitespace().find_map(|word| word.strip_prefix("ansible_host="));
        found.unwrap_or_else(|| panic!("no address of {host}: {line}")).to_owned()
    };
    let other = if only == "h001" { "h002" } else { "h001" };
    let configuration = format!(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
         listen members\n  bind {BALANCER}\n  server one {}:443\n  server two {}:443 backup\n",
        address(only),
        address(other)
    );
    let file = site.file("haproxy.cfg");
    fs::write(&file, configuration).unwrap();
    let command = site.fleet.controller("haproxy", &["-db", "-f", file.to_str().unwrap()]);
    let mut daemon = Daemon::start("balancer", command, &site.file("."));
    daemon.wait_until(|| {
        let look = format!("{S_CLIENT} -connect {BALANCER}");
        let looked = site.fleet.controller("sh", &["-c", &look]).output().unwrap();
        String::from_utf8_lossy(&looked.stdout).contains("BEGIN CERTIFICATE")
    });
    daemon
}

fn only(site: &Site, play: &str, verb: &str) -> crate::common::fleet::Ran {
    site.run(verb, play, &["-l", "h001"])
}

#[test]
fn a_member_behind_a_balancer_is_proven_by_itself() {
    let Some(site) = site() else { return };
    if !crate::common::have(&["haproxy"]) {
        return;
    }
    site.fleet.fleet(&["put", "h002", "nginx", "gen2"]);
    site.fleet.fleet(&["reload", "h002", "nginx"]);
    site.fleet.expect("h002", "nginx", "gen2");
    let _balancer = balancer(&site, "h002");
    let through = Task::nginx("gen2").seen_at(BALANCER);
    let play = site.play(std::slice::from_ref(&through));

    // The balancer shows the new certificate before anything was done: the host itself does not.
    let apply = only(&site, &play, "apply");
    assert_eq!((apply.code, apply.outcome("h001").as_str()), (0, "changed"), "{apply}");
    let looked_there = apply.events().iter().any(|event| {
        event["event"] == "verify_attempt"
            && event["endpoint"].to_string().contains("127.0.0.1:443")
    });
    assert!(looked_there && !apply.stdout.contains("NOT PROVEN"), "{apply}");
    site.fleet.expect("h001", "nginx", "gen2");
    let again = only(&site, &play, "apply");
    assert_eq!(again.outcome("h001"), "unchanged", "{again}");

    // A wrong `dest`: nobody reads these files, and the balancer would have said all is well.
    site.fleet.fleet(&["put", "h001", "nginx", "gen1"]);
    site.fleet.fleet(&["reload", "h001", "nginx"]);
    site.fleet.expect("h001", "nginx", "gen1");
    let wrong = play.replace("/etc/nginx/tls/", "/etc/nginx/elsewhere/");
    let wrong = wrong.replace("attempts: 60", "attempts: 5");
    let apply = only(&site, &wrong, "apply");
    assert_eq!((apply.code, apply.outcome("h001").as_str()), (2, "rolled_back"), "{apply}");
    assert_eq!(site.fleet.sh("h001", "ls /etc/nginx/elsewhere 2>/dev/null || true").trim(), "");

    // Drift: the files are right, and the host serves the old one behind the balancer.
    site.fleet.fleet(&["put", "h001", "nginx", "gen2"]);
    let plan = only(&site, &play, "plan");
    assert!(plan.stdout.contains("reload_only"), "{plan}");
    let apply = only(&site, &play, "apply");
    assert_eq!(apply.outcome("h001"), "changed", "{apply}");
    site.fleet.expect("h001", "nginx", "gen2");
    proven_by_its_workers(&site, &play);
}

/// The balancer shows the new certificate already, and the host's service is nowhere to be looked at: its workers have to
/// be newer than the change.
fn proven_by_its_workers(site: &Site, play: &str) {
    const MOVE: &str = "sed -i 's/443/9443/' /etc/nginx/sites-enabled/fleet.conf; nginx -s reload";
    site.fleet.fleet(&["put", "h001", "nginx", "gen1"]);
    site.fleet.sh("h001", MOVE);
    let required = play.replace("attempts: 60", "attempts: 60\n          proof: required");

    let idle = required.replace("verify:", "reload: [/bin/true]\n        verify:");
    let idle = idle.replace("attempts: 60", "attempts: 2");
    let apply = only(site, &idle, "apply");
    assert_eq!((apply.code, apply.outcome("h001").as_str()), (2, "rolled_back"), "{apply}");
    assert!(apply.stdout.contains("its workers do not prove it: 0 of "), "{apply}");
    let elsewhere = required.replace("/etc/nginx/tls/", "/etc/nginx/elsewhere/");
    let apply = only(site, &elsewhere, "apply");
    assert_eq!((apply.code, apply.outcome("h001").as_str()), (2, "failed"), "{apply}");
    assert!(apply.stdout.contains("no handshake could prove the change"), "{apply}");
    let apply = only(site, &idle.replace("required", "auto"), "apply");
    assert_eq!((apply.code, apply.outcome("h001").as_str()), (0, "changed"), "{apply}");
    assert!(apply.stdout.contains("NOT PROVEN"), "{apply}");

    site.fleet.fleet(&["put", "h001", "nginx", "gen1"]);
    let plan = only(site, &required, "plan");
    assert!(plan.stdout.contains("nginx has to have new workers after it"), "{plan}");
    let apply = only(site, &required, "apply");
    assert_eq!((apply.code, apply.outcome("h001").as_str()), (0, "changed"), "{apply}");
    assert!(apply.stdout.contains(" newer than the change"), "{apply}");
    assert!(!apply.stdout.contains("NOT PROVEN"), "{apply}");
    site.fleet
        .sh("h001", "sed -i 's/9443/443/' /etc/nginx/sites-enabled/fleet.conf; nginx -s reload");
    site.fleet.expect("h001", "nginx", "gen2");
}

#[test]
fn what_nothing_can_prove_is_called_so() {
    let Some(site) = site() else { return };
    if !crate::common::have(&["haproxy"]) {
        return;
    }
    site.fleet.fleet(&["put", "h002", "nginx", "gen2"]);
    site.fleet.fleet(&["reload", "h002", "nginx"]);
    site.fleet.expect("h002", "nginx", "gen2");
    let _balancer = balancer(&site, "h002");
    // Files that no service here reads, and a host that serves nothing.
    site.fleet.sh("h001", "nginx -s stop; rm -rf /srv/tls");
    let task = Task::nginx("gen2").seen_at(BALANCER).with("reload: none").with("validate: false");
    let play = site.play(&[task]).replace("service: nginx", "service: files");
    let play = play.replace("/etc/nginx/tls/", "/srv/tls/");

    let required = play.replace("attempts: 60", "attempts: 5\n          proof: required");
    let apply = only(&site, &required, "apply");
    assert_eq!((apply.code, apply.outcome("h001").as_str()), (2, "failed"), "{apply}");
    assert_eq!(apply.summary()["hosts"]["h001"]["step"], "verify", "{apply}");
    assert!(apply.stdout.contains("no handshake could prove the change"), "{apply}");
    assert_eq!(site.fleet.sh("h001", "ls /srv/tls 2>/dev/null || true").trim(), "");

    let plan = only(&site, &play, "plan");
    assert!(plan.stdout.contains("not proven by a handshake: 127.0.0.1:4443"), "{plan}");
    let apply = only(&site, &play, "apply");
    assert_eq!((apply.code, apply.outcome("h001").as_str()), (0, "changed"), "{apply}");
    let end = apply.events().into_iter().find(|event| event["event"] == "task_end").unwrap();
    assert!(end["message"].to_string().contains("changed, not proven"), "{apply}");
    site.fleet.sh("h001", "rm -rf /srv/tls; nginx");
}
