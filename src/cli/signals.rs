//! Ctrl-C: once ends the run gently, twice cuts the connections.

use crate::engine::stop::Stop;
use crate::event::StopReason;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// Turns SIGINT and SIGTERM into stop requests until the task is ended.
///
/// The first asks for [`StopReason::Interrupt`], the second for [`StopReason::SecondInterrupt`].
/// `told` is called with each reason that was new, for the operator to read.
///
/// # Errors
/// When the handlers cannot be installed.
pub(super) fn watch(
    stop: Stop,
    told: impl Fn(StopReason) + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    Ok(tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {}
            }
            let reason = if stop.is_interrupt() {
                StopReason::SecondInterrupt
            } else {
                StopReason::Interrupt
            };
            if stop.request(reason) {
                told(reason);
            }
        }
    }))
}
