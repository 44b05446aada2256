//! Conditions and loops: how often a task is done on a host, and with which variables.

use crate::playbook::Loop;
use crate::source::{Diagnostic, Node};
use crate::template::{Scope, TemplateError};
use serde_json::{Value as Json, json};

/// Whether all conditions of a task are true in a scope.
///
/// # Errors
/// A condition that is wrong, or not known yet.
pub(crate) fn all_true(conditions: &[Node], scope: &Scope) -> Result<bool, TemplateError> {
    for condition in conditions {
        if !scope.condition(condition)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The first condition that is false, as the reason for skipping.
///
/// # Errors
/// A condition that is wrong, or not known yet.
pub(crate) fn why_not(conditions: &[Node], scope: &Scope) -> Result<Option<String>, TemplateError> {
    for condition in conditions {
        if !scope.condition(condition)? {
            let text = condition.as_str().unwrap_or("false");
            return Ok(Some(format!("its condition is false: {text}")));
        }
    }
    Ok(None)
}

/// The scopes of a task's iterations with what is shown of each item; one without a loop.
///
/// # Errors
/// A list that is none, or not known yet.
pub(crate) fn iterations(
    looping: Option<&Loop>,
    scope: &Scope,
) -> Result<Vec<(Scope, Option<String>)>, TemplateError> {
    let Some(looping) = looping else { return Ok(vec![(scope.clone(), None)]) };
    let items = items(looping, scope)?;
    let mut iterations = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let mut inner = scope.with(looping.variable.as_str(), node(item));
        if let Some(name) = &looping.index {
            inner = inner.with(name.as_str(), node(&json!(index)));
        }
        let label = match &looping.label {
            Some(label) => inner.render(label)?,
            None => item.clone(),
        };
        let label = label.as_str().map_or_else(|| label.to_string(), str::to_owned);
        iterations.push((inner, Some(label)));
    }
    Ok(iterations)
}

fn items(looping: &Loop, scope: &Scope) -> Result<Vec<Json>, TemplateError> {
    match (scope.render(&looping.items)?, looping.flatten) {
        (Json::Array(items), false) => Ok(items),
        (Json::Array(items), true) => Ok(items
            .into_iter()
            .flat_map(|item| match item {
                Json::Array(inner) => inner,
                other => vec![other],
            })
            .collect()),
        (single, true) => Ok(vec![single]),
        (other, false) => {
            let kind = node(&other).kind();
            let problem = Diagnostic::error(format!("a loop needs a list, this gives {kind}"));
            let problem = problem.at(looping.items.span.as_ref());
            Err(TemplateError::Wrong(Box::new(problem)))
        }
    }
}

/// A JSON value as one that templates read; texts in it are no templates.
fn node(value: &Json) -> Node {
    Node::from_json(value, None)
}
