//! Batch stories, in process and on paused time, with the scripted target.

mod locks;

use super::connections::Connections;
use super::context::{Context, Operator};
use super::emit::{Beat, Emitter, dispatch};
use super::identity::Identity;
use super::rollout::targets::scripted::{Act, Script};
use super::run;
use super::stop::Stop;
use crate::event::{Kind, RunStart, StopReason, Summary, TaskResult};
use crate::inputs::preflight::Findings;
use crate::inputs::project::{Book, Options, Project};
use crate::inputs::verb::Verb;
use crate::inventory::{self, LoadOptions};
use crate::model::{Step, Timestamp};
use crate::playbook;
use crate::services::Profiles;
use crate::source::{SourceFile, Vars};
use crate::template::{Decrypt, Templates};
use crate::transport::ssh_config::{Controller, Files, SshConfig};
use crate::transport::{ConnectOptions, Connector};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A run of a play over hosts whose targets follow a script.
struct Story {
    script: Script,
    hosts: &'static str,
    play: String,
    verb: Verb,
    person: Option<bool>,
}

/// How it ended.
struct Ending {
    summary: Summary,
    log: Vec<String>,
    events: Vec<(String, Kind)>,
}

/// Answers as told, or is not there.
struct Person(Option<bool>);

impl Operator for Person {
    fn is_there(&self) -> bool {
        self.0.is_some()
    }

    fn confirm(&self, _: &str) -> bool {
        self.0 == Some(true)
    }

    fn wait_for_return(&self, _: &str) -> std::io::Result<String> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// A story of a certificate task for `hosts`; `keywords` are the play's.
fn story(hosts: &'static str, keywords: &str) -> Story {
    let keywords: String = keywords.lines().map(|line| format!("  {}\n", line.trim())).collect();
    let play = format!(
        "- hosts: all\n{keywords}  tasks:\n    - name: renew\n      certificate:\n        service: files\n        \
         source: {{cert: cert.pem, key: key.pem}}\n        dest: {{cert: /etc/tls/cert.pem, key: /etc/tls/key.pem}}\n        \
         reload: none\n        verify: false\n"
    );
    Story { script: Script::default(), hosts, play, verb: Verb::Apply, person: None }
}

impl Story {
    fn act(self, host: &str, step: Step, act: Act) -> Self {
        Self { script: self.script.act(host, step, act), ..self }
    }

    /// One more line of the certificate task.
    fn with(mut self, line: &str) -> Self {
        self.play.push_str(&format!("        {line}\n"));
        self
    }

    /// Lines after the tasks.
    fn then(mut self, lines: &str) -> Self {
        self.play.push_str(lines);
        self
    }

    async fn run(self) -> Ending {
        self.run_while(|_| async {}).await
    }

    /// Runs it, and `meanwhile` with its stop switch.
    async fn run_while<F: Future<Output = ()>>(self, meanwhile: impl FnOnce(Stop) -> F) -> Ending {
        let directory = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["www.example.net".to_owned()]).unwrap();
        std::fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let now = Timestamp::from_unix(1_785_412_800);
        let (emitter, inbox) = Emitter::channel(|| Timestamp::from_unix(1_785_412_800));
        let stop = Stop::default();
        let identity =
            Identity { run: "0123456789abcdef".into(), holder: "run 0123456789abcdef".into(), now };
        let config = SshConfig::load(Controller::detect(), &Files::None).unwrap().0;
        let connections = Connections::new(Connector::new(now), ConnectOptions::default(), config);
        let context = Arc::new(Context::new(
            Arc::new(project(directory.path(), &self)),
            connections,
            emitter,
            stop.clone(),
            identity,
            Arc::new(self.script.clone()),
            Arc::new(Person(self.person)),
        ));
        let events: Arc<Mutex<Vec<(String, Kind)>>> = Arc::default();
        let kept = Arc::clone(&events);
        let listening = tokio::spawn(dispatch(inbox, move |beat| {
            let Beat::Event(event) = beat else { return Ok(()) };
            let host = event.host.as_ref().map(ToString::to_string).unwrap_or_default();
            kept.lock().unwrap().push((host, event.kind.clone()));
            Ok(())
        }));
        let run = run::run(&context, RunStart::default(), Findings::default());
        let (summary, ()) = tokio::join!(run, meanwhile(stop));
        drop(context);
        listening.await.unwrap().unwrap();
        let events = std::mem::take(&mut *events.lock().unwrap());
        Ending { summary: summary.unwrap(), log: self.script.log(), events }
    }
}

fn project(directory: &std::path::Path, story: &Story) -> Project {
    let decrypt: Decrypt = Arc::new(|_| Err("no vault".to_owned()));
    let options = LoadOptions { playbook_directories: Vec::new(), decrypt: &*decrypt };
    let inventory = inventory::load(&[story.hosts.to_owned()], &options).unwrap().0;
    let templates = Templates::new(directory.to_owned(), Arc::clone(&decrypt));
    let file = SourceFile::new("site.yml", &story.play);
    let playbook = match playbook::parse(&file, directory, &templates) {
        Ok((playbook, _)) => playbook,
        Err(problems) => panic!("{problems:?}\n{}", story.play),
    };
    let profiles = Arc::new(Profiles::load(&[]).unwrap().0);
    Project {
        inventory: Arc::new(inventory),
        books: vec![Book { playbook, templates, profiles }],
        extra: Arc::new(Vars::new()),
        decrypt,
        options: Options {
            verb: story.verb.clone(),
            limit: None,
            shard: None,
            tags: Vec::new(),
            skip_tags: Vec::new(),
            start_at_task: None,
            forks: 50,
            diff: false,
            verbosity: 0,
            config_file: None,
            force_handlers: false,
            any_errors_fatal: false,
            lock_timeout: None,
            allow_experimental: false,
            pending_exit_code: false,
            allow_empty: false,
            seed: 0,
            roster: None,
        },
        growth: crate::inputs::growth::Growth::default(),
    }
}

impl Ending {
    fn outcome(&self, host: &str) -> String {
        self.summary.hosts[host].outcome.name().to_owned()
    }

    fn reason(&self, host: &str) -> &str {
        self.summary.hosts[host].reason.as_deref().unwrap_or_default()
    }

    /// When something was done; panics when it was not.
    fn at(&self, done: &str) -> usize {
        let found = self.log.iter().position(|line| line == done);
        found.unwrap_or_else(|| panic!("'{done}' was not done: {:?}", self.log))
    }

    fn did(&self, done: &str) -> bool {
        self.log.iter().any(|line| line == done)
    }

    /// The steps that a host began, in order.
    fn steps(&self, host: &str) -> Vec<Step> {
        let steps = self.events.iter().filter_map(|(name, kind)| match kind {
            Kind::StepStart { step } if name == host => Some(*step),
            _ => None,
        });
        steps.collect()
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_commits_before_all_of_the_batch_have_staged() {
    let slow = Act::After(Duration::from_secs(40));
    let told = story("a,b,c", "").act("b", Step::Stage, slow).run().await;
    assert_eq!(told.summary.exit_code, 0);
    for host in ["a", "b", "c"] {
        assert_eq!(told.outcome(host), "changed");
        assert!(told.at(&format!("{host} committed")) > told.at("b staged"), "{:?}", told.log);
        assert!(told.did(&format!("{host} kept alive")));
        assert_eq!(told.steps(host), [Step::Barrier, Step::Commit, Step::Reload, Step::Confirm]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_fails_to_stage_holds_up_nobody_where_the_play_tolerates_it() {
    let told = story("a,b", "").act("b", Step::Stage, Act::Fail).run().await;
    assert_eq!((told.outcome("a").as_str(), told.outcome("b").as_str()), ("changed", "failed"));
    assert_eq!((told.summary.exit_code, told.summary.stopped), (2, None));
}

#[tokio::test(start_paused = true)]
async fn a_recovery_asks_each_host_once_and_needs_no_certificate() {
    let mut twice = Story { verb: Verb::Recover, ..story("a,b", "") };
    let task = twice.play[twice.play.find("    - name").unwrap()..].to_owned();
    twice.play.push_str(&task);
    twice.play = twice.play.replace("cert: cert.pem", "cert: gone.pem");
    let told = twice.run().await;
    assert_eq!(told.summary.exit_code, 0);
    assert_eq!(told.log, ["a recovered", "b recovered"]);
}

#[tokio::test(start_paused = true)]
async fn one_failure_is_too_many_where_any_error_is_fatal() {
    for keywords in ["any_errors_fatal: true", "max_fail_percentage: 0"] {
        let keywords = format!("{keywords}\nserial: 2");
        let told = story("a,b,c", &keywords).act("b", Step::Stage, Act::Fail).run().await;
        assert_eq!(told.summary.stopped, Some(StopReason::FailureBudget));
        assert_eq!(told.outcome("a"), "skipped");
        assert!(told.reason("a").contains("its stage was discarded"), "{}", told.reason("a"));
        assert!(told.did("a discarded") && !told.did("a committed"), "{:?}", told.log);
        assert_eq!(told.outcome("c"), "skipped");
        assert!(!told.did("c observed"));
        assert_eq!(told.summary.exit_code, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn more_failures_than_the_share_end_the_run_and_fewer_do_not() {
    let failing = |keywords: &str| {
        story("a,b,c,d", keywords).act("b", Step::Commit, Act::Fail).act(
            "c",
            Step::Stage,
            Act::Fail,
        )
    };
    let told = failing("max_fail_percentage: 50").run().await;
    assert_eq!(told.summary.stopped, None);
    assert_eq!(told.outcome("b"), "rolled_back");
    let told = failing("max_fail_percentage: 24").run().await;
    assert_eq!(told.summary.stopped, Some(StopReason::FailureBudget));
    assert!(["a", "b", "d"].iter().all(|host| told.did(&format!("{host} discarded"))));
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_fails_keeps_the_others_from_beginning() {
    let told = story("a,b,c", "serial: [1, 100%]").act("a", Step::Commit, Act::Fail).run().await;
    assert_eq!(told.outcome("a"), "rolled_back");
    assert_eq!(told.summary.stopped, Some(StopReason::BatchFailed));
    for host in ["b", "c"] {
        assert_eq!(told.outcome(host), "skipped");
        assert!(told.reason(host).starts_with("not begun"), "{}", told.reason(host));
        assert!(!told.did(&format!("{host} observed")));
    }
    let told = story("a,b,c", "serial: [1, 100%]").run().await;
    assert!(told.at("b observed") > told.at("a confirmed"), "{:?}", told.log);
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_lets_hosts_in_flight_end_and_begins_no_other() {
    let slow = Act::After(Duration::from_secs(20));
    let told = story("a,b", "serial: 1").act("a", Step::Commit, slow);
    let told = told
        .run_while(|stop| async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            stop.request(StopReason::Interrupt);
        })
        .await;
    assert_eq!((told.outcome("a").as_str(), told.outcome("b").as_str()), ("changed", "skipped"));
    assert_eq!(told.summary.exit_code, 130);
}

#[tokio::test(start_paused = true)]
async fn a_second_interrupt_cuts_off_a_host_that_hangs_and_its_state_is_unknown() {
    let hanging = story("a,b", "").act("a", Step::Commit, Act::Hang);
    let told = hanging
        .run_while(|stop| async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            stop.request(StopReason::Interrupt);
            tokio::time::sleep(Duration::from_secs(5)).await;
            stop.request(StopReason::SecondInterrupt);
        })
        .await;
    assert_eq!((told.outcome("a").as_str(), told.outcome("b").as_str()), ("unknown", "changed"));
    assert_eq!(told.summary.exit_code, 130);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_hangs_before_the_barrier_is_cut_off_untouched() {
    let hanging = story("a,b", "").act("a", Step::Stage, Act::Hang);
    let told = hanging
        .run_while(|stop| async move {
            tokio::time::sleep(Duration::from_secs(600)).await;
            stop.request(StopReason::Interrupt);
            stop.request(StopReason::SecondInterrupt);
        })
        .await;
    assert_eq!(told.outcome("a"), "failed");
    assert!(told.did("b staged") && !told.did("a committed") && !told.did("b committed"));
}

#[tokio::test(start_paused = true)]
async fn a_person_decides_for_the_whole_batch() {
    let asked = |person| Story { person: Some(person), ..story("a,b", "").with("confirm: prompt") };
    let told = asked(true).run().await;
    assert_eq!(told.summary.exit_code, 0);
    assert!(told.at("a confirmed") > told.at("b committed"), "{:?}", told.log);
    let told = asked(false).run().await;
    for host in ["a", "b"] {
        assert_eq!(told.outcome(host), "rolled_back");
        assert!(told.did(&format!("{host} rolled back")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_panics_becomes_unknown_and_the_others_go_on() {
    for step in [Step::Inspect, Step::Stage, Step::Commit, Step::Confirm] {
        let told = story("a,b,c", "").act("b", step, Act::Panic).run().await;
        assert_eq!(told.outcome("b"), "unknown", "{step:?}");
        assert!(told.reason("b").contains("as the script says"), "{}", told.reason("b"));
        assert_eq!(told.outcome("a"), "changed");
        assert_eq!(told.outcome("c"), "changed");
        assert_eq!(told.summary.exit_code, 2);
    }
    let plan = Story { verb: Verb::Plan, ..story("a,b", "") };
    let told = plan.act("b", Step::Inspect, Act::Panic).run().await;
    assert_eq!(told.outcome("b"), "unknown");
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_that_is_not_acknowledged_is_unknown() {
    let told = story("a,b", "").act("a", Step::Confirm, Act::Fail).run().await;
    assert_eq!((told.outcome("a").as_str(), told.outcome("b").as_str()), ("unknown", "changed"));
}

#[tokio::test(start_paused = true)]
async fn hosts_that_are_one_machine_take_turns() {
    for known in [true, false] {
        let told = story("a,b,c,d", "");
        let mut script = told.script.clone();
        for host in ["a", "b", "c"] {
            script = script.machine(host, "box", known);
        }
        let told = Story { script, ..told }.run().await;
        assert_eq!(told.summary.exit_code, 0, "{:?}", told.log);
        let mut holding = false;
        for line in &told.log {
            let (host, word) = line.split_once(' ').unwrap();
            match word {
                "staged" if host != "d" => {
                    assert!(!holding, "{:?}", told.log);
                    holding = true;
                }
                "confirmed" if host != "d" => holding = false,
                _ => {}
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_has_moved_since_it_was_looked_at_is_looked_at_again() {
    let told = story("a,", "").act("a", Step::Stage, Act::Stale).run().await;
    assert_eq!(told.outcome("a"), "changed");
    let looks = told.log.iter().filter(|line| *line == "a observed").count();
    assert_eq!(looks, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_already_so_is_left_alone() {
    let twice = story("a,", "");
    let again = twice.play.split_once("  tasks:\n").unwrap().1.to_owned();
    let told = twice.then(&again).run().await;
    assert_eq!(told.outcome("a"), "changed");
    assert_eq!((told.summary.hosts["a"].changed, told.summary.hosts["a"].unchanged), (1, 1));
    let commits = told.log.iter().filter(|line| *line == "a committed").count();
    assert_eq!(commits, 1);
}

#[tokio::test(start_paused = true)]
async fn notified_handlers_run_for_hosts_that_failed_afterwards_where_they_are_forced() {
    let ran = |forced: bool| async move {
        let play = format!(
            "- hosts: all\n  force_handlers: {forced}\n  tasks:\n    - {{debug: {{msg: x}}, changed_when: true, notify: again}}\n    \
             - {{fail: {{msg: no}}, when: inventory_hostname == 'a'}}\n  handlers:\n    - {{name: again, debug: {{msg: y}}}}\n"
        );
        let told = Story { play, ..story("a,b", "") }.run().await;
        assert_eq!(told.outcome("a"), "failed");
        let handled = told.events.iter().filter(|(_, kind)| {
            matches!(kind, Kind::TaskEnd { task, result: TaskResult::Ok, .. } if task == "again")
        });
        handled.map(|(host, _)| host.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ran(false).await, ["b"]);
    let mut forced = ran(true).await;
    forced.sort();
    assert_eq!(forced, ["a", "b"]);
}

#[test]
fn what_the_page_about_targets_shows_is_the_code() {
    let page = include_str!("../../../docs/adding-a-target.md");
    let sources = [
        include_str!("../rollout/targets/scripted.rs"),
        include_str!("../rollout/target.rs"),
        include_str!("../rollout/targets/kubernetes/mod.rs"),
        include_str!("../rollout/targets/kubernetes/change.rs"),
    ];
    let blocks: Vec<&str> = page
        .split("```rust\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert!(blocks.len() >= 5, "the page shows code");
    for block in blocks {
        assert!(sources.iter().any(|code| code.contains(block)), "no longer so:\n{block}");
    }
}

/// Steps that are started and said not to be, or the other way round, by the text of the engine.
fn wrongly_listed(engine: &[String]) -> Vec<Step> {
    let is_started = |step: Step| {
        let argument = format!("Step::{step:?})");
        engine.iter().any(|text| {
            let mut calls = text.split(".step(").skip(1);
            calls.any(|call| call.split(';').next().is_some_and(|call| call.contains(&argument)))
        })
    };
    let is_wrong = |step: &Step| is_started(*step) == Step::NEVER_STARTED.contains(step);
    Step::ALL.into_iter().filter(is_wrong).collect()
}

fn engine() -> Vec<String> {
    let mut files = Vec::new();
    sources(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine")), &mut files);
    files
}

#[test]
fn every_step_is_started_somewhere_in_the_engine() {
    assert_eq!(wrongly_listed(&engine()), []);
}

#[test]
fn a_step_that_nothing_starts_is_found() {
    for step in Step::ALL {
        let mut planted = engine();
        if Step::NEVER_STARTED.contains(&step) {
            planted.push(format!("emitter{}(host, Step::{step:?});", ".step"));
        } else {
            let starts = format!("Step::{step:?})");
            planted.iter_mut().for_each(|text| *text = text.replace(&starts, "Step::Other)"));
        }
        assert_eq!(wrongly_listed(&planted), [step]);
    }
}

fn sources(directory: &std::path::Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            into.push(std::fs::read_to_string(path).unwrap());
        }
    }
}
