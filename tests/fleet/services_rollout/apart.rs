//! The services that no shared host runs (`apart` in their `service.json`), each by its profile alone: many of them on
//! one host and in one run, a task for each.

use crate::common::fleet::{Fleet, Ran};
use crate::common::skip;
use crate::services_rollout::site::NAME;
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// In every run: light, and none that Debian keeps off this machine because of another.
const EVERY_RUN: &[&str] = &[
    "bind",
    "coturn",
    "dnsdist",
    "h2o",
    "mariadb",
    "memcached",
    "nghttpx",
    "ngircd",
    "node-exporter",
    "nsd",
    "postgresql",
    "prosody",
    "redis",
    "slapd",
    "squid",
    "stunnel",
    "unbound",
    "vsftpd",
];
/// When asked for: installed into the hosts of a fleet of their own, which is slow.
const WHEN_ASKED: [&[&str]; 4] = [
    &[
        "cockpit",
        "cups",
        "cyrus",
        "ejabberd",
        "etcd",
        "exim",
        "freeradius",
        "icinga2",
        "influxdb",
        "inspircd",
        "kamailio",
        "kresd",
        "mumble",
        "nats",
        "proftpd",
        "rabbitmq",
        "rsyslog",
        "znc",
    ],
    &["pure-ftpd", "syslog-ng"],
    &["sendmail"],
    &["389-ds"],
];

fn description(service: &str) -> Value {
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/services");
    let text = fs::read_to_string(services.join(service).join("service.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A fleet of one host, and where certroll runs.
struct Site {
    fleet: Fleet,
    services: Vec<&'static str>,
    directory: tempfile::TempDir,
}

impl Site {
    fn up(services: &[&'static str], options: &[&str]) -> Option<Self> {
        let fleet = Fleet::up_with(1, services, options)?;
        Some(Self { fleet, services: services.to_vec(), directory: tempfile::tempdir().unwrap() })
    }

    /// One task for each service, with nothing of its own but name and port.
    fn run(&self, verb: &str, generation: &str, more: &str) -> Ran {
        self.run_with(verb, generation, more, &[])
    }

    fn run_with(&self, verb: &str, generation: &str, more: &str, arguments_too: &[&str]) -> Ran {
        self.run_from(verb, (generation, &key_of(generation)), more, arguments_too)
    }

    /// As [`Site::run_with`], with the key of another generation, or `keep`.
    fn run_from(
        &self,
        verb: &str,
        (generation, key): (&str, &str),
        more: &str,
        arguments_too: &[&str],
    ) -> Ran {
        let mut play = "- hosts: web\n  become: true\n  tasks:\n".to_owned();
        let pki = self.fleet.dir().join("pki");
        for service in &self.services {
            let facts = description(service);
            let ports = facts["ports"].clone();
            let (port, starttls) = ports.as_object().unwrap().iter().next().unwrap();
            let starttls = starttls.as_str().unwrap_or("none");
            // Where a profile has no usual place, and what a keystore is sealed with.
            let text = |key: &str| facts["dest"][key].as_str();
            let dest = match (text("password"), text("cert"), text("key")) {
                (Some(known), ..) => format!(
                    "      dest: {{password: \"{{{{ keystore_password | default('{known}') }}}}\"}}\n"
                ),
                (_, Some(cert), Some(key)) => format!("      dest: {{cert: {cert}, key: {key}}}\n"),
                _ => String::new(),
            };
            writeln!(
                play,
                "  - certificate:\n      service: {service}\n      source: {{cert: '{pki}/{generation}/fullchain.pem', key: '{key}'}}\n      \
                 verify: {{endpoint: '{{{{ ansible_host }}}}:{port}', starttls: {starttls}, server_name: {NAME}, attempts: 60, \
                 backoff: 100ms, max_backoff: 1s}}\n{dest}{more}",
                pki = pki.display(),
                key = if key == "keep" { "keep".to_owned() } else { pki.join(key).display().to_string() }
            )
            .unwrap();
        }
        fs::write(self.directory.path().join("play.yml"), play).unwrap();
        let inventory = self.fleet.dir().join("inventory.ini").display().to_string();
        let arguments = [verb, "play.yml", "-i", &inventory, "-o", "json"];
        let arguments = if verb == "plan" {
            [&arguments[..], &["--exit-code"]].concat()
        } else {
            [&arguments[..], arguments_too].concat()
        };
        self.fleet.run(self.directory.path(), &arguments)
    }

    fn expect(&self, generation: &str) {
        for service in &self.services {
            self.fleet.expect("h001", service, generation);
        }
    }

    /// Everything that lies where the certificates are.
    fn state(&self) -> String {
        self.fleet.snapshot("h001", &[])
    }

    /// The same without what a renewal changes.
    fn attributes(&self) -> Vec<String> {
        let first = |line: &str| line.split(' ').take(4).collect::<Vec<_>>().join(" ");
        self.state().lines().map(first).collect()
    }
}

fn key_of(generation: &str) -> String {
    format!("{generation}/privkey.pem")
}

/// A certificate and a key that do not belong together, whichever of the two is new, touch nothing.
fn bad_pairs_are_refused(site: &Site) {
    let before = site.state();
    let mut pairs = vec![("gen3-rsa", "gen2/privkey.pem"), ("gen4-p384", "gen1/privkey.pem")];
    // A keystore holds both, and only the controller writes one, so its key cannot stay.
    let keystore = |name: &&'static str| description(name)["tls"]["layout"] == "pkcs12";
    if !site.services.iter().any(keystore) {
        pairs.push(("gen4-p384", "keep"));
    }
    for pair in pairs {
        let more = "    ignore_errors: true\n";
        let ran = site.run_from("apply", pair, more, &[]);
        let changed = ran.events().iter().any(|event| event["outcome"] == "changed");
        assert!(ran.code != 0 || pair.1 == "keep", "{pair:?}: {ran}");
        assert!(!changed, "{pair:?}: {ran}");
        assert_eq!(site.state(), before, "{pair:?}: {ran}");
        site.expect("gen2");
    }
}

fn rolled_out(site: &Site) {
    site.expect("gen1");
    let (before, attributes) = (site.state(), site.attributes());

    let plan = site.run("plan", "gen2", "");
    assert_eq!(plan.code, 3, "{plan}");
    assert_eq!(site.state(), before);
    assert!(!plan.stdout.contains("not named"), "{plan}");

    let ran = site.run("apply", "gen2", "");
    assert_eq!(ran.outcome("h001"), "changed", "{ran}");
    site.expect("gen2");
    // Kept generations lie in a directory of their own.
    let kept = |line: &String| !line.contains("/.certroll");
    assert_eq!(site.attributes().into_iter().filter(kept).collect::<Vec<_>>(), attributes);

    let after = site.state();
    let ran = site.run("apply", "gen2", "");
    assert_eq!(ran.outcome("h001"), "unchanged", "{ran}");
    assert_eq!(site.state(), after);

    bad_pairs_are_refused(site);

    // Served, and then a check of the operator's fails.
    let ran = site.run(
        "apply",
        "gen4-p384",
        "      checks: [{command: ['false']}]\n    ignore_errors: true\n",
    );
    let back = ran.events().iter().filter(|event| event["outcome"] == "rolled_back").count();
    assert_eq!(back, site.services.len(), "{ran}");
    assert!(!ran.stdout.contains("is not seen"), "{ran}");
    site.expect("gen2");
    assert_eq!(site.state(), after);
}

#[test]
fn each_is_renewed_left_alone_and_taken_back() {
    let there = Fleet::services(&[]);
    let (installed, missing): (Vec<&str>, Vec<&str>) =
        EVERY_RUN.iter().partition(|name| there.iter().any(|known| known == *name));
    if !missing.is_empty() {
        skip(&format!("not installed: {}", missing.join(", ")));
    }
    if let Some(site) = Site::up(&installed, &[]) {
        rolled_out(&site);
        one_for_all(&site);
    }
}

/// `playbooks/one-service.yml` as it is, on a host whose profile has its usual places and port.
fn one_for_all(site: &Site) {
    let name = "edge-01.example.net";
    site.fleet.fleet(&["issue", "new", "--san", &format!("DNS:{name}")]);
    let certs = site.directory.path().join("certs").join(name);
    fs::create_dir_all(&certs).unwrap();
    for file in ["fullchain.pem", "privkey.pem"] {
        fs::copy(site.fleet.pki("new", file), certs.join(file)).unwrap();
    }
    let hosts = fs::read_to_string(site.fleet.dir().join("inventory.ini")).unwrap();
    let hosts = hosts.replacen("[web]\nh001", &format!("[edge]\n{name}"), 1);
    fs::write(site.directory.path().join("hosts.ini"), hosts).unwrap();
    let playbook: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "playbooks/one-service.yml"].iter().collect();
    for service in site.services.iter().filter(|name| ["redis", "unbound"].contains(name)) {
        let arguments =
            ["apply", playbook.to_str().unwrap(), "-i", "hosts.ini", "-e", "certs_dir=certs"];
        let service_is = format!("service={service}");
        // Paths in a playbook are relative to it.
        let certs = format!("certs_dir={}", site.directory.path().join("certs").display());
        let ran = site.fleet.run(
            site.directory.path(),
            &[&arguments[..4], &["-e", &certs, "-e", &service_is]].concat(),
        );
        assert_eq!(ran.code, 0, "{service}: {ran}");
        site.fleet.expect("h001", service, &site.fleet.leaf("new"));
    }
}

fn installed_first(services: &[&'static str]) {
    if let Some(site) = Site::up(services, &["--install"]) {
        rolled_out(&site);
    }
}

#[test]
#[ignore = "tests/run.sh --services all"]
fn each_that_has_to_be_installed_first_as_well() {
    installed_first(WHEN_ASKED[0]);
}

#[test]
#[ignore = "tests/run.sh --services all"]
fn each_that_cannot_be_installed_beside_those() {
    installed_first(WHEN_ASKED[1]);
}

#[test]
#[ignore = "tests/run.sh --services all"]
fn sendmail_which_no_other_mail_server_may_be_beside() {
    installed_first(WHEN_ASKED[2]);
}

#[test]
#[ignore = "tests/run.sh --services all"]
fn the_389_directory_server() {
    installed_first(WHEN_ASKED[3]);
}

/// Java servers: the keystore is written on the controller, and a check opens it before anything is replaced. systemd runs
/// the host, for Tomcat's profile restarts the unit.
#[test]
#[ignore = "tests/run.sh --services all"]
fn a_keystore_is_renewed_and_a_wrong_password_is_told_before_the_commit() {
    for (service, check) in [("tomcat", "configtest"), ("jetty", "keytool")] {
        let Some(site) = Site::up(&[service], &["--install", "--init", "systemd"]) else { return };
        rolled_out(&site);
        let before = site.state();
        let wrong = ["-e", "keystore_password=not-the-one-of-server.xml"];
        let ran = site.run_with("apply", "gen1", "", &wrong);
        assert_eq!(ran.outcome("h001"), "failed", "{ran}");
        assert!(ran.stdout.contains(check), "{ran}");
        assert!(!ran.stdout.contains("not-the-one"), "the password is shown: {ran}");
        assert_eq!(site.state(), before);
        site.expect("gen2");
        // What the old one holds is asked of the host, which opens it with the password.
        let back = site.run_with("rollback", "gen2", "", &[]);
        assert_eq!(back.outcome("h001"), "changed", "{back}");
        assert!(!back.to_string().contains("changeit"), "the password is shown: {back}");
        site.expect("gen1");
    }
}

/// Debian 12 has neither Pound nor Valkey, a Knot without DNS over TLS, and an OpenSMTPD that finishes no handshake.
const LATER: [&str; 4] = ["knot", "opensmtpd", "pound", "valkey"];

#[test]
#[ignore = "tests/run.sh --services all"]
fn what_only_a_later_release_has_is_rolled_out_there() {
    if let Some(site) = Site::up(&LATER, &["--install", "--release", "trixie"]) {
        rolled_out(&site);
    }
}

/// No profile is forgotten: each is rolled out here or by the tests of its own, or is said not to be.
#[test]
fn every_service_apart_is_tried() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/services");
    let mut apart: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| description(name)["apart"] == true)
        .collect();
    apart.sort();
    // Without a profile, for no handshake from outside shows their certificate: measured alone.
    let left_out = ["openvpn", "strongswan"];
    let mut tried: Vec<&str> =
        [EVERY_RUN, &WHEN_ASKED.concat(), &LATER, &["tomcat", "jetty"], &left_out].concat();
    tried.sort_unstable();
    assert_eq!(apart, tried);
}
