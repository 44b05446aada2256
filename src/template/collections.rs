//! Ansible's filters for lists and mappings.

use super::convert::{from_json, json, python_text};
use super::filters::bad;
use minijinja::value::{Kwargs, Rest, Value};
use minijinja::{Environment, Error};
use serde_json::Value as Json;

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("combine", combine);
    environment.add_filter("flatten", flatten);
    environment.add_filter("product", product);
    environment.add_filter("dict2items", dict2items);
    environment.add_filter("items2dict", items2dict);
    for (name, operation) in [
        ("union", Operation::Union),
        ("difference", Operation::Difference),
        ("intersect", Operation::Intersect),
        ("symmetric_difference", Operation::Symmetric),
    ] {
        environment.add_filter(name, move |a: &Value, b: &Value| set_operation(a, b, operation));
    }
}

/// Every pair (or longer row) of items, the last list fastest.
fn product(first: &Value, others: Rest<Value>) -> Result<Value, Error> {
    let mut rows: Vec<Vec<Json>> = vec![Vec::new()];
    for list in std::iter::once(first).chain(others.iter()) {
        let Json::Array(items) = json(list)? else { return Err(bad("product takes lists")) };
        if rows.len().saturating_mul(items.len()) > 100_000 {
            return Err(bad("the product is too large"));
        }
        rows = rows
            .iter()
            .flat_map(|row| {
                items.iter().map(move |item| [row.as_slice(), std::slice::from_ref(item)].concat())
            })
            .collect();
    }
    Ok(from_json(&rows.into_iter().map(Json::Array).collect()))
}

fn combine(base: &Value, others: Rest<Value>, options: Kwargs) -> Result<Value, Error> {
    let recursive = options.get::<Option<bool>>("recursive")?.unwrap_or(false);
    let lists = match options.get::<Option<&str>>("list_merge")? {
        None | Some("replace") => Lists::Replace,
        Some("keep") => Lists::Keep,
        Some("append") => Lists::Append,
        Some("prepend") => Lists::Prepend,
        Some(other) => {
            return Err(bad(format!(
                "list_merge takes replace, keep, append or prepend, not {other}"
            )));
        }
    };
    options.assert_all_used()?;
    let mut result = Json::Object(serde_json::Map::new());
    for value in std::iter::once(base).chain(others.iter()) {
        let value = json(value)?;
        let dictionaries = if let Json::Array(items) = value { items } else { vec![value] };
        for dictionary in dictionaries {
            if !dictionary.is_object() {
                return Err(bad("combine takes mappings"));
            }
            merge(&mut result, dictionary, recursive, lists);
        }
    }
    Ok(from_json(&result))
}

/// What becomes of a list that both mappings have.
#[derive(Clone, Copy)]
enum Lists {
    Replace,
    Keep,
    Append,
    Prepend,
}

fn merge(into: &mut Json, from: Json, recursive: bool, lists: Lists) {
    let (Json::Object(into), Json::Object(from)) = (into, from) else { return };
    for (key, value) in from {
        match into.get_mut(&key) {
            Some(known) if recursive && known.is_object() && value.is_object() => {
                merge(known, value, true, lists);
            }
            Some(Json::Array(known)) if value.is_array() => {
                let Json::Array(mut more) = value else { continue };
                match lists {
                    Lists::Replace => *known = more,
                    Lists::Keep => {}
                    Lists::Append => known.append(&mut more),
                    Lists::Prepend => {
                        more.append(known);
                        *known = more;
                    }
                }
            }
            _ => {
                into.insert(key, value);
            }
        }
    }
}

fn flatten(value: &Value, positional: Option<u32>, options: Kwargs) -> Result<Value, Error> {
    let levels = options.get::<Option<u32>>("levels")?.or(positional);
    options.assert_all_used()?;
    fn flat(items: Vec<Json>, levels: u32, into: &mut Vec<Json>) {
        for item in items {
            match item {
                Json::Array(inner) if levels > 0 => flat(inner, levels - 1, into),
                Json::Null => {}
                other => into.push(other),
            }
        }
    }
    let Json::Array(items) = json(value)? else { return Err(bad("flatten takes a list")) };
    let mut result = Vec::new();
    flat(items, levels.unwrap_or(u32::MAX), &mut result);
    Ok(from_json(&Json::Array(result)))
}

#[derive(Clone, Copy)]
enum Operation {
    Union,
    Difference,
    Intersect,
    Symmetric,
}

fn set_operation(a: &Value, b: &Value, operation: Operation) -> Result<Value, Error> {
    let (Json::Array(a), Json::Array(b)) = (json(a)?, json(b)?) else {
        return Err(bad("both sides must be lists"));
    };
    let mut result: Vec<Json> = Vec::new();
    let mut push = |item: Json| {
        if !result.contains(&item) {
            result.push(item);
        }
    };
    match operation {
        Operation::Union => a.into_iter().chain(b).for_each(push),
        Operation::Symmetric => {
            let only = |item: &&Json| a.contains(item) != b.contains(item);
            a.iter().chain(&b).filter(only).cloned().for_each(&mut push);
        }
        Operation::Difference => a.into_iter().filter(|item| !b.contains(item)).for_each(&mut push),
        Operation::Intersect => a.into_iter().filter(|item| b.contains(item)).for_each(&mut push),
    }
    Ok(from_json(&Json::Array(result)))
}

fn dict2items(value: &Value) -> Result<Value, Error> {
    let Json::Object(map) = json(value)? else { return Err(bad("dict2items takes a mapping")) };
    let items = map.into_iter().map(|(key, value)| serde_json::json!({"key": key, "value": value}));
    Ok(from_json(&Json::Array(items.collect())))
}

fn items2dict(value: &Value) -> Result<Value, Error> {
    let Json::Array(items) = json(value)? else { return Err(bad("items2dict takes a list")) };
    let mut map = serde_json::Map::new();
    for item in items {
        let key = item.get("key").map(python_text).ok_or_else(|| bad("an item has no key"))?;
        map.insert(key, item.get("value").cloned().unwrap_or_default());
    }
    Ok(from_json(&Json::Object(map)))
}
