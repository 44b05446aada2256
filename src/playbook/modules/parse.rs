//! Arguments of the modules that work on hosts, read with their places; what is no template is checked at once.

use super::definition::{Argument, Definition, Kind};
use super::task::{ModuleTask, path_problem};
use crate::playbook::arguments::mapping;
use crate::playbook::reader::Reader;
use crate::source::{Diagnostic, Diagnostics, Node, Value};
use crate::template::is_template;

/// Reads the arguments of a task, those of `args` too.
pub(super) fn parse(
    module: &'static Definition,
    value: &Node,
    more: Option<&Node>,
    found: &mut Diagnostics,
) -> Option<ModuleTask> {
    let own = match &value.value {
        Value::Null => None,
        _ => Some(mapping(module.name, value, found)?),
    };
    let mut task = ModuleTask { module, given: Vec::new() };
    for arguments in own.iter().chain(more) {
        let mut reader = Reader::new(arguments, module.name, found)?;
        for argument in module.arguments {
            let names = std::iter::once(&argument.name).chain(argument.aliases);
            let mut given: Vec<Node> = names.filter_map(|name| reader.node(name)).collect();
            if let Some(second) = given.get(1) {
                let message = format!("'{}' is given twice, by two of its names", argument.name);
                found.push(Diagnostic::error(message).at(second.span.as_ref()));
            }
            task.given.extend(given.drain(..).take(1).map(|node| (argument, node)));
        }
        reader.finish(found);
    }
    for (argument, node) in &task.given {
        check_literal(argument, node, found);
    }
    let before = found.0.len();
    check_presence(&task, value, found);
    (found.0.len() == before).then_some(task)
}

fn check_presence(task: &ModuleTask, value: &Node, found: &mut Diagnostics) {
    let has = |name: &str| task.node(name).is_some();
    let mut wrong = |message: String| {
        found.push(Diagnostic::error(message).at(value.span.as_ref()));
    };
    let name = task.module.name;
    for argument in task.module.arguments.iter().filter(|argument| argument.required) {
        if !has(argument.name) {
            wrong(format!("{name} needs '{}'", argument.name));
        }
    }
    let one_of = task.module.one_of;
    if !one_of.is_empty() && one_of.iter().filter(|key| has(key)).count() != 1 {
        wrong(format!("{name} needs either '{}'", one_of.join("' or '")));
    }
    for group in task.module.exclusive {
        let given: Vec<&str> = group.iter().copied().filter(|key| has(key)).collect();
        if given.len() > 1 {
            wrong(format!("{name} takes '{}' or '{}', not both", given[0], given[1]));
        }
    }
}

/// What is no template is checked where it is read.
fn check_literal(argument: &Argument, node: &Node, found: &mut Diagnostics) {
    let plain = node.as_str().is_none_or(|text| !is_template(text));
    if plain && let Err((message, help)) = literal(argument, node) {
        let problem = Diagnostic::error(message).at(node.span.as_ref());
        found.push(if help.is_empty() { problem } else { problem.help(help) });
    }
}

fn literal(argument: &Argument, node: &Node) -> Result<(), (String, String)> {
    let name = argument.name;
    let fine = |right: bool, wanted: &str| match right {
        true => Ok(()),
        false => Err((format!("'{name}' takes {wanted}, not {}", node.kind()), String::new())),
    };
    match argument.kind {
        Kind::Flag => {
            let word = node.as_str().is_some_and(|text| {
                ["true", "false", "yes", "no", "on", "off", "1", "0"]
                    .contains(&text.to_ascii_lowercase().as_str())
            });
            fine(word || matches!(node.value, Value::Bool(_) | Value::Int(0 | 1)), "true or false")
        }
        Kind::Choice(choices) => {
            let written = match &node.value {
                Value::Bool(true) => "yes",
                Value::Bool(false) => "no",
                _ => node.as_str().unwrap_or_default(),
            };
            match choices.contains(&written) {
                true => Ok(()),
                false => {
                    let message = format!("there is no '{name}: {written}'");
                    Err((message, format!("it takes {}", choices.join(", ").escape_debug())))
                }
            }
        }
        Kind::Path => match node.as_str() {
            Some(path) => {
                path_problem(path).map_or(Ok(()), |problem| Err((problem, String::new())))
            }
            None => fine(false, "a path"),
        },
        Kind::Text | Kind::Number(..) => {
            fine(!matches!(node.value, Value::List(_) | Value::Map(_)), "one value")
        }
        Kind::Entries => fine(matches!(node.value, Value::Map(_)), "a mapping"),
        Kind::Words | Kind::Content | Kind::Mode | Kind::Any | Kind::Accepted => Ok(()),
    }
}
