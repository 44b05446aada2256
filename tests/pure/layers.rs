//! Imports go downwards only: a module may use those above it in [`LAYERS`] and none below.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first. `docs/architecture.md` describes each.
const LAYERS: [&str; 19] = [
    "model",
    "source",
    "clock",
    "load",
    "event",
    "material",
    "vault",
    "template",
    "services",
    "inventory",
    "playbook",
    "transport",
    "verify",
    "plan",
    "remote",
    "engine",
    "report",
    "lab",
    "cli",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("readable source directory") {
        let path = entry.expect("readable entry").path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The top-level modules named by `crate::NAME` and `crate::{NAME, …}` in `text`, outside comments.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let names = match rest.strip_prefix('{') {
            Some(list) => top_level_names(list),
            None => vec![word(rest)],
        };
        found.extend(names.into_iter().filter(|name| !name.is_empty()));
    }
    found
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn top_level_names(list: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = vec![String::new()];
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            _ if depth == 0 => names.last_mut().expect("never empty").push(c),
            _ => {}
        }
    }
    names.iter().map(|name| word(name.trim())).collect()
}

fn upward_imports(module: &str, text: &str) -> Vec<String> {
    let rank = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let own = rank(module).unwrap_or_else(|| panic!("module '{module}' is not listed in LAYERS"));
    imports(text).into_iter().filter(|name| rank(name).is_some_and(|other| other > own)).collect()
}

#[test]
fn imports_go_downwards() {
    let mut files = Vec::new();
    rust_files(&source(), &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(source()).expect("below src");
        let first = relative.components().next().expect("not empty");
        let module = first.as_os_str().to_string_lossy().replace(".rs", "");
        if module == "lib" || module == "main" {
            continue;
        }
        let text = fs::read_to_string(&file).expect("UTF-8 source");
        for name in upward_imports(&module, &text) {
            wrong.push(format!("{}: {module} imports {name}", relative.display()));
        }
    }
    assert!(wrong.is_empty(), "upward imports:\n{}", wrong.join("\n"));
}

#[test]
fn a_planted_upward_import_is_found() {
    assert_eq!(upward_imports("plan", "use crate::{model::Step, engine::{a, b}};"), ["engine"]);
    assert_eq!(upward_imports("plan", "fn f() { crate::cli::run() } // crate::lab"), ["cli"]);
    assert!(upward_imports("plan", "use crate::model::Step; use crate::verify::x;").is_empty());
}
