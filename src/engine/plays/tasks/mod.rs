//! What single tasks do on single hosts, all kinds but `certificate`.

mod command;
mod pause;
mod simple;
mod wait_for;

use crate::engine::connection::HostConnection;
use crate::engine::context::Context;
use crate::engine::failure::HostFailure;
use crate::model::HostName;
use crate::playbook::{Play, Task, TaskKind};
use crate::source::{Diagnostic, Node, Vars};
use crate::template::{Scope, TemplateError};
use serde_json::{Map, Value as Json, json};

/// One task on one host, with the item of its loop in the scope.
pub(super) struct Action<'a> {
    /// The run.
    pub(super) context: &'a Context,
    /// Its play.
    pub(super) play: &'a Play,
    /// The task.
    pub(super) task: &'a Task,
    /// What it is called.
    pub(super) title: &'a str,
    /// The host whose variables count.
    pub(super) host: &'a HostName,
    /// Its variables.
    pub(super) scope: &'a Scope,
    /// Where the task runs.
    pub(super) link: &'a HostConnection,
    /// Nothing may be changed.
    pub(super) check: bool,
}

/// A task that ended as its module wishes.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Whether something was changed.
    pub(super) changed: bool,
    /// Nothing was to be done.
    pub(super) skipped: bool,
    /// One line for the operator.
    pub(super) message: Option<String>,
    /// Longer output, printable.
    pub(super) output: Option<String>,
    /// What `register` keeps, besides `changed`, `failed` and `skipped`.
    pub(super) value: Map<String, Json>,
    /// Variables that it sets.
    pub(super) facts: Vec<(String, Node)>,
    /// Its result is only known when it is really run.
    pub(super) unknown: bool,
}

/// A task that did not.
#[derive(Debug)]
pub(super) enum Failed {
    /// The host could not be reached, or fell silent.
    Host(Box<HostFailure>),
    /// The module failed.
    Module(Box<ModuleFailure>),
    /// A template or value is wrong.
    Wrong(Box<Diagnostic>),
    /// Needs a name that only `apply` sets.
    NotYetKnown(String),
}

/// Why a module failed.
#[derive(Debug, Default)]
pub(super) struct ModuleFailure {
    /// Why, one line.
    pub(super) message: String,
    /// Command, exit code and output where there was a command.
    pub(super) command: Option<(String, i32, String)>,
    /// For `register`.
    pub(super) value: Map<String, Json>,
}

impl From<ModuleFailure> for Failed {
    fn from(failure: ModuleFailure) -> Self {
        Self::Module(Box::new(failure))
    }
}

impl From<TemplateError> for Failed {
    fn from(error: TemplateError) -> Self {
        match error {
            TemplateError::Wrong(diagnostic) => Self::Wrong(diagnostic),
            TemplateError::NotYetKnown(name) => Self::NotYetKnown(name),
        }
    }
}

impl Failed {
    fn module(message: impl Into<String>) -> Self {
        ModuleFailure { message: message.into(), ..ModuleFailure::default() }.into()
    }

    fn value(node: &Node, message: impl Into<String>) -> Self {
        Self::Wrong(Box::new(Diagnostic::error(message).at(node.span.as_ref())))
    }
}

impl Action<'_> {
    /// Does it once.
    ///
    /// # Errors
    /// How it failed.
    pub(super) async fn perform(&self) -> Result<Done, Failed> {
        match &self.task.kind {
            TaskKind::Command(spec) => command::perform(self, spec).await,
            TaskKind::WaitFor(spec) => wait_for::perform(self, spec).await,
            TaskKind::Pause { duration, unit, prompt } => {
                pause::perform(self, duration.as_ref(), *unit, prompt.as_ref()).await
            }
            TaskKind::Debug { message, variable } => {
                simple::debug(self, message.as_ref(), variable.as_ref())
            }
            TaskKind::Assert { that, fail_message, success_message } => {
                simple::assert(self, that, fail_message.as_ref(), success_message.as_ref())
            }
            TaskKind::Fail { message } => simple::fail(self, message.as_ref()),
            TaskKind::SetFact(vars) => simple::set_fact(self, vars),
            // The rollout and the play's own steering are not done host by host.
            TaskKind::Certificate(_) | TaskKind::Meta(_) => Ok(Done::default()),
        }
    }

    /// Nothing is done because this is a dry run.
    fn in_check_mode(&self) -> Done {
        Done {
            skipped: true,
            unknown: true,
            message: Some("not run: this is a dry run".to_owned()),
            value: Map::from_iter([("msg".to_owned(), json!("skipped, running in check mode"))]),
            ..Done::default()
        }
    }

    fn text(&self, node: Option<&Node>) -> Result<Option<String>, Failed> {
        let Some(node) = node else { return Ok(None) };
        self.scope.text_unless_omitted(node).map_err(Failed::from)
    }

    /// A number of seconds, as an integer, a float, or text of one.
    fn seconds(&self, node: Option<&Node>) -> Result<Option<f64>, Failed> {
        let Some(node) = node else { return Ok(None) };
        let Some(value) = self.scope.render_unless_omitted(node)? else { return Ok(None) };
        let number = match &value {
            Json::Number(number) => number.as_f64(),
            Json::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.filter(|number| (0.0..=31_536_000.0).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(Failed::value(node, "a number of seconds is wanted here")),
        }
    }

    /// Environment of commands: the play's, and over it the task's.
    fn environment(&self) -> Result<Vec<(String, String)>, Failed> {
        let mut merged = Vars::new();
        merged.extend(self.play.environment.clone());
        merged.extend(self.task.environment.clone());
        let mut rendered = Vec::with_capacity(merged.len());
        for (name, node) in merged {
            if let Some(text) = self.scope.text_unless_omitted(&node)? {
                rendered.push((name, text));
            }
        }
        Ok(rendered)
    }
}
