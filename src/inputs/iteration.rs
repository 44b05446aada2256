//! Conditions and loops: how often a task is done on a host, and with which variables.

use crate::playbook::Loop;
use crate::source::{Diagnostic, Node, Value, Vars};
use crate::template::{Scope, TemplateError};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;

/// The longest pause between two items, in seconds: a day.
const LONGEST_PAUSE: f64 = 86_400.0;

/// What the terms of a `with_…` are called while they are looked up.
const TERMS: &str = "certroll_terms";

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
    pause(Some(looping), scope)?;
    let items = items(looping, scope)?;
    let mut iterations = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let mut vars = Vars::new();
        vars.insert(looping.variable.clone(), node(item));
        vars.insert("ansible_loop_var".to_owned(), Node::text(&looping.variable));
        if let Some(name) = &looping.index {
            vars.insert(name.clone(), node(&json!(index)));
            vars.insert("ansible_index_var".to_owned(), Node::text(name));
        }
        if looping.extended {
            vars.insert("ansible_loop".to_owned(), node(&position(looping, &items, index)));
        }
        let inner = scope.with_layer(Arc::new(vars));
        let label = match &looping.label {
            Some(label) => inner.render(label)?,
            None => item.clone(),
        };
        let label = label.as_str().map_or_else(|| label.to_string(), str::to_owned);
        iterations.push((inner, Some(label)));
    }
    Ok(iterations)
}

/// How long to wait between two items.
///
/// # Errors
/// No number of seconds, or not known yet.
pub(crate) fn pause(looping: Option<&Loop>, scope: &Scope) -> Result<Duration, TemplateError> {
    let Some(given) = looping.and_then(|looping| looping.pause.as_ref()) else {
        return Ok(Duration::ZERO);
    };
    let value = scope.render(given)?;
    let seconds = match &value {
        Json::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    let fitting = seconds.filter(|seconds| (0.0..=LONGEST_PAUSE).contains(seconds));
    fitting.map(Duration::from_secs_f64).ok_or_else(|| {
        let message = format!("a pause takes seconds, from 0 to {LONGEST_PAUSE}");
        let problem = Diagnostic::error(message).at(given.span.as_ref());
        TemplateError::Wrong(Box::new(problem))
    })
}

/// `ansible_loop`, with `extended` (Ansible, `executor/task_executor.py`, `_run_loop`).
fn position(looping: &Loop, items: &[Json], index: usize) -> Json {
    let length = items.len();
    let mut position = json!({
        "index": index + 1,
        "index0": index,
        "first": index == 0,
        "last": index + 1 == length,
        "length": length,
        "revindex": length - index,
        "revindex0": length - index - 1,
    });
    if looping.all_items {
        position["allitems"] = Json::from(items);
    }
    if let Some(next) = items.get(index + 1) {
        position["nextitem"] = next.clone();
    }
    if let Some(previous) = index.checked_sub(1).and_then(|index| items.get(index)) {
        position["previtem"] = previous.clone();
    }
    position
}

fn items(looping: &Loop, scope: &Scope) -> Result<Vec<Json>, TemplateError> {
    let list = match (scope.render(&looping.items)?, looping.lookup) {
        (list, None) => list,
        (terms, Some(lookup)) => {
            let terms = if terms.is_array() { terms } else { json!([terms]) };
            let query = Node {
                value: Value::Text(format!("{{{{ query('{lookup}', *{TERMS}) }}}}")),
                span: looping.items.span.clone(),
            };
            scope.with(TERMS, node(&terms)).render(&query)?
        }
    };
    match list {
        Json::Array(items) => Ok(items),
        other => {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceFile, yaml};
    use crate::template::Templates;

    fn scope() -> Scope {
        let templates = Templates::new(std::env::temp_dir(), Arc::new(|_| Err("no".to_owned())));
        Scope::new(templates, Vec::new())
    }

    fn looping(lookup: Option<&'static str>, items: &str) -> Loop {
        let (items, _) = yaml::parse(&SourceFile::new("site.yml", items)).unwrap();
        Loop { lookup, ..Loop::over(items) }
    }

    #[track_caller]
    fn given(lookup: Option<&'static str>, list: &str) -> Result<Json, String> {
        let found = items(&looping(lookup, list), &scope());
        found.map(Json::Array).map_err(|error| error.diagnostic().to_string())
    }

    #[test]
    fn each_form_gives_its_items() {
        let items = |lookup, list| given(Some(lookup), list).unwrap();
        assert_eq!(given(None, "[1, [2]]").unwrap(), json!([1, [2]]));
        assert_eq!(items("items", "[1, [2, [3]]]"), json!([1, 2, [3]]));
        assert_eq!(items("items", "one"), json!(["one"]));
        assert_eq!(items("list", "[1, [2]]"), json!([1, [2]]));
        let entries = json!([{"key": "a", "value": 1}, {"key": "b", "value": {"c": 2}}]);
        assert_eq!(items("dict", "{a: 1, b: {c: 2}}"), entries);
        assert_eq!(items("dict", "[{a: 1}, {b: {c: 2}}]"), entries);
        assert_eq!(items("together", "[[1, 2], [a]]"), json!([[1, "a"], [2, null]]));
        assert_eq!(items("sequence", "start=1 end=2 format=h%02d"), json!(["h01", "h02"]));
        assert_eq!(items("sequence", "count={{ 1 + 1 }}"), json!(["1", "2"]));
        assert_eq!(items("fileglob", "/nowhere/*.pem"), json!([]));
        assert_eq!(items("first_found", "[{files: x, paths: /nowhere, skip: true}]"), json!([]));
    }

    #[test]
    fn what_is_no_list_is_told_with_its_place() {
        let error = |lookup, list| given(lookup, list).unwrap_err();
        assert!(error(None, "{a: 1}").contains("site.yml:1:1: a loop needs a list, this gives"));
        assert!(
            error(Some("dict"), "[1]").contains("site.yml:1:1: "),
            "{}",
            error(Some("dict"), "[1]")
        );
        assert!(error(Some("together"), "[1]").contains("together takes lists"));
        let missing = error(Some("first_found"), "[/nowhere/a, /nowhere/b]");
        assert!(
            missing.contains("none of these files exists: /nowhere/a, /nowhere/b"),
            "{missing}"
        );
    }

    #[test]
    fn the_position_is_known_when_asked_for() {
        let mut looping = looping(None, "[a, b]");
        let label = yaml::parse(&SourceFile::new(
            "x",
            "'{{ ansible_loop.index }}/{{ ansible_loop.length }}'",
        ));
        looping.label = Some(label.unwrap().0);
        assert!(iterations(Some(&looping), &scope()).is_err());
        looping.extended = true;
        let labels = |looping: &Loop| -> Vec<Option<String>> {
            let list = iterations(Some(looping), &scope()).unwrap();
            list.into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels(&looping), [Some("1/2".to_owned()), Some("2/2".to_owned())]);
    }

    #[test]
    fn a_pause_is_a_number_of_seconds() {
        let mut looping = looping(None, "[a, b]");
        for (text, expected) in
            [("1.5", Some(1500)), ("'{{ 1 + 1 }}'", Some(2000)), ("-1", None), ("soon", None)]
        {
            looping.pause = Some(yaml::parse(&SourceFile::new("x", text)).unwrap().0);
            let found = pause(Some(&looping), &scope()).ok();
            assert_eq!(found, expected.map(Duration::from_millis), "{text}");
            assert_eq!(iterations(Some(&looping), &scope()).is_ok(), expected.is_some());
        }
    }
}
