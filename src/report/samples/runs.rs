//! Whole runs: a plan, an apply with every ending, one on many hosts, and one event of every kind.

use super::hosts::*;
use super::{
    PLAY, Script, TASK, brief, found, names, place, planned, play_start, rows, run_start, status,
};
use crate::event::planned::PlanCounts;
use crate::event::run::{HostInputs, RunInputs, Source};
use crate::event::{Event, HostSummary, Kind, NoteLevel, StopReason, Summary, TaskResult};
use crate::model::{FileAction, Fingerprint, HostName, Outcome, Step};

/// `plan` of six hosts in two batches: every action, one host unreachable.
pub(in crate::report) fn plan() -> Vec<Event> {
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
    let first = rows("edge1", &FileAction::Replace, Some(12));
    script.host("edge1", host(1, first.clone()));
    script.run(sums(
        1,
        PlanCounts::of(first.iter().map(|row| (&row.host, &row.action)), 0),
        vec![],
    ));

    script.run(batch(2, &["edge2", "edge3", "edge4", "edge5", "edge6"]));
    script.run(Kind::TaskStart { task: TASK.into(), place: place() });
    let mut drift = rows("edge3", &FileAction::Unchanged, Some(89));
    drift[0].action = FileAction::ReloadOnly;
    drift[0]
        .notes
        .push("drift: the files are right, but edge3.example.net:443 serves 3f2a1b9c".to_owned());
    let why = "nginx: `nginx -t` fails on the untouched host: unknown directive \"lisen\"";
    let blocked = FileAction::Blocked(why.into());
    let mut all = Vec::new();
    // They answer in another order than the inventory's.
    for rows in [
        drift,
        rows("edge2", &FileAction::Create, None),
        rows("edge5", &blocked, Some(-3)),
        rows("edge4", &FileAction::Unchanged, Some(89)),
    ] {
        let name = rows[0].host.clone();
        script.host(name.as_str(), host(2, rows.clone()));
        all.extend(rows);
    }
    unreachable(&mut script, "edge6");
    let unknown = vec!["edge6 is unreachable: nothing is known about it".to_owned()];
    script.run(sums(2, PlanCounts::of(all.iter().map(|row| (&row.host, &row.action)), 1), unknown));
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
pub(in crate::report) fn apply() -> Vec<Event> {
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
        let rows = rows(host, &FileAction::Replace, Some(12));
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
        ("edge6", Outcome::Unknown(Step::Confirm), Some("the connection was lost".to_owned())),
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

/// The same, but what was rolled back does not serve its old certificate again.
pub(in crate::report) fn not_restored() -> Vec<Event> {
    let mut events = apply();
    let end = |outcome: &mut Outcome| {
        if let Outcome::RolledBack(step) = *outcome {
            *outcome = Outcome::NotRestored(step);
        }
    };
    for event in &mut events {
        match &mut event.kind {
            Kind::CertificateEnd { outcome, .. } | Kind::HostEnd { outcome, .. } => end(outcome),
            Kind::Summary(summary) => {
                for counts in summary.hosts.values_mut() {
                    end(&mut counts.outcome);
                    counts.rolled_back = 0;
                }
            }
            _ => {}
        }
    }
    events
}

/// `apply` on `count` hosts, all changed.
pub(in crate::report) fn many(count: usize) -> Vec<Event> {
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
pub(in crate::report) fn every_kind() -> Vec<Event> {
    let mut events = apply();
    events.extend(plan());
    let mut script = Script::default();
    let source = Source { file: "renew.yml".into(), sha256: Fingerprint::of(b"renew.yml") };
    let leaves = vec![brief("edge1.example.net", 89).fingerprint];
    let one = HostInputs { leaves, sha256: Fingerprint::of(b"edge1") };
    script.run(Kind::Inputs(Box::new(RunInputs {
        sources: vec![source],
        plays: vec![names(&["edge1", "edge2"])],
        hosts: [(HostName::new("edge1"), one)].into(),
    })));
    script.run(Kind::TakingBack { hosts: names(&["edge1", "edge2"]) });
    let status = Box::new(status());
    script.host("edge1", Kind::HostStatus { task: TASK.into(), status });
    script.host("edge1", Kind::HostCertificates { certificates: found() });
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
