//! The fleet that these tests share, and the playbooks that they run on it.

use crate::common::fleet::{Fleet, Fleets, Ran, Turn};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// The hosts, in inventory order.
pub const HOSTS: [&str; 4] = ["h001", "h002", "h003", "h004"];

/// Everything below these holds still unless certroll changes it.
pub const CONFIGURATION: [&str; 2] = ["/etc/nginx", "/etc/postfix"];

/// Four hosts that serve `gen1`, which this test has for itself, and a directory to run certroll in.
pub struct Site {
    pub fleet: Turn,
    directory: TempDir,
}

/// The hosts as they are at the start of every test, or `None` where there can be none.
pub fn site() -> Option<Site> {
    static FLEETS: Fleets = Fleets::new(2, || Fleet::up(HOSTS.len(), &["nginx", "postfix"]));
    // A test that failed leaves its mark on the hosts, which the reset removes.
    let fleet = FLEETS.one()?;
    fleet.fleet(&["heal", "all"]);
    for host in HOSTS {
        fleet.sh(
            host,
            "rm -rf /etc/nginx/tls /etc/postfix/tls /etc/nginx/sites-enabled/broken.conf \
             /etc/nginx/sites-enabled/shop.conf /etc/nginx/sites-enabled/.certroll",
        );
    }
    fleet.reset("gen1");
    Some(Site { fleet, directory: tempfile::tempdir().unwrap() })
}

impl Site {
    /// Runs certroll with the fleet's inventory and `-o json` in a directory that holds `play.yml`.
    pub fn run(&self, verb: &str, playbook: &str, more: &[&str]) -> Ran {
        self.run_as_told(
            &[&[verb, "play.yml", "-i", &self.inventory(), "-o", "json"], more].concat(),
            playbook,
        )
    }

    /// As [`Site::run`] with just these arguments.
    pub fn run_as_told(&self, arguments: &[&str], playbook: &str) -> Ran {
        fs::write(self.file("play.yml"), playbook).unwrap();
        self.fleet.run(self.directory.path(), arguments)
    }

    /// A file in the directory that certroll runs in.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn inventory(&self) -> String {
        self.fleet.dir().join("inventory.ini").to_str().unwrap().to_owned()
    }

    /// Snapshots of all hosts' configuration with times.
    pub fn snapshots(&self) -> Vec<String> {
        HOSTS.iter().map(|host| self.fleet.snapshot_with_times(host, &CONFIGURATION)).collect()
    }

    /// What a host's configuration is, whenever it was written.
    pub fn state(&self, host: &str) -> String {
        self.fleet.snapshot(host, &CONFIGURATION)
    }

    /// A play of certificate tasks for all hosts.
    pub fn play(&self, tasks: &[Task]) -> String {
        let tasks: String = tasks.iter().map(|task| task.yaml(&self.fleet)).collect();
        format!("- name: New certificates\n  hosts: web\n  become: true\n  tasks:\n{tasks}")
    }

    /// The play that gives nginx and postfix a generation.
    pub fn both(&self, generation: &str) -> String {
        self.play(&[Task::nginx(generation), Task::postfix(generation)])
    }
}

/// One certificate task; `yaml` shows which keys it sets.
#[derive(Clone)]
pub struct Task {
    service: &'static str,
    generation: String,
    endpoint: String,
    starttls: &'static str,
    attempts: u32,
    /// Further keys of `certificate:`, as written.
    extra: Vec<String>,
}

impl Task {
    pub fn nginx(generation: &str) -> Self {
        Self {
            service: "nginx",
            generation: generation.to_owned(),
            endpoint: "{{ ansible_host }}:443".to_owned(),
            starttls: "none",
            // About a minute: what is to be served is served in the end, however busy the machine.
            attempts: 60,
            extra: Vec::new(),
        }
    }

    pub fn postfix(generation: &str) -> Self {
        Self {
            service: "postfix",
            endpoint: "{{ ansible_host }}:25".to_owned(),
            starttls: "smtp",
            ..Self::nginx(generation)
        }
    }

    /// Another endpoint to look at.
    pub fn seen_at(mut self, endpoint: &str) -> Self {
        endpoint.clone_into(&mut self.endpoint);
        self
    }

    /// Looks a few times only: it looks in vain.
    pub fn in_vain(mut self) -> Self {
        self.attempts = 5;
        self
    }

    /// One more key, for instance `reload: /bin/false`.
    pub fn with(mut self, line: &str) -> Self {
        self.extra.push(line.to_owned());
        self
    }

    fn yaml(&self, fleet: &Fleet) -> String {
        let Self { service, generation, endpoint, starttls, attempts, extra } = self;
        let source = |file| fleet.pki(generation, file).display().to_string();
        let (cert, key) = (source("fullchain.pem"), source("privkey.pem"));
        let extra: String = extra.iter().map(|line| format!("        {line}\n")).collect();
        format!(
            r#"    - name: {service} serves {generation}
      certificate:
        service: {service}
        source:
          cert: {cert}
          key: {key}
        dest:
          cert: /etc/{service}/tls/fullchain.pem
          key: /etc/{service}/tls/privkey.pem
        verify:
          endpoint: "{endpoint}"
          server_name: www.fleet.test
          starttls: {starttls}
          attempts: {attempts}
          backoff: 200ms
          max_backoff: 1s
{extra}"#
        )
    }
}

/// (host, outcome) for a comparison with [`Ran::outcomes`].
pub fn all(outcome: &str) -> Vec<(String, String)> {
    HOSTS.iter().map(|host| ((*host).to_owned(), outcome.to_owned())).collect()
}

/// As [`all`], with another outcome for one host.
pub fn all_but(odd: &str, its: &str, outcome: &str) -> Vec<(String, String)> {
    let mut outcomes = all(outcome);
    for entry in outcomes.iter_mut().filter(|entry| entry.0 == odd) {
        its.clone_into(&mut entry.1);
    }
    outcomes
}
