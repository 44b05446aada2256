//! One connection per host, opened when first needed and shared by every task.

use super::dialer::SshDialer;
use super::failure::{self, HostFailure};
use super::verification::Dialers;
use crate::model::text::chain;
use crate::remote::{self, Shell};
use crate::transport::{
    Become, ConnectError, Connector, HostError, Launch, Process, Route, SharedSession, StartError,
    Target, local,
};
use crate::verify::Dial;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often it is looked whether a connection lives.
const LOOK_AFTER: Duration = Duration::from_millis(250);

/// A host's connection and the account that tasks run as.
#[derive(Clone)]
pub(crate) struct HostConnection {
    over: Over,
    become_as: Option<Become>,
    connector: Connector,
    /// On the heap: every host has room for one, and few have one.
    spare: Arc<Mutex<Option<Box<Spare>>>>,
}

/// A shell that one task left for the next, and whose it is.
struct Spare {
    become_as: Option<Become>,
    shell: Shell,
}

#[derive(Clone)]
enum Over {
    Controller,
    Ssh(SharedSession),
}

/// Why no program could be started on a host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// No connection.
    #[error("{}", chain(&**.0))]
    Connect(Arc<ConnectError>),
    /// Connected, but the program did not start: a shell that is none, a password that sudo refuses.
    #[error("{}", chain(&**.0))]
    Start(Box<StartError>),
    /// It leads to no machine of this kind.
    #[error("{0}")]
    Unfit(&'static str),
}

impl From<HostError> for ConnectionError {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Connect(error) => Self::Connect(error),
            HostError::Start(error) => Self::Start(Box::new(error)),
        }
    }
}

impl ConnectionError {
    /// The end of `task` on the host: it could not be reached as the account that was asked for.
    pub(crate) fn ended(self, task: &str) -> HostFailure {
        match self {
            Self::Connect(ref error) if error.is_final() => {
                failure::turned_away(task, self.to_string())
            }
            Self::Connect(_) => failure::unreachable(task, self.to_string()),
            Self::Start(_) | Self::Unfit(_) => failure::refused(task, self.to_string()),
        }
    }
}

impl HostConnection {
    /// A connection that is not opened yet.
    pub(crate) fn new(route: Route, become_as: Option<Become>, connector: Connector) -> Self {
        let over = match route {
            Route::Local => Over::Controller,
            Route::Ssh(target) => Over::Ssh(SharedSession::new(*target, connector.clone())),
        };
        Self { over, become_as, connector, spare: Arc::default() }
    }

    /// The same connection for another account.
    pub(crate) fn as_user(&self, become_as: Option<Become>) -> Self {
        Self { become_as, ..self.clone() }
    }

    /// `deploy@10.0.0.1:22 via bastion, sudo root`.
    pub(crate) fn describe(&self) -> String {
        let place = match &self.over {
            Over::Controller => "on the controller".to_owned(),
            Over::Ssh(shared) => {
                let target = shared.target();
                let via: String =
                    target.jumps.iter().map(|jump| format!(" via {}", jump.address)).collect();
                format!("{}@{}:{}{via}", target.user, target.address, target.port)
            }
        };
        match &self.become_as {
            Some(account) => format!("{place}, {} {}", account.method.program(), account.user),
            None => place,
        }
    }

    /// The host's address where the controller reaches it without a bastion.
    pub(crate) fn address(&self) -> Option<&str> {
        match &self.over {
            Over::Controller => None,
            Over::Ssh(shared) => {
                let target = shared.target();
                target.jumps.is_empty().then_some(target.address.as_str())
            }
        }
    }

    /// Whether it leads nowhere: the controller itself.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.over, Over::Controller)
    }

    /// Which machine it leads to, as far as that is known before connecting: address and port, and the way there,
    /// since the same address behind another bastion is another machine.
    pub(crate) fn machine(&self) -> String {
        match &self.over {
            Over::Controller => "the controller".to_owned(),
            Over::Ssh(shared) => {
                let target = shared.target();
                let hops = target.jumps.iter().map(|jump| (&jump.address, jump.port));
                let hops = hops.chain([(&target.address, target.port)]);
                let hops: Vec<String> =
                    hops.map(|(address, port)| format!("{address}:{port}")).collect();
                hops.join(" ")
            }
        }
    }

    /// The fingerprint of the key that the host showed when it was connected to last.
    pub(crate) fn host_key(&self) -> Option<String> {
        match &self.over {
            Over::Controller => None,
            Over::Ssh(shared) => shared.last()?.host_key().map(str::to_owned),
        }
    }

    /// Keeps a shell of this account for [`HostConnection::kept`].
    pub(crate) async fn keep(&self, shell: Shell) {
        let spare = Spare { become_as: self.become_as.clone(), shell };
        let before = self.spare().replace(Box::new(spare));
        if let Some(before) = before {
            before.shell.end().await;
        }
    }

    /// The shell that an earlier task has left, if it is of this account. It may have ended meanwhile.
    pub(crate) fn kept(&self) -> Option<Shell> {
        let is_ours = |spare: &mut Box<Spare>| match (&spare.become_as, &self.become_as) {
            (None, None) => true,
            (Some(its), Some(ours)) => its.leads_where(ours),
            _ => false,
        };
        Some(self.spare().take_if(is_ours)?.shell)
    }

    /// Ends the connection once nothing runs over it any more, and the shell that was kept.
    pub(crate) fn release(&self) {
        drop(self.spare().take());
        if let Over::Ssh(shared) = &self.over {
            shared.release();
        }
    }

    fn spare(&self) -> MutexGuard<'_, Option<Box<Spare>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the shell that reads a program of [`remote`], as the account of this connection. One that was kept is
    /// ended first: some servers open no second channel beside it.
    ///
    /// # Errors
    /// No connection, or the account could not be taken.
    pub(crate) async fn sh(&self) -> Result<Process, ConnectionError> {
        let spare = self.spare().take();
        if let Some(spare) = spare {
            spare.shell.end().await;
        }
        let launch = remote::launch(self.become_as.clone());
        match &self.over {
            Over::Ssh(shared) => Ok(shared.start(&launch).await?),
            Over::Controller => {
                let started = local::start(&launch).await;
                started.map_err(|error| ConnectionError::Start(Box::new(error)))
            }
        }
    }

    /// Starts a line of another kind of machine, which has no shell of POSIX's kind: as the account that logs in.
    ///
    /// # Errors
    /// No connection; an account to become, or no SSH server at all, which such a machine cannot do with.
    pub(crate) async fn line(&self, line: String) -> Result<Process, ConnectionError> {
        match &self.over {
            Over::Controller => {
                Err(ConnectionError::Unfit("it is not logged in to (a local connection)"))
            }
            Over::Ssh(_) if self.become_as.is_some() => Err(ConnectionError::Unfit(
                "`become` does not work there: set `become: false`, and log in as an account that may do it",
            )),
            Over::Ssh(shared) => Ok(shared.start(&Launch::verbatim(line)).await?),
        }
    }

    /// The ways to look at what this host serves.
    pub(crate) fn dialers(&self) -> Dialers {
        match &self.over {
            Over::Controller => Dialers { host: Some(Arc::new(crate::verify::Tcp)), bastion: None },
            Over::Ssh(shared) => {
                let bastion = last_jump(shared.target()).map(|jump| -> Arc<dyn Dial> {
                    Arc::new(SshDialer::Bastion { target: jump, connector: self.connector.clone() })
                });
                let host: Arc<dyn Dial> = Arc::new(SshDialer::Host(shared.clone()));
                Dialers { host: Some(host), bastion }
            }
        }
    }

    /// Waits until the connection that is there now has died.
    pub(crate) async fn died(&self) {
        let session = match &self.over {
            Over::Controller => None,
            Over::Ssh(shared) => shared.last(),
        };
        let Some(session) = session else { return std::future::pending().await };
        while !session.is_closed() {
            tokio::time::sleep(LOOK_AFTER).await;
        }
    }
}

/// The bastion next to the host, reached through those before it.
fn last_jump(target: &Target) -> Option<Box<Target>> {
    let (last, before) = target.jumps.split_last()?;
    Some(Box::new(Target { jumps: before.to_vec(), ..last.clone() }))
}
