//! Services that take their pair out of a spool into a store of their own: the import as a part of their reload.

use super::command::in_shell;
use super::desired::{ImportWant, ServiceWant};
use super::error::PlanError;
use super::layout::{Layout, Service};
use crate::host::{Seed, TimedCommand};
use crate::model::CommandLine;
use std::time::Duration;

/// How a service of the task takes its pair up, if it does.
pub(super) fn import_of(
    layout: &Layout,
    service: &Service<'_>,
    timeout: Duration,
    needed: bool,
) -> Result<Option<ImportWant>, PlanError> {
    let profile = service.profile;
    let Some(import) = &profile.import else { return Ok(None) };
    let Some(command) = &service.resolved.import else {
        return Err(PlanError::NoImport(profile.name.clone()));
    };
    let [pair] = service.pairs.as_slice() else {
        return Err(PlanError::ImportsOne(profile.name.clone()));
    };
    if service.is_in_container() {
        return Err(PlanError::NoImport(profile.name.clone()));
    }
    let seed = service.resolved.export.as_ref().map(|export| Seed {
        command: export.clone(),
        names: layout.names(service, *pair, export),
        timeout,
        needed,
    });
    let command = TimedCommand { command: layout.filled(service, command), timeout };
    Ok(Some(ImportWant { command, store: import.store.clone(), pair: *pair, seed }))
}

/// The import, and then the reload: what is run after the renames and, with the old pair, on the way back.
pub(super) fn with_reload(import: &ImportWant, reload: Option<TimedCommand>) -> TimedCommand {
    let title = |more: String| format!("# takes it up into {}{more}\n", import.store);
    let taken_up = in_shell(&import.command.command);
    let (text, timeout) = match reload {
        None => (format!("{}{taken_up}", title(String::new())), Duration::ZERO),
        Some(reload) => {
            let title = title(format!(", then {}", reload.command.brief()));
            let reloaded = in_shell(&reload.command);
            (format!("{title}{taken_up} || exit\n{reloaded}"), reload.timeout)
        }
    };
    let timeout = import.command.timeout + timeout;
    TimedCommand { command: CommandLine::Shell(text), timeout }
}

impl ServiceWant {
    /// What it is told: where it does not run, only its store is.
    pub(super) fn told(&self, asleep: bool) -> Option<TimedCommand> {
        match &self.import {
            Some(import) if asleep => Some(with_reload(import, None)),
            None if asleep => None,
            _ => self.reload.clone(),
        }
    }
}
