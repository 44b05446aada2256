//! YAML inventories, and the JSON of executable ones.

use super::builder::Builder;
use super::{ini, range};
use crate::source::{Diagnostic, Diagnostics, Node, Value};

/// Reads a parsed file into `builder`.
pub(super) fn read(root: &Node, builder: &mut Builder, found: &mut Diagnostics) {
    let Some(groups) = root.as_map() else {
        if root.value != Value::Null {
            found.push(
                Diagnostic::error(format!(
                    "an inventory is a mapping of groups, not {}",
                    root.kind()
                ))
                .at(root.span.as_ref())
                .help("for example `web: {hosts: {www1: {}}}`"),
            );
        }
        return;
    };
    if let Some(plugin) = root.entry("plugin").filter(|node| node.as_str().is_some()) {
        let name = plugin.as_str().unwrap_or_default();
        let message = format!("certroll runs no inventory plugins, and this asks for '{name}'");
        found.push(Diagnostic::error(message).at(plugin.span.as_ref()).help(
            "give `-i` a program instead: `#!/bin/sh` and `exec ansible-inventory -i FILE \"$@\"`",
        ));
        return;
    }
    for (name, body) in groups {
        group(name, body, builder, found);
    }
}

fn group(name: &Node, body: &Node, builder: &mut Builder, found: &mut Diagnostics) {
    let group_name = name.as_str().unwrap_or_default();
    builder.group(group_name);
    let Some(entries) = body.as_map() else {
        if body.value != Value::Null {
            let message = format!("the group '{group_name}' is a mapping, not {}", body.kind());
            found.push(Diagnostic::error(message).at(body.span.as_ref()));
        }
        return;
    };
    for (key, value) in entries {
        match key.as_str() {
            Some("hosts") => hosts(group_name, value, builder, found),
            Some("vars") => vars(group_name, value, builder, found),
            Some("children") => children(group_name, value, builder, found),
            other => found.push(
                Diagnostic::error(format!(
                    "unknown key '{}' in the group '{group_name}'",
                    other.unwrap_or_default()
                ))
                .at(key.span.as_ref())
                .help("known keys: hosts, vars, children"),
            ),
        }
    }
}

fn hosts(group: &str, value: &Node, builder: &mut Builder, found: &mut Diagnostics) {
    let entries = match &value.value {
        Value::Null => return,
        Value::Map(entries) => entries,
        _ => {
            found.push(
                Diagnostic::error(format!(
                    "'hosts' of '{group}' is a mapping, not {}",
                    value.kind()
                ))
                .at(value.span.as_ref())
                .help("write each host as a key: `hosts: {www1: {}, www2: {}}`"),
            );
            return;
        }
    };
    for (name, body) in entries {
        let text = name.as_str().unwrap_or_default();
        let mut fail = |why: String| found.push(Diagnostic::error(why).at(name.span.as_ref()));
        let (pattern, port) = match ini::split_port(text) {
            Ok(split) => split,
            Err(why) => {
                fail(why);
                continue;
            }
        };
        let expanded = if pattern.contains('[') {
            range::expand(pattern)
        } else {
            Ok(vec![pattern.to_owned()])
        };
        let names = match expanded {
            Ok(names) => names,
            Err(why) => {
                fail(why);
                continue;
            }
        };
        let own = match &body.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => {
                fail(format!("the variables of '{text}' are a mapping, not {}", body.kind()));
                &[]
            }
        };
        for host in names {
            if let Err(why) = builder.host(&host, group, name.span.as_ref()) {
                found.push(Diagnostic::error(why).at(name.span.as_ref()));
                continue;
            }
            if let Some(port) = port {
                let value = Node { value: Value::Int(i64::from(port)), span: name.span.clone() };
                builder.host_var(&host, "ansible_port", value);
            }
            for (key, value) in own {
                builder.host_var(&host, key.as_str().unwrap_or_default(), value.clone());
            }
        }
    }
}

fn vars(group: &str, value: &Node, builder: &mut Builder, found: &mut Diagnostics) {
    match &value.value {
        Value::Null => {}
        Value::Map(entries) => {
            for (key, value) in entries {
                let name = key.as_str().unwrap_or_default();
                if let Err(why) = builder.group_var(group, name, value.clone()) {
                    found.push(Diagnostic::error(why).at(value.span.as_ref()));
                }
            }
        }
        _ => found.push(
            Diagnostic::error(format!("'vars' of '{group}' is a mapping, not {}", value.kind()))
                .at(value.span.as_ref()),
        ),
    }
}

fn children(parent: &str, value: &Node, builder: &mut Builder, found: &mut Diagnostics) {
    match &value.value {
        Value::Null => {}
        Value::Map(entries) => {
            for (name, body) in entries {
                group(name, body, builder, found);
                let child = name.as_str().unwrap_or_default();
                if let Err(why) = builder.child(parent, child) {
                    found.push(Diagnostic::error(why).at(name.span.as_ref()));
                }
            }
        }
        _ => found.push(
            Diagnostic::error(format!(
                "'children' of '{parent}' is a mapping, not {}",
                value.kind()
            ))
            .at(value.span.as_ref())
            .help("write each group as a key: `children: {web: {}}`"),
        ),
    }
}

/// Reads what an executable inventory printed for `--list`. `hostvars` were in `_meta`, or come from
/// `--host`.
pub(super) fn read_dynamic(root: &Node, builder: &mut Builder, found: &mut Diagnostics) {
    for (name, body) in root.as_map().into_iter().flatten() {
        let group_name = name.as_str().unwrap_or_default();
        if group_name == "_meta" {
            continue;
        }
        builder.group(group_name);
        let is_group = ["hosts", "vars", "children"].iter().any(|key| body.entry(key).is_some());
        if body.as_map().is_some_and(|entries| !entries.is_empty()) && !is_group {
            // Variables of a host and group of that name (the same).
            vars(group_name, body, builder, found);
            if let Err(why) = builder.host(group_name, group_name, name.span.as_ref()) {
                found.push(Diagnostic::error(why).at(name.span.as_ref()));
            }
            continue;
        }
        let hosts = match &body.value {
            Value::List(_) => Some(body),
            Value::Map(_) => body.entry("hosts"),
            _ => {
                let message =
                    format!("the group '{group_name}' is a list or a mapping, not {}", body.kind());
                found.push(Diagnostic::error(message).at(name.span.as_ref()));
                continue;
            }
        };
        let listed = |node: Option<&Node>, what: &str, found: &mut Diagnostics| -> Vec<String> {
            match node.map(|node| (node, &node.value)) {
                None | Some((_, Value::Null)) => Vec::new(),
                Some((_, Value::List(items))) => {
                    items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
                }
                Some((node, _)) => {
                    let message =
                        format!("'{what}' of '{group_name}' is a list, not {}", node.kind());
                    found.push(Diagnostic::error(message).at(node.span.as_ref()));
                    Vec::new()
                }
            }
        };
        for host in listed(hosts, "hosts", found) {
            if let Err(why) = builder.host(&host, group_name, name.span.as_ref()) {
                found.push(Diagnostic::error(why).at(name.span.as_ref()));
            }
        }
        if let Some(own) = body.entry("vars") {
            vars(group_name, own, builder, found);
        }
        for child in listed(body.entry("children"), "children", found) {
            // A group that is only named here exists all the same (Ansible, `plugins/inventory/script.py`).
            builder.group(&child);
            if let Err(why) = builder.child(group_name, &child) {
                found.push(Diagnostic::error(why).at(name.span.as_ref()));
            }
        }
    }
    let hostvars = root.entry("_meta").and_then(|meta| meta.entry("hostvars"));
    for (host, own) in hostvars.and_then(Node::as_map).into_iter().flatten() {
        for (key, value) in own.as_map().into_iter().flatten() {
            // A host only in `_meta` is not added (Ansible, `plugins/inventory/script.py`).
            let host = host.as_str().unwrap_or_default();
            if builder.has_host(host) {
                builder.host_var(host, key.as_str().unwrap_or_default(), value.clone());
            }
        }
    }
}
