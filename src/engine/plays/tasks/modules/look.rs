//! `stat` and `slurp`: what a path is, and what is in it. They change nothing, so they run in `plan` too.

use super::super::action::{Action, Done, Failed};
use super::ask::ask;
use crate::host::{ModuleReply, ModuleRequest, Verb};
use crate::model::Secret;
use crate::playbook::modules::Arguments;
use crate::remote::module::LARGEST;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

pub(super) async fn stat(action: &Action<'_>, arguments: &Arguments) -> Result<Done, Failed> {
    let path = arguments.text("path").unwrap_or_default();
    let wanted = arguments.flag("get_checksum").unwrap_or(true);
    let algorithm = arguments.text("checksum_algorithm").unwrap_or("sha1");
    let request = ModuleRequest::new(Verb::Look, true)
        .with("path", path)
        .flag("follow", arguments.flag("follow").unwrap_or(false))
        .maybe("algorithm", wanted.then_some(algorithm));
    let reply = ask(action, &request).await?;
    let value = Map::from_iter([("stat".to_owned(), shape(path, &reply))]);
    Ok(Done { value, ..Done::default() })
}

/// As Ansible's `stat` registers it.
fn shape(path: &str, reply: &ModuleReply) -> Json {
    let state = reply.text("state").unwrap_or("absent");
    if state == "absent" || reply.text("was") == Some("broken") {
        return json!({"exists": false});
    }
    let mode = reply.text("mode").unwrap_or("0000");
    let bits = u32::from_str_radix(mode, 8).unwrap_or(0);
    let mut stat = Map::new();
    let mut add = |name: &str, value: Json| drop(stat.insert(name.to_owned(), value));
    add("exists", json!(true));
    add("path", json!(path));
    add("mode", json!(mode));
    for (name, state_of) in [
        ("isdir", "directory"),
        ("ischr", "character"),
        ("isblk", "block"),
        ("isfifo", "fifo"),
        ("islnk", "link"),
        ("issock", "socket"),
    ] {
        add(name, json!(state == state_of));
    }
    add("isreg", json!(matches!(state, "file" | "hard")));
    for (name, field) in [
        ("uid", "uid"),
        ("gid", "gid"),
        ("size", "size"),
        ("inode", "inode"),
        ("dev", "dev"),
        ("nlink", "links"),
    ] {
        add(name, json!(reply.number(field)));
    }
    for name in ["atime", "mtime", "ctime"] {
        add(name, json!(reply.number(name).map(|seconds| seconds as f64)));
    }
    let letters = ["xoth", "woth", "roth", "xgrp", "wgrp", "rgrp", "xusr", "wusr", "rusr"];
    for (index, name) in letters.into_iter().enumerate() {
        add(name, json!(bits >> index & 1 == 1));
    }
    add("isuid", json!(bits & 0o4000 != 0));
    add("isgid", json!(bits & 0o2000 != 0));
    for (name, field) in [("readable", "r"), ("writeable", "w"), ("executable", "x")] {
        add(name, json!(reply.is(field)));
    }
    for (name, field) in [("pw_name", "owner"), ("gr_name", "group")] {
        if let Some(known) = reply.text(field).filter(|name| *name != "UNKNOWN") {
            add(name, json!(known));
        }
    }
    for (name, field) in
        [("lnk_target", "target"), ("lnk_source", "source"), ("checksum", "checksum")]
    {
        if let Some(value) = reply.text(field) {
            add(name, json!(value));
        }
    }
    Json::Object(stat)
}

pub(super) async fn slurp(action: &Action<'_>, arguments: &Arguments) -> Result<Done, Failed> {
    let path = arguments.text("src").unwrap_or_default();
    let Some((content, _)) = read(action, path).await? else {
        return Err(Failed::module(format!("file not found: {path}")));
    };
    let value = [
        ("content", json!(STANDARD.encode(content.expose()))),
        ("encoding", json!("base64")),
        ("source", json!(path)),
    ];
    let value = value.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Done { value, ..Done::default() })
}

/// Whether there is something at a path, where its links lead.
pub(super) async fn exists(action: &Action<'_>, path: &str) -> Result<bool, Failed> {
    let request = ModuleRequest::new(Verb::Look, true).with("path", path).flag("follow", true);
    let reply = ask(action, &request).await?;
    let broken = reply.text("was") == Some("broken");
    Ok(!broken && reply.text("state").is_some_and(|state| state != "absent"))
}

/// A file's content and what it is; `None`: there is none.
pub(super) async fn read(
    action: &Action<'_>,
    path: &str,
) -> Result<Option<(Secret<Vec<u8>>, ModuleReply)>, Failed> {
    let request = ModuleRequest::new(Verb::Look, true)
        .with("path", path)
        .flag("follow", true)
        .with("limit", LARGEST.to_string());
    let mut reply = ask(action, &request).await?;
    match reply.text("state") {
        None | Some("absent") => return Ok(None),
        Some("file" | "hard") => {}
        Some("link") => return Ok(None),
        Some(other) => return Err(Failed::module(format!("{path} is a {other}"))),
    }
    let content = reply.content.take().unwrap_or_else(|| Secret::new(Vec::new()));
    Ok(Some((content, reply)))
}
