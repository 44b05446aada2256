//! `ProxyCommand`: a program whose stdin and stdout are the connection.

use super::error::ConnectError;
use crate::model::text::printable;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Join, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// What is kept of a command's stderr: its end.
const KEPT: usize = 2 << 10;
/// For the last words of a command that has failed.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A command's pipes, which end it when they are dropped.
pub(super) struct Proxy {
    pipes: Join<ChildStdout, ChildStdin>,
    _child: Child,
}

/// What the command writes to stderr, for the case that it fails.
#[derive(Clone, Debug, Default)]
pub(super) struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    async fn listen(self, mut stderr: ChildStderr) {
        let mut bytes = [0; 1 << 10];
        while let Ok(count @ 1..) = stderr.read(&mut bytes).await {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(&bytes[..count]);
            let excess = kept.len().saturating_sub(KEPT);
            kept.drain(..excess);
        }
    }

    /// A failed connection's error together with the command's own words.
    pub(super) async fn explain(&self, command: &str, error: ConnectError) -> ConnectError {
        tokio::time::sleep(LAST_WORDS).await;
        let said = printable(&self.0.lock().unwrap_or_else(PoisonError::into_inner), KEPT);
        let said = said.trim().replace('\n', ", ");
        if said.is_empty() {
            return error;
        }
        ConnectError::ProxyFailed { command: command.to_owned(), said, source: Box::new(error) }
    }
}

/// Runs a command by `sh`.
pub(super) async fn run(command: &str, said: &Said) -> Result<Proxy, ConnectError> {
    let failed = |source| ConnectError::ProxyCommand { command: command.to_owned(), source };
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    match (child.stdout.take(), child.stdin.take(), child.stderr.take()) {
        (Some(stdout), Some(stdin), Some(stderr)) => {
            tokio::spawn(said.clone().listen(stderr));
            Ok(Proxy { pipes: tokio::io::join(stdout, stdin), _child: child })
        }
        _ => Err(failed(io::ErrorKind::BrokenPipe.into())),
    }
}

impl AsyncRead for Proxy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipes).poll_read(cx, buf)
    }
}

impl AsyncWrite for Proxy {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipes).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipes).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipes).poll_shutdown(cx)
    }
}
