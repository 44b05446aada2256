//! Lists of tasks: blocks, imported files and roles taken apart into one flat list, in the order in which the
//! tasks run. What is included is left for the run, which calls [`Reading::grow`].
use super::around::{Around, Block, Part};
use super::include::{Include, Included, IncludedRole};
use super::model::{Meta, Task, TaskKind};
use super::reader::{Reader, unsupported, wrong_type};
use super::role::{Given, Role, RoleName, RolePlaces};
use super::task;
use super::unsupported;
use crate::load;
use crate::source::{Diagnostic, Diagnostics, Node, Value, Vars, yaml};
use crate::template::{Templates, is_template};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files within files, and roles within roles, beyond which something must name itself.
pub(super) const DEEPEST: usize = 40;

/// Reads the tasks of a play.
pub(super) struct Reading<'a> {
    pub(super) templates: &'a Templates,
    /// Where the playbook is.
    pub(super) directory: &'a Path,
    pub(super) places: &'a RolePlaces,
    /// Handlers of the roles that were met, role by role.
    pub(super) handlers: Vec<Task>,
    /// The roles whose variables the whole play sees.
    pub(super) roles: Vec<Arc<Role>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        templates: &'a Templates,
        directory: &'a Path,
        places: &'a RolePlaces,
    ) -> Self {
        Self { templates, directory, places, handlers: Vec::new(), roles: Vec::new() }
    }

    /// A list of tasks.
    pub(super) fn list(
        &mut self,
        what: &'static str,
        node: &Node,
        around: &Arc<Around>,
        found: &mut Diagnostics,
    ) -> Vec<Task> {
        match &node.value {
            Value::List(items) => {
                items.iter().flat_map(|item| self.item(item, around, found)).collect()
            }
            Value::Null => Vec::new(),
            _ => {
                found.push(wrong_type(what, "a list of tasks", node));
                Vec::new()
            }
        }
    }

    fn item(&mut self, node: &Node, around: &Arc<Around>, found: &mut Diagnostics) -> Vec<Task> {
        let named = |name: &str| {
            let mut keys = node.as_map()?.iter().filter_map(|(key, _)| key.as_str());
            let long = [format!("ansible.builtin.{name}"), format!("ansible.legacy.{name}")];
            keys.find(|key| *key == name || long.iter().any(|long| long == key))
        };
        if named("block").is_some() {
            return self.block(node, around, found);
        }
        if let Some(key) = named("import_tasks") {
            return self.import_tasks(node, key, around, found);
        }
        if let Some(key) = named("import_role") {
            return self.import_role(node, key, around, found);
        }
        task::parse(node, around, self.templates, found).into_iter().collect()
    }

    fn block(&mut self, node: &Node, around: &Arc<Around>, found: &mut Diagnostics) -> Vec<Task> {
        let Some(mut reader) = Reader::new(node, "a block", found) else { return Vec::new() };
        reader.take("name");
        let inner = around.with(&mut reader, found);
        check(&inner, around, self.templates, found);
        let lists = ["block", "rescue", "always"].map(|key| reader.node(key));
        for (name, _) in reader.rest() {
            let text = name.as_str().unwrap_or_default();
            let remedy = match text {
                "loop" | "register" | "until" | "retries" | "delay" | "loop_control" => Some(
                    "a block takes no loop and has no result: put its tasks into a file, and include that",
                ),
                _ => unsupported::in_a_task(text).filter(|_| !text.contains('.')),
            };
            found.push(match remedy {
                Some(remedy) => unsupported(text, remedy, name),
                None => reader.unknown(name),
            });
        }
        let filled = |list: &Option<Node>| {
            list.as_ref().and_then(Node::as_list).is_some_and(|items| !items.is_empty())
        };
        let block = Arc::new(Block { rescues: filled(&lists[1]) });
        let parts = [(Part::Body, "block"), (Part::Rescue, "rescue"), (Part::Always, "always")];
        let mut tasks = Vec::new();
        for (list, (part, key)) in lists.iter().zip(parts) {
            let Some(list) = list else { continue };
            let within = Arc::new(inner.part(&block, part));
            tasks.extend(self.list(key, list, &within, found));
        }
        tasks
    }

    /// The keywords of an import, which all of its tasks have.
    pub(super) fn around_import(
        &self,
        reader: &mut Reader<'_>,
        keyword: &'static str,
        around: &Around,
        found: &mut Diagnostics,
    ) -> Around {
        reader.take("name");
        let inner = around.with(reader, found);
        check(&inner, around, self.templates, found);
        reader.take(keyword);
        inner
    }

    fn import_tasks(
        &mut self,
        node: &Node,
        key: &str,
        around: &Arc<Around>,
        found: &mut Diagnostics,
    ) -> Vec<Task> {
        let Some(mut reader) = Reader::new(node, "import_tasks", found) else { return Vec::new() };
        let inner = self.around_import(&mut reader, "import_tasks", around, found);
        let Some(value) = node.entry(key) else { return Vec::new() };
        let file = match &value.value {
            Value::Map(_) => value.entry("file"),
            _ => Some(value),
        };
        self.rest_of_import(&reader, key, found);
        let Some(file) = file.filter(|file| plain_name(file, "include_tasks", found)) else {
            return Vec::new();
        };
        let Some(path) = self.task_file(file, &inner, found) else { return Vec::new() };
        self.file(&path, file, &inner, found)
    }

    pub(super) fn rest_of_import(&self, reader: &Reader<'_>, key: &str, found: &mut Diagnostics) {
        for (name, _) in reader.rest() {
            let text = name.as_str().unwrap_or_default();
            if text == key {
                continue;
            }
            let is_loop = text == "loop" || text.starts_with("with_");
            if is_loop || matches!(text, "register" | "until" | "loop_control") {
                let short = key.rsplit('.').next().unwrap_or(key);
                let other = short.replace("import", "include");
                let message = format!("{short} takes no '{text}': it is read before the run");
                let problem = Diagnostic::error(message).at(name.span.as_ref());
                found.push(problem.help(format!("use {other}")));
            } else {
                found.push(reader.unknown(name));
            }
        }
    }

    /// The path of a file of tasks; an error with the places where it could have been.
    fn task_file(&self, named: &Node, around: &Around, found: &mut Diagnostics) -> Option<PathBuf> {
        let name = named.as_str()?;
        let candidates: Vec<PathBuf> = around
            .task_directories(self.directory)
            .iter()
            .map(|directory| directory.join(name))
            .collect();
        let path = candidates.iter().find(|path| path.is_file());
        if path.is_none() {
            let mut looked: Vec<String> = Vec::new();
            for path in &candidates {
                let shown = path.display().to_string();
                if !looked.contains(&shown) {
                    looked.push(shown);
                }
            }
            let problem = Diagnostic::error(format!("there is no file of tasks '{name}'"));
            let problem = problem.at(named.span.as_ref());
            found.push(problem.help(format!("looked for {}", looked.join(", "))));
        }
        path.cloned()
    }

    /// The tasks of a file. What is wrong in it tells how one comes there.
    pub(super) fn file(
        &mut self,
        path: &Path,
        named: &Node,
        around: &Around,
        found: &mut Diagnostics,
    ) -> Vec<Task> {
        if around.way.len() > DEEPEST {
            let message = format!("{} includes itself without end", path.display());
            found.push(Diagnostic::error(message).at(named.span.as_ref()));
            return Vec::new();
        }
        let inner = Arc::new(around.in_file(path, named.span.as_ref()));
        let mut inside = Diagnostics::default();
        let tasks = match self.document(path, &mut inside) {
            Some(root) => self.list("a file of tasks", &root, &inner, &mut inside),
            None => Vec::new(),
        };
        let way = named
            .span
            .as_ref()
            .map(|span| format!("included from {}:{}", span.file.name, span.line));
        for problem in inside.0 {
            let problem =
                if problem.span.is_none() { problem.at(named.span.as_ref()) } else { problem };
            found.push(match &way {
                Some(way) => problem.help(way.clone()),
                None => problem,
            });
        }
        tasks
    }

    fn document(&self, path: &Path, found: &mut Diagnostics) -> Option<Node> {
        let read = load::read_text(path).map_err(Diagnostics::from);
        let opened = read.and_then(|file| load::opened(file, &**self.templates.decrypt()));
        match opened.and_then(|file| yaml::parse(&file)) {
            Ok((root, warnings)) => {
                found.extend(warnings);
                Some(root)
            }
            Err(problems) => {
                found.extend(problems);
                None
            }
        }
    }

    /// The tasks of an include whose names are known now.
    pub(super) fn grow(
        &mut self,
        include: &Include,
        rendered: &[Option<String>],
        params: Vars,
        found: &mut Diagnostics,
    ) -> Vec<Task> {
        let mut around = Around::clone(&include.around);
        if !params.is_empty() {
            around.params.push(Arc::new(params));
        }
        let text = |index: usize| rendered.get(index).cloned().flatten();
        match &include.what {
            Included::Tasks(written) => {
                let value = Value::Unsafe(text(0).unwrap_or_default());
                let named = Node { value, span: written.span.clone() };
                match self.task_file(&named, &around, found) {
                    Some(path) => self.file(&path, &named, &around, found),
                    None => Vec::new(),
                }
            }
            Included::Role(role) => {
                let IncludedRole { name, tasks, vars, defaults, handlers } = &**role;
                let mut names =
                    [tasks, vars, defaults, handlers].into_iter().scan(1, |next, from| {
                        let index = *next;
                        *next += usize::from(from.is_some());
                        Some(from.is_some().then(|| text(index)).flatten())
                    });
                let mut next = || names.next().flatten();
                let asked = RoleName {
                    name: text(0).unwrap_or_default(),
                    tasks: next(),
                    vars: next(),
                    defaults: next(),
                    handlers: next(),
                };
                self.role(&asked, name, Given::default(), &around, false, found)
            }
        }
    }
}

/// What is read before the run cannot depend on a host.
pub(super) fn plain_name(node: &Node, instead: &str, found: &mut Diagnostics) -> bool {
    let text = node.as_str();
    match text {
        Some(text) if !is_template(text) => true,
        Some(_) => {
            let problem =
                Diagnostic::error("this name is read before the run: it takes no template");
            let problem = problem.at(node.span.as_ref());
            found.push(problem.help(format!("use {instead}, which is read for each host")));
            false
        }
        None => {
            found.push(wrong_type("the name", "text", node));
            false
        }
    }
}

/// The syntax of the keywords that were added around tasks.
pub(super) fn check(
    inner: &Around,
    outer: &Around,
    templates: &Templates,
    found: &mut Diagnostics,
) {
    for condition in &inner.when[outer.when.len()..] {
        task::check_condition(condition, templates, found);
    }
    for node in inner.vars.values() {
        found.0.extend(templates.syntax(node));
    }
}

/// Between the sections of a play its notified handlers run, as if the author had written so.
pub(super) fn flush(around: &Around) -> Task {
    Task::new(TaskKind::Meta(Meta::EndSection), around.tags.clone())
}
