//! `include_tasks` and `include_role` at work: which hosts add which tasks.

use crate::engine::batch::{Batch, tell};
use crate::engine::end::TaskEnd;
use crate::inputs::growth::{Inclusion, Way, inclusions};
use crate::inputs::selection::ChosenTask;
use crate::model::HostName;
use crate::playbook::Include;
use crate::source::Diagnostics;
use crate::template::TemplateError;
use indexmap::{IndexMap, IndexSet};
use serde_json::json;
use std::sync::Arc;
use tokio::time::Instant;

/// A task with the hosts that it is for.
#[derive(Clone)]
pub(super) struct Step<'a> {
    /// The task.
    pub(super) chosen: ChosenTask<'a>,
    /// Only these; without, every host of the batch.
    only: Option<Arc<IndexSet<HostName>>>,
}

impl<'a> Step<'a> {
    /// A task for every host.
    pub(super) fn of(chosen: ChosenTask<'a>) -> Self {
        Self { chosen, only: None }
    }

    /// Of these hosts those that it is for.
    pub(super) fn among(&self, mut hosts: Vec<HostName>) -> Vec<HostName> {
        if let Some(only) = &self.only {
            hosts.retain(|host| only.contains(host));
        }
        hosts
    }
}

/// Includes for `hosts`, each with how it went; and the tasks that this adds, in order. Hosts that include the same
/// share its tasks.
pub(super) fn include<'a>(
    batch: &Batch<'a>,
    chosen: &ChosenTask<'a>,
    include: &Include,
    hosts: &[HostName],
) -> (Vec<TaskEnd>, Vec<Step<'a>>) {
    let task = &*chosen.task;
    let begun = Instant::now();
    let mut groups: IndexMap<Way, (Vec<ChosenTask<'a>>, IndexSet<HostName>)> = IndexMap::new();
    let mut ends = Vec::new();
    for host in hosts {
        let title = batch.vars.title(task);
        let end = match of_host(batch, chosen, include, host) {
            Ok(list) if list.is_empty() => TaskEnd::skipped(host, "its condition is false"),
            Ok(list) => {
                let mut names = Vec::new();
                let mut problems = Diagnostics::default();
                for inclusion in list {
                    names.push(match &inclusion.label {
                        Some(label) => format!("{} ({label})", inclusion.name()),
                        None => inclusion.name().to_owned(),
                    });
                    match batch.at.added(include, &inclusion) {
                        Ok(added) => {
                            let group = groups.entry(inclusion.way);
                            group
                                .or_insert_with(|| (added, IndexSet::new()))
                                .1
                                .insert(host.clone());
                        }
                        Err(wrong) => problems.extend(wrong),
                    }
                }
                if problems.has_errors() {
                    TaskEnd::wrongs(host, &title, &problems)
                } else {
                    let message = format!("included {}", names.join(", "));
                    let value = json!({"changed": false, "failed": false, "include": names});
                    TaskEnd { message: Some(message), ..TaskEnd::blank(host, value) }
                }
            }
            Err(TemplateError::NotYetKnown(name)) => TaskEnd::unknown(host, &name),
            Err(TemplateError::Wrong(problem)) => TaskEnd::wrong(host, &title, &problem),
        };
        tell(batch.context, &batch.vars, task, &end, begun);
        ends.push(end);
    }
    let steps = groups.into_values().flat_map(|(added, hosts)| {
        let only = Arc::new(hosts);
        added.into_iter().map(move |chosen| Step { chosen, only: Some(Arc::clone(&only)) })
    });
    (ends, steps.collect())
}

fn of_host(
    batch: &Batch<'_>,
    chosen: &ChosenTask<'_>,
    include: &Include,
    host: &HostName,
) -> Result<Vec<Inclusion>, TemplateError> {
    let task = &*chosen.task;
    let scope = batch.context.inputs.variables.task_scope(&batch.vars, host, task);
    let scope =
        scope.map_err(|problems| {
            let first = problems.0.into_iter().next();
            TemplateError::Wrong(Box::new(first.unwrap_or_else(|| {
                crate::source::Diagnostic::error("its variables cannot be read")
            })))
        })?;
    inclusions(chosen.place, task, include, &scope)
}
