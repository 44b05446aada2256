//! A TCP connection that can be cut from elsewhere, as a link that breaks.

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional, duplex};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Room for what the server has said and the client has not read.
const UNREAD: usize = 64 << 20;

/// The server's end of a connection. Cancelling `cut` breaks it, and what is under way is lost.
///
/// russh does not read while it writes, at either end: two of them that talk to each other would
/// wait for ever once the buffers of TCP were full. With room in between the server never waits.
pub(super) fn wire(
    mut stream: TcpStream,
    cut: CancellationToken,
    tasks: &TaskTracker,
) -> impl AsyncRead + AsyncWrite + Unpin + Send + 'static {
    let (server, mut between) = duplex(UNREAD);
    tasks.spawn(async move {
        let passing = copy_bidirectional(&mut between, &mut stream);
        let _ = cut.run_until_cancelled(passing).await;
    });
    server
}
