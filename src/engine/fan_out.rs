//! The one fan-out: a piece of work for each of many hosts, some at a time, results in order.

use super::context::Context;
use super::end::TaskEnd;
use crate::model::HostName;
use crate::model::text::printable;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::JoinError;

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
    let mut ended: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let keep = |place: usize, one: R| {
        if let Some(kept) = ended.get_mut(place) {
            *kept = Some(one);
        }
    };
    run(context, items, work, lost, keep).await;
    ended.into_iter().flatten().collect()
}

/// Like [`each`], and hands every result to `ended` as soon as it is there, in no order.
pub(super) async fn each_as_it_ends<T, R, F>(
    context: &Arc<Context>,
    items: Vec<(HostName, T)>,
    work: impl Fn(Arc<Context>, HostName, T) -> F + Clone + Send + Sync + 'static,
    lost: impl Fn(HostName, String) -> R,
    mut ended: impl FnMut(R),
) where
    T: Send + 'static,
    R: Send + 'static,
    F: Future<Output = R> + Send,
{
    run(context, items, work, lost, |_, one| ended(one)).await;
}

/// Each result with its place among `items`.
async fn run<T, R, F>(
    context: &Arc<Context>,
    items: Vec<(HostName, T)>,
    work: impl Fn(Arc<Context>, HostName, T) -> F + Clone + Send + Sync + 'static,
    lost: impl Fn(HostName, String) -> R,
    mut ended: impl FnMut(usize, R),
) where
    T: Send + 'static,
    R: Send + 'static,
    F: Future<Output = R> + Send,
{
    // A task is more than its item: those of ten thousand hosts are not all made at once. Twice as many as have a permit,
    // so that the next is ready when one ends.
    let most = context.inputs.project.options.forks.max(1) * 2;
    let mut waiting = items.into_iter().enumerate();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < most
            && let Some((place, (host, item))) = waiting.next()
        {
            running.push(start(context, work.clone(), place, host, item));
        }
        let Some((place, host, result)) = running.next().await else { return };
        ended(place, result_or(host, result, &lost));
    }
}

fn start<T, R, F, W>(
    context: &Arc<Context>,
    work: W,
    place: usize,
    host: HostName,
    item: T,
) -> impl Future<Output = (usize, HostName, Result<R, JoinError>)> + use<T, R, F, W>
where
    W: Fn(Arc<Context>, HostName, T) -> F + Send + Sync + 'static,
    T: Send + 'static,
    R: Send + 'static,
    F: Future<Output = R> + Send,
{
    let (context, name) = (Arc::clone(context), host.clone());
    let task = tokio::spawn(async move {
        // The semaphore is never closed.
        let _permit = context.permits.acquire().await;
        // On the heap: those that wait for a permit would hold room for all that it comes to.
        Box::pin(work(Arc::clone(&context), name, item)).await
    });
    async move { (place, host, task.await) }
}

fn result_or<R>(
    host: HostName,
    result: Result<R, JoinError>,
    lost: impl Fn(HostName, String) -> R,
) -> R {
    match result {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => lost(host, said(&*panic)),
            // Nobody aborts these tasks; a runtime that shuts down does.
            Err(error) => lost(host, error.to_string()),
        },
    }
}

/// The ends of hosts in the order of the hosts.
pub(super) fn in_order(hosts: &[HostName], mut ends: Vec<TaskEnd>) -> Vec<TaskEnd> {
    let places: HashMap<&HostName, usize> =
        hosts.iter().enumerate().map(|(place, host)| (host, place)).collect();
    ends.sort_by_key(|end| places.get(&end.host).copied());
    ends
}

/// What a panic said, on one bounded line.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    printable(text.lines().next().unwrap_or_default().as_bytes(), 200)
}
