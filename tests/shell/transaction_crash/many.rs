//! Many files in one directory, whose bodies come in one go: left at the first of each of its steps.

use super::crash::{assert_settled, stands};
use super::leavings::{Leavings, jobs};
use super::scene::*;
use crate::transaction::host::*;
use certroll::testing::host::{FileRole, RecoveredEnd, TransactionRequest};
use certroll::testing::remote::{RemoteError, Transaction};
use futures::StreamExt;

/// Runs at once: most of their time is waiting.
const AT_ONCE: usize = 8;

/// More than come one by one.
const FILES: usize = 20;

fn names() -> impl Iterator<Item = String> {
    (0..FILES).map(|number| format!("{number}.key"))
}

fn crowded(shell: &'static Shell) -> Scene {
    let mut scene = Scene::new(shell);
    for name in names() {
        scene.host.put(&scene.host.dir.join(name), OLD_KEY, 0o640);
    }
    scene.before = tree(&scene.host.dir);
    scene.host.environment.push(("CRASH_ALONE".into(), "1".into()));
    scene
}

fn request(scene: &Scene) -> TransactionRequest {
    let mut request = scene.request();
    let files = names().map(|name| scene.host.file(&name, NEW_KEY, FileRole::Key));
    // The files of a directory come one after another.
    request.files.splice(2..2, files.collect::<Vec<_>>());
    request
}

async fn confirmed(scene: &Scene) -> Result<(), RemoteError> {
    let process = scene.host.sh().await;
    let begun = Transaction::begin_with(transaction(), process, request(scene)).await;
    let (mut running, _) = begun?;
    running.commit().await?;
    running.confirm().await.map(drop)
}

/// All points, in order.
async fn points(shell: &'static Shell) -> Vec<String> {
    let mut scene = crowded(shell);
    scene.stop_at("", "CONT");
    confirmed(&scene).await.unwrap();
    scene.passed("main")
}

/// What the next contact makes of it.
async fn settled(scene: &Scene, new: bool, at: &str) {
    let recovered = scene.host.recover().await.unwrap_or_else(|error| panic!("{at}: {error}"));
    if !new {
        return assert_settled(scene, &recovered, new, at);
    }
    assert!(recovered.iter().all(|one| one.end == RecoveredEnd::New), "{at}");
    for name in names().chain(["key.pem".into()]) {
        scene.host.assert_bytes(&name, NEW_KEY);
    }
    assert!(scene.host.litter().is_empty(), "{at}: {:?}", scene.host.litter());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_among_many_files_is_settled_by_the_next_contact() {
    let mut runs = Vec::new();
    for shell in shells() {
        let all = points(shell).await;
        assert!(all.iter().any(|point| point == "main written_all#1"), "{}: {all:?}", shell.name);
        let first = all.iter().filter(|point| point.ends_with("#1"));
        let first = first.map(|point| (point.clone(), stands(&all, point))).collect();
        runs.extend(jobs(shell, first).into_iter().map(|points| (shell, points)));
    }
    let mut ends = futures::stream::iter(runs)
        .map(|(shell, points)| {
            tokio::spawn(async move {
                let (count, mut scene) = (points.len(), crowded(shell));
                scene.stop_at("", "CONT");
                let leavings = Leavings::at(points, &mut scene);
                let mut leavings = leavings.by(confirmed(&scene)).await;
                while let Some((point, new)) = leavings.next(&mut scene) {
                    let at = format!("{}: many files, left at {point}", shell.name);
                    settled(&scene, new, &at).await;
                }
                count
            })
        })
        .buffer_unordered(AT_ONCE);
    let mut count = 0;
    while let Some(end) = ends.next().await {
        count += end.unwrap();
    }
    eprintln!("left {count} times among many files");
}
