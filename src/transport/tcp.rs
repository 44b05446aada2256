//! TCP for dialogues of small packets.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

/// Start of the next address while earlier ones are still silent (RFC 8305 §8 names 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// A TCP stream without Nagle's delay on our side and without the delayed ACK that would wake it on
/// the other: sshd writes pairs of small packets, and its kernel holds the second back until ours
/// has acknowledged the first, which it would not do for 40 ms.
#[derive(Debug)]
pub(crate) struct Prompt(TcpStream);

/// As [`race`].
///
/// # Errors
/// As [`race`].
pub(crate) async fn connect(
    addresses: Vec<SocketAddr>,
    from: Option<IpAddr>,
) -> io::Result<Prompt> {
    let stream = race(addresses, from).await?;
    stream.set_nodelay(true)?;
    let stream = Prompt(stream);
    stream.acknowledge_at_once();
    Ok(stream)
}

async fn one(to: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(from) = from else { return TcpStream::connect(to).await };
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(to).await
}

/// Connects to whichever of the addresses answers first, tried in order, a quarter second apart, so that a dead IPv6
/// route costs no timeout; from the controller's address `from`, if one is given.
///
/// # Errors
/// That of the first address that failed. [`io::ErrorKind::AddrNotAvailable`] when there is none.
pub(crate) async fn race(
    addresses: Vec<SocketAddr>,
    from: Option<IpAddr>,
) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failure = None;
    running.extend(waiting.next().map(|to| one(to, from)));
    loop {
        tokio::select! {
            ended = running.next() => match ended {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => {
                    failure.get_or_insert(error);
                    running.extend(waiting.next().map(|to| one(to, from)));
                }
                None => return Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into())),
            },
            () = tokio::time::sleep(STAGGER), if waiting.len() > 0 && !running.is_empty() => {
                running.extend(waiting.next().map(|to| one(to, from)));
            }
        }
    }
}

impl Prompt {
    /// The kernel falls back to delaying ACKs, so this is repeated after each read. A kernel that
    /// does not know the option costs only the delay.
    fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&self.0).set_tcp_quickack(true);
    }
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.0).poll_read(cx, buf);
        if result.is_ready() && buf.filled().len() > before {
            self.acknowledge_at_once();
        }
        result
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refused = free.local_addr().unwrap();
        drop(free);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        assert_eq!(race(vec![refused, open], None).await.unwrap().peer_addr().unwrap(), open);
        let error = race(vec![refused], None).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(race(vec![], None).await.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[tokio::test]
    async fn the_own_address_can_be_chosen() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let from: IpAddr = "127.0.0.9".parse().unwrap();
        let stream = race(vec![to], Some(from)).await.unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), from);
    }
}
