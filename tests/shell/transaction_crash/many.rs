//! Many files in one directory, whose bodies come in one go: killed at the first of each of its steps.

use super::crash::{assert_settled, stands};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_among_many_files_is_settled_by_the_next_contact() {
    let mut runs = Vec::new();
    for shell in shells() {
        let all = points(shell).await;
        assert!(all.iter().any(|point| point == "main written_all#1"), "{}: {all:?}", shell.name);
        let first = all.iter().filter(|point| point.ends_with("#1"));
        runs.extend(first.map(|point| (shell, point.clone(), stands(&all, point))));
    }
    let count = runs.len();
    let mut ends = futures::stream::iter(runs)
        .map(|(shell, point, new)| {
            tokio::spawn(async move {
                let mut scene = crowded(shell);
                scene.stop_at(&point, "KILL");
                let at = format!("{}: many files, killed at {point}", shell.name);
                let error = confirmed(&scene).await.expect_err(&at);
                assert!(
                    matches!(error, RemoteError::Closed { .. } | RemoteError::NoBoot { .. }),
                    "{at}: {error}"
                );
                scene.assert_private(&at);
                scene.stop_at("", "CONT");
                let recovered =
                    scene.host.recover().await.unwrap_or_else(|error| panic!("{at}: {error}"));
                if !new {
                    return assert_settled(&scene, &recovered, new, &at);
                }
                assert!(recovered.iter().all(|one| one.end == RecoveredEnd::New), "{at}");
                for name in names().chain(["key.pem".into()]) {
                    scene.host.assert_bytes(&name, NEW_KEY);
                }
                assert!(scene.host.litter().is_empty(), "{at}: {:?}", scene.host.litter());
            })
        })
        .buffer_unordered(AT_ONCE);
    while let Some(end) = ends.next().await {
        end.unwrap();
    }
    eprintln!("{count} kills among many files");
}
