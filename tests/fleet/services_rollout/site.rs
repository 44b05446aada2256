//! The hosts that these tests share, each with every service, and the playbooks that they run.

use crate::common::fleet::{Fleet, Ran};
use crate::services_rollout::service::{HAPROXY, Service};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const HOSTS: [&str; 3] = ["h001", "h002", "h003"];
/// What the certificates are for.
pub const NAME: &str = "www.fleet.test";

/// The fleet, and the hosts that no test has now.
struct Pool {
    fleet: Fleet,
    free: Mutex<Vec<&'static str>>,
    given_back: Condvar,
}

/// One host for one test, with its services as they were at the start, and a directory on the
/// controller.
pub struct Host {
    pool: &'static Pool,
    pub name: &'static str,
    directory: TempDir,
}

/// Hosts of one kind that tests share. The first test that asks for one brings them up.
pub struct Hosts {
    services: &'static [&'static str],
    options: &'static [&'static str],
    pool: OnceLock<Option<Pool>>,
}

impl Hosts {
    /// Hosts that run the fleet's `services`, with further `options` of `fleet up`.
    pub const fn new(services: &'static [&'static str], options: &'static [&'static str]) -> Self {
        Self { services, options, pool: OnceLock::new() }
    }

    /// A host whose `services` serve `gen1`, or `None` where there can be no hosts.
    pub fn host(&'static self, services: &[&Service]) -> Option<Host> {
        let there = Fleet::services(self.options);
        for service in services {
            if !there.iter().any(|name| name == service.name) {
                crate::common::skip(&format!("{} is not installed", service.name));
                return None;
            }
        }
        let pool = self.pool.get_or_init(|| {
            let fleet = Fleet::up_with(HOSTS.len(), self.services, self.options)?;
            Some(Pool { fleet, free: Mutex::new(HOSTS.to_vec()), given_back: Condvar::new() })
        });
        let Some(pool) = pool else {
            crate::common::skip("no fleet of real hosts");
            return None;
        };
        let mut free = pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        let name = loop {
            match free.pop() {
                Some(name) => break name,
                None => free = pool.given_back.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(free);
        let host = Host { pool, name, directory: tempfile::tempdir().unwrap() };
        for service in services {
            host.as_new(service);
        }
        Some(host)
    }
}

/// A host with every service there is.
pub fn host(services: &[&Service]) -> Option<Host> {
    static ALL: Hosts = Hosts::new(&["all"], &[]);
    ALL.host(services)
}

impl Drop for Host {
    fn drop(&mut self) {
        let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(self.name);
        self.pool.given_back.notify_one();
    }
}

impl Host {
    pub fn fleet(&self) -> &Fleet {
        &self.pool.fleet
    }

    /// Where it is reached.
    pub fn address(&self) -> String {
        self.fleet().address(self.name)
    }

    /// As root on the host, beside SSH.
    pub fn sh(&self, command: &str) -> String {
        self.fleet().sh(self.name, command)
    }

    /// Waits until the service serves a generation to openssl.
    pub fn expect(&self, service: &Service, generation: &str) {
        let place = format!("{}:{}", service.name, service.port);
        self.fleet().expect(self.name, &place, generation);
    }

    /// Puts a generation's files from outside and has them loaded.
    pub fn give(&self, service: &Service, generation: &str) {
        let place = format!("{}:{}", service.name, service.port);
        let seen = ["--reload", "--seen", &place, "--within", "60"];
        let before = self.traces_of_reloads(service);
        self.fleet().fleet(&[&["put", self.name, service.name, generation], &seen[..]].concat());
        // What is served may have been served before: whoever looks at workers must not meet those of then.
        let end = Instant::now() + Duration::from_secs(60);
        let mut again = Instant::now() + Duration::from_secs(5);
        while self
            .traces_of_reloads(service)
            .lines()
            .any(|line| before.lines().any(|old| old == line))
        {
            assert!(Instant::now() < end, "{} does not reload: {before}", service.name);
            std::thread::sleep(Duration::from_millis(50));
            // Of two signals that come together lighttpd sees one.
            if Instant::now() > again {
                self.fleet().fleet(&["reload", self.name, service.name]);
                again += Duration::from_secs(5);
            }
        }
    }

    /// Lines of which each reload changes every one; none where nobody can tell.
    fn traces_of_reloads(&self, service: &Service) -> String {
        let look = match service.name {
            // It watches its files.
            "envoy" => return String::new(),
            // In either of its ways.
            "haproxy" => HAPROXY.reloads,
            _ => service.reloads,
        };
        self.sh(&format!("{look} || true"))
    }

    /// Configuration and certificate of a service as the fleet set them up.
    pub fn as_new(&self, service: &Service) {
        let Service { name, directory, .. } = service;
        // Directories stay the same: some services watch them.
        self.sh(&format!(
            "if [ -d /root/kept/{name} ]; then
               find {directory} -name '*broken*' -delete
               rm -rf {directory}/certs {directory}/tls/.certroll*
               cp -a /root/kept/{name}/. {directory}/
               [ {name} != envoy ] || {{ cp {directory}/sds.yaml {directory}/new; mv {directory}/new {directory}/sds.yaml; }}
             else
               mkdir -p /root/kept; cp -a {directory} /root/kept/{name}
             fi"
        ));
        if service.profile == "postfix-chain" {
            self.fleet().fleet(&["put", self.name, "postfix", "gen1"]);
            self.sh("cd /etc/postfix/tls && (umask 077; cat privkey.pem fullchain.pem >chain.pem)
                 rm -f privkey.pem fullchain.pem
                 postconf -X smtpd_tls_cert_file smtpd_tls_key_file
                 postconf -e smtpd_tls_chain_files=/etc/postfix/tls/chain.pem; postfix reload");
            self.expect(service, "gen1");
        } else {
            self.give(service, "gen1");
        }
    }

    /// Everything below the service's directory.
    pub fn state(&self, service: &Service) -> String {
        self.fleet().snapshot(self.name, &[service.directory])
    }

    /// The same with times.
    pub fn state_with_times(&self, service: &Service) -> String {
        self.fleet().snapshot_with_times(self.name, &[service.directory])
    }

    /// Runs certroll with `-o json` for this host in a directory that holds `play.yml`.
    pub fn run(&self, verb: &str, tasks: &[Task], more: &[&str]) -> Ran {
        self.run_play(verb, &self.play(tasks), more)
    }

    /// As [`Host::run`], with a whole playbook.
    pub fn run_play(&self, verb: &str, play: &str, more: &[&str]) -> Ran {
        self.fleet().run_to_end(self.start(verb, play, more))
    }

    /// The same, not started yet.
    pub fn start(&self, verb: &str, play: &str, more: &[&str]) -> Command {
        let inventory = self.fleet().dir().join("inventory.ini").display().to_string();
        let usual = [verb, "play.yml", "-i", &inventory, "-o", "json", "--limit", self.name];
        fs::write(self.file("play.yml"), play).unwrap();
        let mut command = self.fleet().certroll(&[&usual, more].concat());
        command.current_dir(self.directory.path());
        command
    }

    /// A file in the directory that certroll runs in.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A play with these certificate tasks.
    pub fn play(&self, tasks: &[Task]) -> String {
        let mut play = "- hosts: web\n  become: true\n  tasks:\n".to_owned();
        for task in tasks {
            play.push_str(&task.yaml(self.fleet()));
        }
        play
    }

    /// Applies and wants the host to end so.
    pub fn apply(&self, task: &Task, outcome: &str) -> Ran {
        let ran = self.run("apply", std::slice::from_ref(task), &[]);
        assert_eq!(ran.outcome(self.name), outcome, "{ran}");
        ran
    }
}

/// The step at which a host failed, from the summary.
pub fn step(ran: &Ran, host: &Host) -> String {
    ran.summary()["hosts"][host.name]["step"].as_str().unwrap_or_default().to_owned()
}

/// One certificate task.
#[derive(Clone)]
pub struct Task {
    services: String,
    /// `certificates:`, or `source:` and `dest:`, as written.
    files: String,
    verify: String,
    attempts: u32,
    more: Vec<String>,
}

impl Task {
    /// The service gets a generation where its configuration wants it.
    pub fn of(service: &Service, generation: &str) -> Self {
        let mut dest = format!("cert: {}", service.cert);
        if let Some(key) = service.key {
            write!(dest, ", key: {key}").unwrap();
        }
        Self::at(service, generation, &dest)
    }

    /// As [`Task::of`], elsewhere: `cert: /a, key: /b`, or nothing for the profile's usual places.
    pub fn at(service: &Service, generation: &str, dest: &str) -> Self {
        let Service { port, starttls, .. } = service;
        let mut files = format!(
            "        source: {{cert: 'PKI/{generation}/fullchain.pem', key: 'PKI/{generation}/privkey.pem'}}\n"
        );
        if !dest.is_empty() {
            writeln!(files, "        dest: {{{dest}}}").unwrap();
        }
        Self {
            services: service.profile.to_owned(),
            files,
            verify: format!("endpoint: '{{{{ ansible_host }}}}:{port}', starttls: {starttls}"),
            // About a minute: what is to be served is served in the end, however busy the machine.
            attempts: 60,
            more: Vec::new(),
        }
    }

    /// The key of another generation than the certificate's, or `keep`.
    pub fn with_key(mut self, of: &str) -> Self {
        let (before, rest) = self.files.split_once("key: '").unwrap();
        let (_, after) = rest.split_once('\'').unwrap();
        let key = if of == "keep" { of.to_owned() } else { format!("'PKI/{of}/privkey.pem'") };
        self.files = format!("{before}key: {key}{after}");
        self
    }

    /// Other services than those of [`Task::of`].
    pub fn services(mut self, services: &str) -> Self {
        services.clone_into(&mut self.services);
        self
    }

    /// `source:` and `dest:` (or `certificates:`) as written; `PKI` is where generations are.
    pub fn files(mut self, text: &str) -> Self {
        text.clone_into(&mut self.files);
        self
    }

    /// Another `verify:`, without name and attempts.
    pub fn seen_at(mut self, verify: &str) -> Self {
        verify.clone_into(&mut self.verify);
        self
    }

    /// Looks no more often than this, where it looks in vain.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// One more key.
    pub fn with(mut self, line: &str) -> Self {
        self.more.push(line.to_owned());
        self
    }

    /// As written in a play.
    pub fn yaml(&self, fleet: &Fleet) -> String {
        let Self { services, files, verify, attempts, more } = self;
        let pki = fleet.dir().join("pki");
        let files = files.replace("PKI", pki.to_str().unwrap());
        let mut text = format!(
            "    - name: \"{services} serves it\"\n      certificate:\n        service: {services}\n{files}"
        );
        if !more.iter().any(|line| line.starts_with("verify:")) {
            writeln!(
                text,
                "        verify: {{{verify}, server_name: {NAME}, attempts: {attempts}, backoff: 100ms, max_backoff: 1s}}"
            )
            .unwrap();
        }
        for line in more {
            writeln!(text, "        {line}").unwrap();
        }
        text
    }
}
