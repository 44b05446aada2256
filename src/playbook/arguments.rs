//! Arguments of modules in Ansible's old form, `module: key=value`, and those of `command` and `shell`.

use super::model::{CommandSpec, TaskKind};
use super::reader::{Reader, wrong_type};
use super::words;
use crate::source::{Diagnostic, Diagnostics, Node, Value};

/// The arguments as a mapping: the old form `module: key=value` is rewritten into one.
pub(super) fn mapping(module: &str, value: &Node, found: &mut Diagnostics) -> Option<Node> {
    if value.as_str().is_none() {
        return Some(value.clone());
    }
    match old_arguments(value, None, found)? {
        (rest, Some(pairs)) if rest.as_str() == Some("") => Some(pairs),
        _ => {
            let message = format!("the arguments of {module} are a mapping, not free text");
            let problem = Diagnostic::error(message).at(value.span.as_ref());
            found.push(problem.help(format!(
                "write each `key: value` on a line of its own below `{module}:`, or `{module}: key=value`"
            )));
            None
        }
    }
}

/// Words that `command` and `shell` take out of their line (Ansible, `parsing/splitter.py`).
const COMMAND_ARGUMENTS: Option<&[&str]> = Some(&[
    "creates",
    "removes",
    "chdir",
    "executable",
    "stdin",
    "stdin_add_newline",
    "strip_empty_ends",
]);

/// A text in Ansible's old form: what is left of it, and its `key=value` words as a mapping, if it has any.
fn old_arguments(
    value: &Node,
    known: Option<&[&str]>,
    found: &mut Diagnostics,
) -> Option<(Node, Option<Node>)> {
    let Some(text) = value.as_str() else { return Some((value.clone(), None)) };
    let Some(words) = words::key_values(text, known) else {
        let problem = Diagnostic::error("a quote or a template is not closed");
        found.push(problem.at(value.span.as_ref()));
        return None;
    };
    if words.pairs.is_empty() {
        return Some((value.clone(), None));
    }
    let at = |text: String| Node { value: Value::Text(text), span: value.span.clone() };
    let pairs = words.pairs.into_iter().map(|(key, text)| {
        let node = match (known, text.as_str()) {
            (_, "true" | "yes") if key == "stdin_add_newline" => Value::Bool(true),
            (_, "false" | "no") if key == "stdin_add_newline" => Value::Bool(false),
            _ => Value::Text(text),
        };
        (at(key), Node { value: node, span: value.span.clone() })
    });
    let pairs = Node { value: Value::Map(pairs.collect()), span: value.span.clone() };
    Some((at(words.rest), Some(pairs)))
}

pub(super) fn command(
    value: &Node,
    shell: bool,
    arguments: Option<&Node>,
    found: &mut Diagnostics,
) -> Option<TaskKind> {
    let module = if shell { "shell" } else { "command" };
    let mut spec = CommandSpec {
        words: Vec::new(),
        loose: Vec::new(),
        shell,
        other_shell: false,
        chdir: None,
        creates: None,
        removes: None,
        stdin: None,
        stdin_newline: true,
        allow_input_log: false,
        timeout: None,
    };
    let mut executable = None;
    let written;
    let value = match (value.as_str(), old_arguments(value, COMMAND_ARGUMENTS, found)?) {
        // `command: x creates=/y`: the old form of `args`.
        (Some(_), (rest, Some(options))) => {
            more_arguments(&options, module, &mut spec, &mut executable, found);
            written = rest;
            &written
        }
        _ => value,
    };
    match &value.value {
        Value::Text(text) | Value::Unsafe(text) if text.is_empty() => {}
        Value::Text(_) | Value::Unsafe(_) => {
            (spec.words, spec.loose) = words::split(value, shell, found)?;
        }
        Value::List(items) if !shell => spec.words = items.clone(),
        Value::Map(_) => more_arguments(value, module, &mut spec, &mut executable, found),
        _ => {
            found.push(wrong_type(module, "a command line or a list of words", value));
            return None;
        }
    }
    if let Some(arguments) = arguments {
        more_arguments(arguments, module, &mut spec, &mut executable, found);
    }
    if let (true, Some(program), [line]) = (shell, executable, spec.words.as_slice()) {
        // `/bin/sh` by another name.
        spec.words = vec![program, Node::text("-c"), line.clone()];
        spec.shell = false;
        spec.other_shell = true;
    }
    if spec.words.is_empty() {
        found.push(Diagnostic::error(format!("{module} has no command")).at(value.span.as_ref()));
        return None;
    }
    Some(TaskKind::Command(Box::new(spec)))
}

fn more_arguments(
    node: &Node,
    module: &'static str,
    spec: &mut CommandSpec,
    executable: &mut Option<Node>,
    found: &mut Diagnostics,
) {
    let Some(mut reader) = Reader::new(node, module, found) else { return };
    let argv = reader.list("argv");
    if !argv.is_empty() {
        (spec.words, spec.loose) = (argv, Vec::new());
    }
    for accepted in ["expand_argument_vars", "strip_empty_ends"] {
        reader.take(accepted);
    }
    if let Some(flag) = reader.flag("stdin_add_newline", found) {
        spec.stdin_newline = flag;
    }
    if let Some(flag) = reader.flag("allow_input_log", found) {
        spec.allow_input_log = flag;
    }
    if let Some(line) = reader.node("cmd")
        && let Some((words, loose)) = words::split(&line, spec.shell, found)
    {
        (spec.words, spec.loose) = (words, loose);
    }
    let mut set = |slot: &mut Option<Node>, key| {
        if let Some(node) = reader.node(key) {
            *slot = Some(node);
        }
    };
    set(&mut spec.chdir, "chdir");
    set(&mut spec.creates, "creates");
    set(&mut spec.removes, "removes");
    set(&mut spec.stdin, "stdin");
    set(executable, "executable");
    set(&mut spec.timeout, "timeout");
    reader.finish(found);
}
