//! Between template values, JSON, and Python's way of writing them.

use super::omit::is_omit;
use crate::source::Diagnostic;
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};
use serde_json::Value as Json;

/// A rendered value as JSON.
///
/// # Errors
/// Something undefined inside; a value that JSON has no form for.
pub(super) fn json(value: &Value) -> Result<Json, Error> {
    if let Some(missing) = super::record::as_missing(value) {
        return Err(missing);
    }
    if is_omit(value) {
        let why = "`omit` leaves a key or an item out: it must be its whole value";
        return Err(Error::new(ErrorKind::InvalidOperation, why));
    }
    Ok(match value.kind() {
        ValueKind::Undefined => {
            return Err(Error::new(ErrorKind::UndefinedError, "the value is undefined"));
        }
        ValueKind::None => Json::Null,
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number => match value.as_i64() {
            Some(number) if value.is_integer() => number.into(),
            _ => serde_json::to_value(value).map_err(not_json)?,
        },
        ValueKind::String => Json::String(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Map => {
            let mut map = serde_json::Map::new();
            for key in value.try_iter()? {
                let item = value.get_item(&key)?;
                if !is_omit(&item) {
                    map.insert(key.to_string(), json(&item)?);
                }
            }
            Json::Object(map)
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter()?.filter(|item| !is_omit(item));
            Json::Array(items.map(|item| json(&item)).collect::<Result<_, _>>()?)
        }
        _ => serde_json::to_value(value).map_err(not_json)?,
    })
}

fn not_json(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::BadSerialization, "the value has no JSON form").with_source(error)
}

/// From JSON.
pub(super) fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => number
            .as_i64()
            .map(Value::from)
            .or_else(|| number.as_u64().map(Value::from))
            .unwrap_or_else(|| Value::from(number.as_f64().unwrap_or(f64::NAN))),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(from_json).collect::<Vec<_>>()),
        Json::Object(map) => Value::from_pairs(
            map.iter().map(|(key, value)| (Value::from(key.as_str()), from_json(value))),
        ),
    }
}

/// As Python's `str()` writes it within a template: nothing for `None`, `True`, `['a']`.
pub(super) fn python_text(json: &Json) -> String {
    match json {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => python_repr(other),
    }
}

/// A value as Python's `repr` writes it.
pub(crate) fn python_repr(json: &Json) -> String {
    match json {
        Json::Null => "None".to_owned(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Number(number) => number.to_string(),
        Json::String(text) => python_quoted(text),
        Json::Array(items) => {
            format!("[{}]", items.iter().map(python_repr).collect::<Vec<_>>().join(", "))
        }
        Json::Object(map) => {
            let entries = map.iter();
            let entries = entries
                .map(|(key, value)| format!("{}: {}", python_quoted(key), python_repr(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

fn python_quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t");
    if escaped.contains('\'') && !escaped.contains('"') {
        format!("\"{escaped}\"")
    } else {
        format!("'{}'", escaped.replace('\'', "\\'"))
    }
}

/// A condition that gave no boolean.
pub(super) fn python_bool_error(found: &Json) -> Diagnostic {
    let kind = match found {
        Json::Null => "nothing",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "a mapping",
    };
    Diagnostic::error(format!("a condition must be true or false, this gives {kind}"))
        .help("compare it (`x == 'y'`), or convert it (`x | bool`, `x | length > 0`)")
}
