//! Realistic runs for the tests of the reporters.

mod status;

use crate::event::planned::{
    CertBrief, PlanAction, PlanCounts, PlanRow, PlannedCommand, PlannedHandshake, PlannedTask,
    ServiceEnd,
};
use crate::event::{
    Event, Failure, HostSummary, Kind, NoteLevel, Rerun, RunStart, SCHEMA, StopReason, Summary,
    TaskResult,
};
use crate::model::{Fingerprint, Guarantee, HostName, Outcome, Step, Timestamp, Validity};
pub(super) use status::status;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The task that all samples run.
pub(super) const TASK: &str = "nginx serves the renewed certificate";
const PLAY: &str = "Renew the edge certificates";
/// 2026-11-24.
const NOW: i64 = 1_795_478_400;
const DAY: i64 = 86_400;

/// Feeds `events` to a reporter that writes to the returned text.
pub(super) fn report<R: super::Reporter + Send>(
    events: &[Event],
    reporter: impl FnOnce(Shared) -> R,
) -> String {
    let out = Shared::default();
    let mut tee = super::Tee::default();
    tee.add(reporter(out.clone()));
    events.iter().for_each(|event| tee.on_event(event));
    tee.finish().expect("writing to memory works");
    out.text()
}

/// A writer that several hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).expect("reporters write UTF-8")
    }
}

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Numbers events; each comes 40 ms after the one before.
#[derive(Default)]
pub(super) struct Script {
    events: Vec<Event>,
}

impl Script {
    pub(super) fn run(&mut self, kind: Kind) {
        self.push(None, kind);
    }

    pub(super) fn host(&mut self, host: &str, kind: Kind) {
        self.push(Some(HostName::new(host)), kind);
    }

    pub(super) fn step(&mut self, host: &str, step: Step, detail: &str, millis: u64) {
        self.host(host, Kind::StepStart { step });
        self.host(host, Kind::StepEnd { step, detail: detail.into(), millis });
    }

    fn push(&mut self, host: Option<HostName>, kind: Kind) {
        let seq = self.events.len() as u64;
        let elapsed = Duration::from_millis(40 * seq);
        let moment = Timestamp::from_unix(NOW + elapsed.as_secs() as i64);
        self.events.push(Event { seq, moment, elapsed, host, kind });
    }

    pub(super) fn end(self) -> Vec<Event> {
        self.events
    }
}

pub(super) fn names(hosts: &[&str]) -> Vec<HostName> {
    hosts.iter().map(HostName::new).collect()
}

pub(super) fn brief(name: &str, days_left: i64) -> CertBrief {
    let not_after = NOW + days_left * DAY + 60;
    CertBrief {
        fingerprint: Fingerprint::of(format!("{name} {days_left}").as_bytes()),
        days_left,
        subject: format!("CN={name}"),
        names: vec![name.to_owned(), format!("api.{name}")],
        issuer: "CN=Example Issuing CA 2, O=Example".into(),
        validity: Validity {
            not_before: Timestamp::from_unix(not_after - 90 * DAY),
            not_after: Timestamp::from_unix(not_after),
        },
        key: if days_left > 30 { "EC P-256" } else { "RSA 2048" }.into(),
    }
}

fn run_start(command: &str) -> Kind {
    let argv = ["-i", "hosts.ini", "renew.yml"].map(str::to_owned).to_vec();
    Kind::RunStart(Box::new(RunStart {
        schema: SCHEMA,
        command: command.into(),
        check: command == "plan",
        playbooks: vec!["renew.yml".into()],
        run: "5d1f0a4c9be2d713".into(),
        version: "0.1.0".into(),
        rerun: Rerun { argv, limit: None, left_out: Vec::new() },
        by: "ops@deploy1".into(),
        directory: "/srv/certs".into(),
        recorded: command == "apply",
        out: None,
        plan: None,
        follows: None,
        shard: None,
    }))
}

fn play_start<T: AsRef<str>>(hosts: &[T]) -> Kind {
    let names = hosts.iter().map(HostName::new).collect();
    Kind::PlayStart { play: PLAY.into(), hosts: hosts.len(), names, seed: None }
}

fn place() -> Option<String> {
    Some("renew.yml:7".to_owned())
}

/// The two files of a pair on `host`: `action` for the certificate, the same for the key.
fn rows(host: &str, action: &PlanAction, now: Option<i64>) -> Vec<PlanRow> {
    let site = format!("{host}.example.net");
    let cert = PlanRow {
        host: HostName::new(host),
        service: "nginx".into(),
        file: "/etc/nginx/certs/cert.pem".into(),
        action: action.clone(),
        now: now.map(|days| brief(&site, days)),
        wanted: Some(brief(&site, 89)),
        real_path: None,
        before: now.map(|days| Fingerprint::of(format!("{site} {days} pem").as_bytes())),
        after: Some(Fingerprint::of(format!("{site} 89 pem").as_bytes())),
        owner: None,
        group: None,
        mode: None,
        detail: String::new(),
        validate: "nginx -t in a private mount namespace".into(),
        reload: "nginx -s reload".into(),
        verify: format!("{site}:443 ({site})"),
        notes: Vec::new(),
    };
    let key = PlanRow {
        file: "/etc/nginx/certs/key.pem".into(),
        now: None,
        wanted: None,
        mode: matches!(action, PlanAction::Replace).then(|| "0600".to_owned()),
        detail: match action {
            PlanAction::Replace => "0644 → 0600".into(),
            _ => String::new(),
        },
        ..cert.clone()
    };
    vec![cert, key]
}

/// The task with its rows.
fn planned(rows: Vec<PlanRow>) -> Box<PlannedTask> {
    let site = format!("{}.example.net", rows[0].host);
    let command = |purpose: &str, command: &str| PlannedCommand {
        service: Some("nginx".into()),
        purpose: purpose.into(),
        command: command.into(),
        sha256: Fingerprint::of(command.as_bytes()),
    };
    Box::new(PlannedTask {
        task: TASK.into(),
        place: place(),
        guarantee: Guarantee::HostUndoes,
        rows,
        commands: vec![command("validate", "nginx -t"), command("reload", "nginx -s reload")],
        handshakes: vec![PlannedHandshake {
            service: "nginx".into(),
            endpoint: format!("{site}:443").parse().unwrap(),
            server_name: Some(site.clone()),
            starttls: "none".into(),
            via: "controller".into(),
            leaf: brief(&site, 89).fingerprint,
        }],
    })
}

/// `plan` of six hosts in two batches: every action, one host unreachable.
pub(super) fn plan() -> Vec<Event> {
    let mut script = Script::default();
    script.run(run_start("plan"));
    script.run(play_start(&["edge1", "edge2", "edge3", "edge4", "edge5", "edge6"]));
    let batch = |batch, hosts: &[&str]| Kind::BatchStart { batch, batches: 2, hosts: names(hosts) };
    let host = |batch, rows| Kind::PlanHost { play: PLAY.into(), batch, task: planned(rows) };
    let sums = |batch, counts, unknown| Kind::PlanBatch {
        play: PLAY.into(),
        batch,
        batches: 2,
        counts,
        unknown,
    };

    script.run(batch(1, &["edge1"]));
    script.run(Kind::TaskStart { task: TASK.into(), place: place() });
    let first = rows("edge1", &PlanAction::Replace, Some(12));
    script.host("edge1", host(1, first.clone()));
    script.run(sums(1, PlanCounts::of(&first, 0), vec![]));

    script.run(batch(2, &["edge2", "edge3", "edge4", "edge5", "edge6"]));
    script.run(Kind::TaskStart { task: TASK.into(), place: place() });
    let mut drift = rows("edge3", &PlanAction::Unchanged, Some(89));
    drift[0].action = PlanAction::ReloadOnly;
    drift[0]
        .notes
        .push("drift: the files are right, but edge3.example.net:443 serves 3f2a1b9c".to_owned());
    let why = "nginx: `nginx -t` fails on the untouched host: unknown directive \"lisen\"";
    let blocked = PlanAction::Blocked(why.into());
    let mut all = Vec::new();
    // They answer in another order than the inventory's.
    for rows in [
        drift,
        rows("edge2", &PlanAction::Create, None),
        rows("edge5", &blocked, Some(-3)),
        rows("edge4", &PlanAction::Unchanged, Some(89)),
    ] {
        let name = rows[0].host.clone();
        script.host(name.as_str(), host(2, rows.clone()));
        all.extend(rows);
    }
    unreachable(&mut script, "edge6");
    let unknown = vec!["edge6 is unreachable: nothing is known about it".to_owned()];
    script.run(sums(2, PlanCounts::of(&all, 1), unknown));
    let outcomes = [
        ("edge1", Outcome::Changed, None),
        ("edge2", Outcome::Changed, None),
        ("edge3", Outcome::Changed, None),
        ("edge4", Outcome::Unchanged, None),
        ("edge5", Outcome::Failed(Step::Validate), Some(why)),
        ("edge6", Outcome::Unreachable, Some("192.0.2.16:22: connection refused")),
    ];
    let outcomes = outcomes.into_iter();
    script.run(Kind::Summary(Summary {
        hosts: outcomes.map(|(host, end, why)| (host.into(), counts(end, why))).collect(),
        exit_code: 4,
        stopped: None,
        pending: 3,
    }));
    script.end()
}

fn unreachable(script: &mut Script, host: &str) {
    script.host(host, Kind::StepStart { step: Step::Connect });
    script.host(
        host,
        Kind::Failure(Box::new(Failure {
            task: TASK.into(),
            step: Step::Connect,
            message: "192.0.2.16:22: connection refused".into(),
            command: None,
            exit_code: None,
            output: vec![],
            state: "unreachable: this task changed nothing there".into(),
            advice: vec!["run the same command again when the host can be reached".into()],
            rolled_back: None,
        })),
    );
    let message = None;
    let end = Kind::TaskEnd {
        task: TASK.into(),
        place: place(),
        result: TaskResult::Unreachable,
        message,
        output: None,
        millis: 31,
    };
    script.host(host, end);
    host_end(script, host, Outcome::Unreachable, Some("192.0.2.16:22: connection refused"));
}

fn host_end(script: &mut Script, host: &str, outcome: Outcome, reason: Option<&str>) {
    script.host(host, Kind::HostEnd { outcome, reason: reason.map(str::to_owned) });
}

fn certificate_end(script: &mut Script, host: &str, outcome: Outcome) {
    let site = format!("{host}.example.net");
    let days = match outcome {
        Outcome::Changed | Outcome::Unchanged => 89,
        _ => 12,
    };
    let served = brief(&site, days);
    let seen = !matches!(outcome, Outcome::Unknown(_) | Outcome::Unreachable);
    let service = ServiceEnd {
        service: "nginx".into(),
        fingerprint: seen.then_some(served.fingerprint),
        not_after: seen.then_some(served.validity.not_after),
    };
    let services = vec![service];
    script.host(host, Kind::CertificateEnd { task: TASK.into(), services, outcome });
}

fn task_end(script: &mut Script, host: &str, result: TaskResult, millis: u64) {
    let (task, place) = (TASK.into(), place());
    let (message, output) = (None, None);
    script.host(host, Kind::TaskEnd { task, place, result, message, output, millis });
}

fn prepare(script: &mut Script, host: &str) {
    script.step(host, Step::Connect, "deploy@192.0.2.11:22, root by sudo", 118);
    script.step(host, Step::Inspect, "files will be written", 41);
}

fn stage(script: &mut Script, host: &str) {
    script.step(host, Step::Stage, "2 files", 122);
    script.step(host, Step::Validate, "nginx -t in a private mount namespace", 64);
}

fn commit(script: &mut Script, host: &str) {
    script.step(host, Step::Barrier, "all hosts of the batch are ready", 380);
    script.step(host, Step::Commit, "2 files, `nginx -s reload`", 95);
}

fn attempt(host: &str, number: u32, matched: bool, next: Option<u64>) -> Kind {
    let site = format!("{host}.example.net");
    let seen = brief(&site, if matched { 89 } else { 12 });
    let word = if matched { "the new certificate" } else { "still the old certificate" };
    Kind::VerifyAttempt {
        endpoint: format!("{site}:443").parse().unwrap(),
        server_name: Some(site),
        attempt: number,
        attempts: 3,
        seen: Some(seen.fingerprint),
        matched,
        detail: word.into(),
        next_wait_ms: next,
    }
}

fn changed(script: &mut Script, host: &str) {
    commit(script, host);
    script.host(host, Kind::StepStart { step: Step::Verify });
    script.host(host, attempt(host, 1, false, Some(1_000)));
    script.host(host, attempt(host, 2, true, None));
    let seen = brief(&format!("{host}.example.net"), 89).fingerprint.short();
    let detail = format!("{seen} served on {host}.example.net:443");
    script.host(host, Kind::StepEnd { step: Step::Verify, detail, millis: 1_043 });
    script.step(host, Step::Confirm, "the change stays", 12);
    certificate_end(script, host, Outcome::Changed);
    task_end(script, host, TaskResult::Changed, 1_711);
    host_end(script, host, Outcome::Changed, None);
}

fn refused(script: &mut Script, host: &str) {
    script.step(host, Step::Stage, "2 files", 122);
    script.host(host, Kind::StepStart { step: Step::Validate });
    let reason = format!("nginx: refused the staged files on {host}");
    script.host(
        host,
        Kind::Failure(Box::new(Failure {
            task: TASK.into(),
            step: Step::Validate,
            message: reason.clone(),
            command: Some("nginx -t".into()),
            exit_code: Some(1),
            output: vec![
                "nginx: [emerg] cannot load certificate \"/etc/nginx/certs/cert.pem\"".into(),
                "nginx: configuration file /etc/nginx/nginx.conf test failed".into(),
            ],
            state: "untouched: no file was changed, the service was not reloaded".into(),
            advice: vec!["run the same check by hand on the host".into()],
            rolled_back: None,
        })),
    );
    certificate_end(script, host, Outcome::Failed(Step::Validate));
    task_end(script, host, TaskResult::Failed, 240);
    host_end(script, host, Outcome::Failed(Step::Validate), Some(&reason));
}

fn rolled_back(script: &mut Script, host: &str) {
    commit(script, host);
    script.host(host, Kind::StepStart { step: Step::Verify });
    script.host(host, attempt(host, 1, false, Some(1_000)));
    script.host(host, attempt(host, 2, false, Some(2_000)));
    script.host(host, attempt(host, 3, false, None));
    script.step(host, Step::Rollback, "the old certificate is served again", 140);
    let reason = format!("{host}.example.net:443: still the old certificate");
    script.host(
        host,
        Kind::Failure(Box::new(Failure {
            task: TASK.into(),
            step: Step::Verify,
            message: reason.clone(),
            command: None,
            exit_code: None,
            output: vec![],
            state: "rolled back: files are exactly as before; the old certificate is served again"
                .into(),
            advice: vec!["look whether another process holds port 443".into()],
            rolled_back: Some(true),
        })),
    );
    certificate_end(script, host, Outcome::RolledBack(Step::Verify));
    task_end(script, host, TaskResult::Failed, 3_411);
    host_end(script, host, Outcome::RolledBack(Step::Verify), Some(&reason));
}

fn unknown(script: &mut Script, host: &str) {
    commit(script, host);
    script.host(host, Kind::StepStart { step: Step::Confirm });
    let reason = "the link died";
    script.host(
        host,
        Kind::Failure(Box::new(Failure {
            task: TASK.into(),
            step: Step::Confirm,
            message: reason.into(),
            command: None,
            exit_code: None,
            output: vec![],
            state: "UNKNOWN: without a confirmation the host goes back by itself".into(),
            advice: vec!["`certroll status` shows what the host holds".into()],
            rolled_back: None,
        })),
    );
    certificate_end(script, host, Outcome::Unknown(Step::Confirm));
    task_end(script, host, TaskResult::Failed, 2_000);
    host_end(script, host, Outcome::Unknown(Step::Confirm), Some(reason));
}

fn counts(outcome: Outcome, reason: Option<&str>) -> HostSummary {
    let mut counts =
        HostSummary { outcome, reason: reason.map(str::to_owned), ..HostSummary::default() };
    match outcome {
        Outcome::Changed => (counts.ok, counts.changed) = (2, 1),
        Outcome::Unchanged => (counts.ok, counts.unchanged) = (2, 1),
        Outcome::Skipped => counts.skipped = 2,
        Outcome::Failed(_) | Outcome::NotRestored(_) | Outcome::Unknown(_) => counts.failed = 1,
        Outcome::RolledBack(_) => (counts.failed, counts.rolled_back) = (1, 1),
        Outcome::Unreachable => counts.unreachable = 1,
    }
    counts
}

/// `apply` on eight hosts: changed, unchanged, refused twice alike, rolled back, unknown,
/// unreachable, and one that was never reached because the run was stopped.
pub(super) fn apply() -> Vec<Event> {
    let mut script = Script::default();
    script.run(run_start("apply"));
    script
        .run(play_start(&["edge1", "edge2", "edge3", "edge4", "edge5", "edge6", "edge7", "edge8"]));
    let first = ["edge1", "edge2", "edge3", "edge4", "edge5", "edge6", "edge7"];
    script.run(Kind::BatchStart { batch: 1, batches: 2, hosts: names(&first) });
    script.run(Kind::TaskStart { task: TASK.into(), place: place() });
    for host in &first[..6] {
        prepare(&mut script, host);
    }
    for host in ["edge1", "edge5", "edge6"] {
        let rows = rows(host, &PlanAction::Replace, Some(12));
        script.host(host, Kind::PlanHost { play: PLAY.into(), batch: 1, task: planned(rows) });
    }
    let message = "the certificate expires in 12 days".into();
    script.host("edge1", Kind::Note { level: NoteLevel::Warning, message });
    unreachable(&mut script, "edge7");
    certificate_end(&mut script, "edge2", Outcome::Unchanged);
    task_end(&mut script, "edge2", TaskResult::Ok, 180);
    host_end(&mut script, "edge2", Outcome::Unchanged, None);
    refused(&mut script, "edge3");
    refused(&mut script, "edge4");
    for host in ["edge1", "edge5", "edge6"] {
        stage(&mut script, host);
    }
    changed(&mut script, "edge1");
    rolled_back(&mut script, "edge5");
    unknown(&mut script, "edge6");
    script.run(Kind::BatchEnd { batch: 1, failed: 5 });
    script.run(Kind::Stopping { reason: StopReason::FailureBudget });
    let stopped = "the run was stopped: too many hosts failed";
    host_end(&mut script, "edge8", Outcome::Skipped, Some(stopped));
    let refused = |host| format!("nginx: refused the staged files on {host}");
    let hosts = [
        ("edge1", Outcome::Changed, None),
        ("edge2", Outcome::Unchanged, None),
        ("edge3", Outcome::Failed(Step::Validate), Some(refused("edge3"))),
        ("edge4", Outcome::Failed(Step::Validate), Some(refused("edge4"))),
        (
            "edge5",
            Outcome::RolledBack(Step::Verify),
            Some("edge5.example.net:443: still the old certificate".to_owned()),
        ),
        ("edge6", Outcome::Unknown(Step::Confirm), Some("the link died".to_owned())),
        ("edge7", Outcome::Unreachable, Some("192.0.2.16:22: connection refused".to_owned())),
        ("edge8", Outcome::Skipped, Some(stopped.to_owned())),
    ];
    script.run(Kind::Summary(Summary {
        hosts: hosts
            .into_iter()
            .map(|(host, outcome, reason)| (host.into(), counts(outcome, reason.as_deref())))
            .collect(),
        exit_code: 6,
        stopped: Some(StopReason::FailureBudget),
        pending: 0,
    }));
    script.end()
}

/// `apply` on `count` hosts, all changed.
pub(super) fn many(count: usize) -> Vec<Event> {
    let mut script = Script::default();
    script.run(run_start("apply"));
    let hosts: Vec<String> = (1..=count).map(|number| format!("edge{number:03}")).collect();
    let names: Vec<HostName> = hosts.iter().map(HostName::new).collect();
    script.run(play_start(&hosts));
    script.run(Kind::BatchStart { batch: 1, batches: 1, hosts: names.clone() });
    script.run(Kind::TaskStart { task: TASK.into(), place: place() });
    for host in &hosts {
        prepare(&mut script, host);
        stage(&mut script, host);
    }
    for host in &hosts {
        changed(&mut script, host);
    }
    script.run(Kind::BatchEnd { batch: 1, failed: 0 });
    script.run(Kind::Summary(Summary {
        hosts: names.into_iter().map(|host| (host, counts(Outcome::Changed, None))).collect(),
        exit_code: 0,
        stopped: None,
        pending: 0,
    }));
    script.end()
}

/// One event of every kind, with every optional field set.
pub(super) fn every_kind() -> Vec<Event> {
    let mut events = apply();
    events.extend(plan());
    let mut script = Script::default();
    let status = Box::new(status());
    script.host("edge1", Kind::HostStatus { task: TASK.into(), status });
    script.host(
        "edge1",
        Kind::TaskEnd {
            task: "show the address".into(),
            place: Some("renew.yml:21".into()),
            result: TaskResult::Ok,
            message: Some("192.0.2.11".into()),
            output: Some("eth0\n192.0.2.11".into()),
            millis: 3,
        },
    );
    events.extend(script.end());
    for (seq, event) in events.iter_mut().enumerate() {
        event.seq = seq as u64;
    }
    events
}
