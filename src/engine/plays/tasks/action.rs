//! One task on one host, and how it may end.

use crate::engine::connection::HostConnection;
use crate::engine::context::Context;
use crate::engine::failure::HostFailure;
use crate::model::HostName;
use crate::playbook::{Play, Task};
use crate::source::{Diagnostic, Node, Vars};
use crate::template::{Scope, TemplateError};
use serde_json::{Map, Value as Json, json};

/// One task on one host, with the item of its loop in the scope.
pub(in crate::engine::plays) struct Action<'a> {
    /// The run.
    pub(in crate::engine::plays) context: &'a Context,
    /// Its play.
    pub(in crate::engine::plays) play: &'a Play,
    /// The task.
    pub(in crate::engine::plays) task: &'a Task,
    /// What it is called.
    pub(in crate::engine::plays) title: &'a str,
    /// The host whose variables count.
    pub(in crate::engine::plays) host: &'a HostName,
    /// Its variables.
    pub(in crate::engine::plays) scope: &'a Scope,
    /// Where the task runs.
    pub(in crate::engine::plays) connection: &'a HostConnection,
    /// Nothing may be changed.
    pub(in crate::engine::plays) check: bool,
    /// The run has been stopped, and this is what `always` says.
    pub(in crate::engine::plays) closing: bool,
}

/// A task that ended as its module wishes.
#[derive(Debug, Default)]
pub(in crate::engine::plays) struct Done {
    /// Whether something was changed.
    pub(in crate::engine::plays) changed: bool,
    /// Nothing was to be done.
    pub(in crate::engine::plays) skipped: bool,
    /// One line for the operator.
    pub(in crate::engine::plays) message: Option<String>,
    /// Longer output, printable.
    pub(in crate::engine::plays) output: Option<String>,
    /// What `register` keeps, besides `changed`, `failed` and `skipped`.
    pub(in crate::engine::plays) value: Map<String, Json>,
    /// Variables that it sets.
    pub(in crate::engine::plays) facts: Vec<(String, Node)>,
    /// Its result is only known when it is really run.
    pub(in crate::engine::plays) unknown: bool,
}

/// A task that did not.
#[derive(Debug)]
pub(in crate::engine::plays) enum Failed {
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
pub(in crate::engine::plays) struct ModuleFailure {
    /// Why, one line.
    pub(in crate::engine::plays) message: String,
    /// Command, exit code and output where there was a command.
    pub(in crate::engine::plays) command: Option<(String, i32, String)>,
    /// For `register`.
    pub(in crate::engine::plays) value: Map<String, Json>,
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
    pub(super) fn module(message: impl Into<String>) -> Self {
        ModuleFailure { message: message.into(), ..ModuleFailure::default() }.into()
    }

    pub(super) fn value(node: &Node, message: impl Into<String>) -> Self {
        Self::Wrong(Box::new(Diagnostic::error(message).at(node.span.as_ref())))
    }
}

impl Action<'_> {
    /// Nothing is done because this is a dry run.
    pub(super) fn in_check_mode(&self) -> Done {
        Done {
            skipped: true,
            unknown: true,
            message: Some("not run: this is a dry run".to_owned()),
            value: Map::from_iter([("msg".to_owned(), json!("skipped, running in check mode"))]),
            ..Done::default()
        }
    }

    pub(super) fn text(&self, node: Option<&Node>) -> Result<Option<String>, Failed> {
        let Some(node) = node else { return Ok(None) };
        self.scope.text_unless_omitted(node).map_err(Failed::from)
    }

    /// A number of seconds, as an integer, a float, or text of one.
    pub(super) fn seconds(&self, node: Option<&Node>) -> Result<Option<f64>, Failed> {
        let Some(node) = node else { return Ok(None) };
        let Some(value) = self.scope.render_unless_omitted(node)? else { return Ok(None) };
        let number = match &value {
            Json::Number(number) => number.as_f64(),
            Json::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.filter(|number| (0.0..=31_536_000.0).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(Failed::value(node, "expected a number of seconds")),
        }
    }

    /// Environment of commands: the play's, and over it the task's.
    pub(super) fn environment(&self) -> Result<Vec<(String, String)>, Failed> {
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
