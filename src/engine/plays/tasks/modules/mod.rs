//! The modules that work on hosts: each asks the host's program and gives its answer Ansible's shape.

mod account;
mod ask;
mod copy;
mod facts;
mod file;
mod lineinfile;
mod look;
mod result;
mod service;
mod uri;

use super::action::{Action, Done, Failed};
use crate::playbook::certificate::RenderError;
use crate::playbook::modules::ModuleTask;
use crate::source::Diagnostic;

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
        "uri" => uri::perform(action, task, &arguments).await,
        "setup" => facts::perform(action, &arguments).await,
        other => Err(Failed::module(format!("the module {other} works on no host"))),
    }
}

/// The content of a file on the host; `None`: there is none.
///
/// # Errors
/// It is no file, cannot be read, or is too large.
pub(super) async fn read(action: &Action<'_>, path: &str) -> Result<Option<Vec<u8>>, Failed> {
    let found = look::read(action, path).await?;
    Ok(found.map(|(content, _)| content.expose().clone()))
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
