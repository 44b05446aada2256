//! SIGKILL at every step of a transaction, and at every step of its recovery.

use super::gate::Gate;
use super::leavings::{Leavings, Point, is_killed, jobs};
use super::scene::*;
use crate::transaction::host::*;
use certroll::testing::host::{Recovered, RecoveredEnd};
use certroll::testing::remote::RemoteError;
use futures::StreamExt;
use std::collections::BTreeMap;

/// Runs at once: most of their time is waiting.
const AT_ONCE: usize = 8;

/// Kills at `point` on `path` and gives the scene as it lies there.
pub(crate) async fn killed(shell: &'static Shell, path: Path, point: &str) -> Scene {
    let mut scene = Scene::alone(shell);
    scene.stop_at(point, "KILL");
    let error = scene.drive(path).await.unwrap_err();
    scene.assert_killed(point, &error);
    scene
}

/// The points from which on a transaction stands.
pub(crate) fn stands(points: &[String], point: &str) -> bool {
    let done = points.iter().position(|point| point == "main done#1");
    let at = points.iter().position(|other| other == point).unwrap();
    done.is_some_and(|done| at >= done)
}

/// Whether the guard for the next boot is there, or half of it.
pub(crate) fn has_guard(points: &[String], point: &str) -> bool {
    let place = |name: &str| points.iter().position(|other| other == name);
    let at = place(point);
    place("main boot_program_written#1") <= at && at <= place("main boot_wants_removed#1")
}

#[track_caller]
pub(crate) fn assert_settled(scene: &Scene, recovered: &[Recovered], new: bool, at: &str) {
    let wanted = if new { RecoveredEnd::New } else { RecoveredEnd::Old };
    assert!(recovered.len() <= 1, "{at}: {recovered:?}");
    assert!(
        recovered.iter().all(|one| one.end == wanted && one.conflicts == 0),
        "{at}: {recovered:?}"
    );
    if new { scene.assert_new(at) } else { scene.assert_old(at) }
}

/// The points of a path that are its own, and whether the transaction stands there.
async fn own_points(shell: &'static Shell, path: Path) -> Vec<Point> {
    let all = points(shell, path).await;
    let common = match path {
        Path::Confirm => Vec::new(),
        Path::InPlaceBack => {
            let there = points(shell, Path::InPlace).await;
            [there, points(shell, Path::Rollback).await].concat()
        }
        _ => points(shell, Path::Confirm).await,
    };
    // What the paths share is killed once, unless there is more to clear up then.
    let own = |point: &&String| {
        !common.contains(point) || (path == Path::Guarded && has_guard(&all, point))
    };
    all.iter().filter(own).map(|point| (point.clone(), stands(&all, point))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_is_settled_by_the_next_contact() {
    let mut runs = Vec::new();
    for shell in shells() {
        for path in ALL {
            let jobs = jobs(shell, own_points(shell, path).await);
            runs.extend(jobs.into_iter().map(|points| (shell, path, points)));
        }
    }
    let mut table: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut ends = futures::stream::iter(runs)
        .map(|(shell, path, points)| {
            tokio::spawn(async move {
                let mut scene = Scene::alone(shell);
                let leavings = Leavings::at(points, &mut scene);
                let mut leavings = leavings.by(scene.drive(path)).await;
                let mut ends = Vec::new();
                while let Some((point, new)) = leavings.next(&mut scene) {
                    let at = format!("{}: {path:?}, left at {point}", shell.name);
                    let recovered =
                        scene.host.recover().await.unwrap_or_else(|error| panic!("{at}: {error}"));
                    assert_settled(&scene, &recovered, new, &at);
                    ends.push((shell.name, if new { "new" } else { "old" }));
                }
                ends
            })
        })
        .buffer_unordered(AT_ONCE);
    while let Some(ends) = ends.next().await {
        ends.unwrap().into_iter().for_each(|end| *table.entry(end).or_default() += 1);
    }
    let total: usize = table.values().sum();
    eprintln!("left {total} times, at every step, settled by the next contact: {table:?}");
}

/// A host that dies between the two renames of one directory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_two_renames_is_settled() {
    for shell in shells() {
        if shell.is_busybox() {
            continue; // its sh has its own mv: nothing on the path stands in for it
        }
        for guarded in [false, true] {
            let mut scene = Scene::new(shell);
            let bin = scene.host.root.join("bin");
            std::fs::create_dir(&bin).unwrap();
            // Renames the first of three files, kills the shell that called it, and dies.
            let script = "#!/bin/sh\ncase $# in 6) /bin/mv \"$1\" \"$2\" \"$3\" \"$6\"; kill -9 $PPID; exit 137;; esac\n\
                          exec /bin/mv \"$@\"\n";
            scene.host.put(&bin.join("mv"), script.as_bytes(), 0o755);
            let path = std::env::var("PATH").unwrap();
            let path = format!("{}:{}:{path}", shell.bin.display(), bin.display());
            scene.host.environment.push(("PATH".into(), path));
            if !guarded {
                scene.host.environment.push(("CRASH_ALONE".into(), "1".into()));
            }
            scene.stop_at("", "CONT");
            let at = format!("{}: between two renames, guard: {guarded}", shell.name);
            let error = scene.drive(Path::Confirm).await.unwrap_err();
            assert!(
                matches!(error, RemoteError::Closed { may_have_changed: true, .. }),
                "{at}: {error}"
            );
            if guarded {
                scene.host.settled(&scene.before).await;
            } else {
                scene.host.assert_bytes("key.pem", NEW_KEY);
                scene.host.assert_bytes("cert.pem", OLD_CERT);
                scene.host.environment.retain(|(name, _)| name != "PATH");
                let recovered = scene.host.recover().await.unwrap();
                assert_settled(&scene, &recovered, false, &at);
            }
            scene.assert_old(&at);
        }
    }
}

/// Whether a process has ended within a minute. Nobody may have asked yet how.
async fn ended(pid: &str) -> bool {
    for _ in 0..1200 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.is_empty() || stat.contains(") Z") {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    false
}

/// A write in place that breaks off after some bytes: of the key and of the certificate, there and back. A write that
/// goes on when its program is dead is held back, and must not come after the way back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_an_overwrite_is_settled() {
    for shell in shells() {
        if shell.is_busybox() {
            continue; // its sh has its own cat: nothing on the path stands in for it
        }
        let cases = [(1, "dies"), (2, "dies"), (3, "dies"), (4, "dies"), (1, "late"), (2, "late")];
        for (write, how) in cases {
            for guarded in [false, true] {
                let mut scene = Scene::new(shell);
                let root = scene.host.root.clone();
                let bin = root.join("bin");
                std::fs::create_dir(&bin).unwrap();
                // Counts the copies; at one of them 20 bytes come, then the program is killed.
                let script = format!(
                    "#!/bin/sh\n[ $# = 0 ] || exec /bin/cat \"$@\"\necho >>{0}/cats\n\
                     [ $(wc -l <{0}/cats) = {write} ] || exec /bin/cat\n\
                     head -c 20\nkill -9 $(sed -n 's/^pid main //p' \"$CRASH_TRACE\" | tail -n 1)\n\
                     [ {how} = late ] || exit 137\necho $$ >{0}/late\nsleep 600; exec /bin/cat\n",
                    root.display()
                );
                scene.host.put(&bin.join("cat"), script.as_bytes(), 0o755);
                let path = std::env::var("PATH").unwrap();
                let path = format!("{}:{}:{path}", shell.bin.display(), bin.display());
                scene.host.environment.push(("PATH".into(), path));
                if !guarded {
                    scene.host.environment.push(("CRASH_ALONE".into(), "1".into()));
                }
                scene.stop_at("", "CONT");
                let at = format!("{}: copy {write} {how}, guard: {guarded}", shell.name);
                let error = scene.drive(Path::InPlaceBack).await.unwrap_err();
                assert!(
                    matches!(error, RemoteError::Closed { may_have_changed: true, .. }),
                    "{at}: {error}"
                );
                if !guarded {
                    let file = if write % 2 == 1 { "key.pem" } else { "cert.pem" };
                    assert_eq!(std::fs::read(scene.host.dir.join(file)).unwrap().len(), 20, "{at}");
                    let recovered = scene.host.recover().await.unwrap();
                    assert_settled(&scene, &recovered, false, &at);
                }
                scene.host.settled(&scene.before).await;
                scene.assert_old(&at);
                if let Ok(late) = std::fs::read_to_string(root.join("late")) {
                    assert!(ended(late.trim()).await, "{at}: it goes on");
                }
            }
        }
    }
}

/// Where a transaction is killed before its recovery is: each leaves another kind of state.
const FIRST: [&str; 12] = [
    "main renamed#1",
    "main begun#2",
    "main slipped_off#1",
    "main overwritten#2",
    "main written_back#1",
    "main done#1",
    "main restored#1",
    "main linked#1",
    "main moded#1",
    "main reloaded#1",
    "main kept#1",
    "main boot_unit_wanted#1",
];

/// A path that passes such a point.
fn past(first: &str) -> Path {
    match first {
        "main restored#1" => Path::Rollback,
        "main begun#2" | "main overwritten#2" => Path::InPlace,
        "main written_back#1" => Path::InPlaceBack,
        _ if first.contains("slipped") => Path::Watched,
        _ if first.contains("boot") => Path::Guarded,
        _ => Path::Confirm,
    }
}

/// Where it is killed under a shell: most differ in nothing that depends on that.
fn first(shell: &'static Shell) -> &'static [&'static str] {
    if shell.name == shells()[0].name { &FIRST[..] } else { &FIRST[..5] }
}

/// The steps that a recovery of what lies there passes.
async fn steps(lying: &mut Lying) -> Vec<String> {
    let scene = lying.again();
    scene.host.recover_with(recovery()).await.unwrap();
    scene.passed("main")
}

/// The steps of all these recoveries.
pub(crate) async fn recovery_points(shell: &'static Shell) -> Vec<String> {
    let mut found = Vec::new();
    for &first in first(shell) {
        found.extend(steps(&mut Lying::of(killed(shell, past(first), first).await)).await);
    }
    found
}

async fn each_recovery_killed(lying: &mut Lying, new: bool, at: &str) -> usize {
    let steps = steps(lying).await;
    for second in &steps {
        let scene = lying.again();
        scene.stop_at(second, "KILL");
        let died = scene.host.recover_with(recovery()).await;
        let at = format!("{at} at {second}");
        let closed = matches!(died, Err(RemoteError::Closed { .. } | RemoteError::NoBoot { .. }));
        assert!(closed, "{at}: {died:?}");
        scene.stop_at("", "CONT");
        let recovered = scene.host.recover().await.unwrap_or_else(|error| panic!("{at}: {error}"));
        assert_settled(scene, &recovered, new, &at);
    }
    steps.len()
}

async fn each_recovery_left(scene: &mut Scene, new: bool, at: &str) -> usize {
    let gate = Gate::of(scene);
    let (recovered, left) = gate.along(None, scene.host.recover_with(recovery())).await;
    recovered.unwrap_or_else(|error| panic!("{at}: {error}"));
    let count = left.len();
    assert!(count > 4, "{at}: {count} steps");
    for left in left {
        let second = left.lay(scene);
        let at = format!("{at} left at {second}");
        let recovered = scene.host.recover().await.unwrap_or_else(|error| panic!("{at}: {error}"));
        assert_settled(scene, &recovered, new, &at);
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_the_recovery_is_settled_by_the_one_after() {
    let each = |shell| first(shell).iter().map(move |&first| (shell, first));
    let mut table: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut ends = futures::stream::iter(shells().iter().flat_map(each))
        .map(|(shell, first)| {
            tokio::spawn(async move {
                let mut lying = Lying::of(killed(shell, past(first), first).await);
                let new = matches!(first, "main done#1" | "main kept#1");
                let at = format!("{}: killed at {first}, its recovery", shell.name);
                let count = if is_killed(shell) {
                    each_recovery_killed(&mut lying, new, &at).await
                } else {
                    each_recovery_left(lying.again(), new, &at).await
                };
                (shell.name, if new { "new" } else { "old" }, count)
            })
        })
        .buffer_unordered(AT_ONCE);
    while let Some(end) = ends.next().await {
        let (shell, end, kills) = end.unwrap();
        *table.entry((shell, end)).or_default() += kills;
    }
    let total: usize = table.values().sum();
    eprintln!("{total} double kills, in the transaction and in its recovery: {table:?}");
}
