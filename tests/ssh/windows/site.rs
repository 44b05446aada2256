//! A fake of a Windows machine, an sshd in front of it, and certroll beside them.

use crate::common::daemon::{Daemon, free_port};
use crate::common::have;
use crate::common::pki::{Authority, Pair, openssl_key};
use crate::common::sshd::Sshd;
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

pub(super) const NAME: &str = "www.win.test";

/// A machine with certificates in its stores, and a directory with a playbook.
pub(super) struct Site {
    pub(super) ports: Ports,
    authority: Authority,
    machine: Daemon,
    sshd: Sshd,
    dir: tempfile::TempDir,
}

/// Where the fake serves: by name, without SNI, and as WinRM.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) named: u16,
    pub(super) plain: u16,
    pub(super) winrm: u16,
}

impl Site {
    /// `None`: this machine lacks what the fake needs.
    pub(super) fn new() -> Option<Self> {
        if !have(&["python3", "openssl"]) {
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("win");
        fs::create_dir(&place).expect("made");
        let home = place.display();
        let options = format!("ForceCommand python3 -I -S {home}/login.py {home}/sessions");
        let ports = Ports { named: free_port(), plain: free_port(), winrm: free_port() };
        let authority = Authority::new("win");
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        let copy = |from: &str, to: &str| {
            fs::copy(source.join(from), place.join(to)).expect("copied");
        };
        copy("tests/ssh/windows/fake.py", "fake.py");
        copy("tests/ssh/windows/login.py", "login.py");
        fs::create_dir(place.join("ps1")).expect("made");
        for name in ["bootstrap", "common", "observe", "begin", "commit", "confirm", "undo"] {
            copy(&format!("src/windows/ps1/{name}.ps1"), &format!("ps1/{name}.ps1"));
        }
        let setup = json!({
            "port": ports.named, "plain": ports.plain, "winrm": ports.winrm, "name": NAME,
        });
        // One key for the old certificates of all sites: RSA takes openssl a tenth of a second.
        static OLD: LazyLock<KeyPair> =
            LazyLock::new(|| openssl_key(&["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]));
        let old = authority.leaf_with(&[NAME], &OLD, |_| {});
        let other = authority.leaf(&["other.win.test"]);
        for (name, text) in [
            ("setup.json", setup.to_string()),
            ("knobs.json", "{}".to_owned()),
            ("old.leaf", old.pem),
            ("old.key", old.key_pem),
            ("other.leaf", other.pem),
            ("other.key", other.key_pem),
            ("issuer.pem", Authority::new("another").intermediate_pem),
        ] {
            fs::write(place.join(name), text).expect("written");
        }
        let sshd = Sshd::start(dir.path(), "win", &options)?;
        open_to_all(&place);
        let mut command = Command::new("python3");
        command.arg(place.join("fake.py")).arg("serve").arg(&place);
        let mut machine = Daemon::start("fake", command, &place);
        machine.wait_until(|| place.join("state.json").exists());
        for port in [ports.named, ports.plain, ports.winrm] {
            machine.wait_for(port);
        }
        let site = Self { ports, authority, machine, sshd, dir };
        let target = site.sshd.target_with_key("free");
        let config = format!(
            "Host win1\n HostName 127.0.0.1\n Port {}\n User free\n IdentityFile {}\n IdentitiesOnly yes\n \
             IdentityAgent none\n UserKnownHostsFile {}\n",
            site.sshd.port,
            target.identities[0].display(),
            target.known_hosts[0].display()
        );
        fs::write(site.file("ssh_config"), config).expect("written");
        fs::write(site.file("hosts"), "win1\n").expect("written");
        Some(site)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the fake is to do; nothing else.
    pub(super) fn knobs(&self, knobs: &Value) {
        let place = self.file("win");
        for entry in place.read_dir().expect("readable").map(|entry| entry.expect("one").path()) {
            if entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with("used-")) {
                fs::remove_file(entry).expect("removed");
            }
        }
        fs::write(place.join("next.json"), knobs.to_string()).expect("written");
        fs::rename(place.join("next.json"), place.join("knobs.json")).expect("renamed");
    }

    /// The model.
    pub(super) fn state(&self) -> Value {
        let text = fs::read(self.file("win/state.json")).expect("there");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// Changes the model; nothing else may run meanwhile.
    pub(super) fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        change(&mut state);
        fs::write(self.file("win/next.json"), state.to_string()).expect("written");
        fs::rename(self.file("win/next.json"), self.file("win/state.json")).expect("renamed");
    }

    /// All of the model but the log of programs.
    pub(super) fn all(&self) -> Value {
        let mut state = self.state();
        state["log"] = Value::Null;
        state
    }

    /// What the scheduled task does at startup.
    pub(super) fn reboot(&self) {
        let place = self.file("win");
        let mut command = Command::new("python3");
        command.arg(place.join("fake.py")).arg("reboot").arg(&place);
        assert!(command.status().expect("it runs").success(), "{}", self.machine.log());
        // It ran as root here.
        open_to_all(&place);
    }

    /// A fresh pair in `new.pem` and `new.key`; its thumbprint.
    pub(super) fn pair(&self, is_rsa: bool) -> String {
        let pair: Pair = match is_rsa {
            true => self.authority.rsa(&[NAME]),
            false => self.authority.leaf(&[NAME]),
        };
        let chain = format!("{}{}", pair.pem, pair.intermediate_pem);
        fs::write(self.file("new.pem"), chain).expect("written");
        fs::write(self.file("new.key"), &pair.key_pem).expect("written");
        let sha1 = &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
        hex::encode_upper(aws_lc_rs::digest::digest(sha1, &pair.der))
    }

    /// The playbook for what `windows` names, with these lines of the task.
    pub(super) fn playbook(&self, windows: &str, task: &str) {
        let text = format!(
            "- hosts: all\n  tasks:\n    - name: certificate\n      certificate:\n        windows: {windows}\n        \
             source: {{cert: new.pem, key: new.key}}\n{task}"
        );
        fs::write(self.file("play.yml"), text).expect("written");
    }

    /// The playbook for the binding with SNI.
    pub(super) fn by_name(&self, more: &str) {
        let port = self.ports.named;
        let windows = format!("{{iis: {{site: Shop, binding: '*:{port}:{NAME}'}}}}");
        self.playbook(&windows, &format!("{}{more}", verify(port)));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certroll"));
        command
            .args(arguments)
            .args(["play.yml", "-i", "hosts", "--ssh-config", "ssh_config"])
            .current_dir(self.dir.path())
            .env("XDG_STATE_HOME", self.file("runs"))
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Ended so, and said all of this, however its lines are broken.
    #[track_caller]
    pub(super) fn expect(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let output = self.command(arguments).output().expect("certroll runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert_eq!(output.status.code(), Some(code), "{text}\n{}", self.machine.log());
        let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(flat.contains(word), "'{word}' is not in\n{text}");
        }
    }

    #[track_caller]
    pub(super) fn apply(&self, code: i32, words: &[&str]) {
        self.expect(&["apply", "--allow-experimental"], code, words);
    }

    pub(super) fn start(&self) -> Child {
        self.command(&["apply", "--allow-experimental"]).spawn().expect("certroll starts")
    }

    /// Waits until the model is so.
    #[track_caller]
    pub(super) fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so(&self.state()) {
            assert!(Instant::now() < deadline, "{what}: {}", self.state());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Which certificate the binding with SNI names.
    pub(super) fn named(&self) -> String {
        self.state()["bindings"][0]["thumbprint"].as_str().expect("one").to_owned()
    }
}

/// A quick look at what is served.
pub(super) fn verify(port: u16) -> String {
    format!(
        "        verify: {{endpoint: '127.0.0.1:{port}', server_name: {NAME}, attempts: 3, backoff: 50ms, \
         max_backoff: 100ms}}\n"
    )
}

/// Programs of the session run as another account than the machine.
fn open_to_all(place: &Path) {
    let opened = Command::new("chmod").args(["-R", "a+rwX"]).arg(place).args(["-f"]).status();
    assert!(opened.is_ok(), "chmod");
    for secret in ["id_ed25519", "host_ed25519", "host_rsa", "host_ecdsa"] {
        let path = place.join(secret);
        if path.exists() {
            let done = Command::new("chmod").arg("600").arg(path).status();
            assert!(done.is_ok_and(|done| done.success()), "{secret}");
        }
    }
}
