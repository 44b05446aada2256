//! A task of a module that works on hosts, and its arguments for one of them.

use super::definition::{Argument, Definition, Kind};
use crate::playbook::certificate::RenderError;
use crate::playbook::values::Values;
use crate::source::{Node, Value};
use crate::template::Scope;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// A module and its arguments as written.
#[derive(Clone, Debug)]
pub struct ModuleTask {
    /// Which.
    pub(crate) module: &'static Definition,
    pub(super) given: Vec<(&'static Argument, Node)>,
}

/// Its arguments for one host.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    texts: BTreeMap<&'static str, String>,
    flags: BTreeMap<&'static str, bool>,
    lists: BTreeMap<&'static str, Vec<String>>,
    values: BTreeMap<&'static str, Json>,
}

impl ModuleTask {
    /// An argument as written.
    pub(crate) fn node(&self, name: &str) -> Option<&Node> {
        // The last counts: `args` comes after the module's own.
        self.given.iter().rev().find(|(known, _)| known.name == name).map(|(_, node)| node)
    }

    /// Everything that can be rendered before the run.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Node> {
        self.given.iter().map(|(_, node)| node)
    }

    /// The arguments for one host.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(crate) fn render(&self, scope: &Scope) -> Result<Arguments, RenderError> {
        let mut values = Values::new(scope);
        let mut arguments = Arguments::default();
        for (argument, node) in &self.given {
            read(argument, node, &mut values, &mut arguments);
        }
        if values.found.has_errors() {
            return Err(RenderError::Wrong(values.found));
        }
        match values.not_yet_known {
            Some(name) => Err(RenderError::NotYetKnown(name)),
            None => Ok(arguments),
        }
    }
}

/// Why a text is no path on a host.
pub(super) fn path_problem(path: &str) -> Option<String> {
    if path.contains('\0') {
        return Some("a path holds no NUL".to_owned());
    }
    let rooted = path.starts_with('/') || path == "~" || path.starts_with("~/");
    (!rooted).then(|| format!("'{path}' is not an absolute path on the host"))
}

/// One argument into its place. What is wrong with it is in `values` afterwards.
fn read(argument: &'static Argument, node: &Node, values: &mut Values<'_>, into: &mut Arguments) {
    let name = argument.name;
    match argument.kind {
        Kind::Accepted => {}
        Kind::Flag => {
            let number = matches!(values.json(node), Some(Json::Number(_)));
            let value = match number {
                true => values.number(Some(node), 0..=1).map(|number| number == 1),
                false => values.flag(Some(node)),
            };
            into.flags.extend(value.map(|value| (name, value)));
        }
        Kind::Mode => into.texts.extend(mode(node, values).map(|mode| (name, mode))),
        Kind::Words => {
            let Some(value) = values.json(node) else { return };
            match words(&value) {
                Some(words) => drop(into.lists.insert(name, words)),
                None => {
                    values.wrong(node, format!("'{name}' takes a list, or text with commas"), "")
                }
            }
        }
        Kind::Any => into.values.extend(values.json(node).map(|value| (name, value))),
        Kind::Entries => match values.json(node) {
            Some(value @ Json::Object(_)) => drop(into.values.insert(name, value)),
            Some(_) => values.wrong(node, format!("'{name}' takes a mapping"), ""),
            None => {}
        },
        Kind::Content => {
            let text = values.json(node).map(|value| match value {
                Json::String(text) => text,
                Json::Null => String::new(),
                other => crate::template::to_json(&other),
            });
            into.texts.extend(text.map(|text| (name, text)));
        }
        Kind::Number(from, to) => {
            let number = values.number(Some(node), from..=to);
            into.texts.extend(number.map(|number| (name, number.to_string())));
        }
        Kind::Text | Kind::Path | Kind::Choice(_) => {
            let text = values.keep(values.scope.text_unless_omitted(node)).flatten();
            let Some(text) = text else { return };
            let text = match argument.kind {
                Kind::Choice(_) if text == "True" => "yes".to_owned(),
                Kind::Choice(_) if text == "False" => "no".to_owned(),
                _ => text,
            };
            let problem = match argument.kind {
                Kind::Path => path_problem(&text),
                Kind::Choice(choices) if !choices.contains(&text.as_str()) => {
                    let message = format!("there is no '{name}: {text}'");
                    values.wrong(node, message, &format!("it takes {}", choices.join(", ")));
                    return;
                }
                _ => None,
            };
            match problem {
                Some(problem) => values.wrong(node, problem, ""),
                None => drop(into.texts.insert(name, text)),
            }
        }
    }
}

/// In octal, or as `chmod` takes it. A number that is not written in octal is what it is not meant to be.
fn mode(node: &Node, values: &mut Values<'_>) -> Option<String> {
    if matches!(node.value, Value::Int(_)) {
        return values.mode(Some(node)).map(|mode| mode.to_string());
    }
    let text = values.text(Some(node))?;
    let who = |c: char| "ugoa".contains(c);
    let clause = |clause: &str| {
        let rest = clause.trim_start_matches(who);
        let perms = |c: char| "rwxXstugo+-=".contains(c);
        rest.starts_with(['+', '-', '=']) && rest.chars().all(perms)
    };
    if text == "preserve" || text.split(',').all(clause) {
        return Some(text);
    }
    values.mode(Some(node)).map(|mode| mode.to_string())
}

fn words(value: &Json) -> Option<Vec<String>> {
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    match value {
        Json::Array(items) => Some(items.iter().map(text).collect()),
        Json::Null | Json::Object(_) => None,
        other => {
            let text = text(other);
            let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
            Some(words.map(str::to_owned).collect())
        }
    }
}

impl Arguments {
    /// A text, path, choice, number or mode.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// true or false, where the author said so.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.flags.get(name).copied()
    }

    /// A value as it was given.
    pub(crate) fn value(&self, name: &str) -> Option<&Json> {
        self.values.get(name)
    }

    /// A list of texts.
    pub(crate) fn words(&self, name: &str) -> Option<&[String]> {
        self.lists.get(name).map(Vec::as_slice)
    }
}
