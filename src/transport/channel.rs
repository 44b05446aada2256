//! Between a russh channel and a [`Process`]: one task reads it to its end whatever happens, one
//! writes.
//!
//! russh hands a connection's messages to their channels one after another and waits for each to
//! be taken. A channel that nobody reads would stop the whole connection, so [`read`] takes
//! everything at once and [`Shared`] bounds what is kept.

use super::exit::Exit;
use super::process::Process;
use super::pump::Shared;
use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use std::any::Any;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::PollSender;
use zeroize::Zeroizing;

/// Bytes of one message to the writing task; OpenSSH's maximum packet.
const CHUNK: usize = 32 << 10;
/// Messages that wait for it.
const CHUNKS: usize = 4;

/// What a peer may take to agree to the end of a channel that was closed for too much output.
const CLOSING: Duration = Duration::from_secs(2);

/// What happens when the writing end is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnDrop {
    /// A program reads the end of its input, and may go on.
    EndInput,
    /// A tunnel is of no more use.
    Close,
}

/// Takes over a channel.
pub(super) fn run(
    channel: Channel<Msg>,
    on_drop: OnDrop,
    link: Arc<dyn Any + Send + Sync>,
) -> Process {
    let (read_half, write_half) = channel.split();
    let write_half = Arc::new(write_half);
    let (sender, receiver) = mpsc::channel(CHUNKS);
    let shared = Shared::new();
    let writer = tokio::spawn(write(receiver, write_half.clone(), on_drop));
    let reading = shared.clone();
    tokio::spawn(async move {
        let exit = read(read_half, &write_half, &reading).await;
        // A closed channel's window never opens again: the writer would wait for ever.
        writer.abort();
        reading.ended(exit);
    });
    Process::new(shared, Box::new(Writer(PollSender::new(sender))), Some(link))
}

async fn read(mut channel: ChannelReadHalf, back: &ChannelWriteHalf<Msg>, shared: &Shared) -> Exit {
    let mut exit = Exit { code: None, signal: None, closed_cleanly: false };
    let mut until: Option<Instant> = None;
    loop {
        let message = match until {
            None => channel.wait().await,
            // A peer that floods on has a message ready at any time.
            Some(until) if until <= Instant::now() => break,
            Some(until) => tokio::time::timeout_at(until, channel.wait()).await.unwrap_or(None),
        };
        let Some(message) = message else { break };
        match message {
            ChannelMsg::Data { data } => {
                let wanted = shared.stdout(data);
                if !wanted {
                    // Nobody reads it. Its remaining output is dropped on the way to its end.
                    let _ = back.close().await;
                    until = Some(Instant::now() + CLOSING);
                }
            }
            ChannelMsg::ExtendedData { data, ext: 1 } => shared.stderr(&data),
            ChannelMsg::Eof => shared.eof(),
            ChannelMsg::ExitStatus { exit_status } => {
                exit.code = Some(i32::try_from(exit_status).unwrap_or(i32::MAX));
            }
            ChannelMsg::ExitSignal { signal_name, .. } => {
                let name = match signal_name {
                    russh::Sig::Custom(name) => {
                        crate::model::text::printable(name.as_bytes(), 32).replace('\n', " ")
                    }
                    known => format!("{known:?}"),
                };
                exit.signal = Some(name);
            }
            ChannelMsg::Close => {
                exit.closed_cleanly = true;
                break;
            }
            _ => {}
        }
    }
    exit
}

async fn write(
    mut from: mpsc::Receiver<Zeroizing<Vec<u8>>>,
    to: Arc<ChannelWriteHalf<Msg>>,
    on_drop: OnDrop,
) {
    while let Some(chunk) = from.recv().await {
        // An empty chunk is the end of the input; the tunnel's other direction stays.
        let sent = if chunk.is_empty() {
            to.eof().await
        } else {
            to.data_bytes(Bytes::from_owner(chunk)).await
        };
        if sent.is_err() {
            return;
        }
    }
    let _ = match on_drop {
        OnDrop::EndInput => to.eof().await,
        OnDrop::Close => to.close().await,
    };
}

/// The writing end. Bytes are wiped once they are on their way.
struct Writer(PollSender<Zeroizing<Vec<u8>>>);

fn gone<T>(_: T) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the program or its connection has ended")
}

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.0.poll_reserve(cx)).map_err(gone)?;
        let count = buf.len().min(CHUNK);
        self.0.send_item(Zeroizing::new(buf[..count].to_vec())).map_err(gone)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.is_closed() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.0.poll_reserve(cx)).map_err(gone)?;
        self.0.send_item(Zeroizing::new(Vec::new())).map_err(gone)?;
        Poll::Ready(Ok(()))
    }
}
