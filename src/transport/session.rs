//! A logged-in connection and what runs over it.

use super::channel::{self, OnDrop};
use super::client::Client;
use super::error::{DialError, StartError};
use super::launch::Launch;
use super::process::Process;
use russh::client::Handle;
use russh::{ChannelOpenFailure, Disconnect};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// For opening a channel, when the connection is dead and no keepalive says so.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);

/// First pause before a refused channel is asked for again: with `MaxSessions 1`, sshd still counts
/// the program that has just ended.
const FREED_SOON: Duration = Duration::from_millis(20);

/// A logged-in connection. Cheap to clone; any number of programs run over it at once.
///
/// It ends when [`closed`](Session::close), or when the last clone and the last process and tunnel
/// of it are dropped: then the input of what still runs on the host ends.
#[derive(Clone, Debug)]
pub struct Session(Arc<Connection>);

struct Connection {
    /// Always there until the connection is dropped.
    handle: Option<Handle<Client>>,
    /// For messages.
    name: String,
    /// The fingerprint of the host's key.
    host_key: Option<String>,
    /// The bastion's connection, which must outlive this one.
    _through: Option<Session>,
}

/// A connection that a session's host made onwards. Dropped, it is closed.
#[derive(Debug)]
pub struct Tunnel(Process);

impl Session {
    pub(super) fn new(
        handle: Handle<Client>,
        name: String,
        host_key: Option<String>,
        through: Option<Self>,
    ) -> Self {
        Self(Arc::new(Connection { handle: Some(handle), name, host_key, _through: through }))
    }

    /// The fingerprint of the key that the host has shown (`SHA256:…`).
    pub fn host_key(&self) -> Option<&str> {
        self.0.host_key.as_deref()
    }

    /// Starts a program.
    ///
    /// Without a become password it returns once the request is sent, so that input can follow at
    /// once; whether the program runs shows in its output ([`Process::why_not_started`] explains
    /// when it does not). With one, it returns when [`Launch::ready`] was seen, which stays unread
    /// in stdout; nothing may be written before that, as sudo would take it for a password.
    ///
    /// # Errors
    /// Each of [`StartError`].
    pub async fn start(&self, launch: &Launch) -> Result<Process, StartError> {
        let wrapped = launch.wrap()?;
        let lost = || StartError::Lost { host: self.0.name.clone() };
        let handle = self.0.handle.as_ref().ok_or_else(lost)?;
        let mut pause = FREED_SOON;
        let channel = loop {
            let opening = tokio::time::timeout(OPEN_TIMEOUT, handle.channel_open_session());
            match opening.await {
                Ok(Ok(channel)) => break channel,
                Ok(Err(russh::Error::ChannelOpenFailure(_))) if pause < FREED_SOON * 32 => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Ok(Err(russh::Error::ChannelOpenFailure(reason))) => {
                    let reason = match reason {
                        // So says sshd, which connects to nothing for a session.
                        ChannelOpenFailure::ConnectFailed => {
                            "no more sessions (MaxSessions in its sshd_config)".into()
                        }
                        other => refusal(&other),
                    };
                    return Err(StartError::Channel { host: self.0.name.clone(), reason });
                }
                Ok(Err(_)) | Err(_) => return Err(lost()),
            }
        };
        // No reply is asked for: it would be one more thing to wait for, and tells nothing that
        // the program's output does not.
        channel.exec(false, wrapped.line).await.map_err(|_| lost())?;
        let process = channel::run(channel, OnDrop::EndInput, self.0.clone());
        let mut process = process.run_as(launch.become_as.as_ref());
        launch.converse(wrapped.prompt, &mut process).await?;
        Ok(process)
    }

    /// Connects from the host to `host` and `port` as the host sees them (`direct-tcpip`).
    ///
    /// # Errors
    /// Each of [`DialError`].
    pub async fn dial(&self, host: &str, port: u16) -> Result<Tunnel, DialError> {
        let via = || self.0.name.clone();
        let handle = self.0.handle.as_ref().ok_or_else(|| DialError::Lost { via: via() })?;
        match handle.channel_open_direct_tcpip(host, port.into(), "127.0.0.1", 0).await {
            Ok(channel) => Ok(Tunnel(channel::run(channel, OnDrop::Close, self.0.clone()))),
            Err(russh::Error::ChannelOpenFailure(reason)) => Err(DialError::Refused {
                via: via(),
                host: host.to_owned(),
                port,
                reason: refusal(&reason),
            }),
            Err(_) => Err(DialError::Lost { via: via() }),
        }
    }

    /// Ends the connection and all that runs over it: their input ends.
    pub async fn close(self) {
        if let Some(handle) = &self.0.handle {
            let _ = handle.disconnect(Disconnect::ByApplication, "", "").await;
        }
    }

    /// Whether `other` is a clone of this one.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.0.handle.as_ref().is_none_or(Handle::is_closed)
    }
}

fn refusal(reason: &ChannelOpenFailure) -> String {
    match reason {
        ChannelOpenFailure::AdministrativelyProhibited => {
            "administratively prohibited (AllowTcpForwarding, PermitOpen or MaxSessions in its \
             sshd_config)"
                .into()
        }
        ChannelOpenFailure::ConnectFailed => "connect failed".into(),
        ChannelOpenFailure::UnknownChannelType => "unknown channel type".into(),
        ChannelOpenFailure::ResourceShortage => "resource shortage".into(),
        ChannelOpenFailure::Other { code, .. } => format!("reason code {code}"),
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Tasks that write to channels keep a way into the connection, so it would stay open for as
        // long as a program does not end.
        if let (Some(handle), Ok(runtime)) =
            (self.handle.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(async move {
                let _ = handle.disconnect(Disconnect::ByApplication, "", "").await;
            });
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Connection").field(&self.name).finish()
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0.stdin).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0.stdin).poll_shutdown(cx)
    }
}
