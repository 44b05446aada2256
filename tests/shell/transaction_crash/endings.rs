//! The end of input, signals and silence, at every step: the program itself ends all old or all new.

use super::scene::*;
use crate::transaction::host::*;
use certroll::testing::remote::{RemoteError, Transaction};
use futures::StreamExt;
use std::collections::BTreeMap;
use std::time::Duration;

const AT_ONCE: usize = 6;

fn signal(name: &str, pid: u32) {
    let sent = std::process::Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(sent.unwrap().success());
}

fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim().chars().next()
}

/// The program's process, once it stands still at its point.
async fn frozen(scene: &Scene, at: &str) -> u32 {
    for _ in 0..6000 {
        if let Some(pid) = scene.pids("main").first()
            && state(*pid) == Some('T')
        {
            return *pid;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{at}: never got there");
}

async fn gone(pid: u32, at: &str) {
    for _ in 0..6000 {
        if matches!(state(pid), None | Some('Z')) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{at}: does not end");
}

/// The guard's process, once it has passed a step.
async fn guard_of(scene: &Scene, at: &str) -> u32 {
    for _ in 0..6000 {
        if let Some(pid) = scene.pids("guard").first() {
            return *pid;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{at}: no guard");
}

/// Every point of every path; what the paths share once.
async fn runs() -> Vec<(&'static Shell, Path, String)> {
    let mut runs = Vec::new();
    for shell in shells() {
        let shared = points(shell, Path::Confirm).await;
        let there = points(shell, Path::InPlace).await;
        for path in [Path::Confirm, Path::Rollback, Path::Abort, Path::InPlace, Path::InPlaceBack] {
            let mut points = points(shell, path).await;
            points.retain(|point| path == Path::Confirm || !shared.contains(point));
            points.retain(|point| path != Path::InPlaceBack || !there.contains(point));
            runs.extend(points.into_iter().map(|point| (shell, path, point)));
        }
    }
    runs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_input_at_any_step() {
    let mut table: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut ends = futures::stream::iter(runs().await)
        .map(|(shell, path, point)| {
            tokio::spawn(async move {
                let at = format!("{}: end of input at {point} of {path:?}", shell.name);
                let mut scene = Scene::new(shell);
                scene.stop_at(&point, "STOP");
                let scene = std::sync::Arc::new(scene);
                let driven = scene.clone();
                let controller = tokio::spawn(async move { driven.drive(path).await });
                let pid = frozen(&scene, &at).await;
                // The controller dies: its pipes close.
                controller.abort();
                let _ = controller.await;
                signal("CONT", pid);
                gone(pid, &at).await;
                let old = scene.assert_whole(&at);
                assert!(old || matches!(path, Path::Confirm | Path::InPlace), "{at}");
                (shell.name, if old { "old" } else { "new" })
            })
        })
        .buffer_unordered(AT_ONCE);
    while let Some(end) = ends.next().await {
        *table.entry(end.unwrap()).or_default() += 1;
    }
    let total: usize = table.values().sum();
    eprintln!("{total} ends of input, at every step: {table:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_at_any_step() {
    let mut table: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut ends = futures::stream::iter(runs().await.into_iter().enumerate())
        .map(|(number, (shell, path, point))| {
            tokio::spawn(async move {
                let name = ["TERM", "HUP"][number % 2];
                let at = format!("{}: SIG{name} at {point} of {path:?}", shell.name);
                let mut scene = Scene::new(shell);
                scene.stop_at(&point, "STOP");
                let answer = async {
                    let pid = frozen(&scene, &at).await;
                    signal(name, pid);
                    signal("CONT", pid);
                };
                let (result, ()) = tokio::join!(scene.drive(path), answer);
                let told_new = match result {
                    Ok(()) => matches!(path, Path::Confirm | Path::InPlace),
                    Err(RemoteError::Aborted { .. } | RemoteError::RolledBack { .. }) => false,
                    Err(error) => panic!("{at}: {error}"),
                };
                assert_eq!(told_new, !scene.assert_whole(&at), "{at}: told otherwise");
                (shell.name, if told_new { "new" } else { "old" })
            })
        })
        .buffer_unordered(AT_ONCE);
    while let Some(end) = ends.next().await {
        *table.entry(end.unwrap()).or_default() += 1;
    }
    let total: usize = table.values().sum();
    eprintln!("{total} signals (TERM or HUP), at every step: {table:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guard_alone_settles_it_wherever_the_program_dies() {
    let mut runs = Vec::new();
    for shell in shells() {
        for (path, first, last) in [
            (Path::Confirm, "main guarded#1", "main unlocked#1"),
            (Path::Rollback, "main answered#1", "main journal_removed#1"),
            (Path::InPlace, "main begun#1", "main switched#1"),
            (Path::InPlaceBack, "main new_removed#1", "main undone#1"),
        ] {
            let all = points(shell, path).await;
            let at = |name| all.iter().position(|point| point == name).unwrap();
            let done = if path == Path::Confirm { at("main done#1") } else { usize::MAX };
            let range = at(first)..at(last);
            let points = all.iter().enumerate().take(range.end).skip(range.start);
            runs.extend(points.map(|(at, point)| (shell, path, point.clone(), at >= done)));
        }
    }
    let mut table: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut ends = futures::stream::iter(runs)
        .map(|(shell, path, point, new)| {
            tokio::spawn(async move {
                let at = format!("{}: guard after a kill at {point} of {path:?}", shell.name);
                let mut scene = Scene::new(shell);
                scene.stop_at(&point, "KILL");
                scene.drive(path).await.unwrap_err();
                for _ in 0..1200 {
                    if scene.host.litter().is_empty() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                if new {
                    scene.assert_new(&at)
                } else {
                    scene.assert_old(&at)
                }
                (shell.name, if new { "new" } else { "old" })
            })
        })
        .buffer_unordered(AT_ONCE);
    while let Some(end) = ends.next().await {
        *table.entry(end.unwrap()).or_default() += 1;
    }
    eprintln!("{} kills settled by the guard alone: {table:?}", table.values().sum::<usize>());
}

/// The guard itself dies at each of its steps; the next contact settles what it left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_that_dies_is_replaced_by_the_next_contact() {
    let shell = &shells()[0];
    let mut first = Scene::new(shell);
    first.stop_at("main renamed#1", "KILL");
    first.drive(Path::Confirm).await.unwrap_err();
    first.host.settled(&first.before).await;
    let points = first.passed("guard");
    assert!(points.len() > 8, "{points:?}");
    for point in points {
        let mut scene = Scene::new(shell);
        let at = format!("guard killed at {point}");
        // The program is killed by hand, since one hook has one point.
        scene.stop_at(&point, "KILL");
        let process = scene.host.sh().await;
        let (mut running, _) =
            Transaction::begin_with(transaction(), process, scene.request()).await.unwrap();
        running.commit().await.unwrap();
        scene.host.kill();
        gone(guard_of(&scene, &at).await, &at).await;
        assert_eq!(scene.passed("guard").last(), Some(&point));
        scene.stop_at("", "CONT");
        scene.host.recover().await.unwrap();
        scene.assert_old(&at);
    }
}

/// A program that stands still past its time is ended by its guard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_stands_still_is_ended_by_its_guard() {
    for shell in shells() {
        let at = format!("{}: standing still", shell.name);
        let mut scene = Scene::new(shell);
        scene.host.environment.push(("CRASH_GUARD".into(), "2".into()));
        scene.stop_at("main renamed#1", "STOP");
        let (result, pid) = tokio::join!(scene.drive(Path::Confirm), frozen(&scene, &at));
        assert!(matches!(result, Err(RemoteError::Closed { .. })), "{at}: {result:?}");
        gone(pid, &at).await;
        scene.host.settled(&scene.before).await;
        scene.assert_old(&at);
    }
}

/// Silence at both waits: the host's own timers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_at_each_wait() {
    for shell in shells() {
        for wait in ["staged", "committed"] {
            let at = format!("{}: silence once {wait}", shell.name);
            let scene = Scene::new(shell);
            let mut request = scene.request();
            // The other wait is no part of it.
            match wait {
                "staged" => request.limits.stage = Duration::from_secs(1),
                _ => request.limits.confirm = Duration::from_secs(1),
            }
            let (mut running, _) = scene.host.begin(request).await.unwrap();
            if wait == "committed" {
                running.commit().await.unwrap();
            }
            scene.host.settled(&scene.before).await;
            scene.assert_old(&at);
            drop(running);
        }
    }
    eprintln!("{} silences, at each wait: all old", 2 * shells().len());
}
