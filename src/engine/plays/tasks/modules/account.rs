//! `user` and `group`.

use super::super::action::{Action, Done, Failed};
use super::ask::ask;
use super::result;
use crate::host::{ModuleReply, ModuleRequest, Verb};
use crate::playbook::modules::Arguments;
use serde_json::{Map, Value as Json, json};

pub(super) async fn group(action: &Action<'_>, arguments: &Arguments) -> Result<Done, Failed> {
    let name = account_name(arguments)?;
    let state = arguments.text("state").unwrap_or("present");
    let system = arguments.flag("system").unwrap_or(false);
    let request = ModuleRequest::new(Verb::Group, action.check)
        .with("name", name)
        .with("state", state)
        .maybe("gid", arguments.text("gid"))
        .flag("system", system);
    let reply = ask(action, &request).await?;
    let mut value =
        Map::from_iter([("name".to_owned(), json!(name)), ("state".to_owned(), json!(state))]);
    if let Some(gid) = reply.number("gid").filter(|_| state == "present") {
        value.insert("gid".to_owned(), json!(gid));
        value.insert("system".to_owned(), json!(system));
    }
    Ok(result::done(&reply, value, None))
}

pub(super) async fn user(action: &Action<'_>, arguments: &Arguments) -> Result<Done, Failed> {
    let name = account_name(arguments)?;
    let state = arguments.text("state").unwrap_or("present");
    let flag = |name: &str, usual: bool| arguments.flag(name).unwrap_or(usual);
    let groups = arguments.words("groups").map(|list| list.join(","));
    let password = arguments.text("password");
    let is_hash = |text: &str| {
        text.starts_with(['$', '!', '*', '_']) && !text.contains([':', '\n', '\r', '\0'])
    };
    if !password.is_none_or(is_hash) {
        return Err(Failed::module(
            "password takes what `password_hash` or `mkpasswd` makes, never the password itself",
        ));
    }
    let mut request = ModuleRequest::new(Verb::User, action.check)
        .with("name", name)
        .with("state", state)
        .maybe("uid", arguments.text("uid"))
        .maybe("group", arguments.text("group"))
        .flag("groups_given", groups.is_some())
        .maybe("groups", groups)
        .maybe("shell", arguments.text("shell"))
        .maybe("home", arguments.text("home"))
        .flag("comment_given", arguments.text("comment").is_some())
        .maybe("comment", arguments.text("comment"))
        .maybe("update_password", arguments.text("update_password"))
        .flag("append", flag("append", false))
        .flag("create_home", flag("create_home", true))
        .flag("move_home", flag("move_home", false))
        .flag("system", flag("system", false))
        .flag("non_unique", flag("non_unique", false))
        .flag("remove", flag("remove", false))
        .flag("force", flag("force", false));
    // The colon, which none has, tells the host that it has all of it.
    request.body = password.map(|hash| format!("{hash}:\n").into_bytes().into());
    request.allow_input_log = flag("allow_input_log", false);
    let reply = ask(action, &request).await?;
    Ok(result::done(&reply, user_value(name, state, arguments, &reply), None))
}

fn user_value(
    name: &str,
    state: &str,
    arguments: &Arguments,
    reply: &ModuleReply,
) -> Map<String, Json> {
    let flag = |name: &str, usual: bool| json!(arguments.flag(name).unwrap_or(usual));
    let mut value =
        Map::from_iter([("name".to_owned(), json!(name)), ("state".to_owned(), json!(state))]);
    let mut add = |name: &str, found: Json| drop(value.insert(name.to_owned(), found));
    if state == "absent" {
        if reply.changed {
            add("force", flag("force", false));
            add("remove", flag("remove", false));
        }
        return value;
    }
    let Some(uid) = reply.number("uid") else { return value };
    add("uid", json!(uid));
    add("group", json!(reply.number("gid")));
    for name in ["home", "shell", "comment"] {
        add(name, json!(reply.text(name).unwrap_or_default()));
    }
    let created = reply.changes.iter().any(|(name, ..)| name == "state");
    if created {
        add("create_home", flag("create_home", true));
        add("system", flag("system", false));
    } else {
        add("append", flag("append", false));
        add("move_home", flag("move_home", false));
    }
    if let Some(groups) = arguments.words("groups") {
        add("groups", json!(groups.join(",")));
    }
    if arguments.text("password").is_some() {
        add("password", json!("NOT_LOGGING_PASSWORD"));
    }
    value
}

/// A name that is no option of the programs that it is given to.
fn account_name(arguments: &Arguments) -> Result<&str, Failed> {
    let name = arguments.text("name").unwrap_or_default();
    let fits = !name.is_empty() && !name.starts_with('-') && !name.contains([':', '\n', '/', ' ']);
    fits.then_some(name)
        .ok_or_else(|| Failed::module(format!("'{name}' is not a valid account name")))
}
