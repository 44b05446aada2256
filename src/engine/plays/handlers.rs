//! Handlers: which are notified, by which hosts.

use crate::engine::batch::Batch;
use crate::inputs::iteration::{all_true, iterations};
use crate::inputs::selection::{ChosenTask, Place};
use crate::model::{HostName, Outcome};
use crate::playbook::Task;
use crate::source::{Diagnostic, Diagnostics};
use crate::template::{Scope, TemplateError};
use indexmap::{IndexMap, IndexSet};
use std::sync::Arc;

/// The handlers of a batch that were notified and have not run yet.
#[derive(Default)]
pub(super) struct Notified(IndexMap<Place, IndexSet<HostName>>);

/// The handlers that a task would notify for `host`, for each item of its loop that is done. Told before the task
/// runs: one that does not exist is an error, and no change loses its handler.
///
/// # Errors
/// A name that cannot be rendered; a name that no handler has.
pub(super) fn wanted(
    batch: &Batch<'_>,
    task: &Task,
    host: &HostName,
) -> Result<Vec<Place>, Diagnostics> {
    if task.notify.is_empty() {
        return Ok(Vec::new());
    }
    let told = |error: TemplateError| match error {
        // The task itself tells that it needs what is not known yet.
        TemplateError::NotYetKnown(_) => Ok(Vec::new()),
        TemplateError::Wrong(problem) => Err(Diagnostics(vec![*problem])),
    };
    let scope = batch.context.inputs.variables.task_scope(&batch.vars, host, task)?;
    let list = match iterations(task.looping.as_ref(), &scope) {
        Ok(list) => list,
        Err(error) => return told(error),
    };
    let mut places = IndexSet::new();
    for (scope, _) in list {
        match all_true(&task.when, &scope) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => return told(error),
        }
        for notified in &task.notify {
            let names = match scope.texts_unless_omitted(notified) {
                Ok(names) => names,
                Err(error) => return told(error),
            };
            for name in names {
                let found = answering(batch, host, &name);
                if found.is_empty() {
                    let problem = Diagnostic::error(format!("there is no handler '{name}'"));
                    return Err(Diagnostics(vec![problem.at(notified.span.as_ref())]));
                }
                places.extend(found);
            }
        }
    }
    Ok(places.into_iter().collect())
}

/// The handlers that answer to a name: the first that has it, and all that listen to it (Ansible,
/// `plugins/strategy/__init__.py`, `search_handlers_by_notification`).
fn answering(batch: &Batch<'_>, host: &HostName, name: &str) -> Vec<Place> {
    let variables = &batch.context.inputs.variables;
    let scope = |handler: &ChosenTask<'_>| -> Option<Scope> {
        let task = Some(&handler.task).filter(|task| task.is_called_by_template())?;
        variables.task_scope(&batch.vars, host, task).ok()
    };
    let handlers: Vec<ChosenTask<'_>> = batch.at.handlers().collect();
    // Of several that have the name the play's own counts before those of roles, and of roles the last; within one
    // list it is the first.
    let lists = handlers.chunk_by(|one, next| same_role(&one.task, &next.task));
    let lists: Vec<_> = lists.collect();
    let named = lists.iter().rev().find_map(|list| {
        let mut list = list.iter();
        let found = list.find(|handler| handler.task.is_called(name, scope(handler).as_ref()));
        found.map(|found| found.place)
    });
    let mut found: Vec<Place> = named.into_iter().collect();
    let mut seen = Vec::new();
    for handler in lists.iter().rev().flat_map(|list| list.iter()) {
        let title = handler.task.title();
        let again = handler.task.name.is_some() && seen.contains(&title);
        if handler.task.listens_to(name, scope(handler).as_ref()) && !again {
            seen.push(title);
            found.extend(Some(handler.place).filter(|place| Some(*place) != named));
        }
    }
    found
}

fn same_role(one: &Task, other: &Task) -> bool {
    match (&one.around.role, &other.around.role) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

impl Notified {
    /// A task changed something on a host that had these handlers in view.
    pub(super) fn notify(&mut self, handlers: &[Place], hosts: &[HostName]) {
        for handler in handlers {
            self.0.entry(*handler).or_default().extend(hosts.iter().cloned());
        }
    }

    /// Whether a handler waits for the host.
    pub(super) fn waits_for(&self, host: &HostName) -> bool {
        self.0.values().any(|hosts| hosts.contains(host))
    }

    /// The hosts for which a handler runs now, which are taken from it. `forced`: also those that have failed since,
    /// unless they cannot be reached or nobody knows their state (Ansible, `force_handlers`). `active`: the hosts
    /// that take part; the others stay notified.
    pub(super) fn take(
        &mut self,
        batch: &Batch<'_>,
        handler: Place,
        active: &[HostName],
        forced: bool,
    ) -> Vec<HostName> {
        let Some(notified) = self.0.get_mut(&handler) else { return Vec::new() };
        let mut hosts = active.to_vec();
        if forced {
            let ledger = batch.context.ledger();
            let failed = batch.hosts.iter().filter(|host| {
                let outcome = ledger.tally.outcome(host);
                matches!(outcome, Outcome::Failed(_) | Outcome::RolledBack(_))
            });
            hosts.extend(failed.cloned());
        }
        hosts.retain(|host| notified.shift_remove(host));
        hosts
    }
}
