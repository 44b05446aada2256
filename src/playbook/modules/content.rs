//! What `copy` and `template` write: a text, a file of the controller, a template rendered for one host.

use super::task::{Arguments, ModuleTask};
use crate::load;
use crate::model::{FileMode, Secret};
use crate::source::{Diagnostic, Diagnostics, Node, Span};
use crate::template::{Scope, TemplateError};
use std::path::{Path, PathBuf};

/// Bytes for a file on a host.
#[derive(Debug)]
pub(crate) struct FileContent {
    /// All of it.
    pub(crate) bytes: Secret<Vec<u8>>,
    /// The name of the file that it comes from.
    pub(crate) name: Option<String>,
    /// Permission bits of that file.
    pub(crate) mode: Option<FileMode>,
    /// It was encrypted here: it is not shown.
    pub(crate) secret: bool,
}

/// What a task writes; `None`: it writes nothing that is here.
///
/// # Errors
/// A file that is not there or cannot be read, a template that is wrong.
pub(crate) fn content(
    task: &ModuleTask,
    arguments: &Arguments,
    scope: &Scope,
) -> Result<Option<FileContent>, TemplateError> {
    if let Some(text) = arguments.text("content") {
        let bytes = Secret::new(text.as_bytes().to_vec());
        return Ok(Some(FileContent { bytes, name: None, mode: None, secret: false }));
    }
    let here = match task.module.name {
        "copy" | "uri" => arguments.flag("remote_src") != Some(true),
        "template" => true,
        _ => false,
    };
    match (here, arguments.text("src"), task.node("src")) {
        (true, Some(name), Some(node)) if task.module.name == "template" => {
            template(name, node, arguments, scope).map(Some)
        }
        (true, Some(name), Some(node)) => file(name, node, arguments, scope).map(Some),
        _ => Ok(None),
    }
}

/// What a file of the controller holds, looked for as `copy` does.
///
/// # Errors
/// As [`content`].
pub(crate) fn file_content(
    name: &str,
    span: Option<&Span>,
    scope: &Scope,
) -> Result<FileContent, TemplateError> {
    file(name, &named(name, span), &Arguments::default(), scope)
}

/// What a template of the controller gives for one host, looked for as `template` does.
///
/// # Errors
/// As [`content`].
pub(crate) fn template_content(
    name: &str,
    span: Option<&Span>,
    scope: &Scope,
) -> Result<FileContent, TemplateError> {
    template(name, &named(name, span), &Arguments::default(), scope)
}

fn named(name: &str, span: Option<&Span>) -> Node {
    Node::from_json(&serde_json::Value::String(name.to_owned()), span)
}

fn file(
    name: &str,
    node: &Node,
    arguments: &Arguments,
    scope: &Scope,
) -> Result<FileContent, TemplateError> {
    let path = find(name, "files", node, scope)?;
    if path.is_dir() {
        let problem = Diagnostic::error(format!("'{name}' is a directory")).at(node.span.as_ref());
        return Err(wrong(problem.help("name a file; for all files of a directory: `with_fileglob: DIR/*` and `src: \"{{ item }}\"`")));
    }
    let (bytes, mode) = load::read_bytes(&path).map_err(|problem| placed(problem, node))?;
    let vault = bytes.expose().starts_with(b"$ANSIBLE_VAULT");
    let opens = vault && arguments.flag("decrypt") != Some(false);
    let bytes = if opens { opened(&bytes, &path, node, scope)? } else { bytes };
    Ok(FileContent { bytes, name: last_part(&path), mode: Some(mode), secret: opens })
}

fn opened(
    bytes: &Secret<Vec<u8>>,
    path: &Path,
    node: &Node,
    scope: &Scope,
) -> Result<Secret<Vec<u8>>, TemplateError> {
    let armour = String::from_utf8_lossy(bytes.expose());
    match scope.decrypt(&armour) {
        Ok(text) => Ok(Secret::new(text.into_bytes())),
        Err(why) => {
            let problem = Diagnostic::error(format!("{}: {why}", path.display()));
            Err(wrong(problem.at(node.span.as_ref())))
        }
    }
}

fn template(
    name: &str,
    node: &Node,
    arguments: &Arguments,
    scope: &Scope,
) -> Result<FileContent, TemplateError> {
    let path = find(name, "templates", node, scope)?;
    let read = load::read_text(&path).map_err(|problem| placed(problem, node))?;
    let secret = read.text.starts_with("$ANSIBLE_VAULT");
    let file = load::opened(read, &|armour: &str| scope.decrypt(armour)).map_err(all)?;
    let odd = [("trim_blocks", true), ("lstrip_blocks", false)];
    let odd =
        odd.into_iter().find(|(key, usual)| arguments.flag(key).is_some_and(|on| on != *usual));
    if file.text.starts_with("#jinja2:") || odd.is_some() {
        let what = odd.map_or("#jinja2:", |(key, _)| key);
        let problem =
            Diagnostic::error(format!("{}: certroll does not support '{what}'", file.name));
        return Err(wrong(problem.at(node.span.as_ref()).help(
            "blocks are trimmed and blanks before them are kept, as Ansible does by default",
        )));
    }
    let text = scope.template_file(&file, &path)?;
    let newline = match arguments.text("newline_sequence") {
        Some("\r\n" | "\\r\\n") => "\r\n",
        Some("\r" | "\\r") => "\r",
        _ => "\n",
    };
    let text = if newline == "\n" { text } else { text.replace('\n', newline) };
    let mode = std::fs::metadata(&path).ok().map(|data| {
        let bits = std::os::unix::fs::PermissionsExt::mode(&data.permissions());
        FileMode::new((bits & 0o7777) as u16)
    });
    let bytes = Secret::new(text.into_bytes());
    Ok(FileContent { bytes, name: last_part(&path), mode, secret })
}

fn find(name: &str, folder: &str, node: &Node, scope: &Scope) -> Result<PathBuf, TemplateError> {
    let home = name.strip_prefix("~/").zip(std::env::var_os("HOME"));
    if let Some((rest, home)) = home {
        return Ok(Path::new(&home).join(rest));
    }
    if Path::new(name).is_absolute() {
        return Ok(PathBuf::from(name));
    }
    let directories = scope.search_path();
    load::find(&directories, folder, name).ok_or_else(|| {
        let looked: Vec<String> =
            directories.iter().map(|directory| directory.display().to_string()).collect();
        let problem =
            Diagnostic::error(format!("there is no file '{name}'")).at(node.span.as_ref());
        wrong(
            problem
                .help(format!("looked in {}, each with `{folder}/` before it", looked.join(", "))),
        )
    })
}

fn last_part(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

fn placed(problem: Diagnostic, node: &Node) -> TemplateError {
    wrong(if problem.span.is_none() { problem.at(node.span.as_ref()) } else { problem })
}

fn all(problems: Diagnostics) -> TemplateError {
    let first = problems.0.into_iter().next();
    wrong(first.unwrap_or_else(|| Diagnostic::error("the vault cannot be opened")))
}

fn wrong(problem: Diagnostic) -> TemplateError {
    TemplateError::Wrong(Box::new(problem))
}
