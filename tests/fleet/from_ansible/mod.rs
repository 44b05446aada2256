//! Ten deployments as Ansible users have them, each run by the real Ansible over SSH and then, with only the tasks of
//! the certificate replaced, by certroll: the same files, owners and modes, and the certificate served.
//!
//! `deployments/NAME/shared` is what both have, `ansible` and `certroll` what differs; `docs/from-ansible.md` shows that.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by it; a test has no callers"
)]

mod rules;

use crate::common::fleet::{Fleet, Fleets, Ran, S_CLIENT, Turn};
use crate::common::skip;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const HOSTS: [&str; 2] = ["h001", "h002"];

/// Where the deployments write.
const PLACES: &str = "/etc/nginx/ssl /etc/ssl/nginx /etc/postfix/ssl /etc/nginx/conf.d /etc/nginx/sites-enabled \
                      /etc/nginx/sites-available /etc/postfix/main.cf /var/tmp/balancer.log";

fn fleet() -> Option<Turn> {
    static FLEETS: Fleets = Fleets::new(2, || {
        let fleet = Fleet::up(HOSTS.len(), &["nginx", "postfix"])?;
        for host in HOSTS {
            let program = include_str!("../../common/zygote.py");
            fs::write(fleet.root(host).join("opt/fleet/zygote.py"), program).unwrap();
            fleet.sh(
                host,
                &format!(
                    "mkdir {MODULES} && python3 /opt/fleet/zygote.py {MODULES} >/dev/null 2>&1"
                ),
            );
        }
        Some(fleet)
    });
    FLEETS.one()
}

/// Where the hosts' Python is that Ansible's modules share, as far as they run as root.
const MODULES: &str = "/run/modules";

/// The real `ansible-playbook` and its sister, where they are installed.
fn program(name: &str) -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::iter::once(own).chain(std::env::split_paths(&path));
    let found = found.map(|place| place.join(name)).find(|program| program.exists());
    if found.is_none() {
        skip(&format!("not installed: {name}"));
    }
    found
}

fn copy(from: &Path, to: &Path) {
    if !from.exists() {
        return;
    }
    let from = format!("{}/.", from.display());
    let status = Command::new("cp").args(["-a", &from]).arg(to).status().unwrap();
    assert!(status.success());
}

/// The site of a deployment, for one of the programs.
fn site(fleet: &Fleet, name: &str, whose: &str) -> tempfile::TempDir {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fleet/from_ansible/deployments")
        .join(name);
    let site = tempfile::tempdir().unwrap();
    copy(&root.join("shared"), site.path());
    copy(&root.join(whose), site.path());
    let files = site.path().join("files");
    fs::create_dir_all(&files).unwrap();
    let (cert, key) = (fleet.pki("gen2", "fullchain.pem"), fleet.pki("gen2", "privkey.pem"));
    for pair in ["www", "api", "mail"] {
        fs::copy(&cert, files.join(format!("{pair}.pem"))).unwrap();
        fs::copy(&key, files.join(format!("{pair}.key"))).unwrap();
    }
    if name == "vault" {
        let indented = |path: &Path| {
            let text = fs::read_to_string(path).unwrap();
            text.lines().map(|line| format!("  {line}\n")).collect::<String>()
        };
        let text = format!("vault_cert: |\n{}vault_key: |\n{}", indented(&cert), indented(&key));
        let vars = site.path().join("group_vars/all");
        fs::create_dir_all(&vars).unwrap();
        fs::write(vars.join("vault.yml"), text).unwrap();
        fs::write(site.path().join("password"), "swordfish\n").unwrap();
        let sealed = Command::new(program("ansible-vault").unwrap())
            .args(["encrypt", "--vault-password-file", "password", "group_vars/all/vault.yml"])
            .env("HOME", site.path())
            .current_dir(site.path())
            .output()
            .unwrap();
        assert!(sealed.status.success(), "{sealed:?}");
    }
    site
}

/// The hosts as they were before any deployment.
fn clean(fleet: &Fleet) {
    for host in HOSTS {
        fleet.sh(
            host,
            "[ -e /root/main.cf ] || cp -p /etc/postfix/main.cf /root/main.cf
             cp -p /root/main.cf /etc/postfix/main.cf
             rm -rf /etc/nginx/ssl /etc/ssl/nginx /etc/postfix/ssl /etc/nginx/conf.d/* /etc/nginx/sites-enabled/www.conf \
               /etc/nginx/sites-available/www.conf /var/tmp/balancer.log /var/lib/certroll
             getent group tlsread >/dev/null && groupdel tlsread
             mkdir -p -m 700 /var/lib/ca; nginx -s reload; postfix reload 2>/dev/null",
        );
    }
    // What a client of a CA keeps on one host.
    let ca = fleet.root("h001").join("var/lib/ca");
    for (file, name) in [("fullchain.pem", "www.pem"), ("privkey.pem", "www.key")] {
        fs::copy(fleet.pki("gen2", file), ca.join(name)).unwrap();
    }
}

/// Every file with its kind, mode, owner, target and content; without the generations that certroll keeps.
fn files(fleet: &Fleet) -> Vec<String> {
    let find = format!("find {PLACES} -name '.certroll*' -prune -o");
    let look = format!(
        "{find} -printf '%p %M %u:%g %l\\n' 2>/dev/null | sort; {find} -type f -exec sha256sum {{}} + 2>/dev/null | sort"
    );
    HOSTS.iter().map(|host| fleet.sh(host, &look)).collect()
}

fn run(fleet: &Fleet, mut command: Command, site: &Path) -> Ran {
    command.current_dir(site).stdin(Stdio::null());
    fleet.run_to_end(command)
}

/// Modules start sooner.
fn spare(command: &mut Command) {
    command
        .env("ANSIBLE_PYTHON_INTERPRETER", format!("{MODULES}/python"))
        .env("ANSIBLE_PIPELINING", "true");
}

/// What was found out about a host is kept for the next deployment, which changes nothing of it.
fn keep_facts(command: &mut Command, fleet: &Fleet) {
    command
        .env("ANSIBLE_GATHERING", "smart")
        .env("ANSIBLE_CACHE_PLUGIN", "jsonfile")
        .env("ANSIBLE_CACHE_PLUGIN_CONNECTION", fleet.dir().join("facts"));
}

fn deployed(name: &str, ports: &[&str]) {
    let Some(ansible) = program("ansible-playbook") else { return };
    let Some(fleet) = fleet() else { return };
    let inventory = fleet.dir().join("inventory.ini").display().to_string();
    let mut arguments = vec!["-i", &inventory, "site.yml"];
    if name == "vault" {
        arguments.extend(["--vault-password-file", "password"]);
    }
    clean(&fleet);
    let theirs = site(&fleet, name, "ansible");
    let mut command = fleet.controller(&ansible, &arguments);
    spare(&mut command);
    // That one is about facts.
    if name != "per-os" {
        keep_facts(&mut command, &fleet);
    }
    let ran = run(&fleet, command, theirs.path());
    assert_eq!(ran.code, 0, "{ran}");
    let wanted = files(&fleet);
    served(&fleet, ports, &ran);

    clean(&fleet);
    assert_ne!(files(&fleet), wanted, "the deployment leaves something");
    let ours = site(&fleet, name, "certroll");
    let arguments = [&["apply", "-o", "json"], arguments.as_slice()].concat();
    let ran = run(&fleet, fleet.certroll(&arguments), ours.path());
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(files(&fleet), wanted, "{name}\n{ran}");
    let key = fs::read_to_string(fleet.pki("gen2", "privkey.pem")).unwrap();
    let line = key.lines().nth(1).unwrap();
    assert!(!ran.stdout.contains(line) && !ran.stderr.contains(line), "the key is shown nowhere");
    served(&fleet, ports, &ran);
    let again = run(&fleet, fleet.certroll(&arguments), ours.path());
    let unchanged = HOSTS.map(|host| (host.to_owned(), "unchanged".to_owned()));
    assert_eq!(again.outcomes(), unchanged, "{again}");
}

/// The new certificate is served, to openssl on the host itself.
fn served(fleet: &Fleet, ports: &[&str], ran: &Ran) {
    let leaf = fleet.leaf("gen2");
    for (host, port) in HOSTS.iter().flat_map(|host| ports.iter().map(move |port| (host, port))) {
        let look = format!(
            "i=0; while [ $i -lt 60 ]; do v=$(echo | {S_CLIENT} -connect 127.0.0.1:{port} 2>/dev/null | \
             openssl x509 -outform DER 2>/dev/null | sha256sum); case $v in {leaf}*) break;; esac; i=$((i+1)); sleep 1; done; echo $v"
        );
        assert!(fleet.sh(host, &look).starts_with(&leaf), "{host}:{port}\n{ran}");
    }
}

#[test]
fn a_role_with_defaults_and_handlers() {
    deployed("role", &["8443"]);
}

#[test]
fn certificate_and_key_in_a_vault() {
    deployed("vault", &["8443"]);
}

#[test]
fn files_for_each_system() {
    deployed("per-os", &["8443"]);
}

#[test]
fn a_virtual_host_in_the_same_act() {
    deployed("vhost", &["8443"]);
}

#[test]
fn drained_and_enabled_around_it() {
    deployed("drain", &["8443"]);
}

#[test]
fn a_loop_over_certificates() {
    deployed("with-items", &["8443", "8444"]);
}

#[test]
fn slurped_from_another_host() {
    deployed("slurp", &["8443"]);
}

#[test]
fn mail_with_a_topic_for_its_handler() {
    deployed("postfix", &["25 -starttls smtp"]);
}

#[test]
fn copied_where_it_differs() {
    deployed("stat", &["8443"]);
}

#[test]
fn roles_that_need_roles() {
    deployed("dependencies", &["8443", "8444"]);
}

#[test]
fn a_source_that_cannot_be_read_touches_no_host() {
    let Some(fleet) = fleet() else { return };
    clean(&fleet);
    fleet.sh("h001", "rm /var/lib/ca/www.key");
    let inventory = fleet.dir().join("inventory.ini").display().to_string();
    let ours = site(&fleet, "slurp", "certroll");
    let ran = run(
        &fleet,
        fleet.certroll(&["apply", "-o", "json", "-i", &inventory, "site.yml"]),
        ours.path(),
    );
    let failed = HOSTS.map(|host| (host.to_owned(), "failed".to_owned()));
    assert_eq!((ran.code, ran.outcomes()), (2, failed.to_vec()), "{ran}");
    assert!(ran.stdout.contains("/var/lib/ca/www.key of h001: there is no such file"), "{ran}");
    assert_eq!(fleet.sh("h002", "ls /etc/nginx/ssl"), "");
}
