//! Values and conditions rendered in a scope.

use super::backslashes::Literal;
use super::convert::{json, python_bool_error, python_text};
use super::engine::is_template;
use super::error::TemplateError;
use super::evaluation::Evaluation;
use super::omit::is_omit;
use super::opened::Opened;
use super::scope::Scope;
use crate::source::{Diagnostic, Node, SourceFile, Span, Value, Vars};
use std::path::Path;
use std::sync::Arc;

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

    /// Renders what may be a text or a list of texts; none for `omit`.
    ///
    /// # Errors
    /// As [`text`](Self::text), of each of them.
    pub(crate) fn texts_unless_omitted(&self, node: &Node) -> Result<Vec<String>, TemplateError> {
        match self.render_unless_omitted(node)? {
            None => Ok(Vec::new()),
            Some(serde_json::Value::Array(items)) => {
                items.into_iter().map(|item| text_of(node, item)).collect()
            }
            Some(value) => text_of(node, value).map(|text| vec![text]),
        }
    }

    /// Renders a value as text.
    ///
    /// # Errors
    /// As [`render`](Self::render), and for lists, mappings and nothing.
    pub fn text(&self, node: &Node) -> Result<String, TemplateError> {
        text_of(node, self.render(node)?)
    }

    /// Renders a file, as Ansible's `template` does: blocks are trimmed, the last newline stays.
    ///
    /// # Errors
    /// As [`render`](Self::render), with the line of the file.
    pub(crate) fn template_file(
        &self,
        file: &Arc<SourceFile>,
        path: &Path,
    ) -> Result<String, TemplateError> {
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let whole = whole.display().to_string();
        let names = Vars::from([
            ("ansible_managed".to_owned(), Node::text("Ansible managed")),
            ("template_path".to_owned(), Node::text(&whole)),
            ("template_fullpath".to_owned(), Node::text(&whole)),
        ]);
        let scope = self.with_layer(Arc::new(names));
        let node = Node { value: Value::Text(file.text.clone()), span: Some(Span::at(file, 1, 1)) };
        let rendered = Evaluation::run(&scope, &node, |evaluation| {
            Ok(python_text(&json(&evaluation.template(&file.text, Literal::Escapes)?)?))
        });
        rendered.map_err(|error| match error {
            TemplateError::Wrong(problem) => {
                TemplateError::Wrong(Box::new(in_its_line(*problem, file)))
            }
            other => other,
        })
    }

    /// What came out of vaults so far, which is not to be shown.
    pub(crate) fn opened(&self) -> Arc<Opened> {
        Arc::clone(&self.templates.opened)
    }

    /// The text of a vault.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub(crate) fn decrypt(&self, armour: &str) -> Result<String, String> {
        (self.templates.decrypt)(armour)
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

/// A name that is not defined stands somewhere in the file: the message goes to its line.
fn in_its_line(problem: Diagnostic, file: &Arc<SourceFile>) -> Diagnostic {
    let here =
        problem.span.as_ref().is_some_and(|span| span.file.name == file.name && span.line == 1);
    let name = problem.message.split('\'').nth(1).map(str::to_owned);
    let Some(name) = name.filter(|name| here && !name.is_empty()) else { return problem };
    let mut lines = file.text.lines().enumerate();
    let found = lines.find_map(|(index, line)| Some((index, line, line.find(&name)?)));
    match found {
        Some((index, line, at)) => {
            let column = line[..at].chars().count() + 1;
            let span = Span::at(file, index + 1, column).with_length(name.chars().count());
            problem.at(Some(&span))
        }
        None => problem,
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
