//! One task on one host: conditions, loops, repetition, verdicts, what is registered.

use super::action::{Action, Done, Failed, ModuleFailure};
use super::certificate::failure::Ended;
use super::run::Run;
use super::variables::{PlayScope, node};
use crate::event::{Failure, TaskResult};
use crate::model::{HostName, Outcome, Step};
use crate::playbook::{Loop, Play, Task};
use crate::source::{Diagnostic, Diagnostics, Node};
use crate::template::{Scope, TemplateError};
use serde_json::{Map, Value as Json, json};
use std::time::Duration;

/// How a task ended on a host.
#[derive(Debug)]
pub struct TaskEnd {
    /// The host.
    pub host: HostName,
    /// In short.
    pub result: TaskResult,
    /// For failures: how the host left.
    pub outcome: Option<Outcome>,
    /// For failures: what the operator reads.
    pub failure: Option<Failure>,
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
}

impl TaskEnd {
    /// Not done, and why.
    pub fn skipped(host: &HostName, why: impl Into<String>) -> Self {
        let why = why.into();
        let value = json!({"changed": false, "failed": false, "skipped": true, "skip_reason": why});
        Self { result: TaskResult::Skipped, message: Some(why), ..Self::blank(host, value) }
    }

    /// Not done because it needs what only `apply` knows.
    pub fn unknown(host: &HostName, name: &str) -> Self {
        let why = format!("needs '{name}', which only apply sets");
        Self { unknown: true, ..Self::skipped(host, why) }
    }

    /// It failed as told.
    pub fn failed(host: &HostName, ended: Ended) -> Self {
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
            failure: Some(ended.failure),
            ..Self::blank(host, value)
        }
    }

    /// A value or template of it is wrong.
    pub fn wrong(host: &HostName, task: &str, problem: &Diagnostic) -> Self {
        let mut ended =
            super::certificate::failure::before_commit(task, Step::Task, problem.to_string());
        ended.failure.advice.clone_from(&problem.help);
        Self::failed(host, ended)
    }

    /// Several values or templates are wrong.
    pub fn wrongs(host: &HostName, task: &str, problems: &Diagnostics) -> Self {
        match problems.0.first() {
            Some(first) => Self::wrong(host, task, first),
            None => Self::wrong(host, task, &Diagnostic::error("unknown error")),
        }
    }

    /// An end without message or output.
    pub fn blank(host: &HostName, value: Json) -> Self {
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
        }
    }
}

/// The conditions of a task in a scope.
///
/// # Errors
/// A condition that is wrong, or not known yet.
pub fn holds(conditions: &[Node], scope: &Scope) -> Result<bool, TemplateError> {
    for condition in conditions {
        if !scope.condition(condition)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first condition that does not hold, as the reason for skipping.
pub fn why_not(conditions: &[Node], scope: &Scope) -> Result<Option<String>, TemplateError> {
    for condition in conditions {
        if !scope.condition(condition)? {
            let text = condition.as_str().unwrap_or("false");
            return Ok(Some(format!("its condition does not hold: {text}")));
        }
    }
    Ok(None)
}

/// The scopes of a task's rounds with what is shown of each item; one round without a loop.
///
/// # Errors
/// A list that is none, or not known yet.
pub fn rounds(
    looping: Option<&Loop>,
    scope: &Scope,
) -> Result<Vec<(Scope, Option<String>)>, TemplateError> {
    let Some(looping) = looping else { return Ok(vec![(scope.clone(), None)]) };
    let items = items(looping, scope)?;
    let mut rounds = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let mut round = scope.with(looping.variable.as_str(), node(item));
        if let Some(name) = &looping.index {
            round = round.with(name.as_str(), node(&json!(index)));
        }
        let label = match &looping.label {
            Some(label) => round.render(label)?,
            None => item.clone(),
        };
        let label = label.as_str().map_or_else(|| label.to_string(), str::to_owned);
        rounds.push((round, Some(label)));
    }
    Ok(rounds)
}

fn items(looping: &Loop, scope: &Scope) -> Result<Vec<Json>, TemplateError> {
    match (scope.render(&looping.items)?, looping.flatten) {
        (Json::Array(items), false) => Ok(items),
        (Json::Array(items), true) => Ok(items
            .into_iter()
            .flat_map(|item| match item {
                Json::Array(inner) => inner,
                other => vec![other],
            })
            .collect()),
        (single, true) => Ok(vec![single]),
        (other, false) => {
            let kind = node(&other).kind();
            let problem = Diagnostic::error(format!("a loop needs a list, this gives {kind}"));
            let problem = problem.at(looping.items.span.as_ref());
            Err(TemplateError::Wrong(Box::new(problem)))
        }
    }
}

/// Runs a task of any kind but `certificate` on one host.
pub async fn on_host(
    run: &Run,
    play: &Play,
    vars: &PlayScope,
    task: &Task,
    host: &HostName,
) -> TaskEnd {
    let title = task.title();
    let scope = match run.variables.task_scope(vars, host, task) {
        Ok(scope) => scope,
        Err(problems) => return TaskEnd::wrongs(host, &title, &problems),
    };
    let ends = match rounds(task.looping.as_ref(), &scope) {
        Ok(rounds) => {
            let mut ends = Vec::with_capacity(rounds.len());
            for (scope, label) in rounds {
                ends.push((label, round(run, play, vars, task, host, &scope).await));
            }
            ends
        }
        Err(TemplateError::NotYetKnown(name)) => return TaskEnd::unknown(host, &name),
        Err(TemplateError::Wrong(problem)) => return TaskEnd::wrong(host, &title, &problem),
    };
    let mut end = if task.looping.is_some() {
        together(host, ends)
    } else {
        let single = ends.into_iter().next().map(|(_, end)| end);
        single.unwrap_or_else(|| TaskEnd::skipped(host, "nothing to loop over"))
    };
    if task.no_log {
        hide(&mut end);
    }
    end
}

/// Nothing of its arguments and results is shown.
pub fn hide(end: &mut TaskEnd) {
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
pub fn together(host: &HostName, ends: Vec<(Option<String>, TaskEnd)>) -> TaskEnd {
    if ends.is_empty() {
        return TaskEnd::skipped(host, "nothing to loop over");
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
        "msg": "all items completed",
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

/// One item of the loop, or the whole task.
async fn round(
    run: &Run,
    play: &Play,
    vars: &PlayScope,
    task: &Task,
    host: &HostName,
    scope: &Scope,
) -> TaskEnd {
    let title = task.title();
    match why_not(&task.when, scope) {
        Ok(None) => {}
        Ok(Some(why)) => return TaskEnd::skipped(host, why),
        Err(TemplateError::NotYetKnown(name)) => return TaskEnd::unknown(host, &name),
        Err(TemplateError::Wrong(problem)) => return TaskEnd::wrong(host, &title, &problem),
    }
    let link = match run.links.of_task(run, play, vars, task, host, scope) {
        Ok(link) => link,
        Err(problems) => return TaskEnd::wrongs(host, &title, &problems),
    };
    let check = match task.check_mode {
        Some(check) => check,
        None => run.is_plan(),
    };
    let action = Action { run, play, task, host, scope, link: &link, check };
    match repeat(&action).await {
        Ok(judged) => judged.end(host, &title),
        Err(Failed::Ended(ended)) => TaskEnd::failed(host, *ended),
        Err(Failed::NotYetKnown(name)) => TaskEnd::unknown(host, &name),
        Err(Failed::Wrong(problem)) => TaskEnd::wrong(host, &title, &problem),
        // `attempt` turns these into verdicts.
        Err(Failed::Module(failure)) => {
            TaskEnd::wrong(host, &title, &Diagnostic::error(failure.message))
        }
    }
}

/// A result after `failed_when` and `changed_when`.
struct Judged {
    done: Done,
    failed: bool,
    command: Option<(String, i32, String)>,
}

/// Until its conditions hold, at most `retries` times more.
async fn repeat(action: &Action<'_>) -> Result<Judged, Failed> {
    let task = action.task;
    if task.until.is_empty() && task.retries.is_none() {
        return attempt(action).await;
    }
    let number = |node: Option<&Node>, default: f64| -> Result<f64, Failed> {
        let Some(node) = node else { return Ok(default) };
        let value = action.scope.render(node)?;
        let value = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        value.filter(|value| *value >= 0.0).ok_or_else(|| {
            let problem = Diagnostic::error("a number of 0 or more is wanted here");
            Failed::Wrong(Box::new(problem.at(node.span.as_ref())))
        })
    };
    let retries = number(task.retries.as_ref(), 3.0)? as u64;
    let delay = Duration::from_secs_f64(number(task.delay.as_ref(), 5.0)?.min(86_400.0));
    let mut round = 1;
    loop {
        let mut judged = attempt(action).await?;
        judged.done.value.insert("attempts".to_owned(), json!(round));
        let scope = with_result(action, &judged);
        let good = if judged.done.unknown {
            true
        } else if task.until.is_empty() {
            !judged.failed
        } else {
            holds(&task.until, &scope)?
        };
        if good {
            return Ok(judged);
        }
        if round > retries {
            judged.failed = true;
            let why = format!("its `until` did not hold after {round} attempts");
            judged.done.message.get_or_insert(why);
            return Ok(judged);
        }
        round += 1;
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = action.run.shared.stop.soft().cancelled() => {
                judged.failed = true;
                judged.done.message = Some("interrupted between two attempts".to_owned());
                return Ok(judged);
            }
        }
    }
}

async fn attempt(action: &Action<'_>) -> Result<Judged, Failed> {
    let mut judged = match action.perform().await {
        Ok(done) => Judged { done, failed: false, command: None },
        Err(Failed::Module(failure)) => {
            let ModuleFailure { message, command, value } = *failure;
            let done = Done { message: Some(message), value, ..Done::default() };
            // A command that failed has run: Ansible counts it as a change.
            let changed = command.is_some();
            Judged { done: Done { changed, ..done }, failed: true, command }
        }
        Err(other) => return Err(other),
    };
    if judged.done.unknown {
        return Ok(judged);
    }
    if let Some(conditions) = &action.task.failed_when {
        let scope = with_result(action, &judged);
        judged.failed = holds(conditions, &scope)?;
        if judged.failed {
            judged.done.message.get_or_insert("its `failed_when` holds".to_owned());
        }
    }
    if let Some(conditions) = &action.task.changed_when {
        let scope = with_result(action, &judged);
        judged.done.changed = holds(conditions, &scope)?;
    }
    Ok(judged)
}

fn with_result(action: &Action<'_>, judged: &Judged) -> Scope {
    match &action.task.register {
        Some(name) => action.scope.with(name.as_str(), node(&judged.value())),
        None => action.scope.clone(),
    }
}

impl Judged {
    fn value(&self) -> Json {
        let mut value: Map<String, Json> = self.done.value.clone();
        value.insert("changed".to_owned(), json!(self.done.changed));
        value.insert("failed".to_owned(), json!(self.failed));
        value.insert("skipped".to_owned(), json!(self.done.skipped));
        Json::Object(value)
    }

    fn end(self, host: &HostName, title: &str) -> TaskEnd {
        let value = self.value();
        let Done { changed, skipped, message, output, facts, unknown, .. } = self.done;
        if self.failed {
            let why = message.unwrap_or_else(|| "failed".to_owned());
            let mut ended = super::certificate::failure::before_commit(title, Step::Task, why);
            "the task failed; no certificate was touched by it"
                .clone_into(&mut ended.failure.state);
            if let Some((command, rc, said)) = self.command {
                ended.failure.command = Some(command);
                ended.failure.exit_code = Some(rc);
                ended.failure.output = super::certificate::failure::last_lines(&said);
            }
            return TaskEnd { value, output, facts, ..TaskEnd::failed(host, ended) };
        }
        let result = match (skipped, changed) {
            (true, _) => TaskResult::Skipped,
            (false, true) => TaskResult::Changed,
            (false, false) => TaskResult::Ok,
        };
        TaskEnd { result, message, output, facts, unknown, ..TaskEnd::blank(host, value) }
    }
}
