//! The modules: which one a task names, and its arguments.
//!
//! What works on hosts is a row of [`table`]: its arguments are read, checked and rendered alike. The others, which
//! steer the run or look at it, are read here one by one.

mod content;
mod definition;
mod parse;
mod table;
mod task;

pub(crate) use content::{FileContent, content, file_content, template_content};
pub(crate) use task::{Arguments, ModuleTask};

use self::definition::Definition;
use self::table::HOST_MODULES;
use super::arguments::{command, mapping};
use super::certificate::CertificateSpec;
use super::model::{IncludeVars, Meta, TaskKind, WaitFor};
use super::reader::{Reader, is_identifier, unsupported, wrong_type};
use super::unsupported;
use crate::source::diagnostic::nearest;
use crate::source::{Diagnostic, Diagnostics, Node, Value};
use crate::template::Templates;

/// The modules that work on no host, or in a way of their own.
const OWN_MODULES: [&str; 13] = [
    "certificate",
    "command",
    "shell",
    "debug",
    "assert",
    "fail",
    "pause",
    "wait_for",
    "set_fact",
    "include_vars",
    "include_tasks",
    "include_role",
    "meta",
];

/// What gathers facts.
pub(super) fn gathering() -> TaskKind {
    match of_hosts("setup") {
        Some(module) => TaskKind::Module(Box::new(ModuleTask { module, given: Vec::new() })),
        None => TaskKind::Meta(Meta::Noop),
    }
}

/// Every module's name.
fn names() -> Vec<&'static str> {
    let of_hosts = HOST_MODULES.iter().map(|module| module.name);
    OWN_MODULES.into_iter().chain(of_hosts).collect()
}

/// A module by one of its names.
fn named(name: &str) -> Option<&'static str> {
    let own = OWN_MODULES.into_iter().find(|known| *known == name);
    own.or_else(|| Some(of_hosts(name)?.name))
}

fn of_hosts(name: &str) -> Option<&'static Definition> {
    HOST_MODULES.iter().find(|module| module.name == name || module.aliases.contains(&name))
}

/// The one key that names a module.
pub(super) fn module<'a>(
    reader: &Reader<'a>,
    node: &Node,
    found: &mut Diagnostics,
) -> Option<(&'static str, &'a Node)> {
    let mut chosen: Option<(&'static str, &'a Node)> = None;
    let mut wrong = false;
    for (name, value) in reader.rest() {
        let text = name.as_str().unwrap_or_default();
        let short = text
            .strip_prefix("ansible.builtin.")
            .or_else(|| text.strip_prefix("ansible.legacy."))
            .or_else(|| text.strip_prefix("certroll."))
            .unwrap_or(text);
        if let Some(module) = named(short) {
            if let Some((other, _)) = chosen {
                found.push(
                    Diagnostic::error(format!("the task has two modules: {other} and {module}"))
                        .at(name.span.as_ref())
                        .help("make two tasks of it"),
                );
                wrong = true;
            }
            chosen = Some((module, value));
        } else if let Some(remedy) = unsupported::in_a_task(text) {
            found.push(unsupported(text, remedy, name));
            wrong = true;
        } else {
            found.push(unknown(reader, name));
            wrong = true;
        }
    }
    if chosen.is_none() && !wrong {
        found.push(
            Diagnostic::error("the task does nothing: no module is named")
                .at(node.span.as_ref())
                .help(format!("modules: {}", names().join(", "))),
        );
    }
    chosen
}

fn unknown(reader: &Reader<'_>, name: &Node) -> Diagnostic {
    let text = name.as_str().unwrap_or_default();
    match nearest(text, names()) {
        Some(near) => Diagnostic::error(format!("unknown module or keyword '{text}'"))
            .at(name.span.as_ref())
            .label("not known here")
            .help(format!("did you mean '{near}'?"))
            .help(format!("modules: {}", names().join(", "))),
        None => {
            let mut problem = reader.unknown(name);
            problem.message = format!("unknown module or keyword '{text}'");
            problem.help(format!("modules: {}", names().join(", ")))
        }
    }
}

pub(super) fn kind(
    module: &'static str,
    value: &Node,
    arguments: Option<&Node>,
    templates: &Templates,
    found: &mut Diagnostics,
) -> Option<TaskKind> {
    match module {
        "certificate" => {
            Some(TaskKind::Certificate(Box::new(CertificateSpec::parse(value, found)?)))
        }
        "command" | "shell" => command(value, module == "shell", arguments, found),
        "set_fact" => {
            let mut vars = crate::source::Vars::new();
            let value = &mapping(module, value, found)?;
            let Some(entries) = value.as_map() else {
                found.push(wrong_type(module, "a mapping", value));
                return None;
            };
            for (name, value) in entries {
                match name.as_str().filter(|name| is_identifier(name)) {
                    Some(name) => drop(vars.insert(name.to_owned(), value.clone())),
                    None => found.push(wrong_type(module, "names of variables", name)),
                }
            }
            Some(TaskKind::SetFact(vars))
        }
        "meta" => meta(value, found),
        "include_vars" => include_vars(value, found),
        _ => match of_hosts(module) {
            Some(definition) => {
                let task = parse::parse(definition, value, arguments, found)?;
                Some(TaskKind::Module(Box::new(task)))
            }
            None => keyed(module, value, templates, found),
        },
    }
}

fn include_vars(value: &Node, found: &mut Diagnostics) -> Option<TaskKind> {
    let free = value.as_str().is_some_and(|text| !text.contains("file=") && !text.contains("dir="));
    if free {
        let path = value.clone();
        return Some(TaskKind::IncludeVars(IncludeVars { path, directory: false, name: None }));
    }
    let value = &mapping("include_vars", value, found)?;
    let mut reader = Reader::new(value, "include_vars", found)?;
    let (file, dir) = (reader.node("file"), reader.node("dir"));
    let name = reader.text("name", found);
    reader.finish(found);
    let directory = dir.is_some();
    match (file, dir) {
        (Some(path), None) | (None, Some(path)) => {
            Some(TaskKind::IncludeVars(IncludeVars { path, directory, name }))
        }
        _ => {
            let problem = Diagnostic::error("include_vars needs either 'file' or 'dir'");
            found.push(problem.at(value.span.as_ref()));
            None
        }
    }
}

fn meta(value: &Node, found: &mut Diagnostics) -> Option<TaskKind> {
    const NAMES: [(&str, Meta); 4] = [
        ("noop", Meta::Noop),
        ("flush_handlers", Meta::FlushHandlers),
        ("end_host", Meta::EndHost),
        ("end_play", Meta::EndPlay),
    ];
    let known = NAMES.iter().find(|(name, _)| value.as_str() == Some(name));
    if known.is_none() {
        let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        let problem = match value.as_str() {
            Some(word) => Diagnostic::error(format!("there is no 'meta: {word}'"))
                .at(value.span.as_ref())
                .help(unsupported::meta(word).unwrap_or("certroll has the ones named below")),
            None => wrong_type("meta", "a word", value),
        };
        found.push(problem.help(format!("known: {}", names.join(", "))));
    }
    known.map(|(_, meta)| TaskKind::Meta(*meta))
}

/// The modules whose arguments are a mapping of a few keys.
fn keyed(
    module: &'static str,
    value: &Node,
    templates: &Templates,
    found: &mut Diagnostics,
) -> Option<TaskKind> {
    if value.value == Value::Null && matches!(module, "debug" | "fail" | "pause") {
        return Some(match module {
            "debug" => TaskKind::Debug { message: None, variable: None },
            "fail" => TaskKind::Fail { message: None },
            _ => TaskKind::Pause { duration: None, unit: 1, prompt: None },
        });
    }
    let value = &mapping(module, value, found)?;
    let mut reader = Reader::new(value, module, found)?;
    let kind = match module {
        "debug" => {
            reader.take("verbosity");
            TaskKind::Debug { message: reader.node("msg"), variable: reader.node("var") }
        }
        "assert" => {
            let that = reader.list("that");
            if that.is_empty() {
                found.push(Diagnostic::error("assert needs 'that'").at(value.span.as_ref()));
            }
            for condition in &that {
                found.0.extend(templates.condition_syntax(condition));
            }
            reader.take("quiet");
            TaskKind::Assert {
                that,
                fail_message: reader.node("fail_msg").or_else(|| reader.node("msg")),
                success_message: reader.node("success_msg"),
            }
        }
        "fail" => TaskKind::Fail { message: reader.node("msg") },
        "pause" => {
            let seconds = reader.node("seconds");
            let minutes = reader.node("minutes");
            let unit = if seconds.is_some() { 1 } else { 60 };
            TaskKind::Pause { duration: seconds.or(minutes), unit, prompt: reader.node("prompt") }
        }
        "wait_for" => {
            let wait = WaitFor {
                host: reader.node("host"),
                port: reader.node("port"),
                path: reader.node("path"),
                state: reader.node("state"),
                search: reader.node("search_regex"),
                delay: reader.node("delay"),
                timeout: reader.node("timeout"),
                sleep: reader.node("sleep"),
                message: reader.node("msg"),
            };
            reader.take("connect_timeout");
            if wait.port.is_some() == wait.path.is_some() {
                let problem = Diagnostic::error("wait_for needs either 'port' or 'path'");
                found.push(problem.at(value.span.as_ref()));
            }
            TaskKind::WaitFor(Box::new(wait))
        }
        _ => return None,
    };
    reader.finish(found);
    Some(kind)
}
