//! Placeholders of a command as paths on the host.

use crate::model::{CommandLine, RemotePath};
use crate::remote::encode::BadRequest;

/// The command with each `{name}` replaced by where `place` puts its file.
///
/// # Errors
/// The path of one that the command names is no text.
pub(super) fn expand(
    command: &CommandLine,
    names: &[(String, RemotePath)],
    place: impl Fn(&RemotePath) -> Option<RemotePath>,
) -> Result<CommandLine, BadRequest> {
    let mut values = Vec::new();
    for (name, path) in names {
        let placed = place(path);
        // A path that is no text cannot stand in an argument; that matters only if it is named.
        values.push((name, placed.and_then(|path| path.to_str().map(str::to_owned))));
    }
    let missing = std::cell::Cell::new(None);
    let expanded = command.expand_lists(|name| {
        let of_name: Vec<_> = values.iter().filter(|(known, _)| *known == name).collect();
        if of_name.iter().any(|(_, value)| value.is_none()) {
            missing.set(Some(name.to_owned()));
        }
        // Several for `{certs}`, one for all others.
        (!of_name.is_empty())
            .then(|| of_name.iter().filter_map(|(_, value)| value.clone()).collect())
    });
    match missing.take() {
        None => Ok(expanded),
        Some(name) => Err(BadRequest::new(format!(
            "the path of {{{name}}} is not UTF-8, so the command '{command}' cannot name it"
        ))),
    }
}

/// What precedes the last slash; empty for the root.
pub(super) fn directory(path: &RemotePath) -> &[u8] {
    match path.directory() {
        b"/" => b"",
        directory => directory,
    }
}
