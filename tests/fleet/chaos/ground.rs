//! The hosts, what is seen of them beside SSH, and runs of certroll that are watched while they go.

use crate::common::fleet::{Fleet, Fleets, Ran, Turn};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const HOSTS: [&str; 6] = ["h001", "h002", "h003", "h004", "h005", "h006"];
/// With those that only long runs have.
pub const EVERY: [&str; 8] = ["h001", "h002", "h003", "h004", "h005", "h006", "h007", "h008"];
/// In the order of the play's tasks.
pub const SERVICES: [&str; 2] = ["nginx", "postfix"];
/// How long a host waits for the confirmation.
pub const DEAD_MAN: Duration = Duration::from_secs(10);
/// A run that takes longer hangs.
const LONGEST_RUN: Duration = Duration::from_secs(300);

/// A fleet that this test has for itself.
pub struct Ground {
    pub fleet: Turn,
    keeper: u64,
    ports: HashMap<String, String>,
    /// SHA-256 of file or leaf → generation.
    known: HashMap<String, &'static str>,
    directory: TempDir,
}

/// The fleet in good order, serving `gen1`, or `None` where there can be none.
pub fn ground() -> Option<Ground> {
    static FLEETS: Fleets = Fleets::new(2, || Fleet::up(EVERY.len(), &SERVICES));
    let fleet = FLEETS.one()?;
    let state: Value =
        serde_json::from_slice(&fs::read(fleet.dir().join("state.json")).unwrap()).unwrap();
    let port = |host: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&host["name"]), text(&host["nics"][0]["port"]))
    };
    let mut known = HashMap::new();
    for generation in ["gen1", "gen2", "gen3-rsa"] {
        for file in ["fullchain.pem", "privkey.pem"] {
            let bytes = fs::read(fleet.pki(generation, file)).unwrap();
            known.insert(certroll::testing::model::Fingerprint::of(&bytes).to_string(), generation);
        }
        known.insert(fleet.leaf(generation), generation);
    }
    let ground = Ground {
        keeper: state["keeper"]["pid"].as_u64().unwrap(),
        ports: state["hosts"].as_array().unwrap().iter().map(port).collect(),
        known,
        directory: tempfile::tempdir().unwrap(),
        fleet,
    };
    // A test that failed leaves its mark.
    at_once(&EVERY, |host| {
        if ground.pid(host).is_none() {
            ground.fleet.fleet(&["on", host]);
        }
        ground.link(host, true);
        ground.sh(
            host,
            "rm -rf /etc/nginx/tls/.cert* /etc/postfix/tls/.cert* /var/lib/certroll/* /run/certroll /root/broken",
        );
    });
    ground.fleet.reset("gen1");
    Some(ground)
}

/// One service of a host: which generation each part of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub certificate: String,
    pub key: String,
    pub served: String,
}

/// What a host holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub services: [Part; 2],
    /// Stages, journals, locks, scratch files.
    pub litter: Vec<String>,
}

impl Held {
    /// The generation of each service, if each holds and serves one whole.
    pub fn whole(&self) -> Option<[&str; 2]> {
        let whole = |part: &Part| part.certificate == part.key && part.key == part.served;
        self.services
            .iter()
            .all(whole)
            .then(|| [0, 1].map(|index| self.services[index].served.as_str()))
    }
}

impl Ground {
    /// Process 1 of a host while it is on.
    pub fn pid(&self, host: &str) -> Option<u32> {
        self.fleet.init(host)
    }

    /// Lets a host's packets pass or vanish. Takes milliseconds.
    pub fn link(&self, host: &str, flowing: bool) {
        let status = self.link_command(host, flowing).status().unwrap();
        assert!(status.success());
    }

    /// What [`Ground::link`] does, to be done later.
    pub fn link_command(&self, host: &str, flowing: bool) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.keeper))
            .args(["bridge", "link", "set", "dev", &self.ports[host], "state"])
            .arg(if flowing { "forwarding" } else { "disabled" });
        command
    }

    /// A shell command as root on a host, beside SSH.
    pub fn sh(&self, host: &str, text: &str) -> String {
        self.fleet.sh(host, text)
    }

    /// Looks at a host from inside. Nothing is verified: reading the machine's roots would be most of the work.
    pub fn look(&self, host: &str) -> Held {
        let text = self.sh(
            host,
            "litter() {
               find /etc/nginx /etc/postfix -name '.certroll-*'
               find /var/lib/certroll /run/certroll /tmp -mindepth 1 ! -path /run/certroll/lock 2>/dev/null || :
             }
             litter=$(litter)
             for s in nginx:443: postfix:25:smtp; do
               p=${s#*:}; m=${p#*:}; p=${p%:*}; s=${s%%:*}
               sha256sum </etc/$s/tls/fullchain.pem; sha256sum </etc/$s/tls/privkey.pem
               timeout 60 openssl s_client -no-CAfile -no-CApath -no-CAstore -connect 127.0.0.1:$p \
                 -servername www.fleet.test ${m:+-starttls $m} </dev/null 2>/dev/null |
                 sed -n '/^-----BEGIN CERT/,/^-----END CERT/{/^-/!p}' | base64 -d | sha256sum
             done
             echo \"$litter\"; litter",
        );
        let mut lines = text.lines();
        let mut generation = || {
            let digest = lines.next().unwrap().split(' ').next().unwrap().to_owned();
            self.known.get(&digest).map_or(digest, |name| (*name).to_owned())
        };
        let services = [0, 1].map(|_| Part {
            certificate: generation(),
            key: generation(),
            served: generation(),
        });
        let litter = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
        Held { services, litter }
    }

    /// Looks until what is seen is good.
    ///
    /// # Panics
    /// When it is not within `limit`.
    pub fn look_until(&self, host: &str, limit: Duration, good: impl Fn(&Held) -> bool) -> Held {
        let end = Instant::now() + limit;
        loop {
            let held = self.look(host);
            if good(&held) {
                return held;
            }
            assert!(
                Instant::now() < end,
                "{host} after {limit:?}: {held:#?}\n{}",
                self.traces(host)
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// For failures: what works on a host and what its journals say.
    fn traces(&self, host: &str) -> String {
        self.sh(
            host,
            "ps -eo pid,ppid,etimes,args | cut -c1-150 | grep -v 'ps -eo'
             head -50 /var/lib/certroll/* /run/certroll/lock/* 2>/dev/null || :
             tail -3 /var/log/sshd.log || :
             tail -20 /var/log/postfix.log || :
             ss -Htnap 'sport = :25' | cut -c1-150 || :
             for process in $(pgrep 'master|smtpd|postlogd|tlsmgr|anvil'); do
               echo \"$process $(cat /proc/$process/comm /proc/$process/wchan /proc/$process/syscall | xargs)\"
               ls -l /proc/$process/fd | sed 's/.* \\([0-9]* ->\\)/  \\1/'
             done",
        )
    }

    /// A directory for a controller, with `play.yml` in it for `hosts`.
    pub fn controller(&self, name: &str, hosts: &[&str], play: &Play) -> Controller<'_> {
        let directory = self.directory.path().join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("play.yml"), play.yaml(&self.fleet)).unwrap();
        let ssh = self.fleet.dir().join("ssh/config");
        let impatient = format!(
            "{{\"ansible_ssh_common_args\": \"-F {} -o ServerAliveInterval=2 -o ServerAliveCountMax=4\"}}",
            ssh.display()
        );
        let inventory = self.fleet.dir().join("inventory.ini").display().to_string();
        let common = ["play.yml", "-i", &inventory, "-o", "json", "-T", "30", "-e", &impatient]
            .map(str::to_owned)
            .into_iter()
            .chain(["--limit".to_owned(), hosts.join(",")])
            .collect();
        Controller { ground: self, directory, impatient, common }
    }
}

/// The certificate tasks of a playbook.
#[derive(Clone)]
pub struct Play {
    pub generation: String,
    services: Vec<&'static str>,
    /// Further keys of `certificate:`, as written.
    extra: Vec<String>,
    /// Further keys of the play.
    keywords: String,
    /// Further tasks, before the others.
    tasks: String,
}

impl Play {
    /// Both services, patient.
    pub fn of(generation: &str) -> Self {
        Self {
            generation: generation.to_owned(),
            services: SERVICES.to_vec(),
            extra: Vec::new(),
            keywords: String::new(),
            tasks: String::new(),
        }
    }

    /// nginx alone.
    pub fn nginx(generation: &str) -> Self {
        Self { services: vec!["nginx"], ..Self::of(generation) }
    }

    /// postfix alone.
    pub fn postfix(generation: &str) -> Self {
        Self { services: vec!["postfix"], ..Self::of(generation) }
    }

    /// One more key of each task.
    pub fn with(mut self, line: &str) -> Self {
        self.extra.push(line.to_owned());
        self
    }

    /// Hosts wait for the confirmation for [`DEAD_MAN`] only.
    pub fn impatient(self) -> Self {
        self.with(&format!("confirm_timeout: {}s", DEAD_MAN.as_secs()))
    }

    /// One more key of the play.
    pub fn keyword(mut self, line: &str) -> Self {
        self.keywords.push_str(&format!("  {line}\n"));
        self
    }

    /// One more task, before those of certificates.
    pub fn task(mut self, line: &str) -> Self {
        self.tasks.push_str(&format!("    - {line}\n"));
        self
    }

    fn yaml(&self, fleet: &Fleet) -> String {
        let source = |file| fleet.pki(&self.generation, file).display().to_string();
        let (cert, key) = (source("fullchain.pem"), source("privkey.pem"));
        let extra: String = self.extra.iter().map(|line| format!("        {line}\n")).collect();
        let tasks: String = self
            .services
            .iter()
            .map(|service| {
                let (port, starttls) =
                    if *service == "nginx" { (443, "none") } else { (25, "smtp") };
                format!(
                    r#"    - name: {service}
      certificate:
        service: {service}
        source: {{cert: {cert}, key: {key}}}
        dest: {{cert: /etc/{service}/tls/fullchain.pem, key: /etc/{service}/tls/privkey.pem}}
        verify:
          endpoint: "{{{{ ansible_host }}}}:{port}"
          server_name: www.fleet.test
          starttls: {starttls}
          attempts: 60
          backoff: 200ms
          max_backoff: 1s
{extra}"#
                )
            })
            .collect();
        let (keywords, more) = (&self.keywords, &self.tasks);
        format!(
            "- name: New certificates\n  hosts: web\n  become: true\n{keywords}  tasks:\n{more}{tasks}"
        )
    }
}

/// A place to run certroll in.
pub struct Controller<'a> {
    pub ground: &'a Ground,
    directory: std::path::PathBuf,
    impatient: String,
    common: Vec<String>,
}

impl Controller<'_> {
    /// Runs a verb to its end.
    pub fn run(&self, verb: &str) -> Ran {
        self.watched(verb, |_, _| {})
    }

    /// Runs a verb to its end and shows each event, with the id of the process, the moment it comes.
    ///
    /// # Panics
    /// When it takes longer than any run may.
    pub fn watched(&self, verb: &str, seen: impl FnMut(&Value, u32)) -> Ran {
        let arguments: Vec<&str> =
            [verb].into_iter().chain(self.common.iter().map(String::as_str)).collect();
        self.watched_with(&arguments, seen)
    }

    /// Runs a verb to its end with more arguments.
    pub fn run_with(&self, verb: &str, more: &[&str]) -> Ran {
        let common: Vec<&str> = self.common.iter().map(String::as_str).collect();
        self.watched_with(&[&[verb], &common[..], more].concat(), |_, _| {})
    }

    /// A file in the directory that certroll runs in.
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.directory.join(name)
    }

    /// Where certroll keeps what outlives a run.
    pub fn state(&self) -> std::path::PathBuf {
        self.directory.join("state")
    }

    /// Runs with an inventory of its own from now on: that of the fleet with other lines.
    pub fn with_inventory(&mut self, change: impl Fn(String) -> String) {
        let fleets = self.ground.fleet.dir().join("inventory.ini");
        let own = self.directory.join("inventory.ini");
        fs::write(&own, change(fs::read_to_string(&fleets).unwrap())).unwrap();
        let (fleets, own) = (fleets.display().to_string(), own.display().to_string());
        for word in self.common.iter_mut().filter(|word| **word == fleets) {
            word.clone_from(&own);
        }
    }

    /// Runs what follows an earlier run, whose command line it has.
    pub fn follow(&self, arguments: &[&str]) -> Ran {
        let again = ["-o", "json", "-e", &self.impatient];
        self.watched_with(&[arguments, &again].concat(), |_, _| {})
    }

    /// `certroll` with just these arguments.
    pub fn plain(&self, arguments: &[&str]) -> Ran {
        self.watched_with(arguments, |_, _| {})
    }

    fn watched_with(&self, arguments: &[&str], mut seen: impl FnMut(&Value, u32)) -> Ran {
        let mut child = self
            .ground
            .fleet
            .certroll(arguments)
            .current_dir(&self.directory)
            .env("XDG_STATE_HOME", self.state())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        let mut stderr = child.stderr.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).ok();
            text
        });
        let (ended, watch) = std::sync::mpsc::channel::<()>();
        let hangs = std::thread::spawn(move || {
            let late =
                watch.recv_timeout(LONGEST_RUN) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
            if late {
                signal(pid, "KILL");
            }
            late
        });
        let mut stdout = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            if let Ok(event) = serde_json::from_str(&line) {
                seen(&event, pid);
            }
            stdout.push_str(&line);
            stdout.push('\n');
        }
        let status = child.wait().unwrap();
        drop(ended);
        let stderr = said.join().unwrap();
        assert!(!hangs.join().unwrap(), "certroll {arguments:?} hangs: {stdout}{stderr}");
        let output = std::process::Output { status, stdout: stdout.into(), stderr: stderr.into() };
        Ran::from(output)
    }

    /// `certroll apply` as an operator runs it next: it succeeds, everything is new, and `certroll
    /// status` finds nothing unfinished.
    pub fn all_is_well_after_apply(&self, hosts: &[&str], generation: &str) {
        let apply = self.run("apply");
        assert_eq!(apply.code, 0, "{apply}");
        for host in hosts {
            let outcome = apply.outcome(host);
            assert!(["changed", "unchanged"].contains(&outcome.as_str()), "{host}: {apply}");
        }
        let status = self.run("status");
        assert_eq!(status.code, 0, "{status}");
        for event in status.events().iter().filter(|event| event["event"] == "host_status") {
            assert!(event["journals"].as_array().unwrap().is_empty(), "{event}");
            assert!(event["lock"].is_null(), "{event}");
        }
        for host in hosts {
            let held = self.ground.look_until(host, Duration::from_secs(60), |held| {
                held.litter.is_empty() && held.whole().is_some()
            });
            assert_eq!(held.whole(), Some([generation; 2]), "{host}: {held:?}");
        }
    }
}

/// Does something for each host, all at the same time; the results in the hosts' order.
///
/// # Panics
/// When it does for one.
pub fn at_once<'h, T: Send>(hosts: &[&'h str], each: impl Fn(&'h str) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let each = &each;
        let begun: Vec<_> = hosts.iter().map(|host| scope.spawn(move || each(host))).collect();
        begun
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|why| std::panic::resume_unwind(why)))
            .collect()
    })
}

pub fn signal(pid: u32, name: &str) {
    Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
}
