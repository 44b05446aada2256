//! Executable inventories: `--list`, and `--host NAME` where the answer has no `_meta`.

use crate::model::text::printable;
use crate::source::{Diagnostic, SourceFile};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Whether reading a source would run a program: it is one, or a directory with one somewhere below. A linked directory
/// is not looked into, and counts.
pub(crate) fn runs_a_program(source: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(source) else { return is_executable(source) };
    entries.flatten().any(|entry| {
        let path = entry.path();
        (path.is_symlink() && path.is_dir()) || runs_a_program(&path)
    })
}

/// Whether the file may be executed by somebody.
pub(super) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(path);
    metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// What the program prints for these arguments.
pub(super) fn run(path: &Path, arguments: &[&str]) -> Result<Arc<SourceFile>, Diagnostic> {
    let shown = format!("{} {}", path.display(), arguments.join(" "));
    let program = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).output().map_err(|error| {
            Diagnostic::error(format!("the inventory program {shown} cannot be run: {error}")).help(
                "its first line must name its interpreter (#!); or take away its executable bit",
            )
        })?;
    if !output.status.success() {
        let said = printable(&output.stderr, 2048);
        let problem =
            Diagnostic::error(format!("the inventory program {shown} failed ({})", output.status));
        return Err(match said.trim() {
            "" => problem,
            said => problem.help(format!("it said: {said}")),
        });
    }
    match String::from_utf8(output.stdout) {
        Ok(text) => Ok(SourceFile::new(shown, text)),
        Err(_) => Err(Diagnostic::error(format!("the inventory program {shown} printed no UTF-8"))),
    }
}
