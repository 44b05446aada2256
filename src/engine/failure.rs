//! What the operator reads when a step failed: what, where, the host's state, what next.

use crate::engine::pulse::Silence;
use crate::event::Failure;
use crate::host::{RolledBack, StepFailure};
use crate::model::{Guarantee, HostName, Outcome, Step, Timestamp};
use crate::plan::host_plan::FailedCheck;
use crate::remote::RemoteError;
use std::time::Duration;

/// How a host failed, and what the operator reads of it.
#[derive(Clone, Debug)]
pub(crate) struct HostFailure {
    /// Its outcome.
    pub outcome: Outcome,
    /// For the terminal and the log.
    pub failure: Failure,
    /// Services that were up before and are down now that the host went back.
    pub down: Vec<String>,
    /// The host went back by itself because it heard nothing from the controller in time.
    pub deserted: bool,
}

/// The host's word for a silence of the controller.
const TIMEOUT: &str = "timeout";

impl HostFailure {
    /// Says that the controller was silent, where that is why: the host heard nothing for `limit` after it had switched
    /// at `switched`, and went back; `silence`: when the controller stood still.
    pub(crate) fn explain_silence(
        &mut self,
        silence: Option<Silence>,
        switched: Timestamp,
        limit: Duration,
    ) {
        let waited = humantime::format_duration(Duration::from_secs(limit.as_secs()));
        let silence = silence.filter(|silence| silence.to >= switched);
        let message = &mut self.failure.message;
        match (self.deserted, silence) {
            (true, Some(silence)) => {
                let begun = switched.unix().min(silence.from.unix());
                let back = Timestamp::from_unix(begun.saturating_add_unsigned(limit.as_secs()));
                *message = format!(
                    "the controller was silent for {} s, so the host went back by itself at {back}, {waited} after \
                     the switch",
                    silence.seconds()
                );
            }
            (true, None) => {
                *message = format!(
                    "no confirmation came within {waited}, so the host went back by itself"
                );
            }
            (false, Some(silence)) if matches!(self.outcome, Outcome::Unknown(_)) => {
                message.push_str(&format!(
                    "; the controller had been silent for {} s, and the host waits {waited} for a confirmation",
                    silence.seconds()
                ));
            }
            (false, _) => return,
        }
        let advice =
            "the change can be made again: run the same command, on a controller that stays awake";
        if self.deserted {
            self.failure.advice.insert(0, advice.to_owned());
        }
    }
}

/// Nothing live was changed.
pub(crate) const UNTOUCHED: &str = "untouched: no file was changed, the service was not reloaded";
/// Everything is as before.
pub(crate) const ALL_OLD: &str =
    "rolled back: files are exactly as before and the service was told to load them";

/// A failure before anything live changed.
pub(crate) fn before_commit(task: &str, step: Step, message: impl Into<String>) -> HostFailure {
    HostFailure {
        outcome: Outcome::Failed(step),
        failure: plain(task, step, message.into(), UNTOUCHED),
        down: Vec::new(),
        deserted: false,
    }
}

/// The plan says that nothing can be done.
pub(crate) fn blocked(
    task: &str,
    step: Step,
    why: &str,
    check: Option<&FailedCheck>,
) -> HostFailure {
    let mut ended = before_commit(task, step, why);
    if let Some(check) = check {
        let failure = &mut ended.failure;
        failure.command = Some(check.command.clone());
        failure.exit_code = check.exit_code;
        failure.output = last_lines(&check.output);
        failure.advice.push(
            "it fails without the new files too: fix the service's configuration on the host first"
                .to_owned(),
        );
    }
    ended
}

/// The host is not as the reviewed plan found it, or something else would be done there.
pub(crate) fn stale(task: &str, why: &str) -> HostFailure {
    let mut ended = before_commit(task, Step::Inspect, format!("stale: {why}"));
    let advice =
        "find out what changed it; for what is there now make a new plan and have it reviewed";
    ended.failure.advice.push(advice.to_owned());
    ended
}

/// The host could not be reached.
pub(crate) fn unreachable(task: &str, message: impl Into<String>) -> HostFailure {
    let state = "unreachable: this task changed nothing there";
    let mut failure = plain(task, Step::Connect, message.into(), state);
    failure.advice.push("run the same command again when the host can be reached".to_owned());
    HostFailure { outcome: Outcome::Unreachable, failure, down: Vec::new(), deserted: false }
}

/// The host answered, and it or its key was refused: another attempt would end alike.
pub(crate) fn turned_away(task: &str, message: impl Into<String>) -> HostFailure {
    let mut ended = unreachable(task, message);
    ended.failure.advice =
        vec!["correct what the message names, then run the same command again".to_owned()];
    ended
}

/// The host could be reached, but not as the account that was asked for. The message says what to do.
pub(crate) fn refused(task: &str, message: impl Into<String>) -> HostFailure {
    let state = "unreachable as this account: this task changed nothing there";
    let failure = plain(task, Step::Connect, message.into(), state);
    HostFailure { outcome: Outcome::Unreachable, failure, down: Vec::new(), deserted: false }
}

/// The link was cut by the operator between the commit and its confirmation.
pub(crate) fn cut_off(task: &str, guarantee: Guarantee) -> HostFailure {
    let message = "cut off by the second interrupt, before the change was confirmed".to_owned();
    let state = match guarantee {
        Guarantee::HostUndoes => {
            "UNKNOWN: the connection is gone, and without a confirmation the host rolls back by itself"
        }
        Guarantee::ControllerUndoes | Guarantee::Nothing => {
            "UNKNOWN: whatever was changed until then stays, as only the controller could have undone it"
        }
    };
    let mut failure = plain(task, Step::Confirm, message, state);
    failure.advice.push("`certroll status` shows what the host holds".to_owned());
    failure.advice.push("run the same command again: it settles whatever is unfinished".to_owned());
    HostFailure {
        outcome: Outcome::Unknown(Step::Confirm),
        failure,
        down: Vec::new(),
        deserted: false,
    }
}

/// The work on a host ended by a fault in certroll itself, at or after `step`: `why` is what it said.
pub(crate) fn lost(task: &str, step: Step, why: &str) -> HostFailure {
    let message = format!("certroll itself failed on this host: {why}");
    let state = "UNKNOWN: a stage is discarded; a host rolls back by itself what was not confirmed, a cluster's \
                 secret stays as it is";
    let mut failure = plain(task, step, message, state);
    failure.advice.push("`certroll status` shows what the host holds".to_owned());
    failure.advice.push("please report this as a fault of certroll".to_owned());
    HostFailure { outcome: Outcome::Unknown(step), failure, down: Vec::new(), deserted: false }
}

/// A remote error, in an operator's words. `command` is what the failed step ran, if known.
pub(crate) fn remote(
    task: &str,
    host: &HostName,
    error: &RemoteError,
    command: Option<String>,
) -> HostFailure {
    if let RemoteError::Refused(why) = error {
        return refused(task, why.to_string());
    }
    let outcome = error.outcome();
    let step = outcome.step().unwrap_or(Step::Inspect);
    let mut failure = match error {
        RemoteError::Failed(inner) => step_failure(task, inner, UNTOUCHED.to_owned()),
        RemoteError::RolledBack { failure: inner, rollback } => {
            let mut failure = step_failure(task, inner, after_rollback(rollback));
            failure.rolled_back = Some(rollback.is_complete());
            failure
        }
        other => plain(task, step, other.to_string(), state_of(other)),
    };
    failure.command = command;
    failure.advice.extend(advice(host, error));
    let down = match error {
        RemoteError::RolledBack { rollback, .. } => rollback.left_down(),
        _ => Vec::new(),
    };
    let deserted = match error {
        RemoteError::RolledBack { failure, rollback } => {
            failure.why == TIMEOUT || rollback.by_itself.as_deref() == Some(TIMEOUT)
        }
        _ => false,
    };
    HostFailure { outcome, failure, down, deserted }
}

fn plain(task: &str, step: Step, message: String, state: &str) -> Failure {
    Failure {
        task: task.to_owned(),
        place: None,
        step,
        message,
        command: None,
        exit_code: None,
        output: Vec::new(),
        state: state.to_owned(),
        advice: Vec::new(),
        rolled_back: None,
    }
}

fn step_failure(task: &str, inner: &StepFailure, state: String) -> Failure {
    let service = inner.service.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    Failure {
        exit_code: inner.rc,
        output: last_lines(&inner.output),
        state,
        ..plain(task, inner.step, format!("{service}{}", inner.why), "")
    }
}

/// The last twenty lines of an output.
pub(crate) fn last_lines(output: &str) -> Vec<String> {
    let lines: Vec<&str> = output.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
    lines[lines.len().saturating_sub(20)..].iter().map(|line| (*line).to_owned()).collect()
}

/// What is said of files that are neither the new nor the old ones.
pub(crate) const MODIFIED: &str =
    "which another process modified meanwhile and which was left alone";

/// What is said where a file is no longer the new one right after the reload.
pub(crate) const CHANGED: &str = "another process modified the file";

/// What to do about such files.
pub(crate) const INSPECT: &str = "inspect the files named above by hand";

fn after_rollback(rollback: &RolledBack) -> String {
    if !rollback.is_complete() {
        let left: Vec<_> = rollback.conflicts.iter().map(ToString::to_string).collect();
        return format!("rolled back except for {}, {MODIFIED}", left.join(", "));
    }
    let mut state = ALL_OLD.to_owned();
    for service in &rollback.services {
        let ran = service.up_before != Some(false);
        if let Some(rc) = service.reload.filter(|rc| *rc != 0 && ran) {
            state.push_str(&format!(
                "; the reload of {} then exited with code {rc}",
                service.service
            ));
        }
        match (service.recover, service.up) {
            (Some(_), Some(true)) => {
                state.push_str(&format!("; {} had died and was started again", service.service));
            }
            (_, Some(false)) if service.up_before == Some(false) => {
                state.push_str(&format!("; {} was not running before either", service.service));
            }
            (_, Some(false)) => state.push_str(&format!("; {} is DOWN", service.service)),
            _ => {}
        }
    }
    state
}

fn state_of(error: &RemoteError) -> &'static str {
    let changed = match error {
        RemoteError::Closed { may_have_changed, .. }
        | RemoteError::Silent { may_have_changed, .. }
        | RemoteError::Garbage { may_have_changed, .. }
        | RemoteError::TooMuchOutput { may_have_changed, .. } => *may_have_changed,
        _ => false,
    };
    if changed {
        "UNKNOWN: the connection was lost after the commit was requested; without a confirmation the host \
         rolls back by itself"
    } else {
        UNTOUCHED
    }
}

fn advice(host: &HostName, error: &RemoteError) -> Vec<String> {
    let again = "run the same command again: it settles whatever is unfinished first".to_owned();
    match error {
        RemoteError::Refused(_) => Vec::new(),
        RemoteError::NoBoot { .. } => vec![
            format!("try the login by hand: ssh to {host} and run `sh -c 'echo ok'`"),
            "accounts with a nologin shell cannot be used".to_owned(),
        ],
        RemoteError::ToolMissing { name } => vec![format!("install {name} on the host")],
        RemoteError::ShellUnfit { .. } => vec![
            "put a directory with another sh first in the account's PATH: dash, BusyBox, bash, ksh, mksh and zsh can run it"
                .to_owned(),
        ],
        RemoteError::Busy { .. } => {
            vec!["wait until the other run is done, then run the same command again".to_owned()]
        }
        RemoteError::Stale { .. } => vec![
            "the file was modified between plan and apply: find out by what (an ACME client?)"
                .to_owned(),
            "run the same command again to plan against what is there now".to_owned(),
        ],
        RemoteError::Failed(failure) => step_advice(failure.step),
        RemoteError::RolledBack { failure, rollback } => {
            let mut advice = step_advice(failure.step);
            if !rollback.is_complete() {
                advice.insert(0, INSPECT.to_owned());
            }
            if rollback.left_a_service_down() {
                advice.insert(0, "start the service by hand and read its log".to_owned());
            }
            advice
        }
        RemoteError::Aborted { .. } => vec![again],
        RemoteError::Closed { .. } | RemoteError::Silent { .. } => {
            vec![format!("`certroll status` shows what {host} holds once it can be reached"), again]
        }
        RemoteError::Garbage { .. } | RemoteError::TooMuchOutput { .. } => vec![
            "something on the host answers in the shell's place: look at its start-up files"
                .to_owned(),
            again,
        ],
        RemoteError::BadRequest(_) => vec!["correct the playbook".to_owned()],
    }
}

fn step_advice(step: Step) -> Vec<String> {
    match step {
        Step::Validate => vec![
            "the service refuses the configuration with the new files: read its last lines above"
                .to_owned(),
            "run the same check by hand on the host; it may fail for an unrelated reason"
                .to_owned(),
        ],
        Step::Reload => {
            vec!["run the reload by hand on the host and read the service's log".to_owned()]
        }
        Step::Lock | Step::Stage => {
            vec!["check space, permissions and mounts of the directory that is named".to_owned()]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ServiceBack;

    fn failure(step: Step) -> StepFailure {
        StepFailure {
            check: None,
            step,
            why: "refused".into(),
            service: Some("nginx".into()),
            rc: Some(1),
            output: "one\n\ntwo\n".into(),
        }
    }

    #[test]
    fn a_validation_failure_says_untouched() {
        let error = RemoteError::Failed(failure(Step::Validate));
        let ended = remote("t", &HostName::new("h"), &error, Some("nginx -t".into()));
        assert_eq!(ended.outcome, Outcome::Failed(Step::Validate));
        assert_eq!(ended.failure.message, "nginx: refused");
        assert_eq!(ended.failure.output, ["one", "two"]);
        assert_eq!(ended.failure.state, UNTOUCHED);
        assert_eq!(ended.failure.rolled_back, None);
    }

    #[test]
    fn a_cut_link_after_the_commit_is_unknown() {
        let error = RemoteError::Closed {
            during: Step::Confirm,
            may_have_changed: true,
            noise: String::new(),
        };
        let ended = remote("t", &HostName::new("h"), &error, None);
        assert_eq!(ended.outcome, Outcome::Unknown(Step::Confirm));
        assert!(ended.failure.state.starts_with("UNKNOWN"));
    }

    #[test]
    fn a_host_that_heard_nothing_is_explained_by_the_controllers_silence() {
        let at = Timestamp::from_unix;
        let inner = StepFailure { why: "timeout".into(), ..failure(Step::Confirm) };
        let error = RemoteError::RolledBack { failure: inner, rollback: RolledBack::default() };
        let silence = Some(Silence { from: at(1_000), to: at(1_095) });
        let limit = Duration::from_secs(90);
        let mut ended = remote("t", &HostName::new("h"), &error, None);
        ended.explain_silence(silence, at(999), limit);
        assert_eq!(
            ended.failure.message,
            "the controller was silent for 95 s, so the host went back by itself at 1970-01-01T00:18:09Z, 1m 30s \
             after the switch"
        );
        // A silence from before the switch explains nothing.
        let mut ended = remote("t", &HostName::new("h"), &error, None);
        ended.explain_silence(silence, at(1_200), limit);
        assert!(ended.failure.message.starts_with("no confirmation came within 1m 30s"));
        let refused = RemoteError::RolledBack {
            failure: failure(Step::Reload),
            rollback: RolledBack::default(),
        };
        let mut ended = remote("t", &HostName::new("h"), &refused, None);
        ended.explain_silence(silence, at(999), limit);
        assert_eq!(ended.failure.message, "nginx: refused");
    }

    #[test]
    fn a_dead_service_after_a_rollback_is_said_first() {
        let rollback = RolledBack {
            by_itself: None,
            conflicts: Vec::new(),
            services: vec![ServiceBack {
                service: "apache".into(),
                reload: Some(1),
                recover: Some(1),
                up_before: Some(true),
                up: Some(false),
                output: String::new(),
            }],
        };
        let error = RemoteError::RolledBack { failure: failure(Step::Reload), rollback };
        let ended = remote("t", &HostName::new("h"), &error, None);
        assert_eq!(ended.outcome, Outcome::NotRestored(Step::Reload));
        assert!(ended.failure.state.ends_with("apache is DOWN"), "{}", ended.failure.state);
        assert!(ended.failure.advice[0].starts_with("start the service"));
    }
}
