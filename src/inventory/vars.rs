//! Which variables a host has, and which of two wins.

use super::model::{Group, Inventory};
use crate::source::{Node, Value, Vars};
use std::sync::Arc;

/// Names that stand for the controller when no host of that name is listed.
pub(super) fn is_implicit_localhost(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}

/// The last in this order wins.
fn rank<'a>((name, group): &(&'a String, &Group)) -> (usize, i64, &'a str) {
    (group.depth, group.priority.unwrap_or(1), name)
}

/// Layers of a host, weakest first (Ansible, `VARIABLE_PRECEDENCE`).
pub(super) fn layers(inventory: &Inventory, name: &str) -> Vec<Arc<Vars>> {
    let Some(host) = inventory.hosts.get(name) else {
        if is_implicit_localhost(name) {
            let local =
                ("ansible_connection".to_owned(), Node::made(Value::Text("local".to_owned())));
            return vec![Arc::new(Vars::from([local]))];
        }
        return Vec::new();
    };
    let mut groups: Vec<(&String, &Group)> = host
        .groups
        .iter()
        .map(String::as_str)
        .chain(["all"])
        .filter_map(|name| inventory.groups.get_key_value(name))
        .collect();
    groups.sort_by(|a, b| rank(a).cmp(&rank(b)));
    let is_all = |entry: &&(&String, &Group)| entry.0 == "all";
    let texts = groups.iter().map(|(_, group)| Arc::clone(&group.vars));
    // Beside the inventory first, then beside the playbook; `all` before the other groups.
    let all_files = groups.iter().filter(is_all).flat_map(|(_, group)| group.files.iter().cloned());
    let mut layers: Vec<Arc<Vars>> = texts.chain(all_files).collect();
    let rounds = groups.iter().map(|(_, group)| group.files.len()).max().unwrap_or(0);
    for round in 0..rounds {
        let others = groups.iter().filter(|entry| !is_all(entry));
        layers.extend(others.filter_map(|(_, group)| group.files.get(round).cloned()));
    }
    layers.push(Arc::clone(&host.vars));
    layers.extend(host.files.iter().cloned());
    layers
}
