//! `lookup('pipe', COMMAND)`: what a command of the controller prints. It runs in `sh`, as Ansible has it
//! (`plugins/lookup/pipe.py`), and has a limit of time and one of output.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What it may print, in bytes.
const MOST: u64 = 1 << 20;

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
    let end = Instant::now() + limit;
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("pipe: the shell cannot be started: {error}"))?;
    let output =
        output(&mut child, limit).and_then(|output| ended(&mut child, end).map(|()| output));
    if output.is_err() {
        end_group(&mut child);
    }
    let text =
        String::from_utf8(output?).map_err(|_| "pipe: the output is not UTF-8".to_owned())?;
    Ok(text.trim_end().to_owned())
}

/// All that it prints.
fn output(child: &mut Child, limit: Duration) -> Result<Vec<u8>, String> {
    let stdout = child.stdout.take().ok_or("pipe: the shell has no output")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut output = Vec::new();
        let read = stdout.take(MOST + 1).read_to_end(&mut output);
        // Nobody listens any more once the time is over.
        let _ = sender.send(read.map(|_| output));
    });
    let output = receiver.recv_timeout(limit).map_err(|_| too_long(limit))?;
    let output = output.map_err(|error| format!("pipe: the output cannot be read: {error}"))?;
    if output.len() as u64 > MOST {
        return Err(format!("pipe: the command prints more than {MOST} bytes"));
    }
    Ok(output)
}

fn ended(child: &mut Child, end: Instant) -> Result<(), String> {
    loop {
        let status = child.try_wait().map_err(|error| format!("pipe: {error}"))?;
        match status.map(|status| (status.success(), status.code())) {
            Some((true, _)) => return Ok(()),
            Some((false, Some(code))) => {
                return Err(format!("pipe: the command exited with code {code}"));
            }
            Some((false, None)) => return Err("pipe: the command was killed".to_owned()),
            None if Instant::now() >= end => return Err(too_long(LIMIT)),
            None => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn too_long(limit: Duration) -> String {
    format!("pipe: the command did not end within {} s", limit.as_secs())
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

#[cfg(test)]
mod tests {
    use super::*;

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
