//! The one fan-out: a piece of work for each of many hosts, some at a time, results in order.

use super::context::Context;
use crate::model::HostName;
use crate::model::text::printable;
use futures::future::join_all;
use std::any::Any;
use std::sync::Arc;

/// Starts `work` for every host, each on a thread of the runtime, as many at a time as the run has permits.
///
/// A panic in the work of one host ends that host only: `lost` is told which, and what the panic said, and makes
/// its result.
pub(super) async fn each<T, R, F>(
    context: &Arc<Context>,
    items: Vec<(HostName, T)>,
    work: impl Fn(Arc<Context>, HostName, T) -> F + Clone + Send + Sync + 'static,
    lost: impl Fn(HostName, String) -> R,
) -> Vec<R>
where
    T: Send + 'static,
    R: Send + 'static,
    F: Future<Output = R> + Send,
{
    let started: Vec<_> = items
        .into_iter()
        .map(|(host, item)| {
            let (context, work, name) = (Arc::clone(context), work.clone(), host.clone());
            let task = tokio::spawn(async move {
                // The semaphore is never closed.
                let _permit = context.permits.acquire().await;
                work(Arc::clone(&context), name, item).await
            });
            async move { (host, task.await) }
        })
        .collect();
    let ended = join_all(started).await;
    ended
        .into_iter()
        .map(|(host, result)| match result {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => lost(host, said(&*panic)),
                // Nobody aborts these tasks; a runtime that shuts down does.
                Err(error) => lost(host, error.to_string()),
            },
        })
        .collect()
}

/// What a panic said, on one bounded line.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    printable(text.lines().next().unwrap_or_default().as_bytes(), 200)
}
