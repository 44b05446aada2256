//! Ansible's configuration file: where it is found, and its sections and keys with their places.
//!
//! The rules are those of Ansible's `config/manager.py`: the first that exists of `$ANSIBLE_CONFIG`,
//! `./ansible.cfg` (unless others may write into the directory), `~/.ansible.cfg` and
//! `/etc/ansible/ansible.cfg`; files are not merged. Its syntax is that of Python's `configparser` with `;`
//! as the only comment behind a value.

use crate::load;
use crate::source::{Diagnostic, Diagnostics, SourceFile, Span};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file, read.
#[derive(Default)]
pub(super) struct ConfigFile {
    /// As it is shown; `None`: there is none.
    pub(super) path: Option<PathBuf>,
    entries: Vec<Entry>,
}

/// One `key = value`.
pub(super) struct Entry {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) span: Span,
}

impl ConfigFile {
    /// The value of a key; keys are written in lower case.
    pub(super) fn get(&self, section: &str, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.section == section && entry.key == key)
    }
}

/// Reads the file that Ansible would read. `named` is `$ANSIBLE_CONFIG`.
///
/// # Errors
/// A named file that is not there (Ansible passes it over in silence), one that cannot be read, wrong syntax.
pub(super) fn read(
    named: Option<&Path>,
    home: Option<&Path>,
    warnings: &mut Diagnostics,
) -> Result<ConfigFile, Diagnostics> {
    if let Some(named) = named {
        let path = if named.is_dir() { named.join("ansible.cfg") } else { named.to_owned() };
        if !path.exists() {
            let problem = format!("ANSIBLE_CONFIG names {}, which does not exist", path.display());
            return Err(Diagnostic::error(problem).help("correct it, or unset it").into());
        }
        return parsed(path);
    }
    let here = Path::new("ansible.cfg");
    if here.exists() {
        let metadata = std::fs::metadata(".");
        if metadata.is_ok_and(|data| data.permissions().mode() & 0o002 != 0) {
            let message = "ansible.cfg is not read: everybody may write into its directory";
            warnings.push(Diagnostic::warning(message).help(
                "chmod o-w the directory, or name the file in ANSIBLE_CONFIG if you trust it",
            ));
        } else {
            return parsed(here.to_owned());
        }
    }
    let others =
        [home.map(|home| home.join(".ansible.cfg")), Some("/etc/ansible/ansible.cfg".into())];
    match others.into_iter().flatten().find(|path| path.is_file()) {
        Some(path) => parsed(path),
        None => Ok(ConfigFile::default()),
    }
}

fn parsed(path: PathBuf) -> Result<ConfigFile, Diagnostics> {
    let file = load::read_text(&path)?;
    Ok(ConfigFile { entries: entries(&file)?, path: Some(path) })
}

fn entries(file: &Arc<SourceFile>) -> Result<Vec<Entry>, Diagnostics> {
    let mut found = Diagnostics::default();
    let mut entries: Vec<Entry> = Vec::new();
    let mut section = String::new();
    // How far the last key was indented: what is indented further goes on with its value.
    let mut indent_of_key = None;
    for (index, line) in file.text.lines().enumerate() {
        let text = before_comment(line).trim();
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let at = Span::at(file, index + 1, indent + 1).with_length(text.chars().count());
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if let (Some(of_key), Some(last)) = (indent_of_key, entries.last_mut())
            && indent > of_key
        {
            last.value.push('\n');
            last.value.push_str(text);
            continue;
        }
        if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.to_owned();
            indent_of_key = None;
            continue;
        }
        let Some((key, value)) = text.split_once(['=', ':']) else {
            let problem = Diagnostic::error("this is neither `[section]` nor `key = value`");
            found.push(problem.at(&at));
            continue;
        };
        let key = key.trim().to_lowercase();
        if let Some(known) = entries.iter().find(|one| one.section == section && one.key == key) {
            let problem = Diagnostic::error(format!("the key '{key}' is in [{section}] twice"));
            found.push(problem.at(&at).help(format!("the first one is at {}", known.span)));
            continue;
        }
        indent_of_key = Some(indent);
        let value = value.trim().to_owned();
        entries.push(Entry { section: section.clone(), key, value, span: at });
    }
    if found.has_errors() { Err(found) } else { Ok(entries) }
}

/// `;` begins a comment at the start of a line and behind a blank.
fn before_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        if c == ';' && before.is_whitespace() {
            return &line[..at];
        }
        before = c;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_configparser_reads_them() {
        let text = "# c\n[defaults]\nInventory = a, b ; why\nforks: 7\nremote_user=x#y;z\n\
                    [ssh_connection]\nssh_args = -o A=b\n    -o C=d\n";
        let entries = entries(&SourceFile::new("ansible.cfg", text)).unwrap();
        let shown: Vec<String> = entries
            .iter()
            .map(|e| {
                format!("{}.{}={} @{}", e.section, e.key, e.value.replace('\n', "|"), e.span.line)
            })
            .collect();
        assert_eq!(
            shown,
            [
                "defaults.inventory=a, b @3",
                "defaults.forks=7 @4",
                "defaults.remote_user=x#y;z @5",
                "ssh_connection.ssh_args=-o A=b|-o C=d @7",
            ]
        );
    }

    #[test]
    fn what_configparser_refuses_is_refused_with_its_place() {
        let text = "[defaults]\nforks = 1\nforks = 2\nword\n";
        let found = entries(&SourceFile::new("ansible.cfg", text)).err().unwrap();
        let shown: Vec<String> = found.0.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "ansible.cfg:3:1: the key 'forks' is in [defaults] twice",
                "ansible.cfg:4:1: this is neither `[section]` nor `key = value`",
            ]
        );
    }
}
