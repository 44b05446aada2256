//! One connection per host, opened when first needed and shared by every task.

use super::certificate::failure::{self, Ended};
use super::verification::Dialers;
use crate::model::Step;
use crate::remote;
use crate::transport::{
    Become, ConnectError, Connector, DialError, Launch, Process, Session, StartError, Target, Tunnel,
    local,
};
use crate::verify::{Dial, Stream};
use futures::future::BoxFuture;
use std::io;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// How a host is reached.
#[derive(Clone, Debug)]
pub enum Access {
    /// By SSH.
    Ssh(Box<Target>),
    /// On the controller itself (`connection: local`, `delegate_to: localhost`).
    Local,
}

/// A host's connection and the account that tasks run as.
pub struct Link {
    access: Access,
    become_as: Option<Become>,
    connector: Arc<Connector>,
    session: Arc<OnceCell<Session>>,
}

/// Why no program could be started on a host.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No connection.
    #[error(transparent)]
    Connect(Arc<ConnectError>),
    /// Connected, but the program did not start.
    #[error(transparent)]
    Start(StartError),
}

impl LinkError {
    /// In an operator's words.
    pub fn ended(self, task: &str) -> Ended {
        match self {
            Self::Connect(error) => failure::unreachable(task, chain(&*error)),
            Self::Start(error @ StartError::Lost { .. }) => failure::unreachable(task, chain(&error)),
            Self::Start(error) => failure::before_commit(task, Step::Connect, chain(&error)),
        }
    }
}

/// An error and its causes on one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl Link {
    /// A link that is not opened yet.
    pub fn new(access: Access, become_as: Option<Become>, connector: Arc<Connector>) -> Self {
        Self { access, become_as, connector, session: Arc::new(OnceCell::new()) }
    }

    /// The same connection for another account.
    pub fn as_user(&self, become_as: Option<Become>) -> Self {
        Self {
            access: self.access.clone(),
            become_as,
            connector: Arc::clone(&self.connector),
            session: Arc::clone(&self.session),
        }
    }

    /// A link to another place, over the same connector.
    pub fn elsewhere(&self, access: Access, become_as: Option<Become>) -> Self {
        Self::new(access, become_as, Arc::clone(&self.connector))
    }

    /// `deploy@10.0.0.1:22, sudo root`.
    pub fn describe(&self) -> String {
        let place = match &self.access {
            Access::Local => "on the controller".to_owned(),
            Access::Ssh(target) => {
                let via = target.jumps.iter().map(|jump| format!(" via {}", jump.address));
                let via: String = via.collect();
                format!("{}@{}:{}{via}", target.user, target.address, target.port)
            }
        };
        match &self.become_as {
            Some(account) => format!("{place}, {} {}", account.method.program(), account.user),
            None => place,
        }
    }

    /// The open session; `None` for [`Access::Local`].
    ///
    /// # Errors
    /// The connection could not be made.
    pub async fn session(&self) -> Result<Option<&Session>, LinkError> {
        match &self.access {
            Access::Local => Ok(None),
            Access::Ssh(target) => {
                let open = self.session.get_or_try_init(|| self.connector.connect(target)).await;
                open.map(Some).map_err(|error| LinkError::Connect(Arc::new(error)))
            }
        }
    }

    /// Starts the shell program of `remote`, as the account of this link.
    ///
    /// # Errors
    /// No connection, or the account could not be taken.
    pub async fn sh(&self) -> Result<Process, LinkError> {
        let launch = Launch {
            become_as: self.become_as.clone(),
            ..Launch::new(remote::BOOTSTRAP, remote::READY)
        };
        let started = match self.session().await? {
            Some(session) => session.start(&launch).await,
            None => local::start(&launch).await,
        };
        started.map_err(LinkError::Start)
    }

    /// The ways to look at what this host serves.
    pub fn dialers(&self) -> Dialers {
        match &self.access {
            Access::Local => Dialers { host: Some(Arc::new(crate::verify::Tcp)), bastion: None },
            Access::Ssh(target) => {
                let through = |target: Box<Target>, session| -> Arc<dyn Dial> {
                    Arc::new(Through { target, connector: Arc::clone(&self.connector), session })
                };
                let bastion = last_jump(target).map(|jump| through(jump, Arc::default()));
                let host = through(target.clone(), Arc::clone(&self.session));
                Dialers { host: Some(host), bastion }
            }
        }
    }
}

/// The bastion next to the host, reached through those before it.
fn last_jump(target: &Target) -> Option<Box<Target>> {
    let (last, before) = target.jumps.split_last()?;
    Some(Box::new(Target { jumps: before.to_vec(), ..last.clone() }))
}

/// Dials from the machine at the other end of an SSH connection.
struct Through {
    target: Box<Target>,
    connector: Arc<Connector>,
    session: Arc<OnceCell<Session>>,
}

impl Stream for Tunnel {}

impl Dial for Through {
    fn dial(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let open = self.session.get_or_try_init(|| self.connector.connect(&self.target)).await;
            let session = open.map_err(|error| io::Error::other(chain(&error)))?;
            match session.dial(&host, port).await {
                Ok(tunnel) => Ok(Box::new(tunnel) as Box<dyn Stream>),
                Err(error @ DialError::Refused { .. }) => {
                    Err(io::Error::new(io::ErrorKind::ConnectionRefused, error))
                }
                Err(error) => Err(io::Error::other(chain(&error))),
            }
        })
    }
}
