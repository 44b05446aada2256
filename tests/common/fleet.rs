//! Real hosts for tests, brought up by `tests/fleet/fleet`.

use super::skip;
use serde_json::Value;
use std::collections::HashMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::Deref;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `openssl s_client` for shells, where nothing is verified: reading the machine's roots would be most of its work.
pub const S_CLIENT: &str = "openssl s_client -no-CAfile -no-CApath -no-CAstore";

/// A running fleet. It ends with this value or with this process, however that dies: the script's
/// keeper holds the other end of [`Fleet::hold`] and takes the fleet down when it closes.
pub struct Fleet {
    dir: PathBuf,
    hold: Option<process::ChildStdin>,
    /// The script that brought the fleet up, and serves its other verbs from then on.
    script: Child,
}

/// What `fleet` said of arguments that are always answered alike.
static SAID: Mutex<Option<HashMap<Vec<String>, Output>>> = Mutex::new(None);

/// Runs the script with arguments that are about no fleet, once for all tests.
fn once(arguments: &[&str]) -> Output {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let words = arguments.iter().map(|word| (*word).to_owned()).collect();
    let run = || script(Path::new("/nonexistent"), arguments).output();
    let said = said.get_or_insert_default().entry(words);
    said.or_insert_with(|| run().expect("tests/fleet/fleet starts")).clone()
}

impl Fleet {
    /// Brings up `hosts` hosts `h001` … with the given services, in a directory of its own.
    /// `None` when there cannot be any here, which [`skip`] has said.
    pub fn up(hosts: usize, services: &[&str]) -> Option<Self> {
        Self::up_with(hosts, services, &[])
    }

    /// The services whose programs are on hosts that `fleet up` makes with these options.
    pub fn services(options: &[&str]) -> Vec<String> {
        let output = once(&[&["services"], about_the_release(options)].concat());
        let text = String::from_utf8(output.stdout).expect("the script prints text");
        text.lines().map(str::to_owned).collect()
    }

    /// As [`Fleet::up`], with further options of `fleet up` (`--bastion 2`, `--init systemd`).
    pub fn up_with(hosts: usize, services: &[&str], options: &[&str]) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("certroll-fleet-{}-{number}", process::id()));
        let mut check = vec!["check"];
        if options.contains(&"systemd") {
            check.extend(["--init", "systemd"]);
        }
        check.extend(about_the_release(options));
        let check = once(&check);
        if !check.status.success() {
            skip(String::from_utf8_lossy(&check.stderr).trim());
            return None;
        }
        let count = hosts.to_string();
        let services = services.join(",");
        let mut arguments = vec!["up", &count, "--hold", "--serve", "--services", &services];
        arguments.extend(options);
        let mut script = script(&dir, &arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tests/fleet/fleet starts");
        let hold = script.stdin.take();
        // It closes both when the fleet is up.
        let (mut told, mut why) = (String::new(), String::new());
        let [stdout, stderr]: [&mut dyn Read; 2] =
            [script.stdout.as_mut().expect("piped"), script.stderr.as_mut().expect("piped")];
        stdout.read_to_string(&mut told).expect("messages are text");
        stderr.read_to_string(&mut why).expect("messages are text");
        if !told.contains(" hosts up in ") {
            script.wait().expect("tests/fleet/fleet ends");
            panic!("the fleet did not come up: {why}");
        }
        Some(Self { dir, hold, script })
    }

    /// `FLEET_DIR`: `inventory.ini`, `ssh/`, `pki/`, `home/`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file of a generation, for instance `("gen2", "privkey.pem")`.
    pub fn pki(&self, generation: &str, file: &str) -> PathBuf {
        self.dir.join("pki").join(generation).join(file)
    }

    /// SHA-256 of a generation's leaf, hexadecimal.
    pub fn leaf(&self, generation: &str) -> String {
        let file = self.pki(generation, "leaf.sha256");
        fs::read_to_string(file).expect("a good generation").trim().to_owned()
    }

    /// Where a host's root directory can be seen from here while it is on.
    pub fn root(&self, host: &str) -> PathBuf {
        let init = self.init(host).unwrap_or_else(|| panic!("{host} is off"));
        format!("/proc/{init}/root").into()
    }

    /// The files that a host has beyond the machine's own, seen from here.
    pub fn upper(&self, host: &str) -> PathBuf {
        let store = format!("/proc/{}/root{}/store", self.keeper(), self.real_dir().display());
        Path::new(&store).join("hosts").join(host).join("up")
    }

    /// The network address of a host.
    pub fn address(&self, host: &str) -> String {
        let state = self.state();
        let mut hosts = state["hosts"].as_array().into_iter().flatten();
        let found = hosts.find(|one| one["name"] == host);
        let found = found.unwrap_or_else(|| panic!("there is no {host}"));
        found["ip"].as_str().expect("hosts have addresses").to_owned()
    }

    /// `state.json`, as the script writes it.
    pub fn state(&self) -> Value {
        let state = fs::read(self.dir.join("state.json")).expect("the fleet is up");
        serde_json::from_slice(&state).expect("the script writes JSON")
    }

    /// The process whose network namespace is the controller's.
    fn keeper(&self) -> u64 {
        self.state()["keeper"]["pid"].as_u64().expect("the fleet is up")
    }

    /// As the script knows it.
    fn real_dir(&self) -> PathBuf {
        self.dir.canonicalize().expect("the fleet is up")
    }

    /// Has the script carry out a verb and gives its standard output. Verbs of several threads do not wait for each other.
    ///
    /// # Panics
    /// When it fails.
    pub fn fleet(&self, arguments: &[&str]) -> String {
        let words = arguments.join(" ");
        let mut stream = UnixStream::connect(self.dir.join("serve")).expect("the script serves");
        let request = serde_json::to_string(arguments).expect("words are JSON");
        writeln!(stream, "{request}").expect("the script listens");
        let mut answer = BufReader::new(stream);
        let mut head = String::new();
        answer.read_line(&mut head).expect("the script answers");
        let head: Value = serde_json::from_str(&head)
            .unwrap_or_else(|error| panic!("fleet {words} gives no answer: {error}"));
        let mut said = Vec::new();
        answer.read_to_end(&mut said).expect("the script answers");
        let [out, err] = ["out", "err"].map(|name| {
            usize::try_from(head[name].as_u64().expect("a length")).expect("a length in memory")
        });
        assert_eq!(said.len(), out + err, "fleet {words}");
        let err = said.split_off(out);
        let [out, err] = [said, err].map(|said| String::from_utf8_lossy(&said).into_owned());
        assert_eq!(head["code"], 0, "fleet {words}: {out}{err}");
        out
    }

    /// Runs a shell command as root on a host, beside SSH, and gives its standard output.
    ///
    /// # Panics
    /// When it fails.
    pub fn sh(&self, host: &str, command: &str) -> String {
        let output = self.beside_ssh(host, command).output().expect("nsenter starts");
        assert!(
            output.status.success(),
            "{command} on {host}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("the command prints text")
    }

    /// The same, not started yet: what the script's `sh` does, without its start, which costs more than most looks.
    ///
    /// # Panics
    /// When the host is off.
    pub fn beside_ssh(&self, host: &str, command: &str) -> Command {
        let init = self.init(host).unwrap_or_else(|| panic!("{host} is off"));
        let mut inside = Command::new("nsenter");
        inside
            .args(["-t", &init.to_string(), "-m", "-u", "-i", "-n", "-p", "-r", "-w"])
            .args(["env", "-i", &format!("PATH={PATH}"), "HOME=/root", "sh", "-c", command])
            .stdin(Stdio::null());
        inside
    }

    /// Process 1 of a host while it is on: the child of the keeper's child that is called like it, as in
    /// `fleetlib/hosts.py`.
    pub fn init(&self, host: &str) -> Option<u32> {
        let keeper = u32::try_from(self.keeper()).ok()?;
        let is_it = |process: &u32| {
            let words = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let mut words = words.split(|byte| *byte == 0).filter(|word| !word.is_empty());
            words.next() == Some(b"unshare") && words.next_back() == Some(host.as_bytes())
        };
        children(children(keeper).into_iter().find(is_it)?).first().copied()
    }

    /// Puts a generation's files everywhere from outside, and sees every service serve it.
    pub fn reset(&self, generation: &str) {
        self.fleet(&["reset", generation, "--within", "60"]);
    }

    /// Waits until a service (`nginx`, `postfix:465`) of a host (or `all`) serves a generation or a
    /// leaf by its SHA-256, to openssl and not to ourselves.
    ///
    /// # Panics
    /// When it does not within a minute.
    pub fn expect(&self, host: &str, service: &str, wanted: &str) {
        self.fleet(&["expect", host, service, wanted, "--within", "60"]);
    }

    /// Type, mode, owner, size, digest and attributes of everything below the services' TLS
    /// directories, or below `paths`.
    pub fn snapshot(&self, host: &str, paths: &[&str]) -> String {
        self.fleet(&[&["snapshot", host], paths].concat())
    }

    /// As [`Fleet::snapshot`], with the times of last modification and of last change of status.
    pub fn snapshot_with_times(&self, host: &str, paths: &[&str]) -> String {
        self.fleet(&[&["snapshot", "--times", host], paths].concat())
    }

    /// `certroll` with `arguments`, not started yet, as it runs on the controller: in its network,
    /// with a home directory of its own (`ssh/config` and `known_hosts` in it), no agent, and an
    /// otherwise empty environment. The process that starts *is* certroll: signals reach it.
    pub fn certroll(&self, arguments: &[&str]) -> Command {
        self.controller(env!("CARGO_BIN_EXE_certroll"), arguments)
    }

    /// Any program as it runs on the controller: what the script's `exec` does, without its start.
    pub fn controller<P: AsRef<OsStr>>(&self, program: P, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.keeper()))
            .args(["unshare", "--mount", "--propagation", "private"])
            .args(["sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""])
            .arg(self.dir.join("hosts"))
            .arg(program)
            .args(arguments);
        in_its_environment(&mut command, &self.dir);
        command.env("HOME", self.real_dir().join("home")).stdin(Stdio::null());
        command
    }

    /// Runs `certroll` to its end in `directory`, for at most five minutes.
    pub fn run(&self, directory: &Path, arguments: &[&str]) -> Ran {
        let mut command = self.certroll(arguments);
        command.current_dir(directory);
        self.run_to_end(command)
    }

    /// Runs what [`Fleet::certroll`] gave to its end, for at most five minutes.
    pub fn run_to_end(&self, mut command: Command) -> Ran {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Ran::from(end_within(child.expect("certroll starts"), Duration::from_secs(300)))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        drop(self.hold.take());
        // Gone when its directory is: the keeper removes it last.
        let end = Instant::now() + Duration::from_secs(60);
        while self.dir.exists() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        // A keeper that is stuck must not outlive the tests; twice is harmless.
        if self.dir.exists() {
            script(&self.dir, &["down"]).status().ok();
            fs::remove_dir_all(&self.dir).ok();
        }
        self.script.wait().ok();
    }
}

/// Equal fleets that tests take turns with. One more is brought up while all are taken, up to `most`.
pub struct Fleets {
    up: fn() -> Option<Fleet>,
    most: usize,
    pool: Mutex<Pool>,
    given_back: Condvar,
}

/// Those that nobody has, and how many there are. `None`: there can be none here.
type Pool = Option<(Vec<Fleet>, usize)>;

impl Fleets {
    pub const fn new(most: usize, up: fn() -> Option<Fleet>) -> Self {
        Self { up, most, pool: Mutex::new(Some((Vec::new(), 0))), given_back: Condvar::new() }
    }

    /// A fleet as the test before left it, or `None` where there can be none, which [`skip`] has said.
    pub fn one(&'static self) -> Option<Turn> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let fleet = loop {
            let Some((free, made)) = pool.as_mut() else {
                skip("no fleet of real hosts");
                return None;
            };
            if let Some(fleet) = free.pop() {
                break fleet;
            }
            if *made < self.most {
                *made += 1;
                drop(pool);
                let up = (self.up)();
                if up.is_none() {
                    *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    self.given_back.notify_all();
                }
                return up.map(|fleet| Turn { fleet: Some(fleet), fleets: self });
            }
            pool = self.given_back.wait(pool).unwrap_or_else(PoisonError::into_inner);
        };
        Some(Turn { fleet: Some(fleet), fleets: self })
    }
}

/// A fleet of [`Fleets`], given back in the end.
pub struct Turn {
    fleet: Option<Fleet>,
    fleets: &'static Fleets,
}

impl Deref for Turn {
    type Target = Fleet;

    fn deref(&self) -> &Fleet {
        self.fleet.as_ref().expect("taken when dropped")
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut pool = self.fleets.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((free, _)) = pool.as_mut() {
            free.extend(self.fleet.take());
        }
        self.fleets.given_back.notify_one();
    }
}

/// How a run of certroll ended.
pub struct Ran {
    /// Exit code; 128 + the signal when one ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    /// The events of `-o json`, in order.
    ///
    /// # Panics
    /// When a line of standard output is not a JSON object.
    pub fn events(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| {
                let value: Value = serde_json::from_str(line)
                    .unwrap_or_else(|e| panic!("not JSON ({e}): {line}\n{}", self.stderr));
                assert!(value.is_object(), "not an object: {line}");
                value
            })
            .collect()
    }

    /// The last event of `-o json`.
    ///
    /// # Panics
    /// When it is not the summary, showing what was printed.
    pub fn summary(&self) -> Value {
        let last = self.events().pop().unwrap_or_default();
        assert_eq!(last["event"], "summary", "{self}");
        assert_eq!(last["exit_code"], self.code, "{self}");
        last
    }

    /// A host's outcome in the summary.
    pub fn outcome(&self, host: &str) -> String {
        let summary = self.summary();
        let outcome = &summary["hosts"][host]["outcome"];
        outcome.as_str().unwrap_or_else(|| panic!("no outcome of {host}: {self}")).to_owned()
    }

    /// (host, outcome) of all hosts in the summary's order.
    pub fn outcomes(&self) -> Vec<(String, String)> {
        let summary = self.summary();
        let hosts = summary["hosts"].as_object().expect("hosts by name");
        hosts.keys().map(|host| (host.clone(), self.outcome(host))).collect()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let signalled = output.status.signal().map(|signal| 128 + signal);
        Self {
            code: output.status.code().or(signalled).expect("it ended"),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {}\n{}{}", self.code, self.stdout, self.stderr)
    }
}

/// `--release NAME`, if it is among the options of `fleet up`.
fn about_the_release<'a>(options: &'a [&'a str]) -> &'a [&'a str] {
    let at = options.iter().position(|option| *option == "--release");
    at.map_or(&[], |at| &options[at..at + 2])
}

/// The direct children of a process.
fn children(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// The fleet script with a cleared environment.
fn script(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fleet/fleet"));
    command.args(arguments).stdin(Stdio::null());
    in_its_environment(&mut command, dir);
    command
}

fn in_its_environment(command: &mut Command, dir: &Path) {
    command.env_clear().env("PATH", PATH).env("LC_ALL", "C.UTF-8").env("FLEET_DIR", dir);
    for name in ["FLEET_BINS", "FLEET_RELEASES"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
}

/// Its output; a process that takes longer is killed and the test fails.
fn end_within(child: Child, limit: Duration) -> Output {
    let id = child.id().to_string();
    let (tell, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()).ok());
    match ended.recv_timeout(limit) {
        Ok(output) => output.expect("certroll's output can be read"),
        Err(_) => {
            Command::new("kill").args(["-KILL", &id]).status().ok();
            panic!("certroll ran longer than {limit:?}");
        }
    }
}
