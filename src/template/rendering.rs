//! Values and conditions rendered in a scope.

use super::backslashes::Literal;
use super::convert::{json, python_bool_error};
use super::engine::is_template;
use super::error::TemplateError;
use super::evaluation::Evaluation;
use super::omit::is_omit;
use super::scope::Scope;
use crate::source::{Diagnostic, Node, Value};

impl Scope {
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

    /// As [`render`](Self::render); `None` for `omit`, which leaves the value's key out.
    ///
    /// # Errors
    /// As [`render`](Self::render).
    pub fn render_unless_omitted(
        &self,
        node: &Node,
    ) -> Result<Option<serde_json::Value>, TemplateError> {
        Evaluation::run(self, node, |evaluation| {
            let value = evaluation.value(node)?;
            if is_omit(&value) { Ok(None) } else { json(&value).map(Some) }
        })
    }

    /// As [`text`](Self::text); `None` for `omit`.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn text_unless_omitted(&self, node: &Node) -> Result<Option<String>, TemplateError> {
        self.render_unless_omitted(node)?.map(|value| text_of(node, value)).transpose()
    }

    /// Renders a value as text.
    ///
    /// # Errors
    /// As [`render`](Self::render), and for lists, mappings and nothing.
    pub fn text(&self, node: &Node) -> Result<String, TemplateError> {
        text_of(node, self.render(node)?)
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

fn text_of(node: &Node, value: serde_json::Value) -> Result<String, TemplateError> {
    use serde_json::Value as Json;
    match value {
        Json::String(text) => Ok(text),
        Json::Bool(true) => Ok("True".to_owned()),
        Json::Bool(false) => Ok("False".to_owned()),
        Json::Number(number) => Ok(number.to_string()),
        Json::Null => Err(wrong(node, "expected text, not nothing")),
        Json::Array(_) => Err(wrong(node, "expected text, not a list")),
        Json::Object(_) => Err(wrong(node, "expected text, not a mapping")),
    }
}

fn wrong(node: &Node, message: &str) -> TemplateError {
    TemplateError::Wrong(Box::new(Diagnostic::error(message).at(node.span.as_ref())))
}
