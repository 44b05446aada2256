//! Reads input files and lists their directories: playbooks, inventories, variables, profiles, certificates,
//! keys. What OpenSSH's own files say is read by `transport`, which knows their rules.

use crate::model::{FileMode, Secret};
use crate::source::diagnostic::nearest;
use crate::source::{Diagnostic, Diagnostics, SourceFile, Vars, yaml};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Larger inputs are refused.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Decrypts the text of a vault; the error says why not.
pub(crate) type Decrypt<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Reads a text file.
///
/// # Errors
/// Missing, unreadable, a directory, too large, or not UTF-8: each with its remedy.
pub fn read_text(path: &Path) -> Result<Arc<SourceFile>, Diagnostic> {
    let (bytes, _) = read(path)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile::new(shown(path).display().to_string(), text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
            Err(Diagnostic::error(format!("{}:{line}: the text is not UTF-8", path.display()))
                .help("convert the file to UTF-8 (iconv)"))
        }
    }
}

/// Reads a certificate or key file, and its permission bits.
///
/// # Errors
/// As [`read_text`], without the demand for UTF-8.
pub(crate) fn read_bytes(path: &Path) -> Result<(Secret<Vec<u8>>, FileMode), Diagnostic> {
    let (bytes, mode) = read(path)?;
    Ok((Secret::new(bytes), mode))
}

/// What a command of the controller may print, in bytes.
const MOST_PRINTED: u64 = 1 << 20;

/// What a command prints. It has no input, its messages go where those of this process go, and it is ended with all
/// that it started when it takes longer than `limit`.
///
/// # Errors
/// It does not start, fails, takes too long or prints too much. None of them names the command or what it printed:
/// both may hold secrets.
pub(crate) fn printed_by(
    command: &mut Command,
    limit: Duration,
) -> Result<Secret<Vec<u8>>, String> {
    let end = Instant::now() + limit;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("the command cannot be started: {error}"))?;
    let output =
        output(&mut child, limit).and_then(|output| ended(&mut child, end, limit).map(|()| output));
    if output.is_err() {
        end_group(&mut child);
    }
    output
}

/// All that it prints.
fn output(child: &mut Child, limit: Duration) -> Result<Secret<Vec<u8>>, String> {
    let stdout = child.stdout.take().ok_or("the command has no output")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut output = Vec::new();
        let read = stdout.take(MOST_PRINTED + 1).read_to_end(&mut output);
        let output = Secret::new(output);
        // Nobody listens any more once the time is over.
        let _ = sender.send(read.map(|_| output));
    });
    let output = receiver.recv_timeout(limit).map_err(|_| too_long(limit))?;
    let output = output.map_err(|error| format!("its output cannot be read: {error}"))?;
    if output.expose().len() as u64 > MOST_PRINTED {
        return Err(format!("the command prints more than {MOST_PRINTED} bytes"));
    }
    Ok(output)
}

fn ended(child: &mut Child, end: Instant, limit: Duration) -> Result<(), String> {
    loop {
        let status = child.try_wait().map_err(|error| error.to_string())?;
        match status.map(|status| (status.success(), status.code())) {
            Some((true, _)) => return Ok(()),
            Some((false, Some(code))) => {
                return Err(format!("the command exited with code {code}"));
            }
            Some((false, None)) => return Err("the command was killed".to_owned()),
            None if Instant::now() >= end => return Err(too_long(limit)),
            None => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn too_long(limit: Duration) -> String {
    format!("the command did not end within {} s", limit.as_secs())
}

/// Ends the command and what it started.
fn end_group(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        let kill = format!("kill -9 -{}", child.id());
        // Whether there is anything left to end does not matter.
        let _ = Command::new("/bin/sh").args(["-c", &kill]).stderr(Stdio::null()).status();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Reads a file of variables: YAML or JSON, perhaps encrypted as a whole.
///
/// # Errors
/// As [`read_text`]; undecryptable; no YAML; no mapping.
pub(crate) fn vars_file(
    path: &Path,
    decrypt: Decrypt<'_>,
) -> Result<(Vars, Diagnostics), Diagnostics> {
    let file = read_text(path)?;
    vars_text(file, decrypt)
}

/// As [`vars_file`], from text.
///
/// # Errors
/// As [`vars_file`].
pub(crate) fn vars_text(
    file: Arc<SourceFile>,
    decrypt: Decrypt<'_>,
) -> Result<(Vars, Diagnostics), Diagnostics> {
    let file = opened(file, decrypt)?;
    let (node, warnings) = yaml::parse(&file)?;
    let kind = node.kind();
    let span = node.span.clone();
    match node.value {
        crate::source::Value::Null => Ok((Vars::new(), warnings)),
        crate::source::Value::Map(entries) => {
            let named = entries
                .into_iter()
                .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value)))
                .collect();
            Ok((named, warnings))
        }
        _ => Err(Diagnostic::error(format!("a file of variables holds a mapping, not {kind}"))
            .at(span.as_ref())
            .help("write each variable as `name: value`")
            .into()),
    }
}

/// The text of a file, decrypted if it is a vault.
///
/// # Errors
/// The vault cannot be opened.
pub(crate) fn opened(
    file: Arc<SourceFile>,
    decrypt: Decrypt<'_>,
) -> Result<Arc<SourceFile>, Diagnostics> {
    if !file.text.starts_with("$ANSIBLE_VAULT") {
        return Ok(file);
    }
    let text =
        decrypt(&file.text).map_err(|why| Diagnostic::error(format!("{}: {why}", file.name)))?;
    Ok(Arc::new(SourceFile { name: file.name.clone(), text, secret: true }))
}

/// A file by Ansible's search: in each directory, within `folder` before the directory itself. An absolute name, and
/// one that is nowhere, gives nothing.
pub(crate) fn find(directories: &[PathBuf], folder: &str, name: &str) -> Option<PathBuf> {
    if Path::new(name).is_absolute() {
        return None;
    }
    let within = |directory: &PathBuf| {
        // `tasks/` of a role stands for the role.
        let role = directory.ends_with("tasks").then(|| directory.parent()).flatten();
        let role = role.map(|role| role.join(folder).join(name));
        role.into_iter().chain([directory.join(folder).join(name), directory.join(name)])
    };
    directories.iter().flat_map(within).find(|path| path.exists())
}

/// What is in a directory, by name; nothing when there is no such directory.
///
/// # Errors
/// It cannot be listed.
pub(crate) fn entries(directory: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let listed = std::fs::read_dir(directory).and_then(|entries| {
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
    });
    match listed {
        Ok(mut paths) => {
            paths.sort();
            Ok(paths)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => {
            let message =
                format!("the directory {} cannot be read: {error}", shown(directory).display());
            Err(Diagnostic::error(message))
        }
    }
}

/// The files of variables in a directory and below it, by name.
///
/// # Errors
/// A directory that cannot be listed.
pub(crate) fn files_below(directory: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let mut files = Vec::new();
    for path in entries(directory)? {
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else if ending.is_some_and(|ending| ["yml", "yaml", "json"].contains(&ending)) {
            files.push(path);
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<(Vec<u8>, FileMode), Diagnostic> {
    let explain = |error: io::Error| explain(path, &error);
    let file = std::fs::File::open(path).map_err(explain)?;
    let metadata = file.metadata().map_err(explain)?;
    if metadata.is_dir() {
        return Err(Diagnostic::error(format!("{} is a directory", shown(path).display()))
            .help("name a file in it"));
    }
    // Exact capacity: a growing buffer would leave copies of a key behind.
    let mut bytes =
        Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0).min(1 << 26) + 1);
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(explain)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Diagnostic::error(format!("{} is larger than 64 MiB", path.display())));
    }
    let mode = FileMode::new((metadata.permissions().mode() & 0o7777) as u16);
    Ok((bytes, mode))
}

/// The path as it is shown: without a leading `./`.
fn shown(path: &Path) -> &Path {
    path.strip_prefix(".").ok().filter(|rest| !rest.as_os_str().is_empty()).unwrap_or(path)
}

fn explain(path: &Path, error: &io::Error) -> Diagnostic {
    let shown = shown(path).display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            let problem = Diagnostic::error(format!("there is no file {shown}"));
            match path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists())
            {
                Some(parent) => problem.help(format!(
                    "its directory {} is missing too",
                    self::shown(parent).display()
                )),
                None => match beside(path) {
                    Some(near) => problem.help(format!("did you mean {near}?")),
                    None => problem
                        .help("relative paths start at the playbook or the current directory"),
                },
            }
        }
        io::ErrorKind::PermissionDenied => {
            Diagnostic::error(format!("{shown} cannot be read: permission denied"))
                .help("run as a user who may read it, or change its mode")
        }
        _ => Diagnostic::error(format!("{shown} cannot be read: {error}")),
    }
}

/// A file of nearly this name in the same directory.
fn beside(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = std::fs::read_dir(directory.unwrap_or(Path::new("."))).ok()?;
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let near = nearest(name, names.iter().map(String::as_str))?;
    Some(shown(&path.with_file_name(near)).display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::OpenOptionsExt;

    #[test]
    fn a_missing_file_names_the_missing_directory() {
        let error = read_text(Path::new("/nonexistent-certroll/a.yml")).unwrap_err();
        assert_eq!(error.message, "there is no file /nonexistent-certroll/a.yml");
        assert!(error.help[0].contains("/nonexistent-certroll is missing"));
    }

    #[test]
    fn bad_utf8_names_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, b"a\nb\n\xff").unwrap();
        assert!(read_text(&path).unwrap_err().message.ends_with(":3: the text is not UTF-8"));
    }

    #[test]
    fn modes_come_with_the_bytes() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).mode(0o600).open(&path).unwrap();
        file.write_all(b"secret").unwrap();
        let (bytes, mode) = read_bytes(&path).unwrap();
        assert_eq!((bytes.expose().as_slice(), mode), (&b"secret"[..], FileMode::new(0o600)));
    }

    #[test]
    fn a_list_is_no_file_of_variables() {
        let decrypt = |_: &str| Err("no".to_owned());
        let file = SourceFile::new("v.yml", "- a\n");
        let error = vars_text(file, &decrypt).unwrap_err();
        assert_eq!(
            error.0[0].to_string(),
            "v.yml:1:1: a file of variables holds a mapping, not a list"
        );
    }
}
