//! From YAML to one task.

use super::around::Around;
use super::certificate::CertificateSpec;
use super::include::{Include, Included, IncludedRole};
use super::model::{CommandSpec, IncludeVars, Loop, Meta, Task, TaskKind, WaitFor};
use super::reader::{Reader, is_identifier, unsupported, wrong_type};
use super::unsupported;
use super::words;
use crate::source::diagnostic::nearest;
use crate::source::{Diagnostic, Diagnostics, Node, Value};
use crate::template::Templates;
use std::sync::Arc;

/// The modules.
const MODULES: [&str; 13] = [
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

/// One task that is no block and no import.
pub(super) fn parse(
    node: &Node,
    around: &Arc<Around>,
    templates: &Templates,
    found: &mut Diagnostics,
) -> Option<Task> {
    if node.as_map().is_none() {
        found.push(
            Diagnostic::error(format!("a task is a mapping, not {}", node.kind()))
                .at(node.span.as_ref())
                .help("for example `- command: [nginx, -t]`"),
        );
        return None;
    }
    let mut reader = Reader::new(node, "a task", found)?;
    let mut inner = around.with(&mut reader, found);
    let own_vars = reader.vars("vars", &mut Diagnostics::default());
    let name = reader.node("name");
    let register = register(&mut reader, found);
    let own_conditions = inner.when.len() - around.when.len();
    let mut task = Task {
        name,
        when: std::mem::take(&mut inner.when),
        register,
        vars: std::mem::take(&mut inner.vars),
        tags: std::mem::take(&mut inner.tags),
        ignore_errors: inner.ignore_errors,
        delegate_to: inner.delegate_to,
        run_once: inner.run_once.unwrap_or(false),
        becoming: inner.becoming,
        changed_when: optional_list(&mut reader, "changed_when"),
        failed_when: optional_list(&mut reader, "failed_when"),
        looping: looping(&mut reader, found),
        notify: inner.notify,
        listen: reader.words("listen", found),
        until: reader.list("until"),
        retries: reader.node("retries"),
        delay: reader.node("delay"),
        no_log: inner.no_log.unwrap_or(false),
        check_mode: inner.check_mode,
        any_errors_fatal: inner.any_errors_fatal.unwrap_or(false),
        environment: inner.environment,
        kind: TaskKind::Meta(Meta::Noop),
        around: Arc::clone(around),
        span: node.span.clone(),
    };
    let arguments = reader.node("args");
    check_conditions(&task, own_conditions, &own_vars, templates, found);
    let (module, value) = module(&reader, node, found)?;
    found.0.extend(templates.syntax(value));
    task.kind = match module {
        "include_tasks" | "include_role" => {
            // Its own conditions and tags are for the include alone; its variables are for what it adds.
            include(module, value, arguments.as_ref(), around, own_vars, templates, found)?
        }
        _ => kind(module, value, arguments.as_ref(), templates, found)?,
    };
    Some(task)
}

/// `include_tasks` and `include_role`.
fn include(
    module: &'static str,
    value: &Node,
    arguments: Option<&Node>,
    around: &Arc<Around>,
    vars: crate::source::Vars,
    templates: &Templates,
    found: &mut Diagnostics,
) -> Option<TaskKind> {
    let rewritten;
    let value = match value.as_str() {
        Some(text) if text.contains('=') => {
            rewritten = mapping(module, value, found)?;
            &rewritten
        }
        _ => value,
    };
    let what = match module {
        "include_role" => Included::Role(Box::new(role_included(value, found)?)),
        _ => Included::Tasks(match &value.value {
            Value::Map(_) => {
                let mut reader = Reader::new(value, module, found)?;
                let file = reader.node("file");
                reader.take("apply");
                reader.finish(found);
                let Some(file) = file else {
                    let problem = Diagnostic::error("include_tasks names no file");
                    found.push(problem.at(value.span.as_ref()).help("`include_tasks: FILE`"));
                    return None;
                };
                file
            }
            Value::Text(_) | Value::Unsafe(_) => value.clone(),
            _ => {
                found.push(wrong_type(module, "the name of a file", value));
                return None;
            }
        }),
    };
    let apply = value.entry("apply").or_else(|| arguments?.entry("apply"));
    let around = match apply {
        None => Arc::clone(around),
        Some(apply) => {
            let mut reader = Reader::new(apply, "apply", found)?;
            let applied = around.with(&mut reader, found);
            reader.finish(found);
            for condition in &applied.when[around.when.len()..] {
                check_condition(condition, templates, found);
            }
            Arc::new(applied)
        }
    };
    Some(TaskKind::Include(Box::new(Include { what, around, vars })))
}

/// The arguments of `include_role` and `import_role`.
pub(super) fn role_included(value: &Node, found: &mut Diagnostics) -> Option<IncludedRole> {
    let value = &mapping("include_role", value, found)?;
    let mut reader = Reader::new(value, "include_role", found)?;
    let name = reader.node("name").or_else(|| reader.node("role"));
    let included = IncludedRole {
        name: name.clone().unwrap_or_else(|| Node::text("")),
        tasks: reader.node("tasks_from"),
        vars: reader.node("vars_from"),
        defaults: reader.node("defaults_from"),
        handlers: reader.node("handlers_from"),
    };
    reader.take("role");
    for accepted in ["apply", "public", "allow_duplicates", "rolespec_validate"] {
        reader.take(accepted);
    }
    reader.finish(found);
    if name.is_none() {
        let problem = Diagnostic::error("no role is named").at(value.span.as_ref());
        found.push(problem.help("write `name: ROLE`"));
        return None;
    }
    Some(included)
}

/// The one key that names a module.
fn module<'a>(
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
        if let Some(module) = MODULES.iter().find(|module| **module == short) {
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
                .help(format!("modules: {}", MODULES.join(", "))),
        );
    }
    chosen
}

fn unknown(reader: &Reader<'_>, name: &Node) -> Diagnostic {
    let text = name.as_str().unwrap_or_default();
    match nearest(text, MODULES) {
        Some(near) => Diagnostic::error(format!("unknown module or keyword '{text}'"))
            .at(name.span.as_ref())
            .label("not known here")
            .help(format!("did you mean '{near}'?"))
            .help(format!("modules: {}", MODULES.join(", "))),
        None => {
            let mut problem = reader.unknown(name);
            problem.message = format!("unknown module or keyword '{text}'");
            problem.help(format!("modules: {}", MODULES.join(", ")))
        }
    }
}

fn register(reader: &mut Reader<'_>, found: &mut Diagnostics) -> Option<String> {
    let node = reader.take("register")?;
    match node.as_str().filter(|name| is_identifier(name)) {
        Some(name) => Some(name.to_owned()),
        None => {
            found.push(wrong_type("register", "the name of a variable", node));
            None
        }
    }
}

fn optional_list(reader: &mut Reader<'_>, key: &'static str) -> Option<Vec<Node>> {
    reader.take(key)?;
    Some(reader.list(key))
}

/// Loops by lookup: `with_NAME` and the lookup.
const WITH: [(&str, &str); 8] = [
    ("with_items", "items"),
    ("with_list", "list"),
    ("with_dict", "dict"),
    ("with_fileglob", "fileglob"),
    ("with_first_found", "first_found"),
    ("with_sequence", "sequence"),
    ("with_together", "together"),
    ("with_file", "file"),
];

fn looping(reader: &mut Reader<'_>, found: &mut Diagnostics) -> Option<Loop> {
    let mut loops: Vec<Loop> = reader.node("loop").map(Loop::over).into_iter().collect();
    for (key, lookup) in WITH {
        let terms = reader.node(key);
        loops.extend(terms.map(|terms| Loop { lookup: Some(lookup), ..Loop::over(terms) }));
    }
    let control = reader.node("loop_control");
    if let [_, second, ..] = loops.as_slice() {
        let problem = Diagnostic::error("the task has two loops").at(second.items.span.as_ref());
        found.push(problem.help("keep one: an include may loop over a file whose tasks loop"));
    }
    let mut looping = loops.into_iter().next()?;
    if let Some(control) = &control
        && let Some(mut reader) = Reader::new(control, "loop_control", found)
    {
        if let Some(name) = reader.text("loop_var", found) {
            looping.variable = name;
        }
        looping.index = reader.text("index_var", found);
        looping.label = reader.node("label");
        looping.extended = reader.flag("extended", found).unwrap_or(false);
        looping.all_items = reader.flag("extended_allitems", found).unwrap_or(true);
        looping.pause = reader.node("pause");
        reader.finish(found);
    }
    Some(looping)
}

/// Conditions are expressions without braces, so their syntax is checked as such. What stands around the task was
/// checked there: of its conditions the last `own` are its own.
fn check_conditions(
    task: &Task,
    own: usize,
    own_vars: &crate::source::Vars,
    templates: &Templates,
    found: &mut Diagnostics,
) {
    let conditions = task.when[task.when.len() - own..].iter().chain(&task.until);
    let conditions = conditions.chain(task.changed_when.iter().flatten());
    for condition in conditions.chain(task.failed_when.iter().flatten()) {
        check_condition(condition, templates, found);
    }
    let shown = task.name.iter().chain(task.delegate_to.iter()).chain(own_vars.values());
    for node in shown.chain(task.looping.iter().map(|looping| &looping.items)) {
        found.0.extend(templates.syntax(node));
    }
}

/// One condition.
pub(super) fn check_condition(condition: &Node, templates: &Templates, found: &mut Diagnostics) {
    match &condition.value {
        Value::Bool(_) => {}
        Value::Text(_) | Value::Unsafe(_) => found.0.extend(templates.condition_syntax(condition)),
        _ => found.push(
            Diagnostic::error(format!("a condition is an expression, not {}", condition.kind()))
                .at(condition.span.as_ref()),
        ),
    }
}

fn kind(
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
        _ => keyed(module, value, templates, found),
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

/// The arguments as a mapping: the old form `module: key=value` is rewritten into one.
fn mapping(module: &str, value: &Node, found: &mut Diagnostics) -> Option<Node> {
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
            TaskKind::WaitFor(wait)
        }
        _ => return None,
    };
    reader.finish(found);
    Some(kind)
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

fn command(
    value: &Node,
    shell: bool,
    arguments: Option<&Node>,
    found: &mut Diagnostics,
) -> Option<TaskKind> {
    let module = if shell { "shell" } else { "command" };
    let mut spec = CommandSpec {
        words: Vec::new(),
        shell,
        chdir: None,
        creates: None,
        removes: None,
        stdin: None,
        stdin_newline: true,
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
        Value::Text(_) | Value::Unsafe(_) => spec.words = words::split(value, shell, found)?,
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
    }
    if spec.words.is_empty() {
        found.push(Diagnostic::error(format!("{module} has no command")).at(value.span.as_ref()));
        return None;
    }
    Some(TaskKind::Command(spec))
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
        spec.words = argv;
    }
    for accepted in ["expand_argument_vars", "strip_empty_ends"] {
        reader.take(accepted);
    }
    if let Some(flag) = reader.flag("stdin_add_newline", found) {
        spec.stdin_newline = flag;
    }
    if let Some(line) = reader.node("cmd")
        && let Some(words) = words::split(&line, spec.shell, found)
    {
        spec.words = words;
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
