//! Hosts that only a bastion reaches, and what is looked at from there and from the hosts themselves.

use crate::common::fleet::{Fleet, Fleets, Ran, S_CLIENT, Turn};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const HOSTS: [&str; 2] = ["i001", "i002"];

/// Two hosts that serve `gen1` behind a bastion, for one test at a time.
struct Site {
    fleet: Turn,
    directory: TempDir,
}

fn site() -> Option<Site> {
    static FLEETS: Fleets = Fleets::new(1, || Fleet::up_with(0, &["nginx"], &["--bastion", "2"]));
    let fleet = FLEETS.one()?;
    fleet.fleet(&["heal", "all"]);
    for host in HOSTS {
        listen_on(&fleet, host, "443");
    }
    fleet.reset("gen1");
    Some(Site { fleet, directory: tempfile::tempdir().unwrap() })
}

/// Restarts nginx on another address.
fn listen_on(fleet: &Fleet, host: &str, place: &str) {
    fleet.sh(
        host,
        &format!(
            "sed -i 's/listen .*/listen {place} ssl;/' /etc/nginx/sites-enabled/fleet.conf
             nginx -s quit; while pgrep -x nginx >/dev/null; do sleep 0.05; done; nginx"
        ),
    );
}

impl Site {
    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// nginx gets a generation and is looked at so.
    fn play(&self, generation: &str, verify: &str) {
        let source = |file| self.fleet.pki(generation, file).display().to_string();
        let (cert, key) = (source("fullchain.pem"), source("privkey.pem"));
        // Who is struck is not waited for; nobody else goes back because this machine is slow.
        let confirm = if verify == IN_VAIN { "20s" } else { "5m" };
        let play = format!(
            "- hosts: inner\n  become: true\n  tasks:\n    - certificate:\n        service: nginx\n        \
             source: {{cert: {cert}, key: {key}}}\n        \
             dest: {{cert: /etc/nginx/tls/fullchain.pem, key: /etc/nginx/tls/privkey.pem}}\n        \
             confirm_timeout: {confirm}\n        \
             verify: {{server_name: www.fleet.test, backoff: 200ms, max_backoff: 1s, timeout: 20s, {verify}}}\n"
        );
        fs::write(self.file("play.yml"), play).unwrap();
    }

    fn arguments<'a>(&self, verb: &'a str, inventory: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&[verb, "play.yml", "-i", inventory, "-o", "json"], more].concat()
    }

    fn inventory(&self) -> String {
        self.fleet.dir().join("inventory.ini").display().to_string()
    }

    fn run(&self, verb: &str, more: &[&str]) -> Ran {
        let inventory = self.inventory();
        self.fleet.run(self.directory.path(), &self.arguments(verb, &inventory, more))
    }

    fn apply(&self, generation: &str, verify: &str, more: &[&str]) -> Ran {
        self.play(generation, verify);
        self.run("apply", more)
    }

    /// Log-ins that the sshd of a host has seen.
    fn logins(&self, host: &str) -> usize {
        let count = self.fleet.sh(host, "grep -c 'Accepted publickey' /var/log/sshd.log || true");
        count.trim().parse().unwrap()
    }

    fn address(&self, host: &str) -> String {
        self.fleet.address(host)
    }

    /// Applies to `i001`, strikes when the first look has failed, and gives what was said.
    fn struck(&self, generation: &str, verify: &str, more: &[&str], strike: impl FnOnce()) -> Ran {
        self.play(generation, verify);
        let inventory = self.inventory();
        let arguments = self.arguments("apply", &inventory, &[&["-l", "i001"], more].concat());
        let mut child = self
            .fleet
            .certroll(&arguments)
            .current_dir(self.directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut stdout = String::new();
        while !stdout.contains("\"verify_attempt\"") {
            assert_ne!(reader.read_line(&mut stdout).unwrap(), 0, "{stdout}");
        }
        strike();
        reader.read_to_string(&mut stdout).unwrap();
        let output = child.wait_with_output().unwrap();
        Ran { stdout, ..Ran::from(output) }
    }

    /// Waits until the host has put everything away.
    fn settled(&self, host: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        let litter =
            "ls -A /var/lib/certroll /etc/nginx/tls | grep -E '^(j|undo|done)\\.|\\.new$' || true";
        while !self.fleet.sh(host, litter).is_empty() {
            assert!(Instant::now() < end, "{}", self.fleet.sh(host, litter));
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn both(outcome: &str) -> Vec<(String, String)> {
    HOSTS.iter().map(|host| ((*host).to_owned(), outcome.to_owned())).collect()
}

#[test]
fn hosts_behind_a_bastion_are_seen_from_there_over_its_one_connection() {
    let Some(site) = site() else { return };
    let at = "endpoint: '{{ ansible_host }}:443', via: bastion, attempts: 60";
    site.play("gen2", at);
    let plan = site.run("plan", &["--exit-code"]);
    assert_eq!(plan.code, 3, "{plan}");
    assert!(!plan.stdout.contains("served nothing"), "{plan}");
    let before = (site.logins("bastion"), site.logins("i001"));
    let ran = site.run("apply", &[]);
    assert_eq!(ran.outcomes(), both("changed"), "{ran}");
    site.fleet.expect("all", "nginx", "gen2");
    assert_eq!(
        (site.logins("bastion"), site.logins("i001")),
        (before.0 + 1, before.1 + 1),
        "{ran}"
    );
    assert_eq!(site.run("apply", &[]).outcomes(), both("unchanged"));
    assert_eq!(site.run("verify", &[]).code, 0);
    // Nothing but `via`: the usual port of the host's address, seen from the bastion.
    let ran = site.apply("gen1", "via: bastion, attempts: 60", &[]);
    assert_eq!(ran.outcomes(), both("changed"), "{ran}");
    // The control: from here that network shows nothing.
    let ran = site.apply("gen2", "endpoint: '{{ ansible_host }}:443', timeout: 1s", &[]);
    assert_eq!(ran.outcomes(), both("rolled_back"), "{ran}");
    site.fleet.expect("all", "nginx", "gen1");
}

#[test]
fn a_service_on_loopback_behind_a_bastion_is_seen_from_its_host() {
    let Some(site) = site() else { return };
    for host in HOSTS {
        listen_on(&site.fleet, host, "127.0.0.1:443");
    }
    let ran = site.apply("gen2", "endpoint: '{{ ansible_host }}:443', via: bastion", &[]);
    assert_eq!(ran.outcomes(), both("rolled_back"), "{ran}");
    assert!(ran.stdout.contains("bastion cannot connect to 198.19.0.2 port 443"), "{ran}");
    let ran = site.apply("gen2", "via: host, attempts: 60", &[]);
    assert_eq!(ran.outcomes(), both("changed"), "{ran}");
    assert!(ran.stdout.contains("127.0.0.1:443"), "{ran}");
    assert_eq!(site.run("verify", &[]).code, 0);
    let served = format!(
        "{S_CLIENT} -connect 127.0.0.1:443 -servername www.fleet.test </dev/null 2>/dev/null \
         | openssl x509 -noout -fingerprint -sha256 | tr -d : | tr A-F a-f"
    );
    for host in HOSTS {
        assert!(site.fleet.sh(host, &served).contains(&site.fleet.leaf("gen2")));
    }
}

#[test]
fn another_certificate_is_told_from_everywhere() {
    let Some(site) = site() else { return };
    site.fleet.fleet(&["put", "i002", "nginx", "gen4-p384"]);
    site.fleet.fleet(&["reload", "i002", "nginx"]);
    site.fleet.expect("i002", "nginx", "gen4-p384");
    let elsewhere = site.address("i002");
    for (via, generation) in [("bastion", "gen2"), ("host", "gen2"), ("bastion", "gen3-rsa")] {
        let verify = format!("endpoint: '{elsewhere}:443', via: {via}");
        let ran = site.apply(generation, &verify, &["-l", "i001"]);
        assert_eq!(ran.outcome("i001"), "rolled_back", "{ran}");
        let words = format!("certificate {} is still served", &site.fleet.leaf("gen4-p384")[..8]);
        assert!(ran.stdout.contains(&words), "{words}: {ran}");
        let kind = generation == "gen3-rsa";
        assert_eq!(ran.stdout.contains("none with an RSA key"), kind, "{ran}");
        site.fleet.expect("i001", "nginx", "gen1");
        site.play(generation, &verify);
        let ran = site.run("verify", &["-l", "i001"]);
        assert!(ran.stdout.contains("another certificate is served"), "{ran}");
        assert_eq!(ran.code, 2);
    }
}

#[test]
fn names_are_resolved_where_the_connection_starts() {
    let Some(site) = site() else { return };
    let (one, two) = (site.address("i001"), site.address("i002"));
    for host in ["bastion", "i001"] {
        site.fleet
            .sh(host, &format!("printf '{one} pool.inner\\n{two} pool.inner\\n' >>/etc/hosts"));
    }
    for via in ["bastion", "host"] {
        let at = format!("endpoint: 'pool.inner:443', via: {via}, addresses: all");
        // One of them goes on with the old certificate.
        let ran = site.apply("gen2", &at, &["-l", "i001"]);
        assert_eq!(ran.outcome("i001"), "rolled_back", "{ran}");
        let words = format!("{two}:443 as www.fleet.test: the old certificate");
        assert!(ran.stdout.contains(&words), "{words}: {ran}");
        site.fleet.expect("i001", "nginx", "gen1");
    }
    let at = "endpoint: 'pool.inner:443', via: bastion, addresses: all, attempts: 60";
    let ran = site.apply("gen2", at, &[]);
    assert_eq!(ran.outcomes(), both("changed"), "{ran}");
    // What one address of them shows is drift for all.
    site.fleet.fleet(&["put", "i002", "nginx", "gen1"]);
    site.fleet.fleet(&["reload", "i002", "nginx"]);
    site.fleet.expect("i002", "nginx", "gen1");
    let plan = site.run("plan", &["-l", "i001", "--exit-code"]);
    assert_eq!(plan.code, 3, "{plan}");
    assert!(
        plan.stdout.contains("drift: the files are right, but pool.inner:443 serves"),
        "{plan}"
    );
    // Here nobody knows that name.
    for (more, words) in [
        ("", "the name 'pool.inner' cannot be resolved"),
        (", addresses: all", "the name 'pool.inner' cannot be resolved"),
        (", addresses: all, via: host", "i002 has no address for it"),
    ] {
        let ran = site.apply("gen2", &format!("endpoint: 'pool.inner:443'{more}"), &["-l", "i002"]);
        assert_eq!(ran.outcome("i002"), "rolled_back", "{ran}");
        assert!(ran.stdout.contains(words), "{words}: {ran}");
        let tries = ran.events().iter().filter(|event| event["event"] == "verify_attempt").count();
        assert!(tries >= 3, "{tries} {ran}");
    }
    for host in ["bastion", "i001"] {
        site.fleet
            .sh(host, "grep -v pool.inner /etc/hosts >/tmp/hosts; cat /tmp/hosts >/etc/hosts");
    }
}

#[test]
fn a_bastion_that_forwards_nowhere_else_says_so() {
    let Some(site) = site() else { return };
    let (one, two) = (site.address("i001"), site.address("i002"));
    site.fleet.sh(
        "bastion",
        &format!(
            "cp /etc/ssh/sshd_config /root/kept; sed -i '1i PermitOpen {one}:22 {two}:22' /etc/ssh/sshd_config
             kill -HUP $(pgrep -o -x sshd)"
        ),
    );
    let ran = site.apply("gen2", "via: bastion", &[]);
    site.fleet.sh("bastion", "cat /root/kept >/etc/ssh/sshd_config; kill -HUP $(pgrep -o -x sshd)");
    assert_eq!(ran.outcomes(), both("rolled_back"), "{ran}");
    assert!(ran.stdout.contains("administratively prohibited"), "{ran}");
    assert!(ran.stdout.contains("see AllowTcpForwarding and PermitOpen there"), "{ran}");
    site.fleet.expect("all", "nginx", "gen1");
}

/// Looks at a port where nothing listens, from the host, for as long as it may.
const IN_VAIN: &str = "endpoint: '127.0.0.1:1', via: host, attempts: 500";

#[test]
fn a_bastion_that_goes_away_in_the_middle_of_verification_leaves_the_old_certificate() {
    let Some(site) = site() else { return };
    let before = site.fleet.snapshot("i001", &[]);
    let begun = Instant::now();
    let ran = site.struck("gen2", IN_VAIN, &[], || {
        site.fleet.sh("bastion", "pkill -KILL -f '^sshd.*: deploy'");
    });
    assert_eq!(ran.outcome("i001"), "unknown", "{ran}");
    assert!(ran.stdout.contains("the connection to the host was lost"), "{ran}");
    assert!(begun.elapsed() < Duration::from_secs(120), "{ran}");
    site.settled("i001");
    site.fleet.expect("i001", "nginx", "gen1");
    assert_eq!(site.fleet.snapshot("i001", &[]), before);
    let ran = site.apply("gen2", "via: host, attempts: 60", &["-l", "i001"]);
    assert_eq!(ran.outcome("i001"), "changed", "{ran}");
}

#[test]
fn packets_that_vanish_in_the_middle_of_verification_leave_the_old_certificate() {
    let Some(site) = site() else { return };
    let impatient = format!(
        "ansible_ssh_common_args=-F {}/ssh/config -o ServerAliveInterval=2 -o ServerAliveCountMax=4",
        site.fleet.dir().display()
    );
    let extra =
        serde_json::json!({ "ansible_ssh_common_args": impatient.split_once('=').unwrap().1 });
    let extra = extra.to_string();
    for cut in ["bastion", "i001"] {
        let before = site.fleet.snapshot("i001", &[]);
        let ran = site.struck("gen2", IN_VAIN, &["-e", &extra], || {
            site.fleet.fleet(&["cut", cut]);
        });
        assert_eq!(ran.outcome("i001"), "unknown", "{ran}");
        // The host goes back without anybody, before it can be reached again.
        site.settled("i001");
        assert_eq!(site.fleet.snapshot("i001", &[]), before);
        site.fleet.fleet(&["heal", cut]);
        site.fleet.expect("i001", "nginx", "gen1");
    }
    let ran = site.apply("gen2", "via: bastion, attempts: 60", &["-l", "i001"]);
    assert_eq!(ran.outcome("i001"), "changed", "{ran}");
    site.fleet.expect("i001", "nginx", "gen2");
}
