//! One connection to a host for all that a run does there: made when it is first needed, and anew when the
//! last one has ended.
//!
//! Servers end connections on which nothing runs (`UnusedConnectionTimeout` of sshd), and some serve one
//! program per connection (tinysshd). As long as nothing was begun, a new connection is as good.

use super::connect::Connector;
use super::error::{ConnectError, DialError, StartError};
use super::launch::Launch;
use super::process::Process;
use super::session::{Session, Tunnel};
use super::target::Target;
use std::sync::{Arc, Mutex, PoisonError};

/// A host's connection, whether it is open or not. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct SharedSession(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    target: Target,
    connector: Connector,
    /// The last session, or why there will be none.
    last: Mutex<Option<Result<Session, Arc<ConnectError>>>>,
    /// Held by who connects: the others wait for that.
    connecting: tokio::sync::Mutex<()>,
}

/// Why a program does not run on a host.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// There is no connection.
    #[error(transparent)]
    Connect(Arc<ConnectError>),
    /// There is one, but the program did not start.
    #[error(transparent)]
    Start(StartError),
}

/// A session, and whether it was made for who asks.
struct Open {
    session: Session,
    is_new: bool,
}

impl SharedSession {
    /// Not connected yet.
    pub fn new(target: Target, connector: Connector) -> Self {
        let (last, connecting) = Default::default();
        Self(Arc::new(Inner { target, connector, last, connecting }))
    }

    /// Where it leads.
    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// The session of this moment, if one was ever made; it may have ended.
    pub fn last(&self) -> Option<Session> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner).clone()?.ok()
    }

    /// An open session.
    ///
    /// # Errors
    /// As [`Connector::connect`]. A host that refused every log-in is not asked again.
    pub async fn get(&self) -> Result<Session, Arc<ConnectError>> {
        Ok(self.open().await?.session)
    }

    async fn open(&self) -> Result<Open, Arc<ConnectError>> {
        let _alone = self.0.connecting.lock().await;
        let last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match last {
            Some(Ok(session)) if !session.is_closed() => {
                return Ok(Open { session, is_new: false });
            }
            Some(Err(error)) => return Err(error),
            _ => {}
        }
        let result = self.0.connector.connect(&self.0.target).await.map_err(Arc::new);
        if result.as_ref().map_or_else(|error| error.is_final(), |_| true) {
            let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some(result.clone());
        }
        result.map(|session| Open { session, is_new: true })
    }

    /// Starts a program, as [`Session::start`] does; on a new connection where the old one has ended, or
    /// carries no more programs.
    ///
    /// # Errors
    /// No connection, or the program did not start.
    pub async fn start(&self, launch: &Launch) -> Result<Process, HostError> {
        let Open { session, is_new } = self.open().await.map_err(HostError::Connect)?;
        let again = match session.start(launch).await {
            Err(StartError::Lost { .. }) if !is_new => {
                self.forget(&session);
                self.get().await
            }
            // Only for this program, which keeps its connection.
            Err(StartError::Channel { .. }) if !is_new => {
                self.0.connector.connect(&self.0.target).await.map_err(Arc::new)
            }
            result => return result.map_err(HostError::Start),
        };
        let session = again.map_err(HostError::Connect)?;
        session.start(launch).await.map_err(HostError::Start)
    }

    /// Connects onwards, as [`Session::dial`] does.
    ///
    /// # Errors
    /// No connection; then each of [`DialError`].
    pub async fn dial(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Result<Tunnel, DialError>, Arc<ConnectError>> {
        let Open { session, is_new } = self.open().await?;
        match session.dial(host, port).await {
            Err(DialError::Lost { .. }) if !is_new => {
                self.forget(&session);
                Ok(self.get().await?.dial(host, port).await)
            }
            result => Ok(result),
        }
    }

    /// Nobody needs it for now: it ends once nothing runs over it any more. Whoever needs one later gets a new one.
    pub fn release(&self) {
        let session = {
            let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.take_if(|last| last.is_ok())
        };
        drop(session);
    }

    /// A session that failed is not used again, even if it does not know yet that it has ended.
    fn forget(&self, session: &Session) {
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*last, Some(Ok(current)) if current.is_same(session)) {
            *last = None;
        }
    }
}
