//! A fake BIG-IP behind a real sshd, a TLS server that serves what its running profile says, and certroll beside them.

use crate::common::pki::{Authority, Pair};
use crate::common::sshd::{Sshd, keygen};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_rustls::TlsAcceptor;

pub(super) const NAME: &str = "www.bigip.test";
/// The account that the fake is of, and its number.
const USER: (&str, u32) = ("alice", 60_000);

/// A device with a profile `/Common/www` that serves the pair `old`.
pub(super) struct Site {
    pub(super) dir: tempfile::TempDir,
    pub(super) sshd: Sshd,
    authority: Authority,
    /// What the device is told to keep its state in: no other test's has this name.
    state_dir: String,
    port: u16,
    /// What it goes on with.
    blind: Arc<Mutex<Option<Arc<ServerConfig>>>>,
}

/// A fake that broke down proves nothing, whatever certroll made of it.
impl Drop for Site {
    fn drop(&mut self) {
        let said = std::fs::read_to_string(self.home().join("said")).unwrap_or_default();
        if !std::thread::panicking() {
            assert_eq!(said, "", "the fake is broken");
        }
    }
}

/// How a run of certroll ended.
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) text: String,
}

impl Site {
    /// `None` where there is no root to give sshd a place of its own.
    pub(super) async fn new() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let fake = dir.path().join("fake");
        std::fs::create_dir(&fake).expect("a directory");
        std::fs::write(fake.join("tmsh"), include_str!("fake_tmsh.bash")).expect("written");
        std::fs::write(fake.join("fake_tmsh.py"), include_str!("fake_tmsh.py")).expect("written");
        let mode = std::fs::Permissions::from_mode(0o755);
        for path in [dir.path(), &fake, &fake.join("tmsh"), &fake.join("fake_tmsh.py")] {
            std::fs::set_permissions(path, mode.clone()).expect("a mode");
        }
        let options = format!("SetEnv PATH={}:/usr/local/bin:/usr/bin:/bin", fake.display());
        let sshd = Sshd::start(dir.path(), "bigip", &options)?;
        let authority = Authority::new("bigip");
        let blind = Arc::default();
        let mut site = Self { state_dir: state_dir(), port: 0, dir, sshd, authority, blind };
        let old = site.pair("old");
        std::fs::create_dir(site.home()).expect("a directory");
        let chain = format!("{}{}", old.pem, old.intermediate_pem);
        std::fs::write(site.home().join("old.crt"), chain).expect("written");
        std::fs::write(site.home().join("old.key"), &old.key_pem).expect("written");
        let place = |name: &str| format!("/home/{}/bigip/{name}", USER.0);
        let config = json!({
            "profile": {"/Common/www": {"inherits": false, "entries": {
                "default": {"cert": "/Common/www.crt", "key": "/Common/www.key", "chain": "none"}}}},
            "cert": {"/Common/www.crt": place("old.crt")},
            "key": {"/Common/www.key": place("old.key")},
        });
        site.write(&json!({"running": config.clone(), "saved": config, "knobs": {}}));
        for entry in std::fs::read_dir(site.home()).expect("readable") {
            chown(entry.expect("an entry").path(), Some(USER.1), Some(USER.1)).expect("its owner");
        }
        chown(site.home(), Some(USER.1), Some(USER.1)).expect("its owner");
        let target = site.sshd.target_with_key(USER.0);
        let inventory = format!(
            "lb1 ansible_host=127.0.0.1 ansible_port={} ansible_user={} ansible_ssh_private_key_file={} \
             certroll_state_dir={} ansible_ssh_common_args='-o UserKnownHostsFile={}'\n",
            site.sshd.port,
            USER.0,
            target.identities[0].display(),
            site.state_dir,
            target.known_hosts[0].display(),
        );
        std::fs::write(site.dir.path().join("hosts"), inventory).expect("written");
        site.port = site.serve().await;
        site.playbook("new", "", "");
        Some(site)
    }

    /// The fake's place.
    pub(super) fn home(&self) -> PathBuf {
        self.dir.path().join("bigip/home").join(USER.0).join("bigip")
    }

    /// What certroll has on the device.
    pub(super) fn kept(&self) -> PathBuf {
        self.dir.path().join("bigip").join(&self.state_dir[1..]).join("lib/bigip")
    }

    pub(super) fn state(&self) -> Value {
        read(&self.home())
    }

    fn write(&self, state: &Value) {
        std::fs::write(self.home().join("state.json"), state.to_string()).expect("written");
    }

    /// Turns knobs of the fake, or anything else of it.
    pub(super) fn set(&self, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        change(&mut state);
        self.write(&state);
    }

    pub(super) fn knobs(&self, knobs: Value) {
        self.set(|state| state["knobs"] = knobs);
    }

    /// What the entry points to: certificate, key and chain.
    pub(super) fn points(&self) -> [String; 3] {
        let entry = &self.state()["running"]["profile"]["/Common/www"]["entries"]["default"];
        ["cert", "key", "chain"].map(|key| entry[key].as_str().unwrap_or("none").to_owned())
    }

    /// Whether all is as before and nothing is under way.
    pub(super) fn seems_old(&self) -> bool {
        let state = self.state();
        self.points()[0] == "/Common/www.crt"
            && state["running"] == state["saved"]
            && !self.kept().join("now").exists()
    }

    /// All as before: the entry, and none of the objects that were made.
    #[track_caller]
    pub(super) fn is_old(&self) {
        let state = self.state();
        assert_eq!(self.points()[0], "/Common/www.crt", "{state:#}");
        assert_eq!(state["running"], state["saved"], "{state:#}");
        assert!(!self.kept().join("now").exists(), "something is left: {:?}", self.sshd.log());
    }

    /// The entry points to dated objects, and the configuration is saved.
    #[track_caller]
    pub(super) fn is_new(&self) {
        let state = self.state();
        let points = self.points();
        assert!(
            points[0].starts_with("/Common/www_2") && points[2].contains("_chain"),
            "{state:#}"
        );
        assert_eq!(state["running"], state["saved"], "{state:#}");
        assert!(!self.kept().join("now").exists(), "something is left");
    }

    /// A fresh pair in `NAME.pem` and `NAME.key`.
    pub(super) fn pair(&self, name: &str) -> Pair {
        let pair = self.authority.leaf(&[NAME]);
        let at = |ending: &str| self.dir.path().join(format!("{name}.{ending}"));
        let chain = format!("{}{}", pair.pem, pair.intermediate_pem);
        std::fs::write(at("pem"), chain).expect("written");
        std::fs::write(at("key"), &pair.key_pem).expect("written");
        pair
    }

    /// The playbook with `more` keys in `bigip` and `task` lines below it.
    pub(super) fn playbook(&self, pair: &str, more: &str, task: &str) {
        let text = format!(
            "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: certificate\n      certificate:\n        bigip: \
             {{profile: /Common/www{more}}}\n        source: {{cert: {pair}.pem, key: {pair}.key}}\n        verify: \
             {{endpoint: '127.0.0.1:{}', server_name: {NAME}, attempts: 4, backoff: 100ms, max_backoff: 300ms}}\n{task}",
            self.port
        );
        std::fs::write(self.dir.path().join("play.yml"), text).expect("written");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certroll"));
        command
            .args(arguments)
            .args(["play.yml", "-i", "hosts", "--ssh-config", "none"])
            .current_dir(self.dir.path())
            .env("XDG_STATE_HOME", self.dir.path().join("state"))
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(super) async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        Ran::from(output.expect("waited for").expect("certroll runs"))
    }

    /// Another key for the account: who logs in with it has tmsh as the shell.
    pub(super) fn log_in_to_tmsh(&self) {
        let key = self.dir.path().join("tmsh_key");
        keygen(&key, &["-t", "ed25519", "-N", ""]);
        let public = std::fs::read_to_string(key.with_extension("pub")).expect("a public key");
        let list = self.dir.path().join("bigip/authorized_keys");
        let all = std::fs::read_to_string(&list).expect("readable");
        let line = format!("command=\"tmsh --login-shell\" {public}");
        std::fs::write(&list, all + &line).expect("written");
        let hosts = self.dir.path().join("hosts");
        let text = std::fs::read_to_string(&hosts).expect("readable");
        let old = self.dir.path().join("bigip/id_ed25519");
        let text = text.replace(&old.display().to_string(), &key.display().to_string());
        std::fs::write(&hosts, text).expect("written");
    }

    /// `apply` of what is experimental.
    pub(super) async fn apply(&self) -> Ran {
        self.run(&["apply", "--allow-experimental"]).await
    }

    pub(super) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("certroll starts")
    }

    /// Waits until something is so.
    pub(super) async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}: {:#}", self.state());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the job on the device, as a start of the device does. It is known by what it runs.
    pub(super) fn end_job(&self) {
        let program = format!("{}/lib/bigip/now/program", self.state_dir);
        let mut ended = 0;
        for entry in std::fs::read_dir("/proc").expect("readable").flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            if words.get(1) == Some(&program.as_bytes()) {
                Command::new("kill").arg("-KILL").arg(entry.file_name()).status().expect("kill");
                ended += 1;
            }
        }
        assert_eq!(ended, 1, "one job runs");
    }

    /// From now on the virtual server goes on with what it has.
    pub(super) fn goes_blind(&self, blind: bool) {
        let now = blind.then(|| configured(&self.home()).expect("a pair"));
        *self.blind.lock().expect("not poisoned") = now;
    }

    /// The virtual server: each handshake shows what the running profile says at that moment.
    async fn serve(&self) -> u16 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (home, blind) = (self.home(), Arc::clone(&self.blind));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = blind.lock().expect("not poisoned").clone();
                let Some(config) = kept.or_else(|| configured(&home)) else { continue };
                tokio::spawn(
                    async move { TlsAcceptor::from(config).accept(stream).await.map(drop) },
                );
            }
        });
        port
    }
}

fn state_dir() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("/home/{}/certroll-{}-{number}", USER.0, std::process::id())
}

fn read(home: &Path) -> Value {
    let text = std::fs::read_to_string(home.join("state.json")).expect("readable");
    serde_json::from_str(&text).expect("JSON")
}

fn configured(home: &Path) -> Option<Arc<ServerConfig>> {
    let state = read(home);
    let running = &state["running"];
    let entry = running["profile"]["/Common/www"]["entries"]["default"].clone();
    let file = |kind: &str, object: &str| {
        let place = running[kind][entry[object].as_str()?].as_str()?.to_owned();
        std::fs::read(home.join(Path::new(&place).file_name()?)).ok()
    };
    let mut pem = file("cert", "cert")?;
    pem.extend(file("cert", "chain").unwrap_or_default());
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().ok()?;
    let key = PrivateKeyDer::from_pem_slice(&file("key", "key")?).ok()?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).ok()?;
    Some(Arc::new(config))
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = [output.stdout, output.stderr].concat();
        Self { code: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
    }
}

impl Ran {
    /// Ended so, and said all of this, however its lines are broken.
    #[track_caller]
    pub(super) fn expect(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.text);
        let flat: String = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(flat.contains(word), "'{word}' is not in\n{}", self.text);
        }
    }
}
