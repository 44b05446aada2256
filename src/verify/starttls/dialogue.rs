//! Bounded reading and writing that all dialogues share.

use crate::model::StartTls;
use crate::verify::dial::Stream;
use crate::verify::probe::Phase;
use crate::verify::refusal::{Refusal, TLS_ALERT, shown};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longest line, without its end. SMTP's own limit is 512 (RFC 5321 §4.5.3.1.5), IMAP advises 8192.
pub(super) const LINE: usize = 8 * 1024;
/// Everything that a server may send before TLS.
pub(super) const WHOLE: usize = 64 * 1024;

pub(super) struct Dialogue<'a> {
    stream: &'a mut dyn Stream,
    protocol: StartTls,
    phase: &'a mut Phase,
    /// Read and not yet consumed.
    buffer: Vec<u8>,
    /// Bytes read so far.
    total: usize,
}

impl<'a> Dialogue<'a> {
    pub(super) fn new(
        stream: &'a mut dyn Stream,
        protocol: StartTls,
        phase: &'a mut Phase,
    ) -> Self {
        Self { stream, protocol, phase, buffer: Vec::new(), total: 0 }
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        *self.phase = phase;
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match sent.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// A line without its CRLF (a bare LF ends one as well).
    pub(super) async fn line(&mut self) -> Result<Vec<u8>, Refusal> {
        let mut searched = 0;
        loop {
            if let Some(offset) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=searched + offset).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            searched = self.buffer.len();
            if self.buffer.len() > LINE {
                return Err(self.endless());
            }
            // A TLS alert has no line end; waiting for one would end in a timeout that tells less.
            if is_tls_record(&self.buffer) {
                return Err(self.unexpected_buffer());
            }
            self.fill().await?;
        }
    }

    /// Exactly `count` bytes.
    pub(super) async fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Refusal> {
        if count > WHOLE {
            return Err(self.endless());
        }
        while self.buffer.len() < count {
            self.fill().await?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Reads more into what [`Self::buffered`] shows.
    pub(super) async fn fill(&mut self) -> Result<(), Refusal> {
        if self.total >= WHOLE {
            return Err(self.endless());
        }
        let mut chunk = [0; 4096];
        let room = chunk.len().min(WHOLE - self.total);
        match self.stream.read(&mut chunk[..room]).await {
            Ok(0) if self.buffer.is_empty() => Err(Refusal::Closed { phase: *self.phase }),
            Ok(0) => Err(self.unexpected_buffer()),
            Ok(read) => {
                self.total += read;
                self.buffer.extend_from_slice(&chunk[..read]);
                Ok(())
            }
            Err(error) => Err(self.broken(&error)),
        }
    }

    pub(super) fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.buffer.drain(..count.min(self.buffer.len()));
    }

    /// The consent is complete: nothing may wait behind it.
    pub(super) fn end(&self) -> Result<(), Refusal> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        Err(Refusal::Injected { seen: shown(&self.buffer) })
    }

    /// The server said no.
    pub(super) fn refused(&self, reply: &[u8]) -> Refusal {
        Refusal::StartTls { phase: *self.phase, reply: shown(reply) }
    }

    pub(super) fn not_offered(&self) -> Refusal {
        Refusal::NotOffered { protocol: self.protocol }
    }

    /// The reply is of another protocol.
    pub(super) fn unexpected(&self, reply: &[u8]) -> Refusal {
        let seen = if is_tls_record(reply) { TLS_ALERT.to_owned() } else { shown(reply) };
        Refusal::Unexpected { protocol: self.protocol, phase: *self.phase, seen }
    }

    pub(super) fn unexpected_buffer(&self) -> Refusal {
        self.unexpected(&self.buffer)
    }

    pub(super) fn endless(&self) -> Refusal {
        Refusal::Endless { phase: *self.phase }
    }

    fn broken(&self, error: &io::Error) -> Refusal {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Refusal::Closed { phase: *self.phase },
            _ => Refusal::Tls { message: shown(error.to_string().as_bytes()) },
        }
    }
}

/// An alert record (RFC 8446 §5.1: type 21, major version 3): the answer of a TLS port to plain text.
fn is_tls_record(bytes: &[u8]) -> bool {
    bytes.starts_with(&[21, 3])
}

/// Whether `line` starts with `word`, in any case, as a word of its own.
pub(super) fn starts_with_word(line: &[u8], word: &str) -> bool {
    let word = word.as_bytes();
    line.len() >= word.len()
        && line[..word.len()].eq_ignore_ascii_case(word)
        && line.get(word.len()).is_none_or(|next| !next.is_ascii_alphanumeric())
}
