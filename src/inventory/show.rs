//! What `ansible-inventory` prints: `--list`, `--graph`, `--host`.

use super::model::{Group, Inventory};
use crate::model::HostName;
use crate::source::{Node, Value, Vars};
use crate::template::python_repr;
use serde_json::{Map, Value as Json, json};
use std::collections::HashSet;

/// JSON with four blanks of indentation, keys sorted.
pub(super) fn pretty(value: &Json) -> String {
    use serde::Serialize;
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // Strings and maps of strings always serialise.
    let _ = sorted(value).serialize(&mut serializer);
    String::from_utf8(out).unwrap_or_default()
}

fn sorted(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect()
        }
        Json::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// Variables as JSON, unrendered.
pub(super) fn vars_json(vars: &Vars) -> Json {
    vars.iter().map(|(name, node)| (name.clone(), node_json(node))).collect()
}

/// As [`vars_json`], with texts that are no templates marked, as `--list` does.
fn marked_json(vars: &Vars) -> Json {
    vars.iter().map(|(name, node)| (name.clone(), marked(node))).collect()
}

fn marked(node: &Node) -> Json {
    match &node.value {
        Value::Unsafe(text) => json!({ "__ansible_unsafe": text }),
        Value::List(items) => items.iter().map(marked).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), marked(value)))
            .collect(),
        _ => node_json(node),
    }
}

fn node_json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::Float(value) => json!(value),
        Value::Text(text) => json!(text),
        Value::Unsafe(text) => json!(text),
        Value::Vault(armour) => json!({ "__ansible_vault": armour }),
        Value::List(items) => items.iter().map(node_json).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), node_json(value)))
            .collect(),
    }
}

pub(super) fn list(inventory: &Inventory, export: bool, limit: Option<&[HostName]>) -> String {
    let limit: Option<HashSet<&HostName>> = limit.map(|hosts| hosts.iter().collect());
    let allowed = |host: &HostName| limit.as_ref().is_none_or(|limit| limit.contains(host));
    let mut hostvars = Map::new();
    for host in inventory.hosts().iter().filter(|host| allowed(host)) {
        let vars = if export {
            let entry = inventory.hosts.get(host);
            let mut vars = entry.map(|entry| Vars::clone(&entry.vars)).unwrap_or_default();
            for file in entry.into_iter().flat_map(|entry| &entry.files) {
                vars.extend(file.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            vars
        } else {
            inventory.vars(host.as_str())
        };
        if !vars.is_empty() {
            hostvars.insert(host.to_string(), marked_json(&vars));
        }
    }
    let mut top = Map::new();
    top.insert("_meta".to_owned(), json!({ "hostvars": hostvars, "profile": "inventory_legacy" }));
    for (name, group) in &inventory.groups {
        let mut body = Map::new();
        let hosts: Vec<&HostName> = group.hosts.iter().filter(|host| allowed(host)).collect();
        if name != "all" && !hosts.is_empty() {
            body.insert("hosts".to_owned(), json!(hosts));
        }
        if !group.children.is_empty() {
            body.insert("children".to_owned(), json!(group.children));
        }
        if export {
            let vars = own_vars(group);
            if !vars.is_empty() {
                body.insert("vars".to_owned(), marked_json(&vars));
            }
        }
        if !body.is_empty() {
            top.insert(name.clone(), Json::Object(body));
        }
    }
    pretty(&Json::Object(top))
}

/// Variables that a group has by itself, its priority among them.
fn own_vars(group: &Group) -> Vars {
    let mut vars = Vars::clone(&group.vars);
    if let Some(priority) = group.priority.filter(|priority| *priority != 1) {
        let value = Node::made(Value::Int(priority));
        vars.insert("ansible_group_priority".to_owned(), value);
    }
    for file in &group.files {
        vars.extend(file.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    vars
}

pub(super) fn graph(inventory: &Inventory, group: &str, vars: bool) -> Option<String> {
    inventory.groups.get(group)?;
    let mut out = format!("@{group}:\n");
    branch(inventory, group, 1, vars, &mut out);
    Some(out.trim_end().to_owned())
}

fn branch(inventory: &Inventory, name: &str, level: usize, vars: bool, out: &mut String) {
    let Some(group) = inventory.groups.get(name) else { return };
    let prefix = "  |".repeat(level);
    for child in &group.children {
        out.push_str(&format!("{prefix}--@{child}:\n"));
        branch(inventory, child, level + 1, vars, out);
    }
    for host in &group.hosts {
        out.push_str(&format!("{prefix}--{host}\n"));
        if vars {
            variables(&inventory.vars(host.as_str()), level + 1, out);
        }
    }
    if vars {
        variables(&own_vars(group), level, out);
    }
}

fn variables(vars: &Vars, level: usize, out: &mut String) {
    let mut names: Vec<&String> = vars.keys().collect();
    names.sort();
    for name in names {
        let shown = match node_json(&vars[name]) {
            Json::String(text) => text,
            other => python_repr(&other),
        };
        out.push_str(&format!("{}--{{{name} = {shown}}}\n", "  |".repeat(level)));
    }
}
