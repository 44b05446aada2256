//! From YAML to plays.

use super::becoming::becoming;
use super::model::{Order, Play, Playbook, Serial, Task};
use super::reader::{Reader, unsupported, wrong_type};
use super::task;
use super::unsupported;
use crate::source::{Diagnostic, Diagnostics, Node, SourceFile, Value, yaml};
use crate::template::Templates;
use std::path::Path;
use std::sync::Arc;

/// Parses a playbook. `directory` is where its relative paths start; `templates` checks the syntax of every
/// template. Warnings come beside the playbook.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn parse(
    file: &Arc<SourceFile>,
    directory: &Path,
    templates: &Templates,
) -> Result<(Playbook, Diagnostics), Diagnostics> {
    let (root, mut found) = yaml::parse(file)?;
    let mut plays = Vec::new();
    match &root.value {
        Value::List(items) if !items.is_empty() => {
            for item in items {
                match &item.value {
                    Value::Map(_) => plays.extend(play(item, templates, &mut found)),
                    _ => found.push(
                        Diagnostic::error(format!("a play is a mapping, not {}", item.kind()))
                            .at(item.span.as_ref())
                            .help("a playbook is a list of plays: `- hosts: web`, then `tasks:`"),
                    ),
                }
            }
        }
        Value::List(_) | Value::Null => found.push(
            Diagnostic::error(format!("{} holds no play", file.name))
                .help("a playbook is a list of plays: `- hosts: web`, then `tasks:`"),
        ),
        _ => found.push(
            Diagnostic::error(format!("a playbook is a list of plays, not {}", root.kind()))
                .at(root.span.as_ref())
                .help("begin the play with a dash: `- hosts: …`"),
        ),
    }
    let playbook = Playbook { name: file.name.clone(), directory: directory.to_owned(), plays };
    found.into_result(playbook)
}

fn play(node: &Node, templates: &Templates, found: &mut Diagnostics) -> Option<Play> {
    let mut reader = Reader::new(node, "a play", found)?;
    let hosts = match reader.node("hosts") {
        Some(hosts) => pattern(hosts, found),
        // Said below, and only that.
        None if node.entry("import_playbook").is_some() => Node::text(""),
        None => {
            let problem = Diagnostic::error("the play has no 'hosts'").at(node.span.as_ref());
            found.push(problem.help("name a group or a pattern: `hosts: web`"));
            Node::text("")
        }
    };
    let name = reader.text("name", found);
    let vars = reader.vars("vars", found);
    let vars_files = reader.list("vars_files");
    let serial = serial(&mut reader, found);
    let order = order(&mut reader, found);
    let becoming = becoming(&mut reader);
    let remote_user = reader.node("remote_user");
    let any_errors_fatal = reader.flag("any_errors_fatal", found);
    let max_fail_percentage = percentage(&mut reader, found);
    let environment = reader.vars("environment", found);
    let tags = reader.words("tags", found);
    let force_handlers = reader.flag("force_handlers", found).unwrap_or(false);
    // certroll gathers no facts of this kind: nothing depends on the answer.
    reader.flag("gather_facts", found);
    let context = task::Context {
        templates,
        play_tags: &tags,
        any_errors_fatal: any_errors_fatal == Some(true),
    };
    let mut tasks = Vec::new();
    for section in ["pre_tasks", "tasks", "post_tasks"] {
        tasks.extend(section_tasks(&mut reader, section, &context, found));
    }
    let handlers = section_tasks(&mut reader, "handlers", &context, found);
    for (name, _) in reader.rest() {
        let text = name.as_str().unwrap_or_default();
        match unsupported::in_a_play(text) {
            Some(remedy) => found.push(unsupported(text, remedy, name)),
            None => found.push(reader.unknown(name)),
        }
    }
    check_syntax(node, templates, found);
    check_handlers(&tasks, &handlers, found);
    Some(Play {
        name: name.or_else(|| hosts.as_str().map(str::to_owned)).unwrap_or_default(),
        hosts,
        vars,
        vars_files,
        serial,
        order,
        becoming,
        remote_user,
        any_errors_fatal,
        max_fail_percentage,
        force_handlers,
        environment,
        tags,
        tasks,
        handlers,
        span: node.span.clone(),
    })
}

/// Templates of the play's own values; those of tasks are checked where conditions are told apart.
fn check_syntax(node: &Node, templates: &Templates, found: &mut Diagnostics) {
    for (key, value) in node.as_map().into_iter().flatten() {
        let is_section =
            matches!(key.as_str(), Some("tasks" | "pre_tasks" | "post_tasks" | "handlers"));
        if !is_section {
            found.0.extend(templates.syntax(value));
        }
    }
}

fn pattern(node: Node, found: &mut Diagnostics) -> Node {
    match &node.value {
        Value::Text(text) | Value::Unsafe(text) if !text.trim().is_empty() => node,
        Value::List(items)
            if items.iter().all(|item| item.as_str().is_some()) && !items.is_empty() =>
        {
            let joined = items.iter().filter_map(Node::as_str).collect::<Vec<_>>().join(",");
            Node { value: Value::Text(joined), span: node.span }
        }
        Value::Text(_) | Value::Unsafe(_) => {
            let problem = Diagnostic::error("'hosts' is empty").at(node.span.as_ref());
            found.push(problem.help("name a group or a pattern; `hosts: all` is everybody"));
            node
        }
        _ => {
            found.push(wrong_type("hosts", "a pattern or a list of patterns", &node));
            Node { value: Value::Text(String::new()), span: node.span }
        }
    }
}

fn serial(reader: &mut Reader<'_>, found: &mut Diagnostics) -> Vec<Serial> {
    let mut steps = Vec::new();
    for node in reader.list("serial") {
        let step = match &node.value {
            Value::Int(count) => Some(Serial::Count(*count)),
            Value::Text(text) | Value::Unsafe(text) => match text.trim().strip_suffix('%') {
                Some(number) => number.trim().parse().ok().map(Serial::Percent),
                None => text.trim().parse().ok().map(Serial::Count),
            },
            _ => None,
        };
        match step {
            Some(Serial::Percent(percent)) if !(0.0..=10_000.0).contains(&percent) => {
                found.push(wrong_serial(&node));
            }
            Some(step) => steps.push(step),
            None => found.push(wrong_serial(&node)),
        }
    }
    steps
}

fn wrong_serial(node: &Node) -> Diagnostic {
    Diagnostic::error("'serial' takes numbers and percentages")
        .at(node.span.as_ref())
        .help("for example `serial: 5`, `serial: 25%`, or `serial: [1, 10%, 100%]`")
}

fn percentage(reader: &mut Reader<'_>, found: &mut Diagnostics) -> Option<f64> {
    let node = reader.take("max_fail_percentage")?;
    let percent = match &node.value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Text(text) | Value::Unsafe(text) => {
            text.trim().trim_end_matches('%').trim().parse().ok()
        }
        _ => None,
    };
    match percent.filter(|percent| (0.0..=100.0).contains(percent)) {
        Some(percent) => Some(percent),
        None => {
            let problem = Diagnostic::error("'max_fail_percentage' takes a number from 0 to 100");
            let problem = problem.at(node.span.as_ref());
            found.push(problem.help("for example `max_fail_percentage: 10`"));
            None
        }
    }
}

fn order(reader: &mut Reader<'_>, found: &mut Diagnostics) -> Order {
    const NAMES: [(&str, Order); 5] = [
        ("inventory", Order::Inventory),
        ("reverse_inventory", Order::ReverseInventory),
        ("sorted", Order::Sorted),
        ("reverse_sorted", Order::ReverseSorted),
        ("shuffle", Order::Shuffle),
    ];
    let Some(node) = reader.take("order") else { return Order::default() };
    let known = NAMES.iter().find(|(name, _)| node.as_str() == Some(name));
    if known.is_none() {
        let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        found.push(wrong_type("order", &format!("one of {}", names.join(", ")), node));
    }
    known.map(|(_, order)| *order).unwrap_or_default()
}

fn section_tasks(
    reader: &mut Reader<'_>,
    section: &'static str,
    context: &task::Context<'_>,
    found: &mut Diagnostics,
) -> Vec<Task> {
    let Some(node) = reader.take(section) else { return Vec::new() };
    let Some(items) = node.as_list() else {
        found.push(wrong_type(section, "a list of tasks", node));
        return Vec::new();
    };
    items.iter().filter_map(|item| task::parse(item, context, found)).collect()
}

/// Every plain name in `notify` must be a handler's. Where handlers have templates for names, the preflight tells.
fn check_handlers(tasks: &[Task], handlers: &[Task], found: &mut Diagnostics) {
    let known: Vec<&str> = handlers
        .iter()
        .flat_map(|handler| {
            let name = handler.name.as_ref().and_then(Node::as_str);
            name.into_iter().chain(handler.listen.iter().map(String::as_str))
        })
        .collect();
    if known.iter().any(|name| crate::template::is_template(name)) {
        return;
    }
    for notified in tasks.iter().chain(handlers).flat_map(|task| &task.notify) {
        let Some(name) = notified.as_str() else { continue };
        if crate::template::is_template(name) || known.contains(&name) {
            continue;
        }
        let problem =
            Diagnostic::error(format!("there is no handler '{name}'")).at(notified.span.as_ref());
        found.push(match crate::source::diagnostic::nearest(name, known.iter().copied()) {
            Some(near) => problem.help(format!("did you mean '{near}'?")),
            None => problem.help("define it under `handlers:` of this play"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::render::render;
    use std::path::PathBuf;

    fn templates() -> Arc<Templates> {
        Templates::new(PathBuf::from("."), Arc::new(|_| Err("no vault password".to_owned())))
    }

    fn parsed(text: &str) -> Playbook {
        let file = SourceFile::new("site.yml", text);
        match parse(&file, Path::new("."), &templates()) {
            Ok((playbook, _)) => playbook,
            Err(found) => panic!("{}", render(&found, false, 100)),
        }
    }

    fn refused(text: &str) -> String {
        let file = SourceFile::new("site.yml", text);
        let found = parse(&file, Path::new("."), &templates()).expect_err("it must be refused");
        render(&found, false, 100)
    }

    #[test]
    fn a_whole_play_is_read() {
        let playbook = parsed(
            "- name: Renew\n  hosts: [web, db]\n  serial: [1, 10%]\n  max_fail_percentage: 5\n  become: yes\n  \
             vars: {a: 1}\n  tags: edge\n  pre_tasks:\n  - debug: msg=\n    tags: [x]\n  tasks:\n  - name: put\n    \
             certificate:\n      service: nginx\n      source: {cert: a.pem}\n    notify: told\n  \
             - ansible.builtin.command: echo '{{ a }} b'\n    when: a == 1\n    register: r\n  handlers:\n  \
             - name: told\n    shell: date\n"
                .replace("msg=", "{msg: hi}")
                .as_str(),
        );
        let play = &playbook.plays[0];
        assert_eq!(play.hosts.as_str(), Some("web,db"));
        assert_eq!(play.serial, [Serial::Count(1), Serial::Percent(10.0)]);
        let titles: Vec<String> = play.tasks.iter().map(Task::title).collect();
        assert_eq!(titles, ["debug", "put", "command"]);
        assert_eq!(play.tasks[0].tags, ["edge", "x"]);
    }

    #[test]
    fn a_list_of_texts_is_no_playbook() {
        insta::assert_snapshot!(refused("- one\n- two\n"));
    }

    #[test]
    fn every_error_comes_at_once_with_its_remedy() {
        insta::assert_snapshot!(refused(
            "- hosts: web\n  becom: true\n  serial: many\n  tasks:\n  - comand: ls\n  - copy: {src: a}\n  \
             - certificate:\n      servce: nginx\n      source: {crt: a.pem}\n  - debug: {msg: '{{ a | }}'}\n  \
             - command: ls\n    notify: nobody\n"
        ));
    }

    #[test]
    fn wrong_shapes_say_what_is_wanted() {
        insta::assert_snapshot!(refused("hosts: web\n"));
        insta::assert_snapshot!(refused("- tasks: []\n"));
        insta::assert_snapshot!(refused("- hosts: web\n  tasks: nothing\n"));
    }
}
