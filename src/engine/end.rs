//! How a task ended on a host: for the events, for the ledger, and for what `register` keeps.

use super::failure::{self, HostFailure};
use crate::event::{Failure, TaskResult};
use crate::model::{HostName, Outcome, Step};
use crate::playbook::Loop;
use crate::source::{Diagnostic, Diagnostics, Node};
use crate::template::Scope;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

/// How a task ended on a host.
#[derive(Debug)]
pub(crate) struct TaskEnd {
    /// The host.
    pub host: HostName,
    /// In short.
    pub result: TaskResult,
    /// For failures: how the host left.
    pub outcome: Option<Outcome>,
    /// For failures: what the operator reads.
    pub failure: Option<Box<Failure>>,
    /// One line.
    pub message: Option<String>,
    /// Longer output, printable.
    pub output: Option<String>,
    /// What `register` keeps.
    pub value: Json,
    /// Variables that it sets.
    pub facts: Vec<(String, Node)>,
    /// The value is only known after `apply`.
    pub unknown: bool,
    /// The failure was shown already, when it happened.
    pub told: bool,
    /// The rollout left the host alone, as the message says.
    pub called_off: bool,
    /// When the host was done, where that was before its task ended for the others.
    pub ended: Option<Instant>,
}

impl TaskEnd {
    /// Not done, and why.
    pub(crate) fn skipped(host: &HostName, why: impl Into<String>) -> Self {
        let why = why.into();
        let value = json!({"changed": false, "failed": false, "skipped": true, "skip_reason": why});
        Self { result: TaskResult::Skipped, message: Some(why), ..Self::blank(host, value) }
    }

    /// A loop over nothing, as Ansible registers it.
    pub(crate) fn without_items(host: &HostName) -> Self {
        let reason = "No items in the list";
        let value =
            json!({"changed": false, "results": [], "skipped": true, "skipped_reason": reason});
        Self { value, ..Self::skipped(host, "nothing to loop over") }
    }

    /// Not done because it needs what only `apply` knows.
    pub(crate) fn unknown(host: &HostName, name: &str) -> Self {
        let why = format!("needs '{name}', which only apply sets");
        Self { unknown: true, ..Self::skipped(host, why) }
    }

    /// It failed as told.
    pub(crate) fn failed(host: &HostName, ended: HostFailure) -> Self {
        let unreachable = ended.outcome == Outcome::Unreachable;
        let value = json!({
            "changed": false,
            "failed": !unreachable,
            "unreachable": unreachable,
            "rolled_back": matches!(ended.outcome, Outcome::RolledBack(_)),
            "msg": ended.failure.message,
        });
        Self {
            result: if unreachable { TaskResult::Unreachable } else { TaskResult::Failed },
            outcome: Some(ended.outcome),
            message: Some(ended.failure.message.clone()),
            failure: Some(Box::new(ended.failure)),
            ..Self::blank(host, value)
        }
    }

    /// A value or template of it is wrong.
    pub(crate) fn wrong(host: &HostName, task: &str, problem: &Diagnostic) -> Self {
        Self::wrongs(host, task, &Diagnostics(vec![problem.clone()]))
    }

    /// Several values or templates are wrong: all are told.
    pub(crate) fn wrongs(host: &HostName, task: &str, problems: &Diagnostics) -> Self {
        let words: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        let mut failure = failure::before_commit(task, Step::Task, words.join("; "));
        let mut advice: Vec<String> =
            problems.0.iter().flat_map(|problem| problem.help.iter().cloned()).collect();
        advice.dedup();
        failure.failure.advice = advice;
        Self::failed(host, failure)
    }

    /// One iteration of a loop: its result names the item, as Ansible's does.
    pub(crate) fn name_item(&mut self, looping: &Loop, scope: &Scope) {
        let Json::Object(value) = &mut self.value else { return };
        let mut keep = |name: &str| {
            if let Some(item) = scope.raw(name).and_then(|node| scope.render(node).ok()) {
                value.insert(name.to_owned(), item);
            }
        };
        keep(&looping.variable);
        if looping.extended {
            keep("ansible_loop");
        }
        if let Some(index) = &looping.index {
            keep(index);
            value.insert("ansible_index_var".to_owned(), json!(index));
        }
        value.insert("ansible_loop_var".to_owned(), json!(looping.variable));
    }

    /// An end without message or output.
    pub(crate) fn blank(host: &HostName, value: Json) -> Self {
        Self {
            host: host.clone(),
            result: TaskResult::Ok,
            outcome: None,
            failure: None,
            message: None,
            output: None,
            value,
            facts: Vec::new(),
            unknown: false,
            told: false,
            called_off: false,
            ended: None,
        }
    }
}

/// Nothing of its arguments and results is shown.
pub(crate) fn redact(end: &mut TaskEnd) {
    const HIDDEN: &str = "hidden: the task says no_log";
    if end.message.is_some() {
        end.message = Some(HIDDEN.to_owned());
    }
    end.output = None;
    if let Some(failure) = &mut end.failure {
        failure.message = HIDDEN.to_owned();
        failure.command = None;
        failure.output.clear();
    }
}

/// The results of a loop as one.
pub(crate) fn together(host: &HostName, ends: Vec<(Option<String>, TaskEnd)>) -> TaskEnd {
    if ends.is_empty() {
        return TaskEnd::without_items(host);
    }
    let any = |result: TaskResult| ends.iter().any(|(_, end)| end.result == result);
    let result = if any(TaskResult::Unreachable) {
        TaskResult::Unreachable
    } else if any(TaskResult::Failed) {
        TaskResult::Failed
    } else if any(TaskResult::Changed) {
        TaskResult::Changed
    } else if any(TaskResult::Ok) {
        TaskResult::Ok
    } else {
        TaskResult::Skipped
    };
    let results: Vec<Json> = ends.iter().map(|(_, end)| end.value.clone()).collect();
    let value = json!({
        "results": results,
        "changed": any(TaskResult::Changed),
        "failed": any(TaskResult::Failed),
        "skipped": result == TaskResult::Skipped,
        "msg": match result {
            TaskResult::Failed | TaskResult::Unreachable => "One or more items failed",
            TaskResult::Skipped => "All items skipped",
            _ => "All items completed",
        },
    });
    let mut all = TaskEnd { result, ..TaskEnd::blank(host, value) };
    let mut outputs = Vec::new();
    for (label, end) in ends {
        let label = label.unwrap_or_default();
        if let Some(text) = end.output.or(end.message.clone()) {
            outputs.push(format!("({label}) {text}"));
        }
        all.facts.extend(end.facts);
        all.unknown |= end.unknown;
        if all.failure.is_none() && end.failure.is_some() {
            all.outcome = end.outcome;
            all.failure = end.failure;
            all.message = end.message.map(|message| format!("({label}) {message}"));
        }
    }
    all.output = Some(outputs.join("\n")).filter(|text| !text.is_empty());
    all
}
