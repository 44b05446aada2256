//! The first line of each side, which names its protocol and program (RFC 4253 §4.2).
//!
//! Read apart from the library's own dialogue for two reasons. known_hosts files are read behind it, as
//! OpenSSH does: a `ProxyCommand` may write them before it connects (FreeIPA's does). And servers
//! that hang up say why in a line in front of it, which an operator wants to see.

use bytes::{Buf, Bytes};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// Our line, without its end.
pub(super) const OURS: &str = concat!("SSH-2.0-certroll_", env!("CARGO_PKG_VERSION"));

/// What a server may say before its line. OpenSSH stands more; nobody uses it.
const PREAMBLE_LIMIT: usize = 16 << 10;

/// A connection whose greetings were exchanged, for a library that has not seen that: it reads the
/// server's line again, and what it writes as ours goes nowhere.
pub(super) struct Greeted<S> {
    stream: S,
    unread: Bytes,
    /// Bytes of our line that are still to be written again.
    written: usize,
}

/// Why there was no greeting.
#[derive(Debug)]
pub(super) enum Ungreeted {
    /// What the connection said.
    Io(io::Error),
    /// It ended, after these bytes.
    Closed(Vec<u8>),
    /// These bytes are no SSH.
    NoSsh(Vec<u8>),
}

/// Sends our line and reads the server's.
pub(super) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
) -> Result<Greeted<S>, Ungreeted> {
    let ours = format!("{OURS}\r\n");
    // A server that has hung up may have said why: that is read first.
    let sent = stream.write_all(ours.as_bytes()).await;
    let mut seen = Vec::new();
    loop {
        if let Some(start) = own_line(&seen) {
            sent.map_err(Ungreeted::Io)?;
            let unread = Bytes::from(seen).slice(start..);
            return Ok(Greeted { stream, unread, written: ours.len() });
        }
        if seen.len() > PREAMBLE_LIMIT {
            return Err(Ungreeted::NoSsh(seen));
        }
        match stream.read_buf(&mut seen).await {
            Ok(0) => return Err(Ungreeted::Closed(seen)),
            Ok(_) => {}
            Err(_) if !seen.is_empty() => return Err(Ungreeted::Closed(seen)),
            Err(error) => return Err(Ungreeted::Io(error)),
        }
    }
}

/// Where the server's line begins, once it is there as a whole.
fn own_line(seen: &[u8]) -> Option<usize> {
    let mut start = 0;
    for line in seen.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"SSH-") && line.ends_with(b"\n") {
            return Some(start);
        }
        start += line.len();
    }
    None
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..count]);
        self.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.written > 0 {
            let count = self.written.min(buf.len());
            self.written -= count;
            return Poll::Ready(Ok(count));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn meet(server: &[u8]) -> Result<Greeted<tokio::io::DuplexStream>, Ungreeted> {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        theirs.write_all(server).await.unwrap();
        theirs.shutdown().await.unwrap();
        greet(ours).await
    }

    #[tokio::test]
    async fn the_servers_line_is_there_to_be_read_again_and_ours_is_not_sent_twice() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        theirs.write_all(b"Welcome\r\nSSH-2.0-x\r\nmore").await.unwrap();
        let mut greeted = greet(ours).await.unwrap();
        greeted.write_all(format!("{OURS}\r\npacket").as_bytes()).await.unwrap();
        drop(theirs.shutdown().await);
        let mut text = Vec::new();
        greeted.read_to_end(&mut text).await.unwrap();
        assert_eq!(text, b"SSH-2.0-x\r\nmore");
        drop(greeted);
        let mut text = Vec::new();
        theirs.read_to_end(&mut text).await.unwrap();
        assert_eq!(text, format!("{OURS}\r\npacket").as_bytes());
    }

    #[tokio::test]
    async fn last_words_instead_of_a_greeting_are_kept() {
        let Err(Ungreeted::Closed(said)) = meet(b"Not allowed at this time\r\n").await else {
            panic!("not closed")
        };
        assert_eq!(said, b"Not allowed at this time\r\n");
        assert!(matches!(meet(b"").await, Err(Ungreeted::Closed(said)) if said.is_empty()));
        let babble = vec![b'x'; 2 * PREAMBLE_LIMIT];
        assert!(matches!(meet(&babble).await, Err(Ungreeted::NoSsh(_))));
    }
}
