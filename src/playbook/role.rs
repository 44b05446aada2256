//! Roles as they lie on disk: where one is found, its variables and what it depends on (Ansible, "Roles").

use super::reader::wrong_type;
use crate::load;
use crate::source::{Diagnostic, Diagnostics, Mapping, Node, Value, Vars, yaml};
use crate::template::Decrypt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A role in use: its variables as its tasks see them.
#[derive(Debug, Default)]
pub struct Role {
    /// As it is named in playbooks.
    pub name: String,
    /// Its directory.
    pub path: PathBuf,
    /// Its defaults, weakest first: those of its dependencies and of the roles that need it come before its own.
    pub defaults: Vec<Arc<Vars>>,
    /// Its variables, weakest first.
    pub vars: Vec<Arc<Vars>>,
    /// Of these, what the whole play sees: not what one entry of `roles:` was given.
    pub exports: Vec<Arc<Vars>>,
    /// What it was given where it was named; stronger than facts.
    pub params: Vec<Arc<Vars>>,
    /// What tells it apart from other entries of the same role: a host that has run one of them leaves out the next
    /// that is the same. Nothing for roles that run each time.
    pub once: Option<Arc<str>>,
    /// The role that needs it.
    pub parent: Option<Arc<Role>>,
}

impl Role {
    /// Its directory, and those of the roles that need it.
    pub(super) fn lineage(&self) -> impl Iterator<Item = &Path> {
        std::iter::successors(Some(self), |role| role.parent.as_deref())
            .map(|role| role.path.as_path())
    }

    /// The names of the roles that need it, nearest first.
    pub(crate) fn parents(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.parent.as_deref(), |role| role.parent.as_deref())
            .map(|role| role.name.as_str())
    }
}

/// A role as it is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoleName {
    /// The name, or a path.
    pub name: String,
    /// `tasks_from`.
    pub tasks: Option<String>,
    /// `vars_from`.
    pub vars: Option<String>,
    /// `defaults_from`.
    pub defaults: Option<String>,
    /// `handlers_from`.
    pub handlers: Option<String>,
}

/// What a role gets where it is named.
#[derive(Default)]
pub(super) struct Given {
    /// `{role: x, port: 80}`.
    pub(super) params: Vars,
    /// `vars:`.
    pub(super) vars: Vars,
    /// All that tells two entries of one role apart.
    pub(super) how: String,
    /// A second time it is left out.
    pub(super) once: bool,
}

/// What a role's files say.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) defaults: Vars,
    pub(super) vars: Vars,
    /// As written in `meta/main.yml`.
    pub(super) dependencies: Vec<Node>,
    pub(super) allow_duplicates: bool,
    pub(super) tasks: Option<PathBuf>,
    pub(super) handlers: Option<PathBuf>,
}

/// Where roles are looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct RolePlaces {
    /// `roles_path`, or Ansible's usual places.
    pub paths: Vec<PathBuf>,
    /// Directories that hold `ansible_collections`.
    pub collections: Vec<PathBuf>,
}

/// Reads the role that `asked` names. `beside` are directories that may hold `roles/` or the role itself, the
/// playbook's first.
///
/// # Errors
/// There is no such role; what is wrong with its files.
pub(super) fn read(
    asked: &RoleName,
    at: &Node,
    beside: &[PathBuf],
    places: &RolePlaces,
    decrypt: &Decrypt,
    found: &mut Diagnostics,
) -> Result<Contents, Diagnostics> {
    let path = find(&asked.name, beside, places).map_err(|looked| {
        let problem = Diagnostic::error(format!("there is no role '{}'", asked.name));
        let looked: Vec<String> = looked.iter().map(|path| path.display().to_string()).collect();
        problem.at(at.span.as_ref()).help(format!("looked for {}", looked.join(", ")))
    })?;
    let name = match asked.name.contains('/') {
        true => path.file_name().map(|name| name.to_string_lossy().into_owned()),
        false => None,
    };
    let mut vars = |folder: &str, from: Option<&str>| -> Result<Vars, Diagnostics> {
        let mut vars = Vars::new();
        for file in main_files(&path.join(folder), from, at)? {
            let (more, warnings) = load::vars_file(&file, &**decrypt)?;
            vars.extend(more);
            found.extend(warnings);
        }
        Ok(vars)
    };
    let defaults = vars("defaults", asked.defaults.as_deref())?;
    let variables = vars("vars", asked.vars.as_deref())?;
    let meta = main_files(&path.join("meta"), None, at)?.into_iter().next();
    let (dependencies, allow_duplicates) = match meta {
        Some(file) => meta_of(&file, found)?,
        None => (Vec::new(), false),
    };
    let one = |folder: &str, from: Option<&str>| -> Result<Option<PathBuf>, Diagnostics> {
        Ok(main_files(&path.join(folder), from, at)?.into_iter().next())
    };
    let tasks = one("tasks", asked.tasks.as_deref())?;
    let handlers = one("handlers", asked.handlers.as_deref())?;
    Ok(Contents {
        name: name.unwrap_or_else(|| asked.name.clone()),
        path,
        defaults,
        vars: variables,
        dependencies,
        allow_duplicates,
        tasks,
        handlers,
    })
}

/// The role's directory, or the places that were looked at (Ansible, `playbook/role/definition.py`).
fn find(name: &str, beside: &[PathBuf], places: &RolePlaces) -> Result<PathBuf, Vec<PathBuf>> {
    let mut candidates: Vec<PathBuf> = Vec::new();
    if let [namespace, collection, role @ ..] = name.split('.').collect::<Vec<_>>().as_slice()
        && !role.is_empty()
        && !name.contains('/')
    {
        let own = beside.iter().map(|directory| directory.join("collections"));
        let within = |root: PathBuf| {
            let collection = root.join("ansible_collections").join(namespace).join(collection);
            collection.join("roles").join(role.join("/"))
        };
        candidates.extend(own.chain(places.collections.iter().cloned()).map(within));
    }
    candidates.extend(beside.iter().map(|directory| directory.join("roles").join(name)));
    candidates.extend(places.paths.iter().map(|path| path.join(name)));
    candidates.extend(beside.iter().map(|directory| directory.join(name)));
    match candidates.iter().find(|path| path.is_dir()) {
        Some(path) => Ok(path.clone()),
        None => Err(candidates),
    }
}

/// `main` of a folder of a role, or the file asked for: one file, or every file of a directory of that name.
fn main_files(folder: &Path, from: Option<&str>, at: &Node) -> Result<Vec<PathBuf>, Diagnostics> {
    let name = from.unwrap_or("main");
    for ending in ["", ".yml", ".yaml", ".json"] {
        let path = folder.join(format!("{name}{ending}"));
        if path.is_file() {
            return Ok(vec![path]);
        }
        let of_variables = folder.ends_with("vars") || folder.ends_with("defaults");
        if path.is_dir() && ending.is_empty() && of_variables {
            let files = load::entries(&path).map_err(Diagnostics::from)?;
            let named = |path: &PathBuf| {
                let ending = path.extension().and_then(|ending| ending.to_str());
                path.is_file() && ending.is_none_or(|e| ["yml", "yaml", "json"].contains(&e))
            };
            return Ok(files.into_iter().filter(named).collect());
        }
    }
    match from {
        None => Ok(Vec::new()),
        Some(name) => {
            let shown = folder.display();
            let problem = Diagnostic::error(format!("the role has no file '{name}' in {shown}"));
            Err(problem.at(at.span.as_ref()).into())
        }
    }
}

fn meta_of(file: &Path, found: &mut Diagnostics) -> Result<(Vec<Node>, bool), Diagnostics> {
    let (root, warnings) = yaml::parse(&load::read_text(file)?)?;
    found.extend(warnings);
    let dependencies = match root.entry("dependencies") {
        None => Vec::new(),
        Some(node) => match &node.value {
            Value::List(items) => items.clone(),
            Value::Null => Vec::new(),
            _ => return Err(wrong_type("dependencies", "a list of roles", node).into()),
        },
    };
    let duplicates = root.entry("allow_duplicates").map(|node| &node.value);
    Ok((dependencies, duplicates == Some(&Value::Bool(true))))
}

/// An entry of `roles:` or of `dependencies`: a name, or a mapping with `role` or `name`.
///
/// # Errors
/// It is neither.
pub(super) fn entry_name(node: &Node) -> Result<Node, Diagnostic> {
    let named = match &node.value {
        Value::Map(_) => node.entry("role").or_else(|| node.entry("name")),
        _ => Some(node),
    };
    match named.filter(|name| name.as_str().is_some_and(|text| !text.is_empty())) {
        Some(name) => Ok(name.clone()),
        None => Err(Diagnostic::error("a role is a name, or a mapping with `role`")
            .at(node.span.as_ref())
            .help("for example `- role: nginx`")),
    }
}

/// What a role is given besides keywords: `{role: x, port: 80}`.
pub(super) fn params(entry: &Node, keywords: &[&str]) -> Vars {
    let entries: &Mapping = match entry.as_map() {
        Some(entries) => entries,
        None => return Vars::new(),
    };
    let own = entries.iter().filter_map(|(key, value)| Some((key.as_str()?, value)));
    own.filter(|(key, _)| !keywords.contains(key) && !["role", "name"].contains(key))
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect()
}
