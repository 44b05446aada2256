//! Looking at a service from the far end of an SSH connection: the host itself, or its last bastion.

use super::link::chain;
use crate::transport::{Connector, Launch, Session, Target, Tunnel};
use crate::verify::{Dial, Onwards, Resolving, Stream};
use futures::future::BoxFuture;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::sync::OnceCell;

/// Output of the resolver that is read.
const READ: u64 = 64 << 10;

/// Dials from a machine that SSH leads to. Names are resolved there.
pub(super) struct Through {
    pub(super) target: Box<Target>,
    pub(super) connector: Connector,
    pub(super) over: Over,
}

/// Which connection to that machine is used.
pub(super) enum Over {
    /// A host's own, shared with its tasks.
    Host(Arc<OnceCell<Session>>),
    /// The one that leads to every host behind that bastion.
    Bastion,
}

impl Stream for Tunnel {}

impl Through {
    async fn session(&self) -> io::Result<Session> {
        match &self.over {
            Over::Host(session) => {
                let open = session.get_or_try_init(|| self.connector.connect(&self.target)).await;
                open.cloned().map_err(|error| Onwards(chain(&error)).into())
            }
            Over::Bastion => {
                let open = self.connector.bastion(Target::clone(&self.target)).await;
                open.map_err(|error| Onwards(chain(&*error)).into())
            }
        }
    }

    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let here = &self.target.host;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.starts_with('-') || !name.chars().all(plain) {
            return Err(Resolving("it is no host name".to_owned()).into());
        }
        // glibc and musl know the first, BSD the second.
        let line = format!("sh -c \"getent ahosts {name} || getent hosts {name}\"");
        let started = self.session().await?.start(&Launch::new(line, "")).await;
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

impl Dial for Through {
    fn dial(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        let host = host.to_owned();
        Box::pin(async move {
            match self.session().await?.dial(&host, port).await {
                Ok(tunnel) => Ok(Box::new(tunnel) as Box<dyn Stream>),
                Err(error) => Err(Onwards(chain(&error)).into()),
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
