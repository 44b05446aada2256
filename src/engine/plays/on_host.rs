//! One task on one host: conditions, loops, repetition, verdicts, what is registered.

use super::tasks::{Action, Done, Failed, ModuleFailure};
use crate::engine::context::Context;
use crate::engine::end::{TaskEnd, redact, together};
use crate::engine::failure;
use crate::event::TaskResult;
use crate::inputs::iteration::{all_true, iterations, pause, why_not};
use crate::inputs::play_scope::PlayScope;
use crate::inputs::selection::ChosenTask;
use crate::inputs::variables::node;
use crate::model::{HostName, Step};
use crate::source::{Diagnostic, Node};
use crate::template::{Scope, TemplateError};
use serde_json::{Map, Value as Json, json};
use std::time::Duration;

/// Runs a task of any kind but `certificate` on one host. `closing`: the run has been stopped, and this is what
/// `always` says.
pub(super) async fn on_host(
    context: &Context,
    chosen: &ChosenTask<'_>,
    vars: &PlayScope,
    host: &HostName,
    closing: bool,
) -> TaskEnd {
    let task = &chosen.task;
    let title = vars.title(task);
    let scope = match context.inputs.variables.task_scope(vars, host, task) {
        Ok(scope) => scope,
        Err(problems) => return TaskEnd::wrongs(host, &title, &problems),
    };
    let ends = match iterations(task.looping.as_ref(), &scope) {
        Ok(iterations) => {
            let mut ends = Vec::with_capacity(iterations.len());
            // It was rendered with the items.
            let wait = pause(task.looping.as_ref(), &scope).unwrap_or_default();
            // What one item sets the next ones see.
            let mut set: Vec<(String, Node)> = Vec::new();
            for (scope, label) in iterations {
                let facts = set.iter().cloned();
                let scope = facts.fold(scope, |scope, (name, value)| scope.with(name, value));
                if !ends.is_empty() && !context.pauses(wait, closing).await {
                    let why = "interrupted between two items";
                    let failure = failure::before_commit(&title, Step::Task, why);
                    ends.push((label, TaskEnd::failed(host, failure)));
                    break;
                }
                let mut end = iteration(context, chosen, vars, host, &scope, closing).await;
                if let Some(looping) = &task.looping {
                    end.name_item(looping, &scope);
                }
                set.extend(end.facts.iter().cloned());
                ends.push((label, end));
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
        single.unwrap_or_else(|| TaskEnd::without_items(host))
    };
    if task.no_log {
        redact(&mut end);
    }
    end
}

/// One item of the loop, or the whole task.
async fn iteration(
    context: &Context,
    chosen: &ChosenTask<'_>,
    vars: &PlayScope,
    host: &HostName,
    scope: &Scope,
    closing: bool,
) -> TaskEnd {
    let task = &chosen.task;
    let title = vars.title(task);
    match why_not(&task.when, scope) {
        Ok(None) => {}
        Ok(Some(why)) => return TaskEnd::skipped(host, why),
        Err(TemplateError::NotYetKnown(name)) => return TaskEnd::unknown(host, &name),
        Err(TemplateError::Wrong(problem)) => return TaskEnd::wrong(host, &title, &problem),
    }
    let connection =
        match context.connections.of_task(&context.inputs.variables, chosen, vars, host, scope) {
            Ok(connection) => connection,
            Err(problems) => return TaskEnd::wrongs(host, &title, &problems),
        };
    let check = match task.check_mode {
        Some(check) => check,
        None => context.is_plan(),
    };
    let action = Action {
        context,
        play: chosen.at.play,
        task,
        title: &title,
        host,
        scope,
        connection: &connection,
        check,
        closing,
    };
    match repeat(&action).await {
        Ok(verdict) => verdict.end(host, &title),
        Err(Failed::Host(ended)) => TaskEnd::failed(host, *ended),
        Err(Failed::NotYetKnown(name)) => TaskEnd::unknown(host, &name),
        Err(Failed::Wrong(problem)) => TaskEnd::wrong(host, &title, &problem),
        // `attempt` turns these into verdicts.
        Err(Failed::Module(failure)) => {
            TaskEnd::wrong(host, &title, &Diagnostic::error(failure.message))
        }
    }
}

/// A result after `failed_when` and `changed_when`.
struct TaskVerdict {
    done: Done,
    failed: bool,
    command: Option<(String, i32, String)>,
}

/// Until its conditions are true, at most `retries` times more.
async fn repeat(action: &Action<'_>) -> Result<TaskVerdict, Failed> {
    let task = action.task;
    if task.until.is_empty() && task.retries.is_none() {
        return attempt(action, None).await;
    }
    let number = |node: Option<&Node>, default: f64| -> Result<f64, Failed> {
        let Some(node) = node else { return Ok(default) };
        let value = action.scope.render(node)?;
        let value = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        value.filter(|value| *value >= 0.0).ok_or_else(|| {
            let problem = Diagnostic::error("expected a number of 0 or more");
            Failed::Wrong(Box::new(problem.at(node.span.as_ref())))
        })
    };
    let retries = number(task.retries.as_ref(), 3.0)? as u64;
    if retries == 0 {
        // Then Ansible looks at no `until` either.
        return attempt(action, None).await;
    }
    let delay = Duration::from_secs_f64(number(task.delay.as_ref(), 5.0)?.min(86_400.0));
    let mut round = 1;
    loop {
        let mut verdict = attempt(action, Some(round)).await?;
        let scope = with_result(action, &verdict);
        let good = if verdict.done.unknown {
            true
        } else if task.until.is_empty() {
            !verdict.failed
        } else {
            all_true(&task.until, &scope)?
        };
        if good {
            return Ok(verdict);
        }
        if round > retries {
            verdict.failed = true;
            // Ansible does not count the last one then.
            verdict.done.value.insert("attempts".to_owned(), json!(retries));
            let why = format!("its `until` was still false after {round} attempts");
            verdict.done.message.get_or_insert(why);
            return Ok(verdict);
        }
        round += 1;
        let stop = &action.context.stop;
        let stopped = if action.closing { stop.hard() } else { stop.soft() };
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = stopped.cancelled() => {
                verdict.failed = true;
                verdict.done.message = Some("interrupted between two attempts".to_owned());
                return Ok(verdict);
            }
        }
    }
}

/// Once; `round`: the how manieth time, where there may be several.
async fn attempt(action: &Action<'_>, round: Option<u64>) -> Result<TaskVerdict, Failed> {
    let mut verdict = match action.perform().await {
        Ok(done) => TaskVerdict { done, failed: false, command: None },
        Err(Failed::Module(failure)) => {
            let ModuleFailure { message, command, value } = *failure;
            let done = Done { message: Some(message), value, ..Done::default() };
            // A command that failed has run: Ansible counts it as a change.
            let changed = command.is_some();
            TaskVerdict { done: Done { changed, ..done }, failed: true, command }
        }
        Err(other) => return Err(other),
    };
    // What the conditions look at, too.
    if let Some(round) = round {
        verdict.done.value.insert("attempts".to_owned(), json!(round));
    }
    if verdict.done.unknown {
        return Ok(verdict);
    }
    // In this order: `failed_when` sees the changed `changed`, and `changed_when` whether the module failed.
    if let Some(conditions) = &action.task.changed_when {
        let scope = with_result(action, &verdict);
        verdict.done.changed = all_true(conditions, &scope)?;
    }
    if let Some(conditions) = &action.task.failed_when {
        let scope = with_result(action, &verdict);
        verdict.failed = all_true(conditions, &scope)?;
        verdict.done.value.insert("failed_when_result".to_owned(), json!(verdict.failed));
        if verdict.failed {
            verdict.done.message.get_or_insert("its `failed_when` is true".to_owned());
        }
    }
    Ok(verdict)
}

fn with_result(action: &Action<'_>, verdict: &TaskVerdict) -> Scope {
    match &action.task.register {
        Some(name) => action.scope.with(name.as_str(), node(&verdict.value())),
        None => action.scope.clone(),
    }
}

impl TaskVerdict {
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
            let mut value = value;
            if let Json::Object(entries) = &mut value {
                entries.entry("msg").or_insert_with(|| json!(why));
            }
            let mut ended = failure::before_commit(title, Step::Task, why);
            "the task failed; no certificate was touched by it"
                .clone_into(&mut ended.failure.state);
            if let Some((command, rc, said)) = self.command {
                ended.failure.command = Some(command);
                ended.failure.exit_code = Some(rc);
                ended.failure.output = failure::last_lines(&said);
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
