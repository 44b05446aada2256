//! `debug`, `assert`, `fail` and `set_fact`: no host is touched.

use super::action::{Action, Done, Failed, ModuleFailure};
use crate::inputs::variables::node;
use crate::playbook::IncludeVars;
use crate::source::{Diagnostic, Node, Value, Vars};
use crate::template::TemplateError;
use serde_json::{Map, Value as Json, json};

pub(super) fn debug(
    action: &Action<'_>,
    message: Option<&Node>,
    variable: Option<&Node>,
) -> Result<Done, Failed> {
    let (key, value) = match (message, variable) {
        (_, Some(variable)) => {
            let name = action.text(Some(variable))?.unwrap_or_default();
            let expression = Node {
                value: Value::Text(format!("{{{{ {name} }}}}")),
                span: variable.span.clone(),
            };
            (name, shown_value(action, &expression)?)
        }
        (Some(message), None) => ("msg".to_owned(), action.scope.render(message)?),
        (None, None) => ("msg".to_owned(), json!("Hello world!")),
    };
    let shown = match &value {
        Json::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    let shown = if variable.is_some() { format!("{key}: {shown}") } else { shown };
    Ok(Done { output: Some(shown), value: Map::from_iter([(key, value)]), ..Done::default() })
}

/// A variable to be shown. One that is not there is shown as that, and nothing fails (Ansible, `debug: var`).
fn shown_value(action: &Action<'_>, expression: &Node) -> Result<Json, Failed> {
    match action.scope.render(expression) {
        Err(TemplateError::Wrong(problem)) => {
            Ok(json!(format!("<< error 1 - {} >>", problem.message)))
        }
        other => Ok(other?),
    }
}

pub(super) fn assert(
    action: &Action<'_>,
    that: &[Node],
    fail_message: Option<&Node>,
    success_message: Option<&Node>,
) -> Result<Done, Failed> {
    for condition in that {
        if !action.scope.condition(condition)? {
            let text = condition.as_str().unwrap_or("false");
            let message = match action.text(fail_message)? {
                Some(message) => format!("{message} (`{text}` is false)"),
                None => format!("assertion failed: `{text}` is false"),
            };
            let value = [("assertion", json!(text)), ("evaluated_to", json!(false))];
            let value = value.map(|(key, value)| (key.to_owned(), value));
            let value = Map::from_iter(value);
            return Err(ModuleFailure { message, command: None, value }.into());
        }
    }
    let message =
        action.text(success_message)?.unwrap_or_else(|| "all assertions are true".to_owned());
    let value = Map::from_iter([("msg".to_owned(), json!(message))]);
    Ok(Done { message: Some(message), value, ..Done::default() })
}

pub(super) fn fail(action: &Action<'_>, message: Option<&Node>) -> Result<Done, Failed> {
    let message = action.text(message)?;
    Err(Failed::module(message.unwrap_or_else(|| "failed, as the task requests".to_owned())))
}

pub(super) fn set_fact(action: &Action<'_>, vars: &Vars) -> Result<Done, Failed> {
    let mut done = Done::default();
    let mut facts = Map::new();
    for (name, template) in vars {
        let Some(value) = action.scope.render_unless_omitted(template)? else { continue };
        done.facts.push((name.clone(), node(&value)));
        facts.insert(name.clone(), value);
    }
    done.value.insert("ansible_facts".to_owned(), Json::Object(facts));
    Ok(done)
}

pub(super) fn include_vars(action: &Action<'_>, include: &IncludeVars) -> Result<Done, Failed> {
    let vars = match action.context.inputs.variables.files.in_scope(include, action.scope) {
        Ok(vars) => vars,
        Err(Some(problems)) => {
            let words: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
            let help = problems.0.iter().flat_map(|problem| problem.help.iter().cloned());
            let problem =
                Diagnostic { help: help.collect(), ..Diagnostic::error(words.join("; ")) };
            return Err(Failed::Wrong(Box::new(problem)));
        }
        Err(None) => {
            let name = include.path.as_str().unwrap_or_default().to_owned();
            return Err(Failed::NotYetKnown(name));
        }
    };
    let mut names = Map::new();
    for name in vars.keys() {
        // Values may be secrets of a vault: they are variables, and no result.
        names.insert(name.clone(), json!("set"));
    }
    let value = Map::from_iter([("ansible_facts".to_owned(), Json::Object(names))]);
    Ok(Done { facts: vars.into_iter().collect(), value, ..Done::default() })
}
