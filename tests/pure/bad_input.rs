//! What an operator reads when the input is wrong: each mistake with its message, place, excerpt and remedy.
//! Every one ends with exit code 1 before any connection, and several mistakes are told in one run.

use crate::common::pki::Authority;
use insta::assert_snapshot;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A site with two hosts that are a listening port: whoever connects is noticed.
struct Site {
    directory: TempDir,
    host: TcpListener,
}

impl Site {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let host = TcpListener::bind("127.0.0.1:0").expect("a port");
        host.set_nonblocking(true).expect("not blocking");
        let port = host.local_addr().expect("an address").port();
        let site = Self { directory, host };
        site.write("hosts.ini", "[web]\nwww1\nwww2\n");
        let vars = format!("ansible_host: 127.0.0.1\nansible_port: {port}\nansible_user: deploy\n");
        site.write("group_vars/all.yml", &vars);
        for (name, text) in files {
            site.write(name, text);
        }
        site
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }

    fn command(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_certroll"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .current_dir(self.path())
            .output()
            .expect("certroll runs")
    }

    /// What stands on standard error when the command is refused.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let ended = self.command(arguments);
        let shown = String::from_utf8(ended.stderr).expect("UTF-8");
        assert_eq!(ended.status.code(), Some(1), "{shown}");
        assert!(ended.stdout.is_empty(), "{}", String::from_utf8_lossy(&ended.stdout));
        assert!(self.host.accept().is_err(), "somebody connected");
        assert!(!shown.contains(&*self.path().to_string_lossy()), "{shown}");
        shown
    }
}

/// `certroll plan -i hosts.ini site.yml` on this playbook.
#[track_caller]
fn playbook(text: &str) -> String {
    Site::new(&[("site.yml", text)]).refused(&["plan", "-i", "hosts.ini", "site.yml"])
}

/// `certroll inventory --list` on this inventory.
#[track_caller]
fn inventory(name: &str, text: &str) -> String {
    Site::new(&[(name, text)]).refused(&["inventory", "-i", name, "--list"])
}

#[test]
fn a_missing_playbook() {
    let site = Site::new(&[("site.yml", "- hosts: web\n")]);
    assert_snapshot!(site.refused(&["plan", "-i", "hosts.ini", "stie.yml"]));
}

#[test]
fn a_missing_inventory() {
    let site = Site::new(&[("site.yml", "- hosts: web\n")]);
    assert_snapshot!(site.refused(&["plan", "-i", "host.ini", "site.yml"]));
}

#[test]
fn a_missing_directory() {
    let site = Site::new(&[]);
    assert_snapshot!(site.refused(&["plan", "-i", "hosts.ini", "playbooks/site.yml"]));
}

#[test]
fn wrong_indentation() {
    assert_snapshot!(playbook(
        "- hosts: web\n  tasks:\n  - name: one\n    debug:\n      msg: hi\n   - name: two\n    debug:\n      msg: ho\n"
    ));
}

#[test]
fn a_tab() {
    assert_snapshot!(playbook("- hosts: web\n  tasks:\n\t- debug:\n"));
}

#[test]
fn a_template_without_quotes() {
    assert_snapshot!(playbook("- hosts: web\n  vars:\n    dir: {{ base }}/certs\n"));
}

#[test]
fn a_colon_without_quotes() {
    assert_snapshot!(playbook("- hosts: web\n  name: Renew: the edge\n"));
}

#[test]
fn brackets_and_quotes_left_open() {
    assert_snapshot!(playbook("- hosts: [web\n  name: x\n"));
    assert_snapshot!(playbook("- hosts: web\n  name: \"Renew\n  become: true\n"));
}

#[test]
fn unknown_modules() {
    assert_snapshot!(playbook(
        "- hosts: web\n  tasks:\n  - certficate: {service: nginx}\n  - nginx_reload:\n  - ansible.builtin.blockinfile: {path: a}\n"
    ));
}

#[test]
fn templates_where_none_is_rendered() {
    assert_snapshot!(playbook(
        "- hosts: web\n  serial: '{{ n }}'\n  max_fail_percentage: '{{ n }}'\n  order: '{{ n }}'\n  vars: [a]\n  tasks:\n  \
         - debug:\n    run_once: '{{ n }}'\n    no_log: '{{ n }}'\n    vars: a\n"
    ));
}

#[test]
fn unknown_keys() {
    assert_snapshot!(playbook(
        "- hosts: web\n  becom: true\n  tasks:\n  - certificate:\n      service: nginx\n      source: {cert: a.pem, keyy: b.pem}\n      \
         verfy: false\n    wehn: true\n"
    ));
}

#[test]
fn undefined_variables_of_several_hosts() {
    let site = Site::new(&[
        (
            "site.yml",
            "- hosts: web\n  tasks:\n  - command: echo {{ inventory_hostnam }}\n  - debug: {msg: '{{ dir }}'}\n  \
             - debug: {msg: hi}\n    when: stagee == 'x'\n",
        ),
        ("host_vars/www1.yml", "dir: here\nstage: x\n"),
        ("host_vars/www2.yml", "stage: y\n"),
    ]);
    assert_snapshot!(site.refused(&["plan", "-i", "hosts.ini", "site.yml"]));
}

#[test]
fn wrong_templates() {
    assert_snapshot!(playbook(
        "- hosts: web\n  tasks:\n  - debug: {msg: '{{ a | }}'}\n  - debug: {msg: \"{{ 'x' | nosuch }}\"}\n  - debug:\n    when: a ==\n"
    ));
}

#[test]
fn wrong_durations_and_types() {
    assert_snapshot!(playbook(
        "- hosts: web\n  serial: many\n  max_fail_percentage: 200\n  become_user: [x]\n  any_errors_fatal: sometimes\n  tasks:\n  \
         - debug:\n    run_once: maybe\n"
    ));
    let site = Site::new(&[(
        "site.yml",
        "- hosts: web\n  tasks:\n  - certificate:\n      service: ngnix\n      source: {cert: cert.pem, key: key.pem}\n      \
         dest: {cert: /etc/c.pem, key: etc/k.pem}\n      validate_timeout: soon\n      mode: 640\n      \
         verify: {endpoint: nowhere, timeout: 10 parsecs, starttls: tls, attempts: 0}\n",
    )]);
    assert_snapshot!(site.refused(&["plan", "-i", "hosts.ini", "site.yml"]));
}

#[test]
fn hosts_that_are_not_there() {
    assert_snapshot!(playbook("- hosts: wbe\n  tasks: []\n"));
    assert_snapshot!(playbook("- hosts: ''\n  tasks: []\n"));
    let site = Site::new(&[("site.yml", "- hosts: web\n  tasks: []\n")]);
    assert_snapshot!(site.refused(&["plan", "-i", "hosts.ini", "-l", "www3", "site.yml"]));
    assert_snapshot!(site.refused(&["plan", "-i", "hosts.ini", "-l", "", "site.yml"]));
}

#[test]
fn a_playbook_of_another_shape() {
    assert_snapshot!(playbook("- one\n- two\n"));
    assert_snapshot!(playbook("hosts: web\ntasks: []\n"));
    assert_snapshot!(playbook(""));
    assert_snapshot!(playbook(
        "- hosts: web\n  tasks:\n  - just text\n  - debug: {}\n    fail: {}\n"
    ));
}

#[test]
fn wrong_lines_of_an_inventory() {
    assert_snapshot!(inventory(
        "inv.ini",
        "a foo\n[web:foo]\nb x=\"open\n[prod:children]\nwbe\n[web]\nc[5:1]\nd:abc\n= x\n[gone:vars]\nx=1\n[web\n"
    ));
}

#[test]
fn wrong_shapes_of_a_yaml_inventory() {
    assert_snapshot!(inventory(
        "inv.yml",
        "web:\n  hosst: {a: }\n  hosts: [a, b]\ndb:\n  vars: text\n  children: [x]\n  hosts: {'c:': , 'd[1:': }\nlist: [a]\n"
    ));
}

#[test]
fn a_host_without_an_address() {
    assert_snapshot!(inventory(
        "inv.yml",
        "web:\n  hosts:\n    ? ''\n    : {ansible_host: 10.0.0.1}\n"
    ));
    assert_snapshot!(inventory("inv.ini", "ansible_host=10.0.0.1 ansible_port=22\n"));
}

#[test]
fn wrong_files_of_variables() {
    let site = Site::new(&[
        ("site.yml", "- hosts: web\n  vars_files: [vars/main.yml]\n  tasks: []\n"),
        ("group_vars/web.yml", "- a\n- b\n"),
        ("host_vars/www1.yml", "a: [1\n"),
    ]);
    assert_snapshot!(site.refused(&["plan", "-i", "hosts.ini", "site.yml"]));
    let site = Site::new(&[(
        "site.yml",
        "- hosts: web\n  vars_files: [vars/main.yml]\n  tasks:\n  - debug:\n",
    )]);
    assert_snapshot!(site.refused(&["plan", "-i", "hosts.ini", "site.yml"]));
    assert_snapshot!(site.refused(&[
        "plan",
        "-i",
        "hosts.ini",
        "site.yml",
        "-e",
        "alone",
        "-e",
        "{a: [1}"
    ]));
}

#[test]
fn mistakes_of_inventory_and_playbook_come_together() {
    let site =
        Site::new(&[("inv.ini", "[web]\na b\n"), ("site.yml", "- hosts: web\n  becom: true\n")]);
    assert_snapshot!(site.refused(&["plan", "-i", "inv.ini", "site.yml"]));
}

const CERTIFICATE: &str = "- hosts: web\n  tasks:\n  - certificate:\n      service: nginx\n      source:\n        cert: cert.pem\n        \
                           key: key.pem\n      dest: {cert: /etc/nginx/c.pem, key: /etc/nginx/k.pem}\n";

/// Two pairs of one authority: `cert.pem` with `key.pem`, `other.pem` with `other-key.pem`, and an expired one.
fn material(site: &Site) {
    let authority = Authority::new("Test");
    for (cert, key, pair) in [
        ("cert.pem", "key.pem", authority.leaf(&["cert.example.net"])),
        ("other.pem", "other-key.pem", authority.leaf(&["other.example.net"])),
        ("expired.pem", "expired-key.pem", authority.expired(&["cert.example.net"])),
    ] {
        site.write(cert, &format!("{}{}", pair.pem, pair.intermediate_pem));
        site.write(key, &pair.key_pem);
        let path = site.path().join(key);
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("a mode");
    }
    site.write("ca.pem", &authority.intermediate_pem);
}

/// The site with `cert.pem` or `key.pem` replaced by what the operator gave by mistake.
#[track_caller]
fn mistaken(cert: &str, key: &str) -> String {
    let book = CERTIFICATE
        .replace("cert: cert.pem", &format!("cert: {cert}"))
        .replace("key: key.pem", &format!("key: {key}"));
    let site = Site::new(&[("site.yml", &book), ("garbage.pem", "garbage\n")]);
    material(&site);
    let good = std::fs::read_to_string(site.path().join("cert.pem")).expect("a certificate");
    site.write("damaged.pem", &good.replacen("MII", "M!I", 1));
    site.write("cut.pem", good.split_at(200).0);
    std::fs::create_dir(site.path().join("directory")).expect("a directory");
    site.refused(&["plan", "-i", "hosts.ini", "site.yml"])
}

#[test]
fn pem_files_with_garbage() {
    for cert in ["garbage.pem", "damaged.pem", "cut.pem"] {
        assert_snapshot!(cert, mistaken(cert, "key.pem"));
    }
}

#[test]
fn keys_and_certificates_mixed_up() {
    for (name, cert, key) in [
        ("another_key", "cert.pem", "other-key.pem"),
        ("exchanged", "key.pem", "cert.pem"),
        ("missing_key", "cert.pem", "kye.pem"),
        ("directory", "cert.pem", "directory"),
        ("authority", "ca.pem", "key.pem"),
    ] {
        assert_snapshot!(name, mistaken(cert, key));
    }
}

#[test]
fn an_expired_certificate() {
    // How long ago that is changes from day to day.
    let shown = mistaken("expired.pem", "expired-key.pem");
    assert!(shown.contains("2020"), "{shown}");
    assert_snapshot!(without_ages(&shown));
}

/// `2500 days` as `N days`.
fn without_ages(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let shown = words.iter().enumerate().map(|(at, word)| {
        let counts = words.get(at + 1).is_some_and(|next| next.starts_with("day"));
        if counts { "N" } else { word }
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_key_that_cannot_be_read() {
    if !crate::common::have(&["setpriv"]) || !crate::common::am_root() {
        return;
    }
    let site = Site::new(&[("site.yml", CERTIFICATE)]);
    material(&site);
    // Not as root, and so with a copy of the program where anybody may run it.
    let program = site.path().join("certroll");
    std::fs::copy(env!("CARGO_BIN_EXE_certroll"), &program).expect("a copy");
    let open = |path: &Path| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("a mode")
    };
    open(site.path());
    open(&site.path().join("group_vars"));
    let ended = Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "./certroll",
            "plan",
            "-i",
            "hosts.ini",
            "site.yml",
        ])
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("PATH", "/usr/bin:/bin")
        .current_dir(site.path())
        .output()
        .expect("setpriv runs");
    let shown = String::from_utf8(ended.stderr).expect("UTF-8");
    assert_eq!(ended.status.code(), Some(1), "{shown}");
    assert!(site.host.accept().is_err(), "somebody connected");
    assert_snapshot!(shown);
}

/// An alias bomb of a gigabyte is refused at once.
#[test]
fn an_alias_bomb() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{list}]").expect("text");
    }
    assert_snapshot!(inventory("inv.yml", &bomb));
}

#[test]
fn too_deep() {
    assert_snapshot!(inventory("inv.yml", &format!("a: {}{}\n", "[".repeat(150), "]".repeat(150))));
}

/// A 10 MB inventory that is wrong at its end, and one that is wrong in every line: said in seconds.
#[test]
fn large_inventories() {
    let mut text = String::from("[web]\n");
    for number in 0..130_000 {
        writeln!(
            text,
            "host{number:06}.example.net ansible_host=10.0.0.1 rack=r{number} zone=z{number}"
        )
        .expect("text");
    }
    assert!(text.len() > 9_000_000);
    text.push_str("[prod:children]\nwbe\n");
    assert_snapshot!("large_and_wrong_at_the_end", inventory("inv.ini", &text));
    assert_snapshot!(
        "large_and_wrong_in_every_line",
        inventory("inv.ini", &"host key\n".repeat(50_000))
    );
    let site = Site::new(&[
        ("inv.ini", &text),
        ("site.yml", "- hosts: host00001.example.net\n  tasks: []\n"),
    ]);
    site.write("inv.ini", text.trim_end_matches("[prod:children]\nwbe\n"));
    assert_snapshot!(
        "large_and_no_such_host",
        site.refused(&["plan", "-i", "inv.ini", "site.yml"])
    );
}

#[test]
fn a_chain_that_is_required_and_not_there() {
    let site = Site::new(&[("site.yml", &format!("{CERTIFICATE}      chain: required\n"))]);
    material(&site);
    let full = std::fs::read_to_string(site.path().join("cert.pem")).expect("a certificate");
    let (leaf, _) = full.split_once("-----END CERTIFICATE-----\n").expect("two certificates");
    site.write("cert.pem", &format!("{leaf}-----END CERTIFICATE-----\n"));
    let shown = site.refused(&["plan", "-i", "hosts.ini", "site.yml"]);
    for words in [
        "site.yml:",
        "Test intermediate' is missing, and the task says `chain: required` (cert: cert.pem)",
        "name its file in `source.chain`",
    ] {
        assert!(shown.contains(words), "{shown}");
    }
}
