//! Lists of tasks: blocks, imported files and roles taken apart into one flat list, in the order in which the
//! tasks run. What is included is left for the run, which calls [`Reading::grow`].

use super::around::{Around, Block, Part};
use super::include::{Include, Included, IncludedRole};
use super::model::{Meta, Task, TaskKind};
use super::reader::{Reader, unsupported, wrong_type};
use super::role::{self, Contents, Role, RoleName, RolePlaces};
use super::task;
use super::unsupported;
use crate::load;
use crate::source::{Diagnostic, Diagnostics, Node, Value, Vars, yaml};
use crate::template::{Templates, is_template};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files within files, and roles within roles, beyond which something must name itself.
const DEEPEST: usize = 40;

/// Keywords of a role's entry; what else stands there is a variable.
const ROLE_KEYWORDS: [&str; 18] = [
    "tags",
    "when",
    "vars",
    "environment",
    "become",
    "become_user",
    "become_method",
    "become_flags",
    "become_exe",
    "ignore_errors",
    "delegate_to",
    "run_once",
    "no_log",
    "check_mode",
    "any_errors_fatal",
    "notify",
    "collections",
    "public",
];

/// Keywords that Ansible has for a role and certroll has not: no variables either.
const UNSUPPORTED: [&str; 8] = [
    "port",
    "remote_user",
    "connection",
    "throttle",
    "timeout",
    "debugger",
    "ignore_unreachable",
    "module_defaults",
];

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

    fn import_tasks(
        &mut self,
        node: &Node,
        key: &str,
        around: &Arc<Around>,
        found: &mut Diagnostics,
    ) -> Vec<Task> {
        let Some(mut reader) = Reader::new(node, "import_tasks", found) else { return Vec::new() };
        reader.take("name");
        let inner = around.with(&mut reader, found);
        check(&inner, around, self.templates, found);
        reader.take("import_tasks");
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

    fn rest_of_import(&self, reader: &Reader<'_>, key: &str, found: &mut Diagnostics) {
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
    fn file(
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

    fn import_role(
        &mut self,
        node: &Node,
        key: &str,
        around: &Arc<Around>,
        found: &mut Diagnostics,
    ) -> Vec<Task> {
        let Some(mut reader) = Reader::new(node, "import_role", found) else { return Vec::new() };
        reader.take("name");
        let given = reader.vars("vars", found);
        let inner = around.with(&mut reader, found);
        check(&inner, around, self.templates, found);
        reader.take("import_role");
        self.rest_of_import(&reader, key, found);
        let Some(value) = node.entry(key) else { return Vec::new() };
        let Some(role) = task::role_included(value, found) else { return Vec::new() };
        let IncludedRole { name, tasks, vars, defaults, handlers } = role;
        let text = |node: Option<&Node>| node.and_then(Node::as_str).map(str::to_owned);
        let from = [&tasks, &vars, &defaults, &handlers];
        if !from.into_iter().flatten().chain([&name]).all(|n| plain_name(n, "include_role", found))
        {
            return Vec::new();
        }
        let asked = RoleName {
            name: text(Some(&name)).unwrap_or_default(),
            tasks: text(tasks.as_ref()),
            vars: text(vars.as_ref()),
            defaults: text(defaults.as_ref()),
            handlers: text(handlers.as_ref()),
        };
        let mut outer = inner;
        outer.vars = around.vars.clone();
        let given = Given { vars: given, ..Given::default() };
        self.role(&asked, &name, given, &outer, true, found)
    }

    /// The entries of `roles:`.
    pub(super) fn roles(
        &mut self,
        node: &Node,
        around: &Arc<Around>,
        found: &mut Diagnostics,
    ) -> Vec<Task> {
        let Some(items) = node.as_list() else {
            found.push(wrong_type("roles", "a list of roles", node));
            return Vec::new();
        };
        items.iter().flat_map(|item| self.entry(item, around, found)).collect()
    }

    /// An entry of `roles:` or of a role's dependencies.
    fn entry(&mut self, node: &Node, around: &Around, found: &mut Diagnostics) -> Vec<Task> {
        let name = match role::entry_name(node) {
            Ok(name) => name,
            Err(problem) => {
                found.push(problem);
                return Vec::new();
            }
        };
        if !plain_name(&name, "include_role", found) {
            return Vec::new();
        }
        let asked =
            RoleName { name: name.as_str().unwrap_or_default().to_owned(), ..RoleName::default() };
        let mut outer = around.clone();
        let mut given = Given { once: true, ..Given::default() };
        if node.as_map().is_some()
            && let Some(mut reader) = Reader::new(node, "a role", found)
        {
            given.vars = reader.vars("vars", found);
            outer = around.with(&mut reader, found);
            outer.vars = around.vars.clone();
            check(&outer, around, self.templates, found);
            given.params = role::params(node, &ROLE_KEYWORDS);
            for (name, _) in node.as_map().into_iter().flatten() {
                let text = name.as_str().unwrap_or_default();
                if let Some(remedy) =
                    unsupported::in_a_task(text).filter(|_| UNSUPPORTED.contains(&text))
                {
                    found.push(unsupported(text, remedy, name));
                }
            }
            let own = (&outer.tags[around.tags.len()..], written(&outer.when[around.when.len()..]));
            given.how = format!("{:?}", (own, values(&given.params), values(&given.vars)));
        }
        self.role(&asked, &name, given, &outer, true, found)
    }

    /// A role's dependencies, its handlers and its tasks.
    fn role(
        &mut self,
        asked: &RoleName,
        at: &Node,
        given: Given,
        outer: &Around,
        exported: bool,
        found: &mut Diagnostics,
    ) -> Vec<Task> {
        let needing = outer.role.as_ref();
        if needing.map_or(0, |role| role.parents().count()) > DEEPEST || outer.way.len() > DEEPEST {
            let message = format!("the role '{}' needs itself", asked.name);
            found.push(Diagnostic::error(message).at(at.span.as_ref()));
            return Vec::new();
        }
        let mut beside = vec![self.directory.to_owned()];
        beside.extend(needing.and_then(|role| role.path.parent()).map(Path::to_owned));
        let decrypt = self.templates.decrypt();
        let contents = match role::read(asked, at, &beside, self.places, decrypt, found) {
            Ok(contents) => contents,
            Err(problems) => {
                let placed = problems.0.into_iter().map(|problem| match problem.span {
                    Some(_) => problem,
                    None => problem.at(at.span.as_ref()),
                });
                found.0.extend(placed);
                return Vec::new();
            }
        };
        self.role_tasks(asked, at, given, contents, outer, exported, found)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a role as asked for, as given, as found, and where"
    )]
    fn role_tasks(
        &mut self,
        asked: &RoleName,
        at: &Node,
        given: Given,
        contents: Contents,
        outer: &Around,
        exported: bool,
        found: &mut Diagnostics,
    ) -> Vec<Task> {
        let Contents {
            path,
            name,
            defaults,
            vars,
            dependencies,
            allow_duplicates,
            tasks,
            handlers,
        } = contents;
        let once = given.once && !allow_duplicates;
        let once = once.then(|| Arc::from(format!("{}\n{}", path.display(), given.how)));
        let needing = outer.role.as_ref();
        let (defaults, vars) = (Arc::new(defaults), Arc::new(vars));
        let (params, inline) = (Arc::new(given.params), Arc::new(given.vars));
        // What its dependencies see of it.
        let own = Arc::new(Role {
            name: name.clone(),
            path: path.clone(),
            defaults: chain(needing.map(|role| &role.defaults), [&defaults]),
            vars: chain(needing.map(|role| &role.vars), [&vars, &inline]),
            exports: chain(None, [&vars]),
            params: chain(needing.map(|role| &role.params), [&params]),
            once,
            parent: needing.cloned(),
        });
        let mut inside = outer.clone();
        inside.role = Some(Arc::clone(&own));
        inside.way.splice(0..0, at.span.clone());
        let mut all = Vec::new();
        let before = self.roles.len();
        for dependency in &dependencies {
            all.extend(self.entry(dependency, &inside, found));
        }
        let of_dependencies: Vec<Arc<Role>> = self.roles[before..].to_vec();
        let mut role = Role {
            name: own.name.clone(),
            path: own.path.clone(),
            defaults: Vec::new(),
            vars: Vec::new(),
            exports: Vec::new(),
            params: own.params.clone(),
            once: own.once.clone(),
            parent: needing.cloned(),
        };
        for needed in &of_dependencies {
            role.defaults.extend(needed.defaults.iter().cloned());
            role.vars.extend(needed.exports.iter().cloned());
            role.exports.extend(needed.exports.iter().cloned());
        }
        role.defaults.extend(own.defaults.iter().cloned());
        role.vars.extend(own.vars.iter().cloned());
        role.exports.extend(own.exports.iter().cloned());
        let role = Arc::new(role);
        if exported {
            self.roles.push(Arc::clone(&role));
        }
        inside.role = Some(role);
        inside.way = outer.way.clone();
        if let Some(file) = handlers {
            let mut among = inside.clone();
            among.handlers = true;
            // A handler runs when it is notified, not under the conditions of the role's tasks.
            among.blocks.clear();
            let handlers = self.file(&file, at, &among, found);
            self.handlers.extend(handlers);
        }
        inside.handlers = outer.handlers;
        match tasks {
            Some(file) => all.extend(self.file(&file, at, &inside, found)),
            None if asked.tasks.is_some() => {}
            None => {}
        }
        all
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

/// What a role gets where it is named.
#[derive(Default)]
struct Given {
    /// `{role: x, port: 80}`.
    params: Vars,
    /// `vars:`.
    vars: Vars,
    /// All that tells two entries of one role apart.
    how: String,
    /// A second time it is left out.
    once: bool,
}

fn chain<'v>(
    outer: Option<&Vec<Arc<Vars>>>,
    own: impl IntoIterator<Item = &'v Arc<Vars>>,
) -> Vec<Arc<Vars>> {
    let own = own.into_iter().filter(|vars| !vars.is_empty()).cloned();
    outer.into_iter().flatten().cloned().chain(own).collect()
}

/// Variables without their places.
fn values(vars: &Vars) -> String {
    vars.iter().map(|(name, node)| format!("{name}={};", plain(node))).collect()
}

fn plain(node: &Node) -> String {
    match &node.value {
        Value::List(items) => items.iter().map(|item| plain(item) + ",").collect(),
        Value::Map(entries) => {
            entries.iter().map(|(key, value)| format!("{}:{},", plain(key), plain(value))).collect()
        }
        other => format!("{other:?}"),
    }
}

fn written(conditions: &[Node]) -> Vec<String> {
    conditions.iter().map(|node| node.as_str().unwrap_or_default().to_owned()).collect()
}

/// What is read before the run cannot depend on a host.
fn plain_name(node: &Node, instead: &str, found: &mut Diagnostics) -> bool {
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
fn check(inner: &Around, outer: &Around, templates: &Templates, found: &mut Diagnostics) {
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
