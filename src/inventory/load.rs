//! Reading all sources into one inventory.

use super::builder::Builder;
use super::model::Inventory;
use super::{executable, graph, ini, yaml as groups};
use crate::load as input;
use crate::source::{Diagnostic, Diagnostics, Node, SourceFile, Value, Vars, yaml};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Endings that are not read in inventory directories (Ansible, `INVENTORY_IGNORE_EXTS`).
const IGNORED: [&str; 13] = [
    "~", ".orig", ".cfg", ".retry", ".pyc", ".pyo", ".swp", ".bak", ".rpm", ".md", ".txt", ".rst",
    ".jar",
];

/// What belongs to an inventory besides its sources.
pub struct LoadOptions<'a> {
    /// Directories of playbooks, whose `group_vars` and `host_vars` count too.
    pub playbook_directories: Vec<PathBuf>,
    /// Opens vault texts.
    pub decrypt: input::Decrypt<'a>,
}

/// Reads `sources` in order: files, directories, executables, or lists with a comma.
///
/// # Errors
/// Everything that is wrong in any of them.
pub fn load(
    sources: &[String],
    options: &LoadOptions<'_>,
) -> Result<(Inventory, Diagnostics), Diagnostics> {
    let mut builder = Builder::default();
    let mut found = Diagnostics::default();
    let mut directories: Vec<PathBuf> = Vec::new();
    for source in sources {
        if source.contains(',') {
            host_list(source, &mut builder, &mut found);
            continue;
        }
        let path = Path::new(source);
        let directory = if path.is_dir() { Some(path) } else { path.parent() };
        if let Some(directory) = directory.map(Path::to_owned)
            && !directories.contains(&directory)
        {
            directories.push(directory);
        }
        read_path(path, &mut builder, &mut found);
    }
    let mut inventory = builder.finish(&mut found);
    graph::complete(&mut inventory);
    // A playbook beside its inventory has the same files: they count once.
    let same = |a: &Path, b: &Path| match (place(a), place(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    };
    let of_playbooks = options.playbook_directories.iter();
    let further = of_playbooks.filter(|one| !directories.iter().any(|known| same(known, one)));
    for directory in directories.iter().chain(further) {
        vars_beside(directory, &mut inventory, options, &mut found);
    }
    inventory.directory = directories.first().cloned();
    inventory.sources = sources.to_vec();
    found.into_result(inventory)
}

/// Where a directory really is; the parent of a bare file name is the current one.
fn place(directory: &Path) -> Option<PathBuf> {
    let here = directory.as_os_str().is_empty();
    (if here { Path::new(".") } else { directory }).canonicalize().ok()
}

fn host_list(source: &str, builder: &mut Builder, found: &mut Diagnostics) {
    for text in source.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let added = ini::split_port(text).and_then(|(name, port)| {
            builder.host(name, "ungrouped", None)?;
            if let Some(port) = port {
                builder.host_var(name, "ansible_port", Node::made(Value::Int(i64::from(port))));
            }
            Ok(())
        });
        if let Err(why) = added {
            found.push(Diagnostic::error(format!("-i {source}: {why}")));
        }
    }
}

fn read_path(path: &Path, builder: &mut Builder, found: &mut Diagnostics) {
    if !path.is_dir() {
        return read_file(path, builder, found);
    }
    let paths = match input::entries(path) {
        Ok(paths) => paths,
        Err(problem) => {
            found.push(problem);
            return;
        }
    };
    for entry in paths {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let apart = ["host_vars", "group_vars", "vars_plugins"].contains(&name.as_str());
        if name.starts_with('.') || apart || IGNORED.iter().any(|ending| name.ends_with(ending)) {
            continue;
        }
        read_path(&entry, builder, found);
    }
}

fn read_file(path: &Path, builder: &mut Builder, found: &mut Diagnostics) {
    if executable::is_executable(path) {
        return read_executable(path, builder, found);
    }
    let file = match input::read_text(path) {
        Ok(file) => file,
        Err(problem) => {
            found.push(
                problem.help("-i takes a file, a directory, or a list of hosts with a comma"),
            );
            return;
        }
    };
    if file.text.starts_with('\u{feff}') && !looks_like_yaml(path, &file) {
        let message = format!("{} begins with a byte order mark", file.name);
        let help = "save it as UTF-8 without one, or `sed -i '1s/^\\xEF\\xBB\\xBF//' FILE`";
        found.push(Diagnostic::error(message).help(help));
        return;
    }
    if looks_like_yaml(path, &file) {
        match yaml::parse(&file) {
            Ok((root, warnings)) => {
                found.extend(warnings);
                groups::read(&root, builder, found);
            }
            Err(problems) => found.extend(problems),
        }
    } else {
        ini::read(&file, builder, found);
    }
}

/// By its ending; else by its first line with content.
fn looks_like_yaml(path: &Path, file: &SourceFile) -> bool {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("yml" | "yaml" | "json") => return true,
        Some("ini") => return false,
        _ => {}
    }
    let mut lines = file.text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    first.is_some_and(|line| {
        let key = line.split_once(" #").map_or(line, |(key, _)| key).trim_end();
        line == "---"
            || line.starts_with('{')
            || (key.ends_with(':') && !key.contains([' ', '=', '[']))
    })
}

fn read_executable(path: &Path, builder: &mut Builder, found: &mut Diagnostics) {
    let mut read = || -> Result<(), Diagnostics> {
        let file = executable::run(path, &["--list"])?;
        let root = json(&file)?;
        groups::read_dynamic(&root, builder, found);
        if root.entry("_meta").is_none() {
            for host in builder.host_names() {
                let file = executable::run(path, &["--host", &host])?;
                for (key, value) in json(&file)?.as_map().into_iter().flatten() {
                    builder.host_var(&host, key.as_str().unwrap_or_default(), value.clone());
                }
            }
        }
        Ok(())
    };
    if let Err(problems) = read() {
        found.extend(problems);
    }
}

fn json(file: &Arc<SourceFile>) -> Result<Node, Diagnostics> {
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&file.text) {
        let message = format!("{} printed no JSON: {error}", file.name);
        return Err(Diagnostic::error(message).into());
    }
    // JSON is YAML, and so every value keeps its place.
    yaml::parse(file).map(|(root, _)| root)
}

/// Reads `group_vars/` and `host_vars/` of one directory.
fn vars_beside(
    directory: &Path,
    inventory: &mut Inventory,
    options: &LoadOptions<'_>,
    found: &mut Diagnostics,
) {
    let read = |beside: &Beside, name: &str, found: &mut Diagnostics| -> Option<Arc<Vars>> {
        let files = beside.files(name, found);
        if files.is_empty() {
            return None;
        }
        let mut merged = Vars::new();
        for file in files {
            match input::vars_file(&file, options.decrypt) {
                Ok((vars, warnings)) => {
                    found.extend(warnings);
                    merged.extend(vars);
                }
                Err(problems) => found.extend(problems),
            }
        }
        Some(Arc::new(merged))
    };
    if let Some(beside) = Beside::list(directory.join("group_vars"), found) {
        for (name, group) in &mut inventory.groups {
            group.files.extend(read(&beside, name, found));
        }
    }
    if let Some(beside) = Beside::list(directory.join("host_vars"), found) {
        for (name, host) in &mut inventory.hosts {
            host.files.extend(read(&beside, name.as_str(), found));
        }
    }
}

/// A `group_vars` or `host_vars` directory: listed once, because there may be 100,000 hosts to look for.
struct Beside {
    directory: PathBuf,
    names: HashSet<OsString>,
}

impl Beside {
    /// `None` when there is no such directory.
    fn list(directory: PathBuf, found: &mut Diagnostics) -> Option<Self> {
        if !directory.is_dir() {
            return None;
        }
        match input::entries(&directory) {
            Ok(paths) => {
                let names = paths.iter().filter_map(|path| Some(path.file_name()?.to_owned()));
                Some(Self { names: names.collect(), directory })
            }
            Err(problem) => {
                found.push(problem);
                None
            }
        }
    }

    /// The files for one name: a directory's, or the first of NAME, NAME.yml, NAME.yaml, NAME.json.
    fn files(&self, name: &str, found: &mut Diagnostics) -> Vec<PathBuf> {
        let endings = ["", ".yml", ".yaml", ".json"].into_iter();
        let known = endings.map(|ending| format!("{name}{ending}"));
        let known = known.filter(|name| self.names.contains(OsStr::new(name)));
        let mut paths = known.map(|name| self.directory.join(name)).peekable();
        match paths.peek().filter(|path| path.is_dir() && path.ends_with(name)) {
            Some(directory) => {
                let mut files = Vec::new();
                if let Err(problem) = collect(directory, &mut files) {
                    found.push(problem);
                }
                files
            }
            None => paths.find(|path| path.is_file()).into_iter().collect(),
        }
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Diagnostic> {
    for path in input::entries(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else if matches!(
            path.extension().and_then(|e| e.to_str()),
            None | Some("yml" | "yaml" | "json")
        ) {
            files.push(path);
        }
    }
    Ok(())
}
