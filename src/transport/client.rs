//! What russh asks us during a connection: the host's key, and whether the server may open
//! channels (it may not).

use super::error::ConnectError;
use super::host_key::{Expectation, Verdict};
use crate::model::Timestamp;
use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelId};
use std::sync::{Arc, Mutex, PoisonError};

/// One connection's handler.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) expectation: Expectation,
    pub(super) now: Timestamp,
    pub(super) notes: Notes,
}

/// What the handler has learnt, for who made the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Mutex<Learnt>>);

#[derive(Debug, Default)]
struct Learnt {
    remember: Option<String>,
    impostor: bool,
    farewell: Option<String>,
    banner: Option<String>,
    host_key: Option<String>,
}

impl Notes {
    /// A line for the first known_hosts file.
    pub(super) fn take_remember(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remember.take()
    }

    /// Whether the host's key is not the known one, and nobody minds.
    pub(super) fn is_impostor(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).impostor
    }

    /// The fingerprint of the key that the host has shown.
    pub(super) fn host_key(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).host_key.clone()
    }

    /// What the server said last before it let anybody in. Untrusted.
    pub(super) fn banner(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).banner.clone()
    }

    /// The server's reason for disconnecting. Untrusted.
    pub(super) fn farewell(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).farewell.clone()
    }
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum ClientError {
    HostKey(Box<ConnectError>),
    Russh(russh::Error),
}

impl From<russh::Error> for ClientError {
    fn from(error: russh::Error) -> Self {
        Self::Russh(error)
    }
}

impl Handler for Client {
    type Error = ClientError;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, ClientError> {
        let fingerprint = shown.public_key().fingerprint(HashAlg::Sha256).to_string();
        self.notes.0.lock().unwrap_or_else(PoisonError::into_inner).host_key = Some(fingerprint);
        match self.expectation.judge(shown, self.now) {
            Ok(Verdict::Known | Verdict::Unchecked) => Ok(true),
            Ok(Verdict::Impostor) => {
                self.notes.0.lock().unwrap_or_else(PoisonError::into_inner).impostor = true;
                Ok(true)
            }
            Ok(Verdict::Remember(line)) => {
                self.notes.0.lock().unwrap_or_else(PoisonError::into_inner).remember = Some(line);
                Ok(true)
            }
            Err(error) => Err(ClientError::HostKey(Box::new(error))),
        }
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), ClientError> {
        self.notes.0.lock().unwrap_or_else(PoisonError::into_inner).banner =
            Some(banner.to_owned());
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<ClientError>,
    ) -> Result<(), ClientError> {
        if let DisconnectReason::ReceivedDisconnect(info) = reason {
            self.notes.0.lock().unwrap_or_else(PoisonError::into_inner).farewell =
                Some(info.message);
        }
        Ok(())
    }

    // A server has no business opening channels to us: each is refused by dropping its handle.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn should_accept_unknown_server_channel(&mut self, _: ChannelId, _: &str) -> bool {
        false
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _refused: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), ClientError> {
        Ok(())
    }
}
