//! `file`: directories, links, attributes, and what is to be gone.

use super::super::action::{Action, Done, Failed};
use super::ask::ask;
use super::result;
use crate::host::{ModuleRequest, Verb};
use crate::playbook::modules::Arguments;
use serde_json::json;

pub(super) async fn perform(action: &Action<'_>, arguments: &Arguments) -> Result<Done, Failed> {
    let path = arguments.text("path").unwrap_or_default();
    let state = arguments.text("state");
    let recurse = arguments.flag("recurse").unwrap_or(false);
    if recurse && !matches!(state, None | Some("directory")) {
        return Err(Failed::module("recurse needs 'state: directory'"));
    }
    let request = ModuleRequest::new(Verb::File, action.check)
        .with("path", trimmed(path))
        .maybe("state", state)
        .maybe("src", arguments.text("src"))
        .maybe("owner", arguments.text("owner"))
        .maybe("group", arguments.text("group"))
        .maybe("mode", arguments.text("mode"))
        .maybe("mtime", arguments.text("modification_time"))
        .maybe("atime", arguments.text("access_time"))
        .flag("recurse", recurse)
        .flag("force", arguments.flag("force").unwrap_or(false))
        .flag("follow", arguments.flag("follow").unwrap_or(true));
    let reply = ask(action, &request).await?;
    let mut value = result::path_info(&reply);
    let name = match reply.text("as") {
        Some("link" | "hard" | "touch") => "dest",
        _ => "path",
    };
    value.insert(name.to_owned(), json!(reply.text("path").unwrap_or(path)));
    if let Some(src) = reply.text("src") {
        value.insert("src".to_owned(), json!(src));
    }
    Ok(result::done(&reply, value, None))
}

/// Without slashes at the end: a link would be followed.
fn trimmed(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { "/" } else { trimmed }
}
