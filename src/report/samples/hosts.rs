//! What single hosts report on their way through a run.

use super::{Script, TASK, brief, place};
use crate::event::planned::ServiceEnd;
use crate::event::{Failure, Kind, TaskResult};
use crate::model::{Outcome, Step};

pub(super) fn unreachable(script: &mut Script, host: &str) {
    script.host(host, Kind::StepStart { step: Step::Connect });
    script.host(
        host,
        Kind::Failure(Box::new(Failure {
            task: TASK.into(),
            place: None,
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

pub(super) fn host_end(script: &mut Script, host: &str, outcome: Outcome, reason: Option<&str>) {
    script.host(host, Kind::HostEnd { outcome, reason: reason.map(str::to_owned) });
}

pub(super) fn certificate_end(script: &mut Script, host: &str, outcome: Outcome) {
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

pub(super) fn task_end(script: &mut Script, host: &str, result: TaskResult, millis: u64) {
    let (task, place) = (TASK.into(), place());
    let (message, output) = (None, None);
    script.host(host, Kind::TaskEnd { task, place, result, message, output, millis });
}

pub(super) fn prepare(script: &mut Script, host: &str) {
    script.step(host, Step::Connect, "deploy@192.0.2.11:22, root by sudo", 118);
    script.step(host, Step::Inspect, "files will be written", 41);
}

pub(super) fn stage(script: &mut Script, host: &str) {
    script.step(host, Step::Stage, "2 files", 122);
    script.step(host, Step::Validate, "nginx -t in a private mount namespace", 64);
}

pub(super) fn commit(script: &mut Script, host: &str) {
    script.step(host, Step::Barrier, "all hosts of the batch are ready", 380);
    script.step(host, Step::Commit, "2 files", 31);
    script.step(host, Step::Reload, "`nginx -s reload`", 64);
}

pub(super) fn attempt(host: &str, number: u32, matched: bool, next: Option<u64>) -> Kind {
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

pub(super) fn changed(script: &mut Script, host: &str) {
    commit(script, host);
    script.host(host, Kind::StepStart { step: Step::Verify });
    script.host(host, attempt(host, 1, false, Some(1_000)));
    script.host(host, attempt(host, 2, true, None));
    let seen = brief(&format!("{host}.example.net"), 89).fingerprint.short();
    let detail = format!("{seen} served on {host}.example.net:443");
    script.host(host, Kind::StepEnd { step: Step::Verify, detail, millis: 1_043 });
    script.step(host, Step::Confirm, "the change is kept", 12);
    certificate_end(script, host, Outcome::Changed);
    task_end(script, host, TaskResult::Changed, 1_711);
    host_end(script, host, Outcome::Changed, None);
}

pub(super) fn refused(script: &mut Script, host: &str) {
    script.step(host, Step::Stage, "2 files", 122);
    script.host(host, Kind::StepStart { step: Step::Validate });
    let reason = format!("nginx: refused the staged files on {host}");
    script.host(
        host,
        Kind::Failure(Box::new(Failure {
            task: TASK.into(),
            place: None,
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

pub(super) fn rolled_back(script: &mut Script, host: &str) {
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
            place: None,
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

pub(super) fn unknown(script: &mut Script, host: &str) {
    commit(script, host);
    script.host(host, Kind::StepStart { step: Step::Confirm });
    let reason = "the connection was lost";
    script.host(
        host,
        Kind::Failure(Box::new(Failure {
            task: TASK.into(),
            place: None,
            step: Step::Confirm,
            message: reason.into(),
            command: None,
            exit_code: None,
            output: vec![],
            state: "UNKNOWN: without a confirmation the host rolls back by itself".into(),
            advice: vec!["`certroll status` shows what the host holds".into()],
            rolled_back: None,
        })),
    );
    certificate_end(script, host, Outcome::Unknown(Step::Confirm));
    task_end(script, host, TaskResult::Failed, 2_000);
    host_end(script, host, Outcome::Unknown(Step::Confirm), Some(reason));
}
