//! The same [`Process`] from a program on the controller: for `ansible_connection: local`, checks
//! that run here, and tests without SSH.

use super::error::StartError;
use super::exit::Exit;
use super::launch::Launch;
use super::process::Process;
use super::pump::Shared;
use bytes::BytesMut;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// Output that waits for its reader before the program has to wait as well.
const UNREAD: usize = 1 << 20;

/// Runs a launch through `sh`, in this process's directory and environment.
///
/// # Errors
/// As [`Session::start`](super::Session::start), and when `sh` cannot be run.
pub async fn start(launch: &Launch) -> Result<Process, StartError> {
    start_in(launch, None, []).await
}

/// Runs a launch through `sh` in `directory`, with `environment` in addition to this process's own.
///
/// # Errors
/// As [`start`].
pub(crate) async fn start_in<const N: usize>(
    launch: &Launch,
    directory: Option<&Path>,
    environment: [(&str, &str); N],
) -> Result<Process, StartError> {
    let wrapped = launch.wrap()?;
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(&wrapped.line).envs(environment);
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    let process = spawn(command).map_err(StartError::Local)?;
    let mut process = process.run_as(launch.become_as.as_ref());
    launch.converse(wrapped.prompt, &mut process).await?;
    Ok(process)
}

/// Starts any command with its three pipes connected, in a process group of its own so that the
/// controller's Ctrl-C does not reach it.
///
/// # Errors
/// The operating system's, when the program cannot be run.
pub fn spawn(mut command: Command) -> std::io::Result<Process> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let piped = "was asked for above";
    let stdin = child.stdin.take().expect(piped);
    let stdout = child.stdout.take().expect(piped);
    let stderr = child.stderr.take().expect(piped);
    let shared = Shared::new();
    tokio::spawn(pump(child, stdout, stderr, shared.clone()));
    Ok(Process::new(shared, Box::new(stdin), None))
}

async fn pump(
    mut child: Child,
    stdout: impl AsyncRead + Unpin,
    stderr: impl AsyncRead + Unpin,
    shared: Arc<Shared>,
) {
    // A daemon that the program left behind may hold its pipes for ever: the program's own end
    // counts, after what it wrote before.
    let reading =
        async { tokio::join!(read_stdout(stdout, &shared), read_stderr(stderr, &shared)) };
    tokio::pin!(reading);
    let status = tokio::select! {
        status = child.wait() => {
            // What is in the pipes already is read at once; nothing waits for the daemon.
            let rest = std::time::Duration::from_millis(200);
            let _ = tokio::time::timeout(rest, &mut reading).await;
            status
        }
        _ = &mut reading => child.wait().await,
    };
    shared.ended(match status {
        Ok(status) => exit(status),
        Err(_) => Exit { code: None, signal: None, closed_cleanly: false },
    });
}

async fn read_stdout(mut from: impl AsyncRead + Unpin, shared: &Shared) {
    let mut changes = shared.changes();
    let mut buffer = BytesMut::new();
    loop {
        while shared.is_full(UNREAD) {
            if changes.changed().await.is_err() {
                return;
            }
        }
        buffer.reserve(16 << 10);
        match from.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => shared.stdout(buffer.split().freeze()),
        };
    }
    shared.eof();
}

async fn read_stderr(mut from: impl AsyncRead + Unpin, shared: &Shared) {
    let mut buffer = vec![0; 4 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        shared.stderr(&buffer[..count]);
    }
}

fn exit(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    let signal = status.signal().map(|number| match number {
        1 => "HUP".into(),
        2 => "INT".into(),
        6 => "ABRT".into(),
        9 => "KILL".into(),
        11 => "SEGV".into(),
        13 => "PIPE".into(),
        15 => "TERM".into(),
        other => other.to_string(),
    });
    Exit { code: status.code(), signal, closed_cleanly: true }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn all(process: &mut Process) -> String {
        let mut text = String::new();
        process.stdout.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_dialogue_over_the_pipes_and_the_exit_code() {
        let launch = Launch::new(
            "sh -c 'read a; echo got $a; read b; echo then $b; echo no >&2; exit 3'",
            "",
        );
        let mut process = start(&launch).await.unwrap();
        process.stdin.write_all(b"one\n").await.unwrap();
        let mut first = [0; 8];
        process.stdout.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"got one\n");
        process.stdin.write_all(b"two\n").await.unwrap();
        assert_eq!(all(&mut process).await, "then two\n");
        assert_eq!(
            process.exit().await,
            Exit { code: Some(3), signal: None, closed_cleanly: true }
        );
        assert_eq!(process.stderr_tail().await, b"no\n");
    }

    #[tokio::test]
    async fn dropping_stdin_is_the_end_of_input() {
        let (stdin, mut stdout, ending) = start(&Launch::new("cat", "")).await.unwrap().split();
        drop(stdin);
        let mut text = String::new();
        stdout.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "");
        assert!(ending.exit().await.success());
    }

    #[tokio::test]
    async fn signals_are_named() {
        let mut process = start(&Launch::new("sh -c 'kill -TERM $$'", "")).await.unwrap();
        assert_eq!(process.exit().await.signal.as_deref(), Some("TERM"));
    }

    #[tokio::test]
    async fn a_daemon_with_the_pipes_in_hand_does_not_delay_the_end() {
        let launch = Launch::new("sh -c 'echo started; sleep 600 & exit 0'", "");
        let mut process = start(&launch).await.unwrap();
        let exit = tokio::time::timeout(std::time::Duration::from_secs(60), process.exit());
        assert!(exit.await.unwrap().success());
        assert_eq!(all(&mut process).await, "started\n");
    }

    #[tokio::test]
    async fn more_output_than_fits_waits_for_its_reader() {
        let launch = Launch::new("sh -c 'head -c 20000000 /dev/zero'", "");
        let mut process = start(&launch).await.unwrap();
        let mut bytes = Vec::new();
        process.stdout.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes.len(), 20_000_000);
        assert!(process.exit().await.success());
    }

    #[tokio::test]
    async fn a_program_that_is_missing_says_so() {
        let launch = Launch::new("/no/such/program", "ready");
        let mut process = start(&launch).await.unwrap();
        let error = process.why_not_started().await;
        assert!(matches!(error, StartError::Ended { code: Some(127), .. }), "{error}");
    }
}
