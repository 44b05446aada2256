//! `lookup('pipe', COMMAND)`: what a command of the controller prints. It runs in `sh`, as Ansible has it
//! (`plugins/lookup/pipe.py`), and has a limit of time and one of output.

use crate::load;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What `command` prints, without white space at its end.
///
/// # Errors
/// It does not start, fails, takes too long, prints too much, or what is not UTF-8. The command is not named in any
/// of these: templates in it may have given it secrets.
pub(super) fn printed(command: &str, directory: &Path) -> Result<String, String> {
    within(command, directory, LIMIT)
}

fn within(command: &str, directory: &Path, limit: Duration) -> Result<String, String> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let mut shell = Command::new("/bin/sh");
    let output = load::printed_by(shell.args(["-c", command]).current_dir(directory), limit);
    let output = output.map_err(|why| format!("pipe: {why}"))?;
    let text = std::str::from_utf8(output.expose());
    let text = text.map_err(|_| "pipe: the output is not UTF-8".to_owned())?;
    Ok(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn ran(command: &str) -> Result<String, String> {
        printed(command, Path::new("/"))
    }

    #[test]
    fn a_shell_runs_it_beside_the_playbook() {
        assert_eq!(ran("echo a; pwd; echo").as_deref(), Ok("a\n/"));
        assert_eq!(ran("cat").as_deref(), Ok(""));
    }

    #[test]
    fn what_goes_wrong_is_told_without_the_command() {
        let error = |command: &str| ran(command).unwrap_err();
        assert_eq!(error("true secret; exit 3"), "pipe: the command exited with code 3");
        assert_eq!(error("kill -9 $$"), "pipe: the command was killed");
        assert_eq!(error("printf '\\377'"), "pipe: the output is not UTF-8");
        assert!(
            error("while :; do echo aaaaaaaaaaaaaaaa; done").contains("more than 1048576 bytes")
        );
    }

    #[test]
    fn what_does_not_end_is_ended_with_all_that_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let command = "sh -c 'echo $$ > pid; sleep 600; :' & wait";
        let error = within(command, directory.path(), Duration::from_secs(2)).unwrap_err();
        assert_eq!(error, "pipe: the command did not end within 2 s");
        let pid = std::fs::read_to_string(directory.path().join("pid")).unwrap();
        let gone = (0..600).any(|_| {
            thread::sleep(Duration::from_millis(100));
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            stat.map_or(true, |stat| stat.contains(") Z "))
        });
        assert!(gone, "{pid} is still there");
    }
}
