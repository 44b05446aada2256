//! `source` and `dest` of a certificate task: the pair.

use super::mapping::mapping;
use super::spec::{CONTENT, DEST, SOURCE};
use super::task::{AcmePart, Dest, Keystore, Pair, PairPlaces, Passphrase, SourceText};
use crate::model::{HostName, RemotePath, Secret};
use crate::playbook::values::Values;
use crate::source::{Node, Value};
use std::path::Path;

/// A file's name, `{content: TEXT}`, or `{command: [ARGUMENT, …]}`.
fn source_text(
    node: &Node,
    key: &'static str,
    directory: &Path,
    values: &mut Values<'_>,
) -> Option<SourceText> {
    if node.value == Value::Null {
        return None;
    }
    // A template may give the mapping.
    let whole = match &node.value {
        Value::Text(_) | Value::Unsafe(_) | Value::Vault(_) => None,
        _ => Some(mapping(node, key, &CONTENT, values)?),
    };
    if let Some(whole) = whole {
        if let Some(command) = whole.entry("command").filter(|node| node.value != Value::Null) {
            if whole.entry("content").is_some() {
                values.wrong(node, format!("'{key}' takes 'content' or 'command'"), "keep one");
                return None;
            }
            return source_command(command, directory, values);
        }
        let Some(content) = whole.entry("content").filter(|node| node.value != Value::Null) else {
            values.wrong(
                node,
                format!("'{key}' as a mapping needs 'content' or 'command'"),
                FILE_OR_CONTENT,
            );
            return None;
        };
        let text = Secret::new(values.keep(values.scope.text_unless_omitted(content)).flatten()?);
        if text.expose().trim().is_empty() {
            values.wrong(content, format!("the content of '{key}' is empty"), "");
            return None;
        }
        return Some(SourceText::Content(text));
    }
    match values.json(node)? {
        serde_json::Value::String(text) if text.contains("-----BEGIN ") => {
            let text = Secret::new(text);
            let message = format!("'{key}' takes the name of a file, and this is PEM text");
            values.wrong(node, message, FILE_OR_CONTENT);
            drop(text);
            None
        }
        serde_json::Value::Object(entries) => {
            let whole = Node::from_json(&serde_json::Value::Object(entries), node.span.as_ref());
            source_text(&whole, key, directory, values)
        }
        _ => values
            .text(Some(node))
            .map(|text| SourceText::File(values.local_file(&text, directory))),
    }
}

const FILE_OR_CONTENT: &str = "a file: `cert: FILE`; a variable's content: `cert: {content: \"{{ vault_cert }}\"}`; what a command \
     prints: `cert: {command: [pass, show, www.crt]}`";

/// A file of another host.
fn on_host(
    node: &Node,
    key: &'static str,
    host: &str,
    values: &mut Values<'_>,
) -> Option<SourceText> {
    if node.value == Value::Null {
        return None;
    }
    if node.as_map().is_some() {
        let message = format!("'{key}' takes a path on {host}");
        values.wrong(node, message, "with 'host' all of 'source' are files of that host");
        return None;
    }
    let text = values.text(Some(node))?;
    match RemotePath::new(text.as_bytes().to_vec()) {
        Ok(path) => Some(SourceText::OnHost(HostName::new(host), path)),
        Err(error) => {
            values.wrong(node, format!("'{text}': {error}"), "paths on hosts are absolute");
            None
        }
    }
}

/// The host that certificate and key are files of.
fn source_host(source: &Node, values: &mut Values<'_>) -> Option<String> {
    let node = source.entry("host").filter(|node| node.value != Value::Null)?;
    for key in ["directory", "pkcs12"] {
        if source.entry(key).is_some_and(|node| node.value != Value::Null) {
            let help = "name the files: `source: {host: ca1, cert: /path, key: /path}`";
            values.wrong(node, format!("'host' does not go with '{key}'"), help);
        }
    }
    let host = values.keep(values.scope.text_unless_omitted(node)).flatten()?;
    Some(host.trim().to_owned()).filter(|host| !host.is_empty())
}

/// An argument list, run without a shell.
fn source_command(node: &Node, directory: &Path, values: &mut Values<'_>) -> Option<SourceText> {
    let given = values.json(node)?;
    let words = given.as_array().map(|items| {
        items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    match words.flatten() {
        Some(argv) if argv.first().is_some_and(|program| !program.is_empty()) => {
            Some(SourceText::Command(argv, directory.to_owned()))
        }
        _ => {
            let help = "command: [pass, show, www.key]";
            values.wrong(node, "'command' takes a list of arguments, each a text", help);
            None
        }
    }
}

/// The files of a directory that an ACME client keeps.
fn acme(
    source: &Node,
    directory: &Path,
    values: &mut Values<'_>,
) -> Option<(SourceText, SourceText)> {
    let node = source.entry("directory").filter(|node| node.value != Value::Null)?;
    for key in ["cert", "chain"] {
        if source.entry(key).is_some_and(|node| node.value != Value::Null) {
            let help = "keep one of the two";
            values.wrong(node, format!("'directory' takes the place of '{key}'"), help);
        }
    }
    let found = values.text(Some(node)).map(|text| values.local_file(&text, directory))?;
    Some((
        SourceText::Acme(found.clone(), AcmePart::FullChain),
        SourceText::Acme(found, AcmePart::Key),
    ))
}

/// The keystore that certificate and key come out of.
fn keystore_source(source: &Node, directory: &Path, values: &mut Values<'_>) -> Option<SourceText> {
    let node = source.entry("pkcs12").filter(|node| node.value != Value::Null)?;
    for key in ["cert", "directory"] {
        if source.entry(key).is_some_and(|node| node.value != Value::Null) {
            let help = "keep one of the two";
            values.wrong(node, format!("'pkcs12' takes the place of '{key}'"), help);
        }
    }
    if source.entry("key").is_some_and(|node| node.value != Value::Null) && !keeps(source) {
        values.wrong(node, "'pkcs12' takes the place of 'key'", "keep one of the two");
    }
    source_text(node, "pkcs12", directory, values)
}

/// How the keystore of a destination is sealed.
fn keystore(dest: Option<&Node>, directory: &Path, values: &mut Values<'_>) -> Option<Keystore> {
    let dest = dest?;
    let entry = |key| dest.entry(key).filter(|node| node.value != Value::Null);
    let file = values.text(entry("password_file"));
    let file = file.map(|text| Passphrase::File(values.local_file(&text, directory)));
    let given = entry("password")
        .and_then(|node| values.keep(values.scope.text_unless_omitted(node)).flatten());
    let given = given.map(|text| Passphrase::Given(Secret::new(text)));
    if let (Some(node), true) = (entry("password"), file.is_some()) {
        values.wrong(node, "'password_file' takes the place of 'password'", "keep one of the two");
    }
    let alias = values.text(entry("alias"));
    Some(Keystore { password: given.or(file)?, alias: alias.unwrap_or_else(|| ALIAS.to_owned()) })
}

/// The name of a keystore's entry where the task says none.
const ALIAS: &str = "tls";

/// `key: keep`: the host has it, and keeps it.
fn keeps(source: &Node) -> bool {
    matches!(source.entry("key").map(|node| &node.value), Some(Value::Text(text)) if text == "keep")
}

/// A certificate with its key: where both come from, and where they go.
pub(super) fn pair(
    source: &Node,
    dest: Option<&Node>,
    directory: &Path,
    values: &mut Values<'_>,
) -> Option<Pair> {
    // A template may give a whole mapping.
    let source = mapping(source, "source", &SOURCE, values)?;
    let written = match dest {
        Some(dest) if !values.is_omitted(dest) => Some(mapping(dest, "dest", &DEST, values)?),
        _ => None,
    };
    let (source, written) = (&source, written.as_ref());
    let mut path = |key| {
        let node = source.entry(key).filter(|node| node.value != Value::Null);
        values.text(node).map(|text| values.local_file(&text, directory))
    };
    let passphrase_file = path("key_passphrase_file").map(Passphrase::File);
    let acme = acme(source, directory, values);
    let kept = keeps(source);
    let in_keystore = keystore_source(source, directory, values);
    let from_keystore = in_keystore.is_some();
    let keystore = keystore(written, directory, values);
    let host = source_host(source, values);
    let mut text = |key| match &host {
        Some(host) => on_host(source.entry(key)?, key, host, values),
        None => source_text(source.entry(key)?, key, directory, values),
    };
    let (mut cert, chain, mut key) =
        (text("cert"), text("chain"), if kept { None } else { text("key") });
    if let Some((of_cert, of_key)) = acme {
        cert = Some(of_cert);
        key = key.or_else(|| (!kept).then_some(of_key));
    }
    if let Some(store) = in_keystore {
        key = (!kept).then(|| store.clone());
        cert = Some(store);
    }
    let given = values.text(source.entry("key_passphrase"));
    let passphrase = given.map(|text| Passphrase::Given(text.into())).or(passphrase_file);
    let mut remote = |key| {
        let node = written.and_then(|dest| dest.entry(key));
        let text = values.text(node)?;
        match RemotePath::new(text.as_bytes().to_vec()) {
            Ok(path) => Some(path),
            Err(error) => {
                let message = format!("dest '{text}': {error}");
                values.wrong(node.unwrap_or(source), message, "paths on hosts are absolute");
                None
            }
        }
    };
    let dest = Dest {
        cert: remote("cert"),
        chain: remote("chain"),
        key: remote("key"),
        combined: remote("combined"),
        pkcs12: remote("pkcs12"),
        cert_der: remote("cert_der"),
        key_der: remote("key_der"),
        hashed: remote("hashed"),
    };
    let told = values.found.has_errors() || values.not_yet_known.is_some();
    if cert.is_none() && !told {
        values.wrong(source, "'source' needs 'cert'", "source: {cert: FILE, key: FILE}");
    }
    let place = |key| source.entry(key).and_then(|node| node.span.clone());
    let places = PairPlaces { cert: place("cert"), chain: place("chain"), key: place("key") };
    Some(Pair {
        cert: cert?,
        chain,
        key,
        passphrase,
        from_keystore,
        dest,
        keystore,
        services: Vec::new(),
        span: source.span.clone(),
        places,
    })
}
