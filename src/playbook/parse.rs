//! From YAML to plays.

use super::around::{Around, directory_of};
use super::batches::{on_failure, order, pattern, percentage, serial};
use super::becoming::becoming;
use super::include::Include;
use super::model::{Play, Playbook, Task, TaskKind};
use super::modules;
use super::reader::{Reader, unsupported, wrong_type};
use super::role::RolePlaces;
use super::tasks::{self, Reading};
use super::unsupported;
use crate::load;
use crate::source::{Diagnostic, Diagnostics, Node, SourceFile, Span, Value, Vars, yaml};
use crate::template::{Templates, facts};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Playbooks within playbooks, beyond which one must import itself.
const DEEPEST: usize = 20;

/// Parses a playbook. `directory` is where its relative paths start; `templates` checks the syntax of every
/// template. Warnings come beside the playbook. Roles are looked for beside it.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn parse(
    file: &Arc<SourceFile>,
    directory: &Path,
    templates: &Templates,
) -> Result<(Playbook, Diagnostics), Diagnostics> {
    parse_with(file, directory, templates, &RolePlaces::default())
}

/// As [`parse`], with further places of roles.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_with(
    file: &Arc<SourceFile>,
    directory: &Path,
    templates: &Templates,
    places: &RolePlaces,
) -> Result<(Playbook, Diagnostics), Diagnostics> {
    let mut found = Diagnostics::default();
    let book = Book { templates, directory, places, imported: None, way: Vec::new() };
    let plays = book.plays(file, &mut found);
    let playbook = Playbook { name: file.name.clone(), directory: directory.to_owned(), plays };
    found.into_result(playbook)
}

/// The tasks, and the handlers, that an include adds. `rendered` are its names as [`Include::nodes`] lists them;
/// `params` are its variables.
///
/// # Errors
/// A file or a role that is not there; everything that is wrong in it.
pub(crate) fn grow(
    include: &Include,
    rendered: &[Option<String>],
    params: Vars,
    directory: &Path,
    templates: &Templates,
    places: &RolePlaces,
) -> Result<(Vec<Task>, Vec<Task>), Diagnostics> {
    let mut found = Diagnostics::default();
    let mut reading = Reading::new(templates, directory, places);
    let tasks = reading.grow(include, rendered, params, &mut found);
    note_facts(&Node::made(Value::Null), tasks.iter().chain(&reading.handlers), templates);
    found.into_result((tasks, reading.handlers)).map(|(grown, _)| grown)
}

/// A playbook file at work.
struct Book<'a> {
    templates: &'a Templates,
    directory: &'a Path,
    places: &'a RolePlaces,
    /// What its plays have from the import, and the directory that they start in.
    imported: Option<Import>,
    /// Where it was imported, nearest first.
    way: Vec<Span>,
}

#[derive(Clone, Default)]
struct Import {
    vars: Vars,
    tags: Vec<String>,
    when: Vec<Node>,
    directory: PathBuf,
}

impl Book<'_> {
    fn plays(&self, file: &Arc<SourceFile>, found: &mut Diagnostics) -> Vec<Play> {
        let root = match yaml::parse(file) {
            Ok((root, warnings)) => {
                found.extend(warnings);
                root
            }
            Err(problems) => {
                found.extend(problems);
                return Vec::new();
            }
        };
        plays_of(self, file, &root, found)
    }

    /// `import_playbook`: the plays of another file.
    fn import(&self, node: &Node, file: &Node, found: &mut Diagnostics) -> Vec<Play> {
        let Some(mut reader) = Reader::new(node, "import_playbook", found) else {
            return Vec::new();
        };
        for key in ["name", "import_playbook", "ansible.builtin.import_playbook"] {
            reader.take(key);
        }
        let outer = self.imported.clone().unwrap_or_default();
        let mut import = Import { directory: PathBuf::new(), ..outer };
        import.vars.extend(reader.vars("vars", found));
        import.tags.extend(reader.words("tags", found));
        let when = reader.list("when");
        for condition in &when {
            super::task::check_condition(condition, self.templates, found);
        }
        import.when.extend(when);
        reader.finish(found);
        let Some(name) = file.as_str().filter(|name| !crate::template::is_template(name)) else {
            found.push(wrong_type("import_playbook", "a file's name without templates", file));
            return Vec::new();
        };
        if self.way.len() > DEEPEST {
            let message = format!("the playbook {name} imports itself");
            found.push(Diagnostic::error(message).at(file.span.as_ref()));
            return Vec::new();
        }
        let path = self.directory.join(name);
        import.directory = directory_of(&path);
        let read = load::read_text(&path).map_err(Diagnostics::from);
        let read = read.and_then(|file| load::opened(file, &**self.templates.decrypt()));
        let text = match read {
            Ok(text) => text,
            Err(problems) => {
                let placed = problems.0.into_iter().map(|problem| problem.at(file.span.as_ref()));
                found.0.extend(placed);
                return Vec::new();
            }
        };
        let mut way = vec![];
        way.extend(file.span.clone());
        way.extend(self.way.iter().cloned());
        let directory = import.directory.clone();
        let book = Book {
            templates: self.templates,
            directory: &directory,
            places: self.places,
            imported: Some(import),
            way,
        };
        let mut inside = Diagnostics::default();
        let plays = book.plays(&text, &mut inside);
        let place = file.span.as_ref().map(|span| format!("{}:{}", span.file.name, span.line));
        found.0.extend(inside.0.into_iter().map(|problem| match &place {
            Some(place) => problem.help(format!("imported from {place}")),
            None => problem,
        }));
        plays
    }
}

fn plays_of(
    book: &Book<'_>,
    file: &Arc<SourceFile>,
    root: &Node,
    found: &mut Diagnostics,
) -> Vec<Play> {
    let mut plays = Vec::new();
    match &root.value {
        Value::List(items) if !items.is_empty() => {
            for item in items {
                let import = item
                    .entry("import_playbook")
                    .or_else(|| item.entry("ansible.builtin.import_playbook"));
                match (&item.value, import) {
                    (Value::Map(_), Some(file)) => plays.extend(book.import(item, file, found)),
                    (Value::Map(_), None) => plays.extend(play(item, book, found)),
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
    plays
}

fn play(node: &Node, book: &Book<'_>, found: &mut Diagnostics) -> Option<Play> {
    let templates = book.templates;
    let mut reader = Reader::new(node, "a play", found)?;
    let hosts = match reader.node("hosts") {
        Some(hosts) => pattern(hosts, found),
        None => {
            let problem = Diagnostic::error("the play has no 'hosts'").at(node.span.as_ref());
            found.push(problem.help("name a group or a pattern: `hosts: web`"));
            Node::text("")
        }
    };
    let name = reader.text("name", found);
    let imported = book.imported.clone().unwrap_or_default();
    let mut vars = reader.vars("vars", found);
    vars.extend(imported.vars);
    let vars_files = reader.list("vars_files");
    let serial = serial(&mut reader, found);
    let order = order(&mut reader, found);
    let becoming = becoming(&mut reader);
    let remote_user = reader.node("remote_user");
    let any_errors_fatal = reader.flag("any_errors_fatal", found);
    let max_fail_percentage = percentage(&mut reader, found);
    let on_failure = on_failure(&mut reader, found);
    let environment = reader.vars("environment", found);
    let mut tags = imported.tags;
    tags.extend(reader.words("tags", found));
    let force_handlers = reader.flag("force_handlers", found).unwrap_or(false);
    let gathers = reader.flag("gather_facts", found);
    let around = Around {
        directory: book.directory.to_owned(),
        tags: tags.clone(),
        when: imported.when,
        any_errors_fatal,
        way: book.way.clone(),
        ..Around::default()
    };
    let first = Around { when: Vec::new(), ..around.clone() };
    let (tasks, handlers, roles) = sections(&mut reader, around, book, found);
    for (name, _) in reader.rest() {
        let text = name.as_str().unwrap_or_default();
        match unsupported::in_a_play(text) {
            Some(remedy) => found.push(unsupported(text, remedy, name)),
            None => found.push(reader.unknown(name)),
        }
    }
    check_syntax(node, templates, found);
    check_handlers(&tasks, &handlers, found);
    note_facts(node, tasks.iter().chain(&handlers), templates);
    let gathering = gathers != Some(false);
    let gathering = gathering.then(|| Arc::new(gathering_facts(first, node.span.as_ref())));
    let shared = |list: Vec<Task>| list.into_iter().map(Arc::new).collect();
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
        on_failure,
        force_handlers,
        environment,
        gathering,
        gathers: gathers == Some(true),
        tags,
        tasks: shared(tasks),
        handlers: shared(handlers),
        roles,
        directory: book.imported.as_ref().map(|import| import.directory.clone()),
        span: node.span.clone(),
    })
}

/// The first task of a play, as Ansible calls it.
fn gathering_facts(around: Around, span: Option<&Span>) -> Task {
    let mut tags = around.tags.clone();
    tags.push("always".to_owned());
    Task {
        name: Some(Node::text("Gathering Facts")),
        any_errors_fatal: around.any_errors_fatal.unwrap_or(false),
        around: Arc::new(around),
        span: span.cloned(),
        ..Task::new(modules::gathering(), tags)
    }
}

/// Whether a play, or a file that tasks come from, mentions what is gathered of hosts.
fn note_facts<'t>(play: &Node, tasks: impl Iterator<Item = &'t Task>, templates: &Templates) {
    let mut seen: HashSet<*const SourceFile> = HashSet::new();
    let mut look = |span: Option<&Span>| {
        if let Some(span) = span.filter(|_| !templates.needs_facts())
            && seen.insert(Arc::as_ptr(&span.file))
            && facts::mentioned(&span.file.text)
        {
            templates.asks_for_facts();
        }
    };
    look(play.span.as_ref());
    for task in tasks {
        look(task.span.as_ref());
        let role = task.around.role.iter();
        let vars = role.flat_map(|role| role.defaults.iter().chain(&role.vars));
        vars.flat_map(|vars| vars.values()).for_each(|value| look(value.span.as_ref()));
    }
}

/// Templates of the play's own values; those of tasks are checked where conditions are told apart.
fn check_syntax(node: &Node, templates: &Templates, found: &mut Diagnostics) {
    for (key, value) in node.as_map().into_iter().flatten() {
        let sections = ["tasks", "pre_tasks", "post_tasks", "handlers", "roles"];
        let is_section = key.as_str().is_some_and(|key| sections.contains(&key));
        if !is_section {
            found.0.extend(templates.syntax(value));
        }
    }
}

/// The tasks of a play in order, its handlers, and the roles whose variables it sees.
fn sections(
    reader: &mut Reader<'_>,
    around: Around,
    book: &Book<'_>,
    found: &mut Diagnostics,
) -> (Vec<Task>, Vec<Task>, Vec<Arc<super::role::Role>>) {
    let mut reading = Reading::new(book.templates, book.directory, book.places);
    let (outer, around) = (around.clone(), Arc::new(around));
    let mut list = |reader: &mut Reader<'_>, reading: &mut Reading<'_>, section: &'static str| {
        let node = reader.take(section)?;
        Some(match section {
            "roles" => reading.roles(node, &around, found),
            _ => reading.list(section, node, &around, found),
        })
    };
    let roles = list(reader, &mut reading, "roles").unwrap_or_default();
    // Ansible puts the handlers of `roles:` before the play's own, those of imported roles behind them.
    let mut handlers = std::mem::take(&mut reading.handlers);
    let before = list(reader, &mut reading, "pre_tasks").unwrap_or_default();
    let tasks = list(reader, &mut reading, "tasks").unwrap_or_default();
    let after = list(reader, &mut reading, "post_tasks").unwrap_or_default();
    let of_imports = std::mem::take(&mut reading.handlers);
    let among = Arc::new(Around { handlers: true, ..outer.clone() });
    if let Some(node) = reader.take("handlers") {
        handlers.extend(reading.list("handlers", node, &among, found));
    }
    handlers.extend(of_imports);
    let main: Vec<Task> = roles.into_iter().chain(tasks).collect();
    let mut all: Vec<Task> = Vec::new();
    for section in [before, main, after] {
        if !section.is_empty() && !all.is_empty() && !handlers.is_empty() {
            all.push(tasks::flush(&outer));
        }
        all.extend(section);
    }
    (all, handlers, reading.roles)
}

/// Every plain name in `notify` must be a handler's. Where handlers have templates for names, the preflight tells.
fn check_handlers(tasks: &[Task], handlers: &[Task], found: &mut Diagnostics) {
    let known: Vec<String> = handlers
        .iter()
        .flat_map(|handler| {
            let name = handler.name.as_ref().and_then(Node::as_str).map(str::to_owned);
            [Some(handler.title()), name]
                .into_iter()
                .flatten()
                .chain(handler.listen.iter().cloned())
        })
        .collect();
    let more = tasks.iter().any(|task| matches!(task.kind, TaskKind::Include(_)));
    if more || known.iter().any(|name| crate::template::is_template(name)) {
        return;
    }
    for notified in tasks.iter().chain(handlers).flat_map(|task| &task.notify) {
        let Some(name) = notified.as_str() else { continue };
        if crate::template::is_template(name) || known.iter().any(|known| known == name) {
            continue;
        }
        let problem =
            Diagnostic::error(format!("there is no handler '{name}'")).at(notified.span.as_ref());
        found.push(
            match crate::source::diagnostic::nearest(name, known.iter().map(String::as_str)) {
                Some(near) => problem.help(format!("did you mean '{near}'?")),
                None => problem.help("define it under `handlers:` of this play"),
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::model::Serial;
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
        let titles: Vec<String> = play.tasks.iter().map(|task| task.title()).collect();
        // The end of `pre_tasks` runs handlers.
        assert_eq!(titles, ["debug", "meta", "put", "command"]);
        assert_eq!(play.tasks[0].tags, ["edge", "x"]);
    }

    #[test]
    fn a_list_of_texts_is_no_playbook() {
        insta::assert_snapshot!(refused("- one\n- two\n"));
    }

    #[test]
    fn every_error_comes_at_once_with_its_remedy() {
        insta::assert_snapshot!(refused(
            "- hosts: web\n  becom: true\n  serial: many\n  tasks:\n  - comand: ls\n  - blockinfile: {path: a}\n  \
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
