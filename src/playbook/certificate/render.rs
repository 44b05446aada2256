//! From templates to the plain types, once a host's variables are known.

use super::config_file::config_files;
use super::endpoints::verify;
use super::error::RenderError;
use super::mapping::mapping;
use super::pair::pair;
use super::spec::{CertificateSpec, PAIR, SERVICE, known};
use super::stores;
use super::task::{
    CertificateTask, Check, CheckOn, Confirm, InContainer, Ownership, Pair, ReloadChoice,
    ServiceUse, SingleFiles, Validation, WhenStopped,
};
use crate::host::{Container, Engine};
use crate::model::CommandLine;
use crate::playbook::values::{Switch, Values, Written, written};
use crate::source::{Node, Value};
use crate::template::Scope;
use std::path::Path;
use std::time::Duration;

/// Renders the task for one host. `directory` is where relative source paths start.
///
/// # Errors
/// All problems of the task at once.
pub(crate) fn render(
    spec: &CertificateSpec,
    scope: &Scope,
    directory: &Path,
) -> Result<CertificateTask, RenderError> {
    let keys = &spec.keys;
    let mut values = Values::new(scope);
    let store = stores::store(keys, directory, &mut values);
    let mut services = match &store {
        Some(_) => Vec::new(),
        None => services(keys.service.as_ref(), &mut values),
    };
    let mut pairs = pairs(spec, directory, &mut services, &mut values);
    let verify = verify(keys.verify.as_ref(), directory, &mut values);
    if let Some(store) = &store {
        pairs.iter_mut().for_each(|pair| pair.dest = stores::dest(store));
    }
    stores::needs_verify(keys, &verify, &mut values);
    let task = CertificateTask {
        services,
        store,
        pairs,
        with: config_files(keys.with.as_ref(), &mut values),
        ownership: Ownership {
            owner: values.text(keys.owner.as_ref()),
            group: values.text(keys.group.as_ref()),
            mode: values.mode(keys.mode.as_ref()),
            key_owner: values.text(keys.key_owner.as_ref()),
            key_group: values.text(keys.key_group.as_ref()),
            key_mode: values.mode(keys.key_mode.as_ref()),
        },
        validate: validation(keys.validate.as_ref(), &mut values),
        reload: reload(keys.reload.as_ref(), &mut values),
        verify,
        checks: checks(keys.checks.as_ref(), &mut values),
        confirm: confirm(keys.confirm.as_ref(), &mut values),
        backups: values
            .number(keys.backups.as_ref(), 0..=1000)
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(3),
        boot_guard: values.flag(keys.boot_guard.as_ref()).unwrap_or(false),
        allow_input_log: values.flag(keys.allow_input_log.as_ref()).unwrap_or(false),
        allow_no_way_back: values.flag(keys.allow_no_way_back.as_ref()).unwrap_or(false),
        when_stopped: when_stopped(keys.when_stopped.as_ref(), &mut values),
        chain_required: word(keys.chain.as_ref(), "chain", &["auto", "required"], &mut values)
            .is_some_and(|word| word == "required"),
        lock_timeout: values.duration(keys.lock_timeout.as_ref()),
        validate_timeout: limit(keys.validate_timeout.as_ref(), 30, &mut values),
        reload_timeout: limit(keys.reload_timeout.as_ref(), 30, &mut values),
        confirm_timeout: values.limit(keys.confirm_timeout.as_ref()),
        expiry_warning: {
            let days = values.number(keys.warn_days.as_ref(), 0..=3650).unwrap_or(21);
            Duration::from_secs(86_400 * u64::try_from(days).unwrap_or(0))
        },
        span: spec.span.clone(),
    };
    if values.found.has_errors() {
        return Err(RenderError::Wrong(values.found));
    }
    match values.not_yet_known {
        Some(name) => Err(RenderError::NotYetKnown(name)),
        None => Ok(task),
    }
}

/// One of the words that a key takes.
fn word(node: Option<&Node>, key: &str, known: &[&str], values: &mut Values<'_>) -> Option<String> {
    let node = node?;
    let text = values.text(Some(node))?;
    if !known.contains(&text.as_str()) {
        values.wrong(node, format!("'{key}' takes {}, not '{text}'", known.join(" or ")), "");
    }
    Some(text)
}

fn when_stopped(node: Option<&Node>, values: &mut Values<'_>) -> WhenStopped {
    match word(node, "when_stopped", &["deploy", "skip", "fail"], values).as_deref() {
        Some("deploy") => WhenStopped::Deploy,
        Some("skip") => WhenStopped::Skip,
        _ => WhenStopped::Fail,
    }
}

fn limit(node: Option<&Node>, default: u64, values: &mut Values<'_>) -> Duration {
    let limit = values.duration(node).unwrap_or(Duration::from_secs(default));
    if limit < Duration::from_secs(1)
        && let Some(node) = node
    {
        values.wrong(node, "this limit is too short", "at least one second");
    }
    limit
}

fn services(node: Option<&Node>, values: &mut Values<'_>) -> Vec<ServiceUse> {
    let Some(node) = node else { return Vec::new() };
    // A list may have mappings in it; a template may give the list, or a mapping.
    let given;
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Map(_) => std::slice::from_ref(node),
        _ => {
            let Some(value) = values.json(node) else { return Vec::new() };
            given = Node::from_json(&value, node.span.as_ref());
            match &given.value {
                Value::List(items) => items.as_slice(),
                _ => std::slice::from_ref(&given),
            }
        }
    };
    if items.is_empty() {
        values.wrong(node, SERVICES, "`certroll services` lists them");
    }
    items.iter().filter_map(|item| service(item, values)).collect()
}

const SERVICES: &str =
    "'service' takes a name, a mapping such as {name: nginx, container: web}, or a list of these";

fn service(node: &Node, values: &mut Values<'_>) -> Option<ServiceUse> {
    if node.as_map().is_none() {
        let Some(serde_json::Value::String(name)) = values.json(node) else {
            values.wrong(node, SERVICES, "`certroll services` lists them");
            return None;
        };
        return Some(ServiceUse { name: name.trim().to_owned(), container: None });
    }
    known(Some(node), "service", &SERVICE, &mut values.found);
    let Some(name) = values.text(node.entry("name")) else {
        values.wrong(
            node,
            "'service' as a mapping needs 'name'",
            "service: {name: nginx, container: web}",
        );
        return None;
    };
    let container = values.text(node.entry("container"));
    let only_there = ["engine", "user", "restart", "in_place"];
    if container.is_none()
        && let Some(other) = only_there.into_iter().find(|key| node.entry(key).is_some())
    {
        values.wrong(node, format!("'{other}' goes with 'container', and only with it"), "");
    }
    let engine = word(node.entry("engine"), "engine", &["podman", "docker"], values);
    let user = values.text(node.entry("user"));
    let single_files = single_files(node, values);
    let container = container.map(|container| {
        if !is_container_name(&container) {
            values.wrong(
                node,
                format!("'{container}' is no container's name"),
                "letters, digits, _ . and -",
            );
        }
        InContainer {
            container: Container {
                name: container,
                engine: engine.as_deref().and_then(Engine::of_program),
                user,
            },
            single_files,
        }
    });
    Some(ServiceUse { name: name.trim().to_owned(), container })
}

fn single_files(node: &Node, values: &mut Values<'_>) -> SingleFiles {
    let restart = values.flag(node.entry("restart")).unwrap_or(false);
    let in_place = values.flag(node.entry("in_place")).unwrap_or(false);
    match (restart, in_place) {
        (true, true) => {
            values.wrong(
                node,
                "'restart' and 'in_place' are two ways for the same files",
                "a container that sees a file overwritten needs no restart: leave one of them out",
            );
            SingleFiles::Block
        }
        (true, false) => SingleFiles::Restart,
        (false, true) => SingleFiles::InPlace,
        (false, false) => SingleFiles::Block,
    }
}

/// As podman and docker have it.
fn is_container_name(name: &str) -> bool {
    let more = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && name.bytes().all(more)
}

/// The pairs; the services that one of them alone names are added to those of the task.
fn pairs(
    spec: &CertificateSpec,
    directory: &Path,
    all: &mut Vec<ServiceUse>,
    values: &mut Values<'_>,
) -> Vec<Pair> {
    let keys = &spec.keys;
    let Some(list) = &keys.certificates else {
        let Some(source) = &keys.source else { return Vec::new() };
        return pair(source, keys.dest.as_ref(), directory, values).into_iter().collect();
    };
    // A template may give the whole list.
    let rendered;
    let items = match &list.value {
        Value::List(items) => items,
        _ => {
            let Some(value) = values.json(list) else { return Vec::new() };
            rendered = Node::from_json(&value, list.span.as_ref());
            match &rendered.value {
                Value::List(items) => items,
                _ => {
                    values.wrong(list, "'certificates' takes a list", "");
                    return Vec::new();
                }
            }
        }
    };
    if items.is_empty() {
        values.wrong(list, "'certificates' is empty", "");
    }
    let mut pairs = Vec::new();
    for item in items {
        let Some(item) = mapping(item, "certificates", &PAIR, values) else { continue };
        let own = services(item.entry("service"), values);
        match item.entry("source") {
            Some(source) => {
                let pair = pair(source, item.entry("dest"), directory, values);
                let services = own.into_iter().map(|service| place_of(service, all)).collect();
                pairs.extend(pair.map(|pair| Pair { services, ..pair }));
            }
            None => values.wrong(&item, "each certificate needs 'source' and 'dest'", ""),
        }
    }
    pairs
}

/// Its place among the task's services, where it is put if it is not there yet.
fn place_of(service: ServiceUse, all: &mut Vec<ServiceUse>) -> usize {
    all.iter().position(|known| *known == service).unwrap_or_else(|| {
        all.push(service);
        all.len() - 1
    })
}

fn validation(node: Option<&Node>, values: &mut Values<'_>) -> Option<Validation> {
    match written(node, values)? {
        Written::Switch(Switch::Off) => Some(Validation::Off),
        Written::Switch(Switch::Default) => None,
        Written::Node(node) => {
            let word = node.as_str().and_then(|_| values.json(&node));
            if word.as_ref().and_then(serde_json::Value::as_str) == Some("boot") {
                return Some(Validation::Boot);
            }
            values.command(&node).map(Validation::Command)
        }
    }
}

fn reload(node: Option<&Node>, values: &mut Values<'_>) -> Option<ReloadChoice> {
    match written(node, values)? {
        Written::Switch(Switch::Off) => Some(ReloadChoice::None),
        Written::Switch(Switch::Default) => None,
        Written::Node(node) => values.command(&node).map(ReloadChoice::Command),
    }
}

fn confirm(node: Option<&Node>, values: &mut Values<'_>) -> Confirm {
    let Some(node) = node else { return Confirm::Auto };
    match values.text(Some(node)).as_deref() {
        Some("prompt") => Confirm::Prompt,
        Some("auto") | None => Confirm::Auto,
        Some(_) => {
            values.wrong(node, "'confirm' takes auto or prompt", "");
            Confirm::Auto
        }
    }
}

fn checks(node: Option<&Node>, values: &mut Values<'_>) -> Vec<Check> {
    let node = match written(node, values) {
        None | Some(Written::Switch(Switch::Off)) => return Vec::new(),
        Some(Written::Switch(Switch::Default)) => node.cloned().unwrap_or_else(|| Node::text("")),
        Some(Written::Node(node)) => node,
    };
    let Some(items) = node.as_list() else {
        values.wrong(&node, "'checks' takes a list", "checks: [{command: […], on: controller}]");
        return Vec::new();
    };
    items.iter().filter_map(|item| check(item, values)).collect()
}

fn check(node: &Node, values: &mut Values<'_>) -> Option<Check> {
    let command = match (node.entry("command"), node.entry("shell")) {
        (Some(command), None) => values.command(command)?,
        (None, Some(shell)) => CommandLine::Shell(values.text(Some(shell))?),
        _ => {
            values.wrong(node, "a check needs either 'command' or 'shell'", "");
            return None;
        }
    };
    let on = match node.entry("on").or_else(|| node.entry("True")) {
        None => CheckOn::Controller,
        Some(on) => match values.text(Some(on)).as_deref() {
            Some("controller") => CheckOn::Controller,
            Some("host") => CheckOn::Host,
            _ => {
                values.wrong(on, "'on' takes controller or host", "");
                return None;
            }
        },
    };
    Some(Check { command, on, timeout: limit(node.entry("timeout"), 30, values) })
}
