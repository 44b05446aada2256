//! `service` and `systemd`: whether a service runs, and whether it begins with the host.

use super::super::action::{Action, Done, Failed};
use super::ask::ask;
use super::result;
use crate::host::{ModuleRequest, Verb};
use crate::model::text::printable;
use crate::playbook::modules::{Arguments, ModuleTask};
use serde_json::{Map, Value as Json, json};

pub(super) async fn perform(
    action: &Action<'_>,
    task: &ModuleTask,
    arguments: &Arguments,
) -> Result<Done, Failed> {
    let systemd = task.module.name == "systemd";
    let name = arguments.text("name");
    let state = arguments.text("state");
    let enabled = arguments.flag("enabled");
    let reload = arguments.flag("daemon_reload").unwrap_or(false);
    if name.is_none() && !reload {
        return Err(Failed::module("one of the following is required: name, daemon_reload"));
    }
    let bit = |on: bool| if on { "1" } else { "0" };
    let request = ModuleRequest::new(Verb::Service, action.check)
        .maybe("name", name)
        .maybe("state", state)
        .maybe("enabled", enabled.map(bit))
        .maybe("masked", arguments.flag("masked").map(bit))
        .maybe("runlevel", arguments.text("runlevel"))
        .maybe("pause", arguments.text("sleep"))
        .maybe("use", systemd.then_some("systemd"))
        .flag("daemon_reload", reload);
    let reply = ask(action, &request).await?;
    let mut value = Map::new();
    let mut add = |name: &str, found: Option<Json>| {
        value.extend(found.map(|found| (name.to_owned(), found)));
    };
    add("name", name.map(Json::from));
    add("enabled", enabled.map(Json::from));
    // What it is afterwards: restarted and reloaded services run.
    add("state", state.map(|state| json!(if state == "stopped" { "stopped" } else { "started" })));
    let status = reply.content.as_ref().map(|content| properties(content.expose()));
    if reply.text("by") == Some("systemd") {
        add("status", Some(status.unwrap_or_else(|| json!({}))));
    }
    Ok(result::done(&reply, value, None))
}

/// What `systemctl show` prints.
fn properties(bytes: &[u8]) -> Json {
    let text = printable(bytes, bytes.len());
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Json::Object(pairs.map(|(name, value)| (name.to_owned(), json!(value))).collect())
}
