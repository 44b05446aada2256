//! A fleet in this process and certroll as another process beside it.

use certroll::testing::lab::Lab;
use certroll::testing::lab::story::{HostStory, Kind, Scenario};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// The certificate task for every host of the lab.
pub(crate) const CERTIFICATE: &str = r#"
    - name: certificate
      certificate:
        service: demo-web
        source: {cert: "certs/{{ inventory_hostname }}/fullchain.pem", key: "certs/{{ inventory_hostname }}/privkey.pem"}
        dest: {cert: "{{ host_dir }}/tls/cert.pem", key: "{{ host_dir }}/tls/key.pem"}
        verify: {endpoint: "127.0.0.1:{{ tls_port }}", server_name: "{{ inventory_hostname }}.demo.test", attempts: 2, backoff: 50ms}
"#;

pub(crate) struct Site {
    pub(crate) lab: Lab,
}

/// How a run of certroll ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Site {
    /// Hosts `edge1`, `edge2`, …, with what is odd about each.
    pub(crate) async fn new(twists: &[Scenario]) -> Self {
        let story = |(index, scenario)| HostStory::new(format!("edge{index}"), Kind::Web, scenario);
        let stories: Vec<_> = (1..).zip(twists.iter().copied()).map(story).collect();
        Self { lab: Lab::temporary(&stories).await.expect("the lab starts") }
    }

    /// So many hosts with nothing odd about them.
    pub(crate) async fn good(count: usize) -> Self {
        Self::new(&vec![Scenario::None; count]).await
    }

    /// Where certroll keeps what outlives a run.
    pub(crate) fn state(&self) -> PathBuf {
        self.lab.directory().join("state")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.program(
            env!("CARGO_BIN_EXE_certroll"),
            arguments,
            &["-i", "inventory.ini", "--ssh-config", "none"],
        )
    }

    /// Any program as certroll runs here.
    pub(crate) fn program(&self, program: &str, arguments: &[&str], more: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args(more)
            .current_dir(self.lab.directory())
            .env("XDG_STATE_HOME", self.state())
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts `certroll VERB play.yml -o json` with a playbook.
    pub(crate) fn start(&self, verb: &str, playbook: &str, more: &[&str]) -> Child {
        std::fs::write(self.lab.directory().join("play.yml"), playbook).expect("writable");
        let arguments = [&[verb, "play.yml", "-o", "json"], more].concat();
        self.command(&arguments).spawn().expect("certroll starts")
    }

    /// `certroll` with just these arguments, to its end.
    pub(crate) async fn certroll(&self, arguments: &[&str]) -> Ran {
        let child = self.program(env!("CARGO_BIN_EXE_certroll"), arguments, &[]).spawn();
        ended(child.expect("certroll starts")).await
    }

    /// As [`start`](Self::start), to its end.
    pub(crate) async fn run(&self, verb: &str, playbook: &str, more: &[&str]) -> Ran {
        ended(self.start(verb, playbook, more)).await
    }

    /// As [`run`](Self::run), with a terminal as standard input on which somebody types.
    pub(crate) async fn on_a_terminal(&self, verb: &str, playbook: &str, typed: &str) -> Ran {
        std::fs::write(self.lab.directory().join("play.yml"), playbook).expect("writable");
        let output = self.lab.directory().join("output");
        let program = env!("CARGO_BIN_EXE_certroll");
        let line = format!("{program} {verb} play.yml -o json -i inventory.ini --ssh-config none");
        let mut child = Command::new("script")
            .args(["-qec", &format!("{line} >output"), "/dev/null"])
            .current_dir(self.lab.directory())
            .env("SHELL", "/bin/sh")
            .env("XDG_STATE_HOME", self.state())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("script starts");
        let mut keyboard = child.stdin.take().expect("a pipe");
        keyboard.write_all(typed.as_bytes()).await.expect("typed");
        // Taken away only after the end: an end of input would be an answer as well.
        let ended = child.wait_with_output().await.expect("it ends");
        drop(keyboard);
        Ran {
            code: ended.status.code().expect("no signal"),
            stdout: std::fs::read_to_string(output).expect("output"),
            stderr: String::from_utf8_lossy(&ended.stdout).into_owned(),
        }
    }

    /// A play named `play` for the group `web`; `tasks` are indented by four.
    pub(crate) async fn play(&self, verb: &str, head: &str, tasks: &str, more: &[&str]) -> Ran {
        let playbook = format!("- name: play\n  hosts: web\n{head}  tasks:\n{tasks}");
        self.run(verb, &playbook, more).await
    }

    /// A file below a host's directory.
    pub(crate) fn file(&self, host: &str, name: &str) -> PathBuf {
        self.lab.host(host).expect("a host").directory.join(name)
    }

    /// What tasks have written to a host's `log.txt`.
    pub(crate) fn log(&self, host: &str) -> String {
        std::fs::read_to_string(self.file(host, "log.txt")).unwrap_or_default()
    }

    /// Whether a host serves its new certificate; its old one otherwise.
    pub(crate) fn serves_new(&self, host: &str) -> bool {
        let (old, new) = self.lab.leaves(host).expect("a host");
        let served = self.lab.host(host).expect("a host").service.serves();
        assert!(served == old || served == new, "{host} serves neither");
        served == new
    }
}

/// Waits for the end of a run, at most five minutes.
pub(crate) async fn ended(child: Child) -> Ran {
    let limit = std::time::Duration::from_secs(300);
    let output = tokio::time::timeout(limit, child.wait_with_output()).await;
    let output = output.expect("it ends within five minutes").expect("its output can be read");
    Ran {
        code: output.status.code().expect("it ended by itself"),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Ran {
    pub(crate) fn events(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        self.stdout.lines().map(parse).collect()
    }

    pub(crate) fn summary(&self) -> Value {
        let last = self.events().pop().unwrap_or_default();
        assert_eq!(last["event"], "summary", "{self}");
        assert_eq!(last["exit_code"], self.code, "{self}");
        last
    }

    /// `edge1=changed edge2=failed …`.
    pub(crate) fn outcomes(&self) -> String {
        let summary = self.summary();
        let hosts = summary["hosts"].as_object().expect("hosts by name");
        let each = hosts
            .iter()
            .map(|(host, end)| format!("{host}={}", end["outcome"].as_str().unwrap_or_default()));
        each.collect::<Vec<_>>().join(" ")
    }

    /// A count of a host in the summary.
    pub(crate) fn count(&self, host: &str, what: &str) -> u64 {
        self.summary()["hosts"][host][what]
            .as_u64()
            .unwrap_or_else(|| panic!("{host} {what}: {self}"))
    }

    /// The outputs of a task on a host.
    pub(crate) fn output(&self, host: &str, task: &str) -> String {
        let events = self.events();
        let of = |event: &&Value| {
            event["event"] == "task_end" && event["host"] == host && event["task"] == task
        };
        let end = events.iter().find(of).unwrap_or_else(|| panic!("no {task} on {host}: {self}"));
        end["output"].as_str().or(end["message"].as_str()).unwrap_or_default().to_owned()
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {}\n{}{}", self.code, self.stdout, self.stderr)
    }
}
