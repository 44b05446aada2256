//! `lookup('file', …)` and its relatives.

mod first_found;
mod pipe;
mod sequence;

use super::convert::json;
use super::engine::Decrypt;
use super::evaluation;
use super::filters::bad;
use crate::load;
use first_found::Candidates;
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, State};
use sequence::Sequence;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) fn add_to(environment: &mut Environment<'static>, directory: PathBuf, decrypt: Decrypt) {
    for name in ["lookup", "query", "q"] {
        let (directory, decrypt) = (directory.clone(), Arc::clone(&decrypt));
        environment.add_function(
            name,
            move |state: &State, kind: String, terms: Rest<Value>, options: Kwargs| {
                let directories = directories(state, &directory);
                let files = Files { directories, playbook: &directory, decrypt: &decrypt };
                let errors = options.get::<Option<String>>("errors")?;
                let whole = options.get::<Option<bool>>("wantlist")?.unwrap_or(name != "lookup");
                let short = kind.rsplit('.').next().unwrap_or(&kind);
                let found = match find(state, short, &terms, &options, &files) {
                    Err(_) if errors.is_some_and(|what| what == "ignore") => {
                        return Ok(if whole {
                            Value::from(Vec::<Value>::new())
                        } else {
                            Value::from(())
                        });
                    }
                    other => other?,
                };
                options.assert_all_used()?;
                Ok::<_, Error>(if whole { Value::from(found) } else { joined(found) })
            },
        );
    }
}

/// Where files are found, and how vaults among them are opened.
struct Files<'a> {
    /// The first is the nearest.
    directories: Vec<PathBuf>,
    playbook: &'a Path,
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
    fn read(&self, folder: &str, name: &str) -> Result<String, String> {
        let beside = self.directories.last().map_or(PathBuf::from(name), |path| path.join(name));
        let path = load::find(&self.directories, folder, name).unwrap_or(beside);
        let file = load::read_text(&path).map_err(|problem| problem.message)?;
        if crate::vault::is_vault(&file.text) {
            return (self.decrypt)(&file.text).map_err(|why| format!("{}: {why}", file.name));
        }
        Ok(file.text.clone())
    }
}

/// What `lookup` gives, where `query` gives the list (Ansible, `_internal/_templating/_jinja_plugins.py`).
fn joined(mut found: Vec<Value>) -> Value {
    match found.len() {
        1 => found.remove(0),
        0 => Value::from(found),
        _ if found.iter().any(|value| value.as_str().is_none()) => Value::from(found),
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
    match kind {
        "list" => return Ok(terms.to_vec()),
        "items" => return flattened(terms),
        "dict" => return pairs(terms),
        "together" => return together(terms),
        "first_found" => {
            let found = Candidates::of(terms, options)?.found(&files.directories)?;
            return Ok(found.into_iter().collect());
        }
        "sequence" => return numbers(terms, options),
        _ => {}
    }
    let default = options.get::<Option<Value>>("default")?;
    let strip_end = options.get::<Option<bool>>("rstrip")?.unwrap_or(true);
    let strip_start = options.get::<Option<bool>>("lstrip")?.unwrap_or(false);
    let more = match options.get::<Option<Value>>("template_vars")? {
        Some(vars) => json(&vars)?,
        None => Json::Null,
    };
    let mut found = Vec::new();
    for term in flattened(terms)? {
        let name = term.to_string();
        match kind {
            "env" => {
                let fallback = default.clone().unwrap_or_else(|| Value::from(""));
                found.push(std::env::var(&name).map_or(fallback, Value::from));
            }
            "file" => {
                let text = files.read("files", &name).map_err(bad)?;
                let text = if strip_end { text.trim_end() } else { &text };
                found.push(Value::from(if strip_start { text.trim_start() } else { text }));
            }
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
            "pipe" => {
                found.push(pipe::printed(&name, files.playbook).map(Value::from).map_err(bad)?)
            }
            "template" => {
                let text = files.read("templates", &name).map_err(bad)?;
                found.push(evaluation::file(state, &name, &text, &more)?);
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
                    "there is no lookup '{other}': certroll has dict, env, file, fileglob, first_found, items, \
                     list, pipe, sequence, template, together and vars"
                )));
            }
        }
    }
    Ok(found)
}

/// One level of lists taken apart.
fn flattened(terms: &[Value]) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    for term in terms {
        if matches!(term.kind(), ValueKind::Seq | ValueKind::Iterable) {
            all.extend(term.try_iter()?);
        } else {
            all.push(term.clone());
        }
    }
    Ok(all)
}

/// The entries of mappings, as `key` and `value`.
fn pairs(terms: &[Value]) -> Result<Vec<Value>, Error> {
    let mut all = Vec::new();
    for term in terms {
        if term.kind() != ValueKind::Map {
            return Err(bad(format!("dict takes mappings, not a {}", term.kind())));
        }
        for key in term.try_iter()? {
            let value = term.get_item(&key)?;
            all.push(Value::from_pairs([("key", key), ("value", value)]));
        }
    }
    Ok(all)
}

/// Rows of the first items, the second items and so on; nothing where a list is shorter.
fn together(terms: &[Value]) -> Result<Vec<Value>, Error> {
    let mut lists = Vec::new();
    for term in terms {
        if !matches!(term.kind(), ValueKind::Seq | ValueKind::Iterable) {
            return Err(bad(format!("together takes lists, not a {}", term.kind())));
        }
        lists.push(term.try_iter()?.collect::<Vec<_>>());
    }
    if lists.is_empty() {
        return Err(bad("together takes at least one list"));
    }
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row = |index: usize| {
        let cells = lists.iter().map(|list| list.get(index).cloned().unwrap_or(Value::from(())));
        flattened(&cells.collect::<Vec<_>>()).map(Value::from)
    };
    (0..longest).map(row).collect()
}

fn numbers(terms: &[Value], options: &Kwargs) -> Result<Vec<Value>, Error> {
    let mut given = Sequence::default();
    for name in ["start", "end", "count", "stride", "format"] {
        if let Some(value) = options.get::<Option<Value>>(name)? {
            given.set(name, &value.to_string()).map_err(bad)?;
        }
    }
    let mut all = Vec::new();
    let none = [Value::from("")];
    for term in if terms.is_empty() { &none } else { terms } {
        let sequence = given.clone().with(&term.to_string()).map_err(bad)?;
        all.extend(sequence.items().map_err(bad)?.into_iter().map(Value::from));
    }
    Ok(all)
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
