//! How a connection to an endpoint is made.

use crate::transport::tcp::race;
use futures::future::BoxFuture;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection, whatever carries it.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// The other side's address, where it is known.
    fn peer(&self) -> Option<SocketAddr> {
        None
    }
}

impl Stream for TcpStream {
    fn peer(&self) -> Option<SocketAddr> {
        self.peer_addr().ok()
    }
}

impl Stream for tokio::io::DuplexStream {}

/// Connects. [`Tcp`] does it from the controller; others go through an SSH link.
///
/// Errors: [`io::ErrorKind::ConnectionRefused`], `TimedOut`, `ConnectionReset`, `HostUnreachable`
/// and `NetworkUnreachable` are told apart, an inner [`Resolving`] says that the name was the
/// trouble, an inner [`Onwards`] that the machine in between could not, everything else is shown by its text.
pub trait Dial: Send + Sync {
    /// Connects to `host` (a name or an address without brackets).
    fn dial(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Box<dyn Stream>>>;

    /// Every address of a name, each once, as it is seen from where the connection starts: from here,
    /// unless it says otherwise.
    fn addresses(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        Box::pin(async move { addresses(&host, port).await })
    }
}

/// The machine that connects for us could not, in its own words. Put into an [`io::Error`] by a [`Dial`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Onwards(pub String);

impl From<Onwards> for io::Error {
    fn from(error: Onwards) -> Self {
        Self::other(error)
    }
}

/// A name could not be resolved. Put into an [`io::Error`] by a [`Dial`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Resolving(pub String);

impl From<Resolving> for io::Error {
    fn from(error: Resolving) -> Self {
        Self::new(io::ErrorKind::NotFound, error)
    }
}

/// TCP from this machine. All addresses of a name are tried, a quarter second apart, and the first
/// to answer wins, so that a dead IPv6 route costs no timeout.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Dial for Tcp {
    fn dial(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let stream = race(addresses(&host, port).await?, None).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// Every address of a name, in the resolver's order, each once; an address is its own.
///
/// # Errors
/// An [`io::Error`] with an inner [`Resolving`] when the name has none.
pub(super) async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
        // glibc's texts come wrapped by std; the wrapping says nothing.
        let text = error.to_string();
        let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
        Resolving(text.to_owned())
    })?;
    let mut unique = Vec::new();
    for address in found {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    if unique.is_empty() {
        return Err(Resolving("the name has no address".into()).into());
    }
    Ok(unique)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_its_own_and_a_bad_name_says_resolving() {
        let one = addresses("127.0.0.1", 25).await.unwrap();
        assert_eq!(one, ["127.0.0.1:25".parse().unwrap()]);
        let error = addresses("no-such-name.invalid", 25).await.unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<Resolving>()), "{error:?}");
    }
}
