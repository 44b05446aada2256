//! A program's input while nothing is to be said: a line from time to time.

use crate::transport::Stdin;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Holds the input and writes to it until [`ended`](Self::end) or dropped; dropped, the input ends.
#[derive(Debug)]
pub(super) struct Heartbeat {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Option<Stdin>>,
}

impl Heartbeat {
    /// Writes `beat` every so often, whole.
    pub(super) fn start(mut stdin: Stdin, beat: &'static [u8], every: Duration) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    // Also when the other end was dropped.
                    _ = &mut stopped => return Some(stdin),
                    () = tokio::time::sleep(every) => {}
                }
                let written = async {
                    stdin.write_all(beat).await?;
                    stdin.flush().await
                };
                match tokio::time::timeout(every, written).await {
                    Ok(Ok(())) => {}
                    // Half a line may be under way: nothing may follow it.
                    Ok(Err(_)) | Err(_) => return None,
                }
            }
        });
        Self { stop, task }
    }

    /// The input, unless it ended.
    pub(super) async fn end(self) -> Option<Stdin> {
        drop(self.stop);
        self.task.await.ok().flatten()
    }
}
