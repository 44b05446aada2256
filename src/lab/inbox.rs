//! What a client sends on a channel, taken off the connection at once.
//!
//! russh hands messages on one by one, and a channel that nobody reads stops the whole connection: with it the
//! output of the very program that would have to end before more input is read.

use russh::{ChannelMsg, ChannelReadHalf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Unread input for which a connection is broken.
const LIMIT: usize = 64 << 20;

/// Messages in order, until the channel is closed.
pub(super) struct Inbox {
    messages: mpsc::UnboundedReceiver<ChannelMsg>,
    unread: Arc<AtomicUsize>,
    closed: CancellationToken,
}

impl Inbox {
    /// Reads a channel from now on. Breaks the connection when far too much is left unread.
    pub(super) fn of(mut reader: ChannelReadHalf, cut: CancellationToken) -> Self {
        let (sender, messages) = mpsc::unbounded_channel();
        let unread = Arc::new(AtomicUsize::new(0));
        let count = unread.clone();
        let closed = CancellationToken::new();
        let closing = closed.clone().drop_guard();
        tokio::spawn(async move {
            let _closing = closing;
            while let Some(message) = reader.wait().await {
                if count.fetch_add(size(&message), Ordering::Relaxed) > LIMIT {
                    return cut.cancel();
                }
                if matches!(message, ChannelMsg::Close) || sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { messages, unread, closed }
    }

    /// Cancelled when the channel is closed or the connection lost, whatever is still unread.
    pub(super) fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// The next message; `None` once the channel is closed and all is read.
    pub(super) async fn next(&mut self) -> Option<ChannelMsg> {
        let message = self.messages.recv().await?;
        self.unread.fetch_sub(size(&message), Ordering::Relaxed);
        Some(message)
    }
}

fn size(message: &ChannelMsg) -> usize {
    match message {
        ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => data.len(),
        _ => 0,
    }
}
