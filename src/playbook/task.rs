//! From YAML to one task.

use super::arguments::mapping;
use super::around::Around;
use super::include::{Include, Included, IncludedRole};
use super::model::{Loop, Meta, Task, TaskKind};
use super::modules::{kind, module};
use super::reader::{Reader, is_identifier, wrong_type};
use crate::source::{Diagnostic, Diagnostics, Node, Value};
use crate::template::Templates;
use std::sync::Arc;

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
