//! Ansible's tests (`is …`), beyond those that minijinja has already.

use super::convert::json;
use super::filters::{regex, to_bool};
use super::record::is_missing;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::path::Path;

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_test("defined", |value: &Value| !is_missing(value));
    environment.add_test("undefined", is_missing);
    environment.add_test("match", |text: String, pattern: String| {
        found(&format!("^(?:{pattern})"), &text)
    });
    environment.add_test("search", |text: String, pattern: String| found(&pattern, &text));
    environment.add_test("regex", |text: String, pattern: String| found(&pattern, &text));
    environment.add_test("version", version);
    environment.add_test("contains", |list: &Value, item: &Value| contains(list, item));
    environment.add_test("subset", |a: &Value, b: &Value| subset(a, b));
    environment.add_test("superset", |a: &Value, b: &Value| subset(b, a));
    environment.add_test("truthy", truthy);
    environment
        .add_test("falsy", |value: &Value, options: Kwargs| truthy(value, options).map(|t| !t));
    environment.add_test("any", |list: &Value| truths(list).map(|all| all.contains(&true)));
    environment.add_test("all", |list: &Value| truths(list).map(|all| !all.contains(&false)));
    environment.add_test("abs", |path: String| path.starts_with('/'));
    for (name, key, wanted) in [
        ("changed", "changed", true),
        ("failed", "failed", true),
        ("failure", "failed", true),
        ("succeeded", "failed", false),
        ("success", "failed", false),
        ("skipped", "skipped", true),
        ("skip", "skipped", true),
        ("unreachable", "unreachable", true),
        ("reachable", "unreachable", false),
    ] {
        environment.add_test(name, move |result: &Value| flag(result, key).map(|is| is == wanted));
    }
    // A text is a sequence of characters in Python.
    environment
        .add_test("sequence", |value: &Value| value.as_str().is_some() || value.try_iter().is_ok());
    environment.add_test("exists", |path: String| Path::new(&path).exists());
    environment.add_test("file", |path: String| Path::new(&path).is_file());
    environment.add_test("directory", |path: String| Path::new(&path).is_dir());
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

fn found(pattern: &str, text: &str) -> Result<bool, Error> {
    regex(pattern, false, false)?.is_match(text).map_err(|error| bad(error.to_string()))
}

fn contains(list: &Value, item: &Value) -> Result<bool, Error> {
    let item = json(item)?;
    match json(list)? {
        Json::Array(items) => Ok(items.contains(&item)),
        Json::String(text) => Ok(item.as_str().is_some_and(|part| text.contains(part))),
        Json::Object(map) => Ok(item.as_str().is_some_and(|key| map.contains_key(key))),
        _ => Err(bad("contains looks into lists, texts and mappings")),
    }
}

/// The truth of each item of a list.
fn truths(list: &Value) -> Result<Vec<bool>, Error> {
    Ok(list.try_iter()?.map(|item| item.is_true()).collect())
}

fn subset(a: &Value, b: &Value) -> Result<bool, Error> {
    match (json(a)?, json(b)?) {
        (Json::Array(a), Json::Array(b)) => Ok(a.iter().all(|item| b.contains(item))),
        _ => Err(bad("both sides must be lists")),
    }
}

fn truthy(value: &Value, options: Kwargs) -> Result<bool, Error> {
    let convert = options.get::<Option<bool>>("convert_bool")?.unwrap_or(false);
    options.assert_all_used()?;
    if convert {
        return Ok(to_bool(&json(value)?));
    }
    Ok(value.is_true())
}

/// A flag of a registered result; absent is false.
fn flag(result: &Value, key: &str) -> Result<bool, Error> {
    match json(result)? {
        Json::Object(map) => Ok(map.get(key).and_then(Json::as_bool).unwrap_or(false)),
        _ => Err(bad(format!("only the registered result of a task can be tested for '{key}'"))),
    }
}

/// Compares as `distutils.LooseVersion`: runs of digits as numbers, the rest as text.
fn version(value: &Value, other: String, operator: Option<String>) -> Result<bool, Error> {
    let own = super::convert::python_text(&json(value)?);
    let order = parts(&own).cmp(&parts(&other));
    match operator.as_deref().unwrap_or("==") {
        "==" | "=" | "eq" => Ok(order == Ordering::Equal),
        "!=" | "<>" | "ne" => Ok(order != Ordering::Equal),
        "<" | "lt" => Ok(order == Ordering::Less),
        "<=" | "le" => Ok(order != Ordering::Greater),
        ">" | "gt" => Ok(order == Ordering::Greater),
        ">=" | "ge" => Ok(order != Ordering::Less),
        other => Err(bad(format!("'{other}' is not a comparison: use <, <=, ==, !=, >= or >"))),
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Text(String),
    Number(u64),
}

fn parts(version: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for c in version.chars() {
        match (parts.last_mut(), c.to_digit(10)) {
            (Some(Part::Number(number)), Some(digit)) => {
                *number = number.saturating_mul(10).saturating_add(u64::from(digit));
            }
            (_, Some(digit)) => parts.push(Part::Number(u64::from(digit))),
            (Some(Part::Text(text)), None) if c != '.' => text.push(c),
            (_, None) if c != '.' => parts.push(Part::Text(c.to_string())),
            // A dot ends a part; an empty text keeps `1.2` and `12` apart.
            (Some(Part::Number(_)), None) => parts.push(Part::Text(String::new())),
            _ => {}
        }
    }
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    parts
}
