//! The modules that work on hosts: each asks the host's program and gives its answer Ansible's shape.

mod account;
mod copy;
mod difference;
mod file;
mod lineinfile;
mod look;
mod result;
mod service;

use super::action::{Action, Done, Failed, ModuleFailure};
use crate::engine::failure;
use crate::host::{ModuleReply, ModuleRequest};
use crate::playbook::certificate::RenderError;
use crate::playbook::modules::ModuleTask;
use crate::remote;
use crate::source::Diagnostic;
use serde_json::{Map, json};

pub(super) async fn perform(action: &Action<'_>, task: &ModuleTask) -> Result<Done, Failed> {
    let arguments = task.render(action.scope).map_err(wrong)?;
    match task.module.name {
        "file" => file::perform(action, &arguments).await,
        "copy" | "template" => copy::perform(action, task, &arguments).await,
        "stat" => look::stat(action, &arguments).await,
        "slurp" => look::slurp(action, &arguments).await,
        "lineinfile" => lineinfile::perform(action, task, &arguments).await,
        "service" | "systemd" => service::perform(action, task, &arguments).await,
        "user" => account::user(action, &arguments).await,
        "group" => account::group(action, &arguments).await,
        other => Err(Failed::module(format!("the module {other} works on no host"))),
    }
}

/// The preflight tells all of them; here the first one stops the task.
fn wrong(error: RenderError) -> Failed {
    match error {
        RenderError::NotYetKnown(name) => Failed::NotYetKnown(name),
        RenderError::Wrong(problems) => {
            let first = problems.0.into_iter().next();
            let first = first.unwrap_or_else(|| Diagnostic::error("the arguments are wrong"));
            Failed::Wrong(Box::new(first))
        }
    }
}

/// Asks the host's program.
async fn ask(action: &Action<'_>, request: &ModuleRequest) -> Result<ModuleReply, Failed> {
    let title = action.title.to_owned();
    let work = async {
        let process = action.connection.sh().await.map_err(|error| error.ended(&title))?;
        remote::module::run(process, request)
            .await
            .map_err(|error| failure::remote(&title, action.host, &error, None))
    };
    let answer = tokio::select! {
        answer = work => answer.map_err(|ended| Failed::Host(Box::new(ended)))?,
        () = action.context.stop.hard().cancelled() => {
            return Err(Failed::module("cut off by the second interrupt"));
        }
    };
    answer.map_err(|refusal| {
        let said = refusal.output.trim();
        let message = match said.lines().next() {
            Some(first) => format!("{}: {first}", refusal.why),
            None => refusal.why.clone(),
        };
        let mut value = Map::from_iter([("msg".to_owned(), json!(message))]);
        if !said.is_empty() {
            value.insert("stderr".to_owned(), json!(said));
        }
        ModuleFailure { message, command: None, value }.into()
    })
}
