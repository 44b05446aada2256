//! The certificate tasks of hosts before any task has run: outside a rollout, or before a play begins.

use super::context::Context;
use crate::inputs::iteration::{all_true, iterations};
use crate::inputs::play_scope::PlayScope;
use crate::inputs::selection::{ChosenTask, PlayAt};
use crate::model::HostName;
use crate::playbook::TaskKind;
use crate::playbook::certificate::{CertificateSpec, RenderError};
use crate::source::Diagnostics;
use crate::template::{Scope, TemplateError};
use indexmap::IndexMap;

type Rendered<T> = Result<T, RenderError>;

/// What is known of a host's certificate tasks in a play.
pub(super) struct Foreseen<T> {
    /// One for each task and each item of its loop.
    pub made: Vec<T>,
    /// Tasks of which only the run will tell, and the name that each waits for.
    pub unknown: Vec<(String, String)>,
}

/// What was made of a task, and where that is written.
pub(super) struct Placed<T> {
    /// The task.
    pub title: String,
    /// As [`Task::place`](crate::playbook::Task::place).
    pub place: Option<String>,
    /// As [`Task::written`](crate::playbook::Task::written), for failures.
    pub written: Option<String>,
    /// What was made of it.
    pub made: T,
}

impl<T> Placed<T> {
    /// Of a task.
    pub(super) fn of(chosen: &ChosenTask<'_>, made: T) -> Self {
        let task = &chosen.task;
        Self { title: task.title(), place: task.place(), written: task.written(), made }
    }

    /// The same without `made`.
    pub(super) fn spot(&self) -> Placed<()> {
        let Self { title, place, written, .. } = self;
        Placed { title: title.clone(), place: place.clone(), written: written.clone(), made: () }
    }
}

/// Every certificate task of every host, as `make` renders it; hosts in the order of the plays. What only the run
/// would tell is warned of and left out.
///
/// # Errors
/// What is wrong with the playbook's values.
pub(super) fn each_task<T>(
    context: &Context,
    make: impl Fn(&ChosenTask<'_>, &CertificateSpec, &PlayScope, &HostName, &Scope) -> Rendered<T>,
) -> Result<IndexMap<HostName, Vec<T>>, Diagnostics> {
    let mut all: IndexMap<HostName, Vec<T>> = IndexMap::new();
    let mut found = Diagnostics::default();
    for at in context.inputs.project.plays() {
        let hosts = at.hosts(&context.inputs.variables).unwrap_or_default();
        let vars = PlayScope::new(at.book, at.play, &hosts);
        for host in &hosts {
            let mine = all.entry(host.clone()).or_default();
            match of_host(context, at, &vars, host, &make) {
                Ok(Foreseen { made, unknown }) => {
                    mine.extend(made);
                    for (title, name) in unknown {
                        let words = format!(
                            "task '{title}' is left out: '{name}' is not known outside a run"
                        );
                        context.emitter.warn(Some(host), words);
                    }
                }
                Err(problems) => found.extend(problems),
            }
        }
    }
    if found.has_errors() { Err(found) } else { Ok(all) }
}

/// The certificate tasks of a host in a play.
///
/// # Errors
/// What is wrong with the playbook's values.
pub(super) fn of_host<T>(
    context: &Context,
    at: PlayAt<'_>,
    vars: &PlayScope,
    host: &HostName,
    make: impl Fn(&ChosenTask<'_>, &CertificateSpec, &PlayScope, &HostName, &Scope) -> Rendered<T>,
) -> Result<Foreseen<T>, Diagnostics> {
    let mut foreseen = Foreseen { made: Vec::new(), unknown: Vec::new() };
    let mut found = Diagnostics::default();
    for (chosen, scope) in at.foresee(&context.inputs.variables, vars, host, at.possible_tasks()) {
        let added = scope.and_then(|scope| {
            let TaskKind::Certificate(spec) = &chosen.task.kind else { return Ok(()) };
            let make = |scope: &Scope| make(&chosen, spec, vars, host, scope);
            each_item(&chosen, &scope, make, &mut foreseen)
        });
        if let Err(problems) = added {
            found.extend(problems);
        }
    }
    if found.has_errors() { Err(found) } else { Ok(foreseen) }
}

/// One for each item of the task's loop.
fn each_item<T>(
    chosen: &ChosenTask<'_>,
    scope: &Scope,
    make: impl Fn(&Scope) -> Rendered<T>,
    foreseen: &mut Foreseen<T>,
) -> Result<(), Diagnostics> {
    let task = &chosen.task;
    let list = match iterations(task.looping.as_ref(), scope) {
        Ok(list) => list,
        Err(TemplateError::NotYetKnown(name)) => {
            foreseen.unknown.push((task.title(), name));
            return Ok(());
        }
        Err(TemplateError::Wrong(problem)) => return Err(Diagnostics(vec![*problem])),
    };
    for (scope, _) in list {
        // What only the run would decide is looked at all the same.
        if let Ok(false) = all_true(&task.when, &scope) {
            continue;
        }
        match make(&scope) {
            Ok(one) => foreseen.made.push(one),
            Err(RenderError::NotYetKnown(name)) => foreseen.unknown.push((task.title(), name)),
            Err(RenderError::Wrong(problems)) => return Err(problems),
        }
    }
    Ok(())
}
