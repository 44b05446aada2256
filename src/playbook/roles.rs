//! Roles of a play, imported or included, taken apart into tasks and handlers: a role's dependencies come before its own.

use super::around::Around;
use super::include::IncludedRole;
use super::model::Task;
use super::reader::{Reader, unsupported, wrong_type};
use super::role::{self, Contents, Given, Role, RoleName};
use super::task;
use super::tasks::{DEEPEST, Reading, check, plain_name};
use super::unsupported;
use crate::source::{Diagnostic, Diagnostics, Node, Value, Vars};
use std::path::Path;
use std::sync::Arc;

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

impl Reading<'_> {
    pub(super) fn import_role(
        &mut self,
        node: &Node,
        key: &str,
        around: &Arc<Around>,
        found: &mut Diagnostics,
    ) -> Vec<Task> {
        let Some(mut reader) = Reader::new(node, "import_role", found) else { return Vec::new() };
        let given = reader.vars("vars", found);
        let inner = self.around_import(&mut reader, "import_role", around, found);
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
    pub(super) fn role(
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
        _asked: &RoleName,
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
        if let Some(file) = tasks {
            all.extend(self.file(&file, at, &inside, found));
        }
        all
    }
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
