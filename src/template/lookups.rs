//! `lookup('file', …)` and its relatives. `pipe` is left out: a template runs no program.

use super::engine::Decrypt;
use crate::load;
use minijinja::value::{Kwargs, Rest, Value};
use minijinja::{Environment, Error, ErrorKind, State};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) fn add_to(environment: &mut Environment<'static>, directory: PathBuf, decrypt: Decrypt) {
    for name in ["lookup", "query", "q"] {
        let (directory, decrypt) = (directory.clone(), Arc::clone(&decrypt));
        environment.add_function(
            name,
            move |state: &State, kind: String, terms: Rest<Value>, options: Kwargs| {
                let found = find(
                    state,
                    &kind,
                    &terms,
                    &options,
                    &Files { directories: directories(state, &directory), decrypt: &decrypt },
                )?;
                options.assert_all_used()?;
                Ok::<_, Error>(if name == "lookup" { joined(found) } else { Value::from(found) })
            },
        );
    }
}

/// Where files are found, and how vaults among them are opened.
struct Files<'a> {
    /// The first is the nearest.
    directories: Vec<PathBuf>,
    decrypt: &'a Decrypt,
}

/// Where the task at hand looks for files: `ansible_search_path`, else beside the playbook.
fn directories(state: &State, playbook: &Path) -> Vec<PathBuf> {
    let list = state.lookup("ansible_search_path");
    let list = list.filter(|list| !super::record::is_missing(list));
    let list = list.as_ref().and_then(|list| list.try_iter().ok());
    let mut directories: Vec<PathBuf> =
        list.into_iter().flatten().filter_map(|path| path.as_str().map(PathBuf::from)).collect();
    if directories.is_empty() {
        directories.push(playbook.to_owned());
    }
    directories
}

impl Files<'_> {
    /// A file's text, decrypted if it is a vault (Ansible, `plugins/lookup/file.py`).
    fn read(&self, name: &str) -> Result<String, String> {
        let beside = self.directories.last().map_or(PathBuf::from(name), |path| path.join(name));
        let path = load::find(&self.directories, "files", name).unwrap_or(beside);
        let file = load::read_text(&path).map_err(|problem| problem.message)?;
        if crate::vault::is_vault(&file.text) {
            return (self.decrypt)(&file.text).map_err(|why| format!("{}: {why}", file.name));
        }
        Ok(file.text.clone())
    }
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

fn joined(mut found: Vec<Value>) -> Value {
    match found.len() {
        1 => found.remove(0),
        _ => Value::from(found.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
    }
}

fn find(
    state: &State,
    kind: &str,
    terms: &[Value],
    options: &Kwargs,
    files: &Files<'_>,
) -> Result<Vec<Value>, Error> {
    let ignore = options.get::<Option<String>>("errors")?.is_some_and(|what| what == "ignore");
    let default = options.get::<Option<Value>>("default")?;
    let strip_end = options.get::<Option<bool>>("rstrip")?.unwrap_or(true);
    let strip_start = options.get::<Option<bool>>("lstrip")?.unwrap_or(false);
    let kind = kind.rsplit('.').next().unwrap_or(kind);
    let terms = terms.iter().flat_map(|term| match term.try_iter() {
        Ok(items) if term.as_str().is_none() => items.collect(),
        _ => vec![term.clone()],
    });
    if kind == "first_found" {
        let names: Vec<String> = terms.map(|term| term.to_string()).collect();
        let found = names.iter().find_map(|name| {
            let name = name.as_str();
            let absolute = Path::new(name);
            if absolute.is_absolute() {
                return absolute.exists().then(|| absolute.to_owned());
            }
            ["files", "vars", "templates", "tasks"]
                .iter()
                .find_map(|folder| load::find(&files.directories, folder, name))
        });
        return match found {
            Some(path) => Ok(vec![Value::from(path.display().to_string())]),
            None if ignore => Ok(vec![Value::from(())]),
            None => Err(bad(format!("none of these files exists: {}", names.join(", ")))),
        };
    }
    let mut found = Vec::new();
    for term in terms {
        let name = term.to_string();
        match kind {
            "env" => {
                let fallback = default.clone().unwrap_or_else(|| Value::from(""));
                found.push(std::env::var(&name).map_or(fallback, Value::from));
            }
            "file" => match files.read(&name) {
                Ok(text) => {
                    let text = if strip_end { text.trim_end() } else { &text };
                    found.push(Value::from(if strip_start { text.trim_start() } else { text }));
                }
                Err(_) if ignore => found.push(Value::from(())),
                Err(why) => return Err(bad(why)),
            },
            "fileglob" => {
                // The first directory where anything matches.
                let within = files.directories.iter().flat_map(|directory| {
                    let role = directory.ends_with("tasks").then(|| directory.parent()).flatten();
                    let role = role.map(|role| role.join("files"));
                    role.into_iter().chain([directory.join("files"), directory.clone()])
                });
                let matched =
                    within.map(|directory| glob(&directory, &name)).find(|list| !list.is_empty());
                found.extend(matched.unwrap_or_default().into_iter().map(Value::from));
            }
            "vars" => match state.lookup(&name).filter(|value| !super::record::is_missing(value)) {
                Some(value) => found.push(value),
                None => match &default {
                    Some(default) => found.push(default.clone()),
                    None => return Err(bad(format!("no variable '{name}'"))),
                },
            },
            other => {
                return Err(bad(format!(
                    "there is no lookup '{other}': certroll has file, env, fileglob, first_found and vars"
                )));
            }
        }
    }
    Ok(found)
}

/// Files whose last path component matches the pattern, sorted.
fn glob(directory: &Path, pattern: &str) -> Vec<String> {
    let path = directory.join(pattern);
    let (Some(parent), Some(name)) =
        (path.parent(), path.file_name().and_then(|name| name.to_str()))
    else {
        return Vec::new();
    };
    let pattern = name.chars().map(|c| match c {
        '*' => ".*".to_owned(),
        '?' => ".".to_owned(),
        c => fancy_regex::escape(&c.to_string()).into_owned(),
    });
    let Ok(regex) = fancy_regex::Regex::new(&format!("^{}$", pattern.collect::<String>())) else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<String> = entries
        .filter(|entry| entry.path().is_file())
        .filter(|entry| regex.is_match(&entry.file_name().to_string_lossy()).unwrap_or(false))
        .map(|entry| entry.path().display().to_string())
        .collect();
    found.sort();
    found
}
