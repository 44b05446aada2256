//! The variables that one host sees in one task.

use super::backslashes::Literal;
use super::convert::{json, python_bool_error};
use super::evaluation::Evaluation;
use super::{TemplateError, Templates, is_template};
use crate::source::{Diagnostic, Node, Value, Vars};
use std::collections::HashSet;
use std::sync::Arc;

/// Variables of other hosts, for `hostvars`.
pub trait HostVars: Send + Sync {
    /// The layers of `host`, weakest first; `None` for an unknown host.
    fn layers(&self, host: &str) -> Option<Vec<Arc<Vars>>>;
    /// Every host, in inventory order.
    fn hosts(&self) -> Vec<String>;
}

/// Variables in layers, the strongest last. Cheap to clone and to extend.
#[derive(Clone)]
pub struct Scope {
    pub(super) templates: Arc<Templates>,
    pub(super) layers: Vec<Arc<Vars>>,
    pub(super) unknown: Arc<HashSet<String>>,
    pub(super) hostvars: Option<Arc<dyn HostVars>>,
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Variables may hold passwords.
        write!(f, "Scope({} layers)", self.layers.len())
    }
}

impl Scope {
    /// A scope of these layers, the strongest last.
    pub fn new(templates: Arc<Templates>, layers: Vec<Arc<Vars>>) -> Self {
        Self { templates, layers, unknown: Arc::default(), hostvars: None }
    }

    /// With `hostvars`.
    pub fn with_hostvars(mut self, hostvars: Arc<dyn HostVars>) -> Self {
        self.hostvars = Some(hostvars);
        self
    }

    /// With a layer above all others.
    pub fn with_layer(&self, layer: Arc<Vars>) -> Self {
        let mut scope = self.clone();
        scope.layers.push(layer);
        scope
    }

    /// With one more variable, stronger than all others.
    pub fn with(&self, name: impl Into<String>, value: Node) -> Self {
        self.with_layer(Arc::new(Vars::from([(name.into(), value)])))
    }

    /// These names get their values only when the play runs, unless a layer has them already.
    pub fn mark_unknown(mut self, names: HashSet<String>) -> Self {
        self.unknown = Arc::new(names);
        self
    }

    /// The unrendered value of a variable.
    pub fn raw(&self, name: &str) -> Option<&Node> {
        self.layers.iter().rev().find_map(|layer| layer.get(name))
    }

    /// The layer that a variable comes from, and its index there.
    pub(super) fn place(&self, name: &str) -> Option<(Arc<Vars>, usize)> {
        self.layers
            .iter()
            .rev()
            .find_map(|layer| Some((Arc::clone(layer), layer.get_index_of(name)?)))
    }

    /// Every variable's name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().flat_map(|layer| layer.keys().map(String::as_str))
    }

    /// Renders a value and everything in it.
    ///
    /// # Errors
    /// Undefined names, wrong syntax, failing filters; values that are not known yet.
    pub fn render(&self, node: &Node) -> Result<serde_json::Value, TemplateError> {
        Evaluation::run(self, node, |evaluation| {
            let value = evaluation.value(node)?;
            json(&value)
        })
    }

    /// Renders a value as text.
    ///
    /// # Errors
    /// As [`render`](Self::render), and for lists, mappings and nothing.
    pub fn text(&self, node: &Node) -> Result<String, TemplateError> {
        use serde_json::Value as Json;
        match self.render(node)? {
            Json::String(text) => Ok(text),
            Json::Bool(true) => Ok("True".to_owned()),
            Json::Bool(false) => Ok("False".to_owned()),
            Json::Number(number) => Ok(number.to_string()),
            Json::Null => Err(wrong(node, "text is wanted here, not nothing")),
            Json::Array(_) => Err(wrong(node, "text is wanted here, not a list")),
            Json::Object(_) => Err(wrong(node, "text is wanted here, not a mapping")),
        }
    }

    /// Evaluates a condition: an expression, with or without braces, that gives a boolean.
    ///
    /// # Errors
    /// As [`render`](Self::render); an empty expression; a result that is no boolean.
    pub fn condition(&self, node: &Node) -> Result<bool, TemplateError> {
        let expression = match &node.value {
            Value::Bool(value) => return Ok(*value),
            Value::Null => return Ok(true),
            Value::Text(text) | Value::Unsafe(text) if text.trim().is_empty() => {
                return Err(wrong(node, "a condition must not be empty"));
            }
            Value::Text(text) if is_template(text) => text.clone(),
            Value::Text(text) | Value::Unsafe(text) => format!("{{{{ {text} }}}}"),
            _ => {
                return Err(wrong(
                    node,
                    &format!("a condition is an expression, not {}", node.kind()),
                ));
            }
        };
        let value = Evaluation::run(self, node, |evaluation| {
            json(&evaluation.template(&expression, Literal::Escapes)?)
        })?;
        match value {
            serde_json::Value::Bool(value) => Ok(value),
            other => Err(TemplateError::Wrong(Box::new(
                python_bool_error(&other).at(node.span.as_ref()),
            ))),
        }
    }
}

fn wrong(node: &Node, message: &str) -> TemplateError {
    TemplateError::Wrong(Box::new(Diagnostic::error(message).at(node.span.as_ref())))
}
