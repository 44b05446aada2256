//! Certificates and keys out of variables, sealed by the real `ansible-vault`: they arrive, and nothing shows them.

use crate::common::have;
use crate::common::pki::Authority;
use std::path::Path;
use std::process::{Command, Output};

const PASSWORD: &str = "correct horse";

struct Site {
    dir: tempfile::TempDir,
    key: String,
}

impl Site {
    /// A playbook whose certificate and key are variables of a sealed file.
    fn new(source: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let pair = Authority::new("Content").leaf(&["www.example.net"]);
        let indented = |text: &str| text.replace('\n', "\n  ");
        let vars = format!(
            "vault_cert: |\n  {}\nvault_key: |\n  {}\n",
            indented(&format!("{}{}", pair.pem, pair.intermediate_pem)),
            indented(&pair.key_pem)
        );
        let book = format!(
            "- hosts: all\n  vars_files: [secrets.yml]\n  tasks:\n  - certificate:\n      service: files\n      source: {source}\n      \
             dest: {{cert: '{{{{ there }}}}/cert.pem', key: '{{{{ there }}}}/key.pem'}}\n      validate: false\n      reload: none\n      verify: false\n"
        );
        let site = Self { dir, key: pair.key_pem };
        site.write("secrets.yml", &vars);
        site.write("site.yml", &book);
        site.write("password", PASSWORD);
        std::fs::create_dir(site.path().join("there")).expect("a directory");
        let sealed = Command::new("ansible-vault")
            .args(["encrypt", "--vault-password-file", "password", "secrets.yml"])
            .current_dir(site.path())
            .output()
            .expect("ansible-vault runs");
        assert!(sealed.status.success(), "{}", String::from_utf8_lossy(&sealed.stderr));
        site
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("written");
    }

    fn run(&self, verb: &str, more: &[&str]) -> Output {
        let here = self.path().display();
        Command::new(env!("CARGO_BIN_EXE_certroll"))
            .args([
                verb,
                "-i",
                "h,",
                "--vault-id",
                "prod@password",
                "-e",
                "ansible_connection=local",
            ])
            .args(["-e", &format!("there={here}/there certroll_state_dir={here}/state")])
            .args(more)
            .arg("site.yml")
            .current_dir(self.path())
            .output()
            .expect("certroll runs")
    }

    /// Lines of the key's body.
    fn secrets(&self) -> Vec<&str> {
        self.key.lines().filter(|line| !line.starts_with('-') && line.len() > 20).collect()
    }

    #[track_caller]
    fn shows_nothing(&self, output: &Output) {
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            for secret in self.secrets() {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
}

#[test]
fn a_sealed_pair_arrives_and_is_never_shown() {
    if !have(&["ansible-vault"]) {
        return;
    }
    let site =
        Site::new("{cert: {content: '{{ vault_cert }}'}, key: {content: '{{ vault_key }}'}}");
    for more in [&[][..], &["-o", "json", "-vvv", "--diff"]] {
        let planned = site.run("plan", more);
        site.shows_nothing(&planned);
        assert!(planned.status.success(), "{}", String::from_utf8_lossy(&planned.stderr));
    }
    let applied = site.run("apply", &["-o", "json", "-vvv", "--diff"]);
    site.shows_nothing(&applied);
    assert!(
        applied.status.success(),
        "{}{}",
        String::from_utf8_lossy(&applied.stdout),
        String::from_utf8_lossy(&applied.stderr)
    );
    let key = std::fs::read_to_string(site.path().join("there/key.pem")).expect("the key");
    // The control: what is looked for is what was written.
    assert!(!site.secrets().is_empty() && site.secrets().iter().all(|line| key.contains(line)));
    let again = site.run("apply", &[]);
    site.shows_nothing(&again);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.status.success() && text.contains("unchanged"), "{text}");
}

#[test]
fn what_is_wrong_with_a_content_is_said_without_it() {
    if !have(&["ansible-vault"]) {
        return;
    }
    for (source, words) in [
        ("{cert: {content: '{{ vault_key }}'}, key: {content: '{{ vault_key }}'}}", "certificate"),
        ("{cert: {content: '{{ vault_cert }}'}, key: '{{ vault_key }}'}", "{content:"),
        (
            "{cert: {content: '{{ vault_cert }}'}, key: {content: ''}}",
            "the content of 'key' is empty",
        ),
        ("{cert: {contents: '{{ vault_cert }}'}}", "did you mean 'content'?"),
        ("{cert: {content: '{{ vault_cert[:200] }}'}}", "certificate"),
    ] {
        let site = Site::new(source);
        let refused = site.run("apply", &[]);
        site.shows_nothing(&refused);
        let text = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{source}: {text}");
        assert!(text.contains(words) && text.contains("site.yml:"), "{source}: {text}");
        assert!(!site.path().join("there/key.pem").exists());
    }
}

impl Site {
    /// As [`Site::new`], with `both.pem` sealed as a whole and `ask`, which opens a file and counts how often it was asked.
    fn asking(source: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let site = Self::new(source);
        let pair = Authority::new("Content").leaf(&["www.example.net"]);
        let site = Self { key: pair.key_pem.clone(), ..site };
        let chain = pair.pem + &pair.intermediate_pem;
        site.write("chain.pem", &chain);
        site.write("both.pem", &(pair.key_pem + &chain));
        let view = "ansible-vault view --vault-password-file password";
        site.write("ask", &format!("#!/bin/sh\necho asked >>asked\nexec {view} \"$1\"\n"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(site.path().join("ask"), mode).expect("executable");
        let sealed = Command::new("ansible-vault")
            .args(["encrypt", "--vault-password-file", "password", "both.pem"])
            .current_dir(site.path())
            .output()
            .expect("ansible-vault runs");
        assert!(sealed.status.success(), "{}", String::from_utf8_lossy(&sealed.stderr));
        site
    }
}

#[test]
fn what_a_command_prints_arrives_and_is_never_shown() {
    if !have(&["ansible-vault"]) {
        return;
    }
    let site =
        Site::asking("{cert: {command: [./ask, both.pem]}, key: {command: [./ask, both.pem]}}");
    let applied = site.run("apply", &["-o", "json", "-vvv", "--diff"]);
    site.shows_nothing(&applied);
    assert!(
        applied.status.success(),
        "{}{}",
        String::from_utf8_lossy(&applied.stdout),
        String::from_utf8_lossy(&applied.stderr)
    );
    let read = |name: &str| std::fs::read_to_string(site.path().join(name)).expect("written");
    let key = read("there/key.pem");
    assert!(!site.secrets().is_empty() && site.secrets().iter().all(|line| key.contains(line)));
    assert_eq!(read("asked"), "asked\n", "once for certificate and key");

    // The host keeps the key that it has.
    let asked = "{cert: {command: [./ask, both.pem]}, key: {command: [./ask, both.pem]}}";
    let book = read("site.yml").replace(asked, "{cert: chain.pem, key: keep}");
    assert!(book.contains("key: keep"), "{book}");
    site.write("site.yml", &book);
    let again = site.run("apply", &[]);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(again.status.success() && text.contains("unchanged"), "{text}");
}

#[test]
fn what_is_wrong_with_a_command_is_told() {
    if !have(&["ansible-vault"]) {
        return;
    }
    for (source, words) in [
        (
            "{cert: {command: [./ask, gone.pem]}}",
            "what `./ask` prints: the command exited with code",
        ),
        ("{cert: {command: [./no-such-program]}}", "the command cannot be started"),
        ("{cert: {command: ['true']}}", "the command prints nothing"),
        ("{cert: {command: './ask both.pem'}}", "'command' takes a list of arguments"),
        ("{cert: {command: [./ask, both.pem], content: a}}", "'cert' takes 'content' or 'command'"),
        ("{directory: there}", "neither certbot's directory nor acme.sh's"),
        ("{directory: gone}", "there is no such directory"),
        ("{directory: there, cert: a.pem}", "'directory' takes the place of 'cert'"),
    ] {
        let site = Site::asking(source);
        let refused = site.run("apply", &[]);
        site.shows_nothing(&refused);
        let text = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{source}: {text}");
        assert!(text.contains(words) && text.contains("site.yml:"), "{source}: {text}");
        assert!(!site.path().join("there/key.pem").exists());
    }
}

#[test]
fn a_pair_arrives_from_certbot_s_directory() {
    use std::os::unix::fs::symlink;
    if !have(&["ansible-vault"]) {
        return;
    }
    let site = Site::new("{directory: live/www}");
    for directory in ["archive/www", "live/www"] {
        std::fs::create_dir_all(site.path().join(directory)).expect("a directory");
    }
    let pair = Authority::new("Content").leaf(&["www.example.net"]);
    let (chain, key) = (format!("{}{}", pair.pem, pair.intermediate_pem), &pair.key_pem);
    for (name, text) in [("fullchain", &chain), ("privkey", key)] {
        site.write(&format!("archive/www/{name}7.pem"), text);
        let link = site.path().join(format!("live/www/{name}.pem"));
        symlink(format!("../../archive/www/{name}7.pem"), link).expect("a link");
    }
    let applied = site.run("apply", &[]);
    let told = String::from_utf8_lossy(&applied.stdout).into_owned();
    assert!(applied.status.success(), "{told}{}", String::from_utf8_lossy(&applied.stderr));
    for (file, text) in [("there/cert.pem", &chain), ("there/key.pem", key)] {
        let arrived = std::fs::read_to_string(site.path().join(file)).expect("it arrived");
        assert_eq!(arrived, *text, "{file}");
    }
}
