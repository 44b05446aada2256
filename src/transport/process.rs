//! A running program's three pipes and its end, wherever it runs.

use super::become_user::{Attempt, Become};
use super::error::StartError;
use super::exit::Exit;
use super::prompt::without;
use super::pump::{Reader, Seen, Shared};
use std::any::Any;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// How long a program that gave no sign of running may take to end before its failure is told.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A program on a host (or here). Its pipes can be moved out and used from different tasks.
///
/// Dropped, its stdin ends, its output is thrown away, and the program is left to itself: end of
/// input is the signal that a remote script must obey.
#[derive(Debug)]
pub struct Process {
    /// Its standard input. Dropping or shutting it down is the end of input.
    pub stdin: Stdin,
    /// Its standard output.
    pub stdout: Stdout,
    shared: Arc<Shared>,
    /// Keeps the connection.
    link: Keep,
    attempt: Option<Attempt>,
    /// Pieces of what it says that nobody is to see: prompts of our own making.
    hidden: Vec<Vec<u8>>,
}

/// Writes to a program. Waits while the program does not read, so give writes a time limit.
pub struct Stdin(Box<dyn AsyncWrite + Send + Unpin>);

/// Reads from a program.
///
/// A reader that falls more than 8 MiB behind gets an error with an inner `TooMuchOutput` after
/// what fitted; after a lost connection comes [`io::ErrorKind::ConnectionReset`], not an end of
/// file.
#[derive(Debug)]
pub struct Stdout(Reader);

type Keep = Option<Arc<dyn Any + Send + Sync>>;

impl Process {
    pub(super) fn new(
        shared: Arc<Shared>,
        stdin: Box<dyn AsyncWrite + Send + Unpin>,
        link: Keep,
    ) -> Self {
        let stdout = Stdout(Reader(shared.clone()));
        Self { stdin: Stdin(stdin), stdout, shared, link, attempt: None, hidden: Vec::new() }
    }

    /// Remembers whom the program is to run as, to tell a refusal.
    pub(super) fn run_as(mut self, account: Option<&Become>) -> Self {
        self.attempt = account.map(Become::attempt);
        self
    }

    /// Waits for the end. Read stdout first or at the same time: unread output is kept, up to its
    /// limit, but does not hold up the end.
    pub async fn exit(&mut self) -> Exit {
        self.shared.exit().await
    }

    /// The last 64 KiB of stderr so far, without prompts. Untrusted bytes.
    pub async fn stderr_tail(&self) -> Vec<u8> {
        without(self.shared.look(|seen| seen.stderr()), &self.hidden)
    }

    /// Leaves these pieces out of what is told of its stderr.
    pub(super) fn redact(&mut self, pieces: Vec<Vec<u8>>) {
        self.hidden.extend(pieces);
    }

    /// Why a program that never said that it is ready did not run, from how it ended and what was
    /// said instead. Waits up to five seconds for its end.
    pub async fn why_not_started(&mut self) -> StartError {
        let exit = tokio::time::timeout(LAST_WORDS, self.exit()).await.ok();
        let said = self.said();
        StartError::from_end(self.attempt.as_ref(), exit.as_ref(), &said)
    }

    /// The pipes taken apart: stdin, stdout and what remains.
    pub fn split(self) -> (Stdin, Stdout, Ending) {
        let Self { stdin, stdout, shared, link, attempt, hidden } = self;
        let ending = Ending { shared, _link: link, attempt, hidden };
        (stdin, stdout, ending)
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.shared.changes()
    }

    pub(super) fn look<T>(&self, read: impl FnOnce(&Seen<'_>) -> T) -> T {
        self.shared.look(read)
    }

    /// The beginning of unread stdout and the end of stderr.
    pub(super) fn said(&self) -> Vec<u8> {
        self.shared.look(|seen| {
            let mut said = seen.stdout_head(4096);
            if !said.is_empty() && !said.ends_with(b"\n") {
                said.push(b'\n');
            }
            said.extend(without(seen.stderr(), &self.hidden));
            said
        })
    }
}

/// What remains of a [`Process`] whose pipes were taken.
#[derive(Debug)]
pub struct Ending {
    shared: Arc<Shared>,
    _link: Keep,
    attempt: Option<Attempt>,
    hidden: Vec<Vec<u8>>,
}

impl Ending {
    /// As [`Process::exit`].
    pub async fn exit(&self) -> Exit {
        self.shared.exit().await
    }

    /// As [`Process::stderr_tail`].
    pub async fn stderr_tail(&self) -> Vec<u8> {
        without(self.shared.look(|seen| seen.stderr()), &self.hidden)
    }

    /// How it has ended, if it has.
    pub fn ended(&self) -> Option<Exit> {
        self.shared.look(|seen| seen.exit())
    }

    /// Which refusal of `sudo`, `su`, `doas` or the login shell it was that the program never ran, if what was
    /// said instead is one of those that are known.
    pub fn refusal(&self, said: &[u8]) -> Option<StartError> {
        match StartError::from_end(self.attempt.as_ref(), self.ended().as_ref(), said) {
            StartError::Ended { .. } => None,
            refusal => Some(refusal),
        }
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stdin")
    }
}

impl AsyncWrite for Stdin {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl AsyncRead for Stdout {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}
