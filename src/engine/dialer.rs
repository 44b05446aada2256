//! Looking at a service from the far end of an SSH connection: the host itself, or its last bastion.

use crate::model::text::chain;
use crate::transport::{
    ConnectError, Connector, DialError, HostError, Launch, Process, SharedSession, Target, Tunnel,
};
use crate::verify::{Dial, Onwards, Resolving, Stream};
use futures::future::BoxFuture;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::AsyncReadExt;

/// Output of the resolver that is read.
const READ: u64 = 64 << 10;

/// Dials from a machine that SSH leads to. Names are resolved there.
pub(super) enum SshDialer {
    /// The host itself, over the connection that its tasks use.
    Host(SharedSession),
    /// A bastion, over the connection that leads to every host behind it.
    Bastion { target: Box<Target>, connector: Connector },
}

impl Stream for Tunnel {}

impl SshDialer {
    fn target(&self) -> &Target {
        match self {
            Self::Host(shared) => shared.target(),
            Self::Bastion { target, .. } => target,
        }
    }

    async fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Result<Tunnel, DialError>, Arc<ConnectError>> {
        match self {
            Self::Host(shared) => shared.dial(host, port).await,
            Self::Bastion { target, connector } => {
                Ok(connector.bastion(Target::clone(target)).await?.dial(host, port).await)
            }
        }
    }

    async fn start(&self, launch: &Launch) -> Result<Process, HostError> {
        match self {
            Self::Host(shared) => shared.start(launch).await,
            Self::Bastion { target, connector } => {
                let session = connector.bastion(Target::clone(target)).await;
                let session = session.map_err(HostError::Connect)?;
                session.start(launch).await.map_err(HostError::Start)
            }
        }
    }

    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let here = &self.target().host;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.starts_with('-') || !name.chars().all(plain) {
            return Err(Resolving("it is not a host name".to_owned()).into());
        }
        // glibc and musl know the first, BSD the second.
        let line = format!("sh -c \"getent ahosts {name} || getent hosts {name}\"");
        let started = self.start(&Launch::new(line, "")).await;
        let process = started.map_err(|error| Onwards(chain(&error)))?;
        let (stdin, stdout, ending) = process.split();
        drop(stdin);
        let mut output = Vec::new();
        stdout.take(READ).read_to_end(&mut output).await?;
        let text = String::from_utf8_lossy(&output);
        let words = text.lines().filter_map(|line| line.split_whitespace().next());
        let found: Vec<IpAddr> = words.filter_map(|word| word.parse().ok()).collect();
        if found.is_empty() {
            let exit = ending.exit().await;
            let why = format!("{here} has no address for it (getent: {exit})");
            return Err(Resolving(why).into());
        }
        Ok(found)
    }
}

impl Dial for SshDialer {
    fn dial(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        let host = host.to_owned();
        Box::pin(async move {
            match self.connect(&host, port).await {
                Ok(Ok(tunnel)) => Ok(Box::new(tunnel) as Box<dyn Stream>),
                Ok(Err(error)) => Err(Onwards(chain(&error)).into()),
                Err(error) => Err(Onwards(chain(&*error)).into()),
            }
        })
    }

    fn addresses(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let found = match host.parse() {
                Ok(address) => vec![address],
                Err(_) => self.resolve(&host).await?,
            };
            let mut unique: Vec<SocketAddr> = Vec::new();
            for address in found {
                let address = SocketAddr::new(address, port);
                if !unique.contains(&address) {
                    unique.push(address);
                }
            }
            Ok(unique)
        })
    }
}
