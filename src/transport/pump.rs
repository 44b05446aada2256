//! The memory between a channel and who reads it: bounded, watched, never in the way of others.

use super::exit::Exit;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::watch;

/// What a process may write to stdout before somebody reads it. A channel that waited instead would
/// hold up every other channel of its connection, and so all hosts behind a bastion.
pub(super) const UNREAD_LIMIT: usize = 8 << 20;
/// What is kept of stderr: its end.
const STDERR_KEPT: usize = 64 << 10;

/// More was written to stdout than anyone read.
#[derive(Debug, thiserror::Error)]
#[error("too much output: more than {} MiB wait to be read", UNREAD_LIMIT >> 20)]
pub(crate) struct TooMuchOutput;

/// The connection ended without the channel being closed.
#[derive(Debug, thiserror::Error)]
#[error("the connection was lost")]
pub(crate) struct LinkLost;

/// One process's output, filled by its pump and emptied by its reader.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    unread: usize,
    end: Option<End>,
    reader_gone: bool,
    reader: Option<Waker>,
    stderr: VecDeque<u8>,
    exit: Option<Exit>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Eof,
    TooMuch,
    Lost,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), changed: watch::Sender::new(()) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; were it so, the bytes would still be the bytes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (result, waker) = {
            let mut state = self.state();
            let result = change(&mut state);
            (result, state.reader.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        self.changed.send_replace(());
        result
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Waits for the end.
    pub(super) async fn exit(&self) -> Exit {
        let mut changes = self.changes();
        loop {
            if let Some(exit) = self.look(|seen| seen.exit()) {
                return exit;
            }
            if changes.changed().await.is_err() {
                return Exit { code: None, signal: None, closed_cleanly: false };
            }
        }
    }

    pub(super) fn look<T>(&self, read: impl FnOnce(&Seen<'_>) -> T) -> T {
        read(&Seen(&self.state()))
    }

    /// Takes a chunk of stdout; false when there is no more room for any.
    pub(super) fn stdout(&self, chunk: Bytes) -> bool {
        self.update(|state| {
            if state.reader_gone || state.end.is_some() || chunk.is_empty() {
                return true;
            }
            if state.unread + chunk.len() > UNREAD_LIMIT {
                state.end = Some(End::TooMuch);
                return false;
            }
            state.unread += chunk.len();
            state.chunks.push_back(chunk);
            true
        })
    }

    /// Whether a pump that can wait should: someone still has to read what is there.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        let state = self.state();
        state.unread >= limit && !state.reader_gone
    }

    pub(super) fn stderr(&self, chunk: &[u8]) {
        self.update(|state| {
            let chunk = &chunk[chunk.len().saturating_sub(STDERR_KEPT)..];
            let excess = (state.stderr.len() + chunk.len()).saturating_sub(STDERR_KEPT);
            state.stderr.drain(..excess.min(state.stderr.len()));
            state.stderr.extend(chunk);
        });
    }

    pub(super) fn eof(&self) {
        self.update(|state| {
            state.end.get_or_insert(End::Eof);
        });
    }

    /// The last word of a pump.
    pub(super) fn ended(&self, exit: Exit) {
        self.update(|state| {
            state.end.get_or_insert(if exit.closed_cleanly { End::Eof } else { End::Lost });
            state.exit = Some(exit);
        });
    }
}

/// A look at what has come so far, without taking any of it.
pub(super) struct Seen<'a>(&'a State);

impl Seen<'_> {
    /// Whether the first unread bytes of stdout, at most `limit`, have `text` in them.
    pub(super) fn stdout_contains(&self, text: &[u8], limit: usize) -> bool {
        contains(&self.stdout_head(limit), text)
    }

    pub(super) fn unread(&self) -> usize {
        self.0.unread
    }

    /// The first unread bytes of stdout, at most `limit`.
    pub(super) fn stdout_head(&self, limit: usize) -> Vec<u8> {
        let bytes = self.0.chunks.iter().flat_map(|chunk| chunk.iter().copied());
        bytes.take(limit).collect()
    }

    pub(super) fn stderr(&self) -> Vec<u8> {
        self.0.stderr.iter().copied().collect()
    }

    pub(super) fn ended(&self) -> bool {
        self.0.exit.is_some()
    }

    pub(super) fn exit(&self) -> Option<Exit> {
        self.0.exit.clone()
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

/// The reading end of [`Shared`].
#[derive(Debug)]
pub(super) struct Reader(pub(super) Arc<Shared>);

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.state();
        let mut took = false;
        while buf.remaining() > 0
            && let Some(chunk) = state.chunks.front_mut()
        {
            let count = chunk.len().min(buf.remaining());
            buf.put_slice(&chunk[..count]);
            chunk.advance(count);
            if chunk.is_empty() {
                state.chunks.pop_front();
            }
            state.unread -= count;
            took = true;
        }
        if took || buf.remaining() == 0 {
            drop(state);
            self.0.changed.send_replace(());
            return Poll::Ready(Ok(()));
        }
        match state.end {
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(End::Eof) => Poll::Ready(Ok(())),
            Some(End::TooMuch) => Poll::Ready(Err(io::Error::other(TooMuchOutput))),
            Some(End::Lost) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, LinkLost)))
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.update(|state| {
            state.reader_gone = true;
            state.chunks.clear();
            state.unread = 0;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn what_was_written_is_read_in_order_then_the_end() {
        let shared = Shared::new();
        let mut reader = Reader(shared.clone());
        assert!(shared.stdout(Bytes::from_static(b"one")));
        assert!(shared.stdout(Bytes::from_static(b"two")));
        shared.eof();
        let mut text = String::new();
        reader.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "onetwo");
    }

    #[tokio::test]
    async fn too_much_unread_output_is_an_error_after_what_fitted() {
        let shared = Shared::new();
        let mut reader = Reader(shared.clone());
        let half = Bytes::from(vec![b'x'; UNREAD_LIMIT / 2 + 1]);
        assert!(shared.stdout(half.clone()));
        assert!(!shared.stdout(half.clone()));
        let mut text = Vec::new();
        let error = reader.read_to_end(&mut text).await.unwrap_err();
        assert_eq!((text.len(), error.to_string()), (half.len(), TooMuchOutput.to_string()));
    }

    #[tokio::test]
    async fn a_lost_link_is_no_end_of_file() {
        let shared = Shared::new();
        let mut reader = Reader(shared.clone());
        shared.ended(Exit { code: None, signal: None, closed_cleanly: false });
        let error = reader.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn stderr_keeps_its_end() {
        let shared = Shared::new();
        shared.stderr(&vec![b'a'; STDERR_KEPT]);
        shared.stderr(b"the end");
        let kept = shared.look(|seen| seen.stderr());
        assert_eq!((kept.len(), &kept[STDERR_KEPT - 7..]), (STDERR_KEPT, &b"the end"[..]));
        shared.stderr(&vec![b'b'; 3 * STDERR_KEPT]);
        assert_eq!(shared.look(|seen| seen.stderr()), vec![b'b'; STDERR_KEPT]);
    }

    #[test]
    fn a_reader_that_left_holds_nothing_up() {
        let shared = Shared::new();
        drop(Reader(shared.clone()));
        let chunk = Bytes::from(vec![b'x'; UNREAD_LIMIT]);
        assert!(shared.stdout(chunk.clone()));
        assert!(shared.stdout(chunk));
    }
}
