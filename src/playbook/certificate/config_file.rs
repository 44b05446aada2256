//! `with`: configuration files that are changed in one act with the certificates.

use super::mapping::mapping;
use super::spec::WITH;
use super::task::{ConfigFile, ConfigSource};
use crate::model::{RemotePath, Secret};
use crate::playbook::modules::{FileContent, file_content, template_content};
use crate::playbook::values::Values;
use crate::source::{Node, Value};
use crate::template::{Scope, TemplateError};

const EXAMPLE: &str = "with: [{template: vhost.conf.j2, dest: /etc/nginx/conf.d/shop.conf}]";

/// The files of `with`, without their bytes.
pub(super) fn config_files(node: Option<&Node>, values: &mut Values<'_>) -> Vec<ConfigFile> {
    let Some(node) = node.filter(|node| node.value != Value::Null) else { return Vec::new() };
    // A template may give the whole list.
    let rendered;
    let items = match &node.value {
        Value::List(items) => items,
        _ => {
            let Some(value) = values.json(node) else { return Vec::new() };
            rendered = Node::from_json(&value, node.span.as_ref());
            match &rendered.value {
                Value::List(items) => items,
                _ => {
                    values.wrong(node, "'with' takes a list of files", EXAMPLE);
                    return Vec::new();
                }
            }
        }
    };
    items.iter().filter_map(|item| config_file(item, values)).collect()
}

fn config_file(node: &Node, values: &mut Values<'_>) -> Option<ConfigFile> {
    let node = &mapping(node, "with", &WITH, values)?;
    let given = |key| node.entry(key).filter(|node| node.value != Value::Null);
    let source = match (given("template"), given("copy"), given("content")) {
        (Some(name), None, None) => values.text(Some(name)).map(ConfigSource::Template),
        (None, Some(name), None) => values.text(Some(name)).map(ConfigSource::Copy),
        (None, None, Some(text)) => {
            let text = values.keep(values.scope.text_unless_omitted(text)).flatten();
            text.map(|text| ConfigSource::Content(Secret::new(text)))
        }
        _ => {
            let message = "a file of 'with' needs one of 'template', 'copy' and 'content'";
            values.wrong(node, message, EXAMPLE);
            None
        }
    };
    let Some(dest) = given("dest") else {
        values.wrong(node, "a file of 'with' needs 'dest'", EXAMPLE);
        return None;
    };
    let path = values.text(Some(dest)).and_then(|text| {
        let wrong = match RemotePath::new(text.as_bytes().to_vec()) {
            Ok(path) => return Some(path),
            Err(error) => format!("dest '{text}': {error}"),
        };
        values.wrong(dest, wrong, "paths on hosts are absolute");
        None
    });
    let (owner, group) = (values.text(given("owner")), values.text(given("group")));
    let mode = values.mode(given("mode"));
    Some(ConfigFile { path: path?, source: source?, owner, group, mode, span: node.span.clone() })
}

/// The bytes of one of them.
///
/// # Errors
/// A file that is not there or cannot be read, a template that is wrong.
pub(crate) fn config_content(
    file: &ConfigFile,
    scope: &Scope,
) -> Result<FileContent, TemplateError> {
    match &file.source {
        ConfigSource::Template(name) => template_content(name, file.span.as_ref(), scope),
        ConfigSource::Copy(name) => file_content(name, file.span.as_ref(), scope),
        ConfigSource::Content(text) => Ok(FileContent {
            bytes: Secret::new(text.expose().clone().into_bytes()),
            name: None,
            mode: None,
            secret: false,
        }),
    }
}
