//! `certroll demo`, and its story told step by step: each host ends as it must, and nothing else on this
//! machine is touched.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use certroll::testing::lab::story::{Scenario, demo, expected};
use certroll::testing::lab::{Host, Lab};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tokio::process::Command;

struct Ran {
    code: Option<i32>,
    stdout: String,
    all: String,
}

impl Ran {
    fn events(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    fn summary(&self) -> Value {
        self.events().pop().unwrap_or_else(|| panic!("{}", self.all))
    }

    /// Per host the actions planned for its files.
    fn planned(&self) -> BTreeMap<String, Vec<String>> {
        let mut planned: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in self.events() {
            for row in event["rows"].as_array().into_iter().flatten() {
                let text = |key: &str| row[key].as_str().unwrap().to_owned();
                planned.entry(text("host")).or_default().push(text("action").replace('_', " "));
            }
        }
        planned
    }
}

async fn certroll(directory: &Path, arguments: &[&str]) -> Ran {
    ran(command(directory, arguments)).await
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certroll"));
    command.args(arguments).current_dir(directory).env("NO_COLOR", "1").env("TMPDIR", directory);
    command
}

async fn ran(mut command: Command) -> Ran {
    let ended = command.output().await.unwrap();
    let stdout = String::from_utf8(ended.stdout).unwrap();
    let all = format!("{stdout}\n{}", String::from_utf8_lossy(&ended.stderr));
    Ran { code: ended.status.code(), stdout, all }
}

async fn on(lab: &Lab, verb: &str) -> Ran {
    let arguments = [verb, "site.yml", "-i", "inventory.ini", "-o", "json"];
    let mut command = command(lab.directory(), &arguments);
    // What a run of one's own leaves is not what is looked for here.
    command.env("XDG_STATE_HOME", lab.directory().join("state"));
    ran(command).await
}

/// Where certroll keeps its state on a real host: none of the lab's business.
fn real_state() -> Vec<bool> {
    let home = std::env::var("HOME").unwrap_or_default();
    let below_home = format!("{home}/.local/state/certroll");
    ["/var/lib/certroll", "/run/certroll", &below_home]
        .map(|place| fs::metadata(place).is_ok())
        .to_vec()
}

fn bytes(host: &Host) -> Vec<Vec<u8>> {
    Host::files(&host.directory).iter().map(|path| fs::read(path).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_ends_as_told() {
    let state = real_state();
    let lab = Lab::temporary(&demo()).await.unwrap();
    let before: Vec<_> = lab.hosts.iter().map(bytes).collect();

    let plan = on(&lab, "plan").await;
    assert_eq!(plan.code, Some(4), "{}", plan.all);
    let planned = plan.planned();
    for end in expected(lab.stories()) {
        let actions = planned.get(&end.host).cloned().unwrap_or_default();
        let told = end.plan.as_ref().map(|action| action.name().replace("_", " "));
        assert!(
            actions.iter().all(|action| Some(action) == told.as_ref()),
            "{}: {actions:?}",
            end.host
        );
        assert_eq!(actions.is_empty(), told.is_none(), "{}", end.host);
    }
    assert_eq!(lab.hosts.iter().map(bytes).collect::<Vec<_>>(), before, "a plan changes nothing");

    let apply = on(&lab, "apply").await;
    assert_eq!(apply.code, Some(6), "{}", apply.all);
    let summary = apply.summary();
    for ((end, host), old_bytes) in expected(lab.stories()).iter().zip(&lab.hosts).zip(&before) {
        let told = &summary["hosts"][&end.host];
        assert_eq!(told["outcome"], end.outcome.name(), "{}", apply.all);
        if let Some(step) = end.outcome.step() {
            assert_eq!(told["step"], step.name(), "{}", apply.all);
        }
        let (old, new) = lab.leaves(&end.host).unwrap();
        assert_eq!(host.service.serves(), if end.serves_new { new } else { old }, "{}", end.host);
        let certs = lab.directory().join("certs").join(&end.host);
        let new_bytes =
            ["fullchain.pem", "privkey.pem"].map(|name| fs::read(certs.join(name)).unwrap());
        if end.serves_new {
            assert_eq!(bytes(host), new_bytes, "{}", end.host);
        } else {
            assert_eq!(&bytes(host), old_bytes, "{}", end.host);
        }
    }

    // Once mended, the same command does the rest, and then nothing more.
    for (story, host) in lab.stories().iter().zip(&lab.hosts) {
        let settings = host.directory.join("service.conf");
        let text = fs::read_to_string(&settings).unwrap();
        match story.scenario {
            Scenario::BrokenConfiguration => {
                let mended: Vec<_> = text.lines().filter(|line| !line.contains("max_")).collect();
                fs::write(settings, mended.join("\n")).unwrap();
            }
            Scenario::UnusableKey => fs::write(settings, text.replace("key_types", "#")).unwrap(),
            Scenario::Unreachable => host.sshd.heal(),
            Scenario::None | Scenario::Drifted => {}
        }
    }
    let again = on(&lab, "apply").await;
    assert_eq!(again.code, Some(0), "{}", again.all);
    for host in &lab.hosts {
        assert_eq!(host.service.serves(), lab.leaves(&host.name).unwrap().1, "{}", host.name);
    }
    let third = on(&lab, "apply").await;
    let summary = third.summary();
    let hosts = summary["hosts"].as_object().unwrap();
    assert!(hosts.values().all(|host| host["outcome"] == "unchanged"), "{}", third.all);
    assert_eq!(real_state(), state);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_comes_true_and_leaves_nothing() {
    let state = real_state();
    let directory = tempfile::tempdir().unwrap();
    let ran = certroll(directory.path(), &["demo"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.all);
    for words in
        ["As expected: 5 hosts with the new certificate", "edge5", "rolled back (reload)", "drift"]
    {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.all);
    }
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(real_state(), state);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_can_be_used_until_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_certroll"));
    demo.args(["demo", "--keep", "fleet"]).current_dir(directory.path()).kill_on_drop(true);
    let output = fs::File::create(directory.path().join("output")).unwrap();
    let mut demo = demo.stdout(output).spawn().unwrap();
    let said = || fs::read_to_string(directory.path().join("output")).unwrap();
    while !said().contains("Ctrl-C") {
        assert!(demo.try_wait().unwrap().is_none(), "{}", said());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let fleet = directory.path().join("fleet");
    // The commands that it names, as they stand there.
    let text = said();
    let line = text.lines().find(|line| line.trim_start().starts_with("certroll plan")).unwrap();
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let plan = certroll(directory.path(), &words).await;
    assert_eq!(plan.code, Some(4), "{}", plan.all);
    let curl = text.lines().find(|line| line.trim_start().starts_with("curl ")).unwrap();
    let looked = Command::new("sh").args(["-c", curl]).output().await.unwrap();
    if looked.status.code() != Some(127) {
        assert_eq!(String::from_utf8_lossy(&looked.stdout), "edge1: a simulated service\n");
    }

    let interrupt = format!("kill -s INT {}", demo.id().unwrap());
    Command::new("sh").args(["-c", &interrupt]).status().await.unwrap();
    assert_eq!(demo.wait().await.unwrap().code(), Some(0));
    assert!(fleet.join("site.yml").exists());
    let ended = certroll(directory.path(), &words).await;
    assert_eq!(ended.code, Some(4), "nobody listens any more: {}", ended.all);
    let again = certroll(directory.path(), &["demo", "--keep", "fleet"]).await;
    assert_eq!(again.code, Some(1), "{}", again.all);
    assert!(again.all.contains("is not empty"), "{}", again.all);
}
