//! What is registered of a path, as Ansible's modules tell it (`AnsibleModule.add_path_info`).

use super::super::action::Done;
use crate::host::ModuleReply;
use serde_json::{Map, Value as Json, json};

/// Owner, mode, size and state of what the reply ends with.
pub(super) fn path_info(reply: &ModuleReply) -> Map<String, Json> {
    let state = reply.text("state").unwrap_or("absent");
    if reply.is("dangling") {
        return Map::new();
    }
    let mut value = Map::from_iter([("state".to_owned(), json!(state))]);
    if state == "absent" {
        return value;
    }
    let mut add = |name: &str, found: Option<Json>| {
        value.extend(found.map(|found| (name.to_owned(), found)));
    };
    for name in ["uid", "gid", "size"] {
        add(name, reply.number(name).map(Json::from));
    }
    // Ansible gives a number where there is no name.
    for (name, number) in [("owner", "uid"), ("group", "gid")] {
        let known = reply.text(name).filter(|name| *name != "UNKNOWN");
        add(name, known.or(reply.text(number)).map(Json::from));
    }
    add("mode", reply.text("mode").map(Json::from));
    value
}

/// What was, or would be, otherwise, in a line.
fn summary(reply: &ModuleReply) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    if reply.is("written") {
        let new = reply.text("was") != Some("file");
        parts.push(if new { "created" } else { "new content" }.to_owned());
    }
    for (name, before, after) in &reply.changes {
        let part = match name.as_str() {
            "state" if after == "absent" => format!("{before} removed"),
            "state" if before == "absent" => format!("{after} created"),
            _ => format!("{name} {before} → {after}"),
        };
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    let more = parts.len().saturating_sub(6);
    parts.truncate(6);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    (reply.changed && !parts.is_empty()).then(|| parts.join(", "))
}

/// How a module ended: what is registered, and what is shown.
pub(super) fn done(reply: &ModuleReply, value: Map<String, Json>, output: Option<String>) -> Done {
    let message = summary(reply);
    Done { changed: reply.changed, message, output, value, ..Done::default() }
}
