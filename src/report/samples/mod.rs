//! Realistic runs for the tests of the reporters.

mod found;
mod hosts;
mod runs;
mod status;

use crate::event::planned::{CertBrief, PlanRow, PlannedCommand, PlannedHandshake, PlannedTask};
use crate::event::{Event, Kind, Rerun, RunStart, SCHEMA};
use crate::model::{FileAction, Fingerprint, Guarantee, HostName, Step, Timestamp, Validity};
pub(super) use found::found;
pub(super) use runs::{apply, every_kind, many, not_restored, plan};
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

/// A pipe whose reader has left.
pub(super) struct Closed;

impl std::io::Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
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
        serial: format!("03A1{:04X}", days_left + 1000),
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
        rerun: Rerun { argv, ..Rerun::default() },
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
fn rows(host: &str, action: &FileAction, now: Option<i64>) -> Vec<PlanRow> {
    let site = format!("{host}.example.net");
    let cert = PlanRow {
        host: HostName::new(host),
        service: "nginx".into(),
        file: "/etc/nginx/certs/cert.pem".into(),
        action: action.clone(),
        now: now.map(|days| brief(&site, days).into()),
        wanted: Some(brief(&site, 89).into()),
        real_path: None,
        before: now.map(|days| Fingerprint::of(format!("{site} {days} pem").as_bytes())),
        after: Some(Fingerprint::of(format!("{site} 89 pem").as_bytes())),
        owner: None,
        group: None,
        mode: None,
        detail: String::new(),
        difference: None,
        validate: "nginx -t in a private mount namespace".into(),
        reload: "nginx -s reload".into(),
        verify: format!("{site}:443 ({site})"),
        notes: Vec::new(),
    };
    let key = PlanRow {
        file: "/etc/nginx/certs/key.pem".into(),
        now: None,
        wanted: None,
        mode: matches!(action, FileAction::Replace).then(|| "0600".to_owned()),
        detail: match action {
            FileAction::Replace => "0644 → 0600".into(),
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

/// Steps that events show and the engine never starts.
fn made_up(events: &[Event]) -> Vec<Step> {
    let started = |event: &Event| match event.kind {
        Kind::StepStart { step } | Kind::StepEnd { step, .. } => Some(step),
        _ => None,
    };
    let shown: Vec<Step> = events.iter().filter_map(started).collect();
    assert!(!shown.is_empty());
    shown.into_iter().filter(|step| Step::NEVER_STARTED.contains(step)).collect()
}

#[test]
fn the_samples_start_no_step_that_the_engine_never_starts() {
    let mut events = every_kind();
    assert_eq!(made_up(&events), []);
    // The control: one that is never started is found.
    let is_start = |event: &&mut Event| matches!(event.kind, Kind::StepStart { .. });
    let start = events.iter_mut().find(is_start).expect("a step starts");
    start.kind = Kind::StepStart { step: Step::Check };
    assert_eq!(made_up(&events), [Step::Check]);
}
