//! One connection per host, opened when first needed and shared by every task.

use super::failure::{self, HostFailure};
use super::through::{Over, Through};
use super::verification::Dialers;
use crate::remote;
use crate::transport::{
    Become, ConnectError, Connector, Process, Session, StartError, Target, Way, local,
};
use crate::verify::Dial;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// How often it is looked whether a connection lives.
const LOOK_AFTER: Duration = Duration::from_millis(250);

/// A host's connection and the account that tasks run as.
#[derive(Clone)]
pub struct Link {
    way: Way,
    become_as: Option<Become>,
    connector: Connector,
    session: Arc<OnceCell<Session>>,
}

/// Why no program could be started on a host.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// No connection.
    #[error("{}", chain(&**.0))]
    Connect(Box<ConnectError>),
    /// Connected, but the program did not start: a shell that is none, a password that sudo refuses.
    #[error("{}", chain(&**.0))]
    Start(Box<StartError>),
}

impl LinkError {
    /// The end of `task` on the host: it could not be reached as the account that was asked for.
    pub fn ended(self, task: &str) -> HostFailure {
        match self {
            Self::Connect(_) => failure::unreachable(task, self.to_string()),
            Self::Start(_) => failure::refused(task, self.to_string()),
        }
    }
}

/// An error and its causes on one line; causes that the text above them repeats are left out.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

impl Link {
    /// A link that is not opened yet.
    pub fn new(way: Way, become_as: Option<Become>, connector: Connector) -> Self {
        Self { way, become_as, connector, session: Arc::default() }
    }

    /// The same connection for another account.
    pub fn as_user(&self, become_as: Option<Become>) -> Self {
        Self { become_as, ..self.clone() }
    }

    /// A link to the controller itself, as the user who runs it.
    pub fn to_controller(&self) -> Self {
        Self::new(Way::Local, None, self.connector.clone())
    }

    /// How the host is reached.
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// `deploy@10.0.0.1:22 via bastion, sudo root`.
    pub fn describe(&self) -> String {
        let place = match &self.way {
            Way::Local => "on the controller".to_owned(),
            Way::Ssh(target) => {
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

    /// The open session; `None` for [`Way::Local`].
    ///
    /// # Errors
    /// The connection could not be made.
    pub async fn session(&self) -> Result<Option<&Session>, LinkError> {
        match &self.way {
            Way::Local => Ok(None),
            Way::Ssh(target) => {
                let open = self.session.get_or_try_init(|| self.connector.connect(target)).await;
                open.map(Some).map_err(|error| LinkError::Connect(Box::new(error)))
            }
        }
    }

    /// Starts the shell that reads a program of [`remote`], as the account of this link.
    ///
    /// # Errors
    /// No connection, or the account could not be taken.
    pub async fn sh(&self) -> Result<Process, LinkError> {
        let launch = remote::launch(self.become_as.clone());
        let started = match self.session().await? {
            Some(session) => session.start(&launch).await,
            None => local::start(&launch).await,
        };
        started.map_err(|error| LinkError::Start(Box::new(error)))
    }

    /// The ways to look at what this host serves.
    pub fn dialers(&self) -> Dialers {
        match &self.way {
            Way::Local => Dialers { host: Some(Arc::new(crate::verify::Tcp)), bastion: None },
            Way::Ssh(target) => {
                let through = |target: Box<Target>, over| -> Arc<dyn Dial> {
                    Arc::new(Through { target, connector: self.connector.clone(), over })
                };
                let bastion = last_jump(target).map(|jump| through(jump, Over::Bastion));
                let host = through(target.clone(), Over::Host(Arc::clone(&self.session)));
                Dialers { host: Some(host), bastion }
            }
        }
    }

    /// Waits until the connection that was made has died.
    pub async fn died(&self) {
        while !self.session.get().is_some_and(Session::is_closed) {
            tokio::time::sleep(LOOK_AFTER).await;
        }
    }
}

/// The bastion next to the host, reached through those before it.
fn last_jump(target: &Target) -> Option<Box<Target>> {
    let (last, before) = target.jumps.split_last()?;
    Some(Box::new(Target { jumps: before.to_vec(), ..last.clone() }))
}
