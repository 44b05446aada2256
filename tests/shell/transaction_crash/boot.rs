//! Power lost at every step of a transaction with a guard for the next boot: what its unit runs settles it, before
//! anybody comes. systemd itself has its part in `tests/fleet/systemd`.

use super::crash::*;
use super::leavings::{Leavings, jobs};
use super::scene::*;
use crate::transaction::host::*;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

const AT_ONCE: usize = 8;
/// Points with all new files, all old ones and a pair of both, before and after the one that decides; and between two
/// overwrites.
const FIRST: [&str; 5] =
    ["main armed#1", "main renamed#1", "main reloaded#1", "main finished#1", "main overwritten#1"];

/// The path that passes such a point.
fn past(first: &str) -> Path {
    if first == "main overwritten#1" { Path::GuardedInPlace } else { Path::Guarded }
}

/// The unit that would be started at boot, by the link that asks for it.
fn wanted(scene: &Scene) -> Option<PathBuf> {
    let wants = scene.units().join("sysinit.target.wants");
    let mut links = std::fs::read_dir(wants).into_iter().flatten();
    let link = links.next()?.unwrap().path();
    Some(std::fs::canonicalize(link).unwrap())
}

/// Power comes back: nothing runs, `/run` is empty, and systemd starts what it is asked to. A service
/// loads what is there when it starts. `None`: there is nothing to start.
fn boot(scene: &Scene) -> Option<ExitStatus> {
    let _ = std::fs::remove_dir_all(scene.host.root.join("run"));
    let _ = std::fs::remove_file(scene.host.log());
    let unit = std::fs::read_to_string(wanted(scene)?).unwrap();
    let line = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    if !std::path::Path::new(line("ConditionPathExists=")).exists() {
        return None;
    }
    let mut words = line("ExecStart=").split(' ');
    assert_eq!(words.next(), Some("/bin/sh"));
    let mut command = Command::new(scene.host.shell.bin.join("sh"));
    command.args(words).env_clear().env("PATH", "/usr/bin:/bin");
    command.envs(scene.host.environment.iter().map(|(name, value)| (name, value)));
    command.stdout(std::process::Stdio::null());
    Some(command.status().unwrap())
}

/// The steps of a boot that goes back, and of one that finishes.
pub(crate) async fn boot_points(shell: &'static Shell) -> Vec<String> {
    let mut found = Vec::new();
    for first in FIRST {
        let scene = killed(shell, past(first), first).await;
        assert!(boot(&scene).unwrap().success());
        found.extend(scene.passed("boot"));
    }
    found
}

/// Who settles it when power comes back.
async fn settled_by(scene: &Scene, new: bool, at: &str) -> &'static str {
    let Some(status) = boot(scene) else {
        // Not asked for yet, or no more.
        let recovered = scene.host.recover().await.unwrap();
        assert_settled(scene, &recovered, new, at);
        return "by the next contact";
    };
    assert!(status.success(), "{at}");
    if new {
        scene.assert_new(at)
    } else {
        scene.assert_old(at)
    }
    let recovered = scene.host.recover().await.unwrap();
    assert!(recovered.is_empty(), "{at}: {recovered:?}");
    if new { "new" } else { "old" }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_loss_at_any_step_is_settled_by_the_next_boot() {
    let mut runs = Vec::new();
    for shell in shells() {
        let all = points(shell, Path::Guarded).await;
        let in_place = points(shell, Path::GuardedInPlace).await;
        for (path, points) in [(Path::Guarded, &all), (Path::GuardedInPlace, &in_place)] {
            let guarded = points.iter().filter(|point| has_guard(points, point));
            // What both share is lost once.
            let guarded = guarded.filter(|point| path == Path::Guarded || !all.contains(point));
            let points = guarded.map(|point| (point.clone(), stands(points, point))).collect();
            runs.extend(jobs(shell, points).into_iter().map(|points| (shell, path, points)));
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
                    let at = format!("{}: {path:?}, power lost at {point}", shell.name);
                    ends.push((shell.name, settled_by(&scene, new, &at).await));
                }
                ends
            })
        })
        .buffer_unordered(AT_ONCE);
    while let Some(ends) = ends.next().await {
        ends.unwrap().into_iter().for_each(|end| *table.entry(end).or_default() += 1);
    }
    eprintln!("power lost at every step, settled by the next boot: {table:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_loss_at_any_step_of_that_boot_is_settled_too() {
    let each = |shell: &'static Shell| {
        // The others differ in nothing that depends on the shell.
        let few = if shell.name == shells()[0].name { &FIRST[..] } else { &FIRST[1..2] };
        few.iter().map(move |&first| (shell, first))
    };
    let mut table: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut ends = futures::stream::iter(shells().iter().flat_map(each))
        .map(|(shell, first)| {
            tokio::spawn(async move {
                let mut lying = Lying::of(killed(shell, past(first), first).await);
                let mut ends = Vec::new();
                let scene = lying.again();
                boot(scene).unwrap();
                for second in scene.passed("boot") {
                    let at = format!("{}: power lost at {first}, and at {second}", shell.name);
                    let new = first == "main finished#1";
                    let scene = lying.again();
                    scene.stop_at(&second, "KILL");
                    let status = boot(scene).unwrap();
                    assert!(!status.success(), "{at}: {status} {:?}", scene.passed("boot"));
                    scene.stop_at("", "CONT");
                    let again = boot(scene);
                    assert!(again.is_none_or(|status| status.success()), "{at}: {again:?}");
                    // The pair fits at once. What is left to clear up, if anything, the next contact does.
                    let pair = if new { (NEW_CERT, NEW_KEY) } else { (OLD_CERT, OLD_KEY) };
                    scene.host.assert_bytes("cert.pem", pair.0);
                    scene.host.assert_bytes("key.pem", pair.1);
                    let recovered = scene.host.recover().await.unwrap();
                    assert_settled(scene, &recovered, new, &at);
                    let boot_alone = recovered.is_empty();
                    ends.push(if boot_alone { "by the boot" } else { "and the next contact" });
                }
                (shell.name, ends)
            })
        })
        .buffer_unordered(AT_ONCE);
    while let Some(end) = ends.next().await {
        let (shell, by) = end.unwrap();
        by.into_iter().for_each(|by| *table.entry((shell, by)).or_default() += 1);
    }
    eprintln!("power lost at every step of the boot: {table:?}");
}

/// What is in a file that was being overwritten when power was lost: nothing, its beginning, or its length with zeros in
/// place of what had not come to the disk. The certificate's container starts after that boot, and finds the old pair.
#[tokio::test]
async fn a_power_loss_in_the_middle_of_an_overwrite_is_settled_by_the_next_boot() {
    for shell in shells() {
        for (point, name, new) in
            [("main begun#1", "key.pem", NEW_KEY), ("main begun#2", "cert.pem", NEW_CERT)]
        {
            let mut lying = Lying::of(killed(shell, Path::GuardedInPlace, point).await);
            let part = new.len() / 2;
            let zeros = [&new[..part], &vec![0; new.len() - part]].concat();
            for there in [&b""[..], &new[..part], &zeros, new] {
                let at = format!("{}: {name} is {there:?}", shell.name);
                let scene = lying.again();
                scene.host.assert_bytes(name, if name == "key.pem" { OLD_KEY } else { OLD_CERT });
                // Into the inode, as the write that broke off.
                std::fs::write(scene.host.dir.join(name), there).unwrap();
                assert!(boot(scene).unwrap().success(), "{at}");
                scene.assert_old(&at);
                let recovered = scene.host.recover().await.unwrap();
                assert!(recovered.is_empty(), "{at}: {recovered:?}");
            }
        }
    }
}

/// The program on disk may be cut short, for it is flushed after it was written.
#[tokio::test]
async fn a_torn_program_does_nothing() {
    for shell in shells() {
        let scene = killed(shell, Path::Guarded, "main armed#1").await;
        let lies = tree(&scene.host.dir);
        let state = scene.host.root.join("state");
        let program = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
        let program = program
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("boot."))
            .collect::<Vec<_>>();
        let [program] = program.as_slice() else { panic!("{program:?}") };
        let whole = std::fs::read(program).unwrap();
        let call = whole.windows(5).rposition(|text| text == b"boot)").unwrap();
        for length in (0..call).step_by(1499).chain([call]) {
            std::fs::write(program, &whole[..length]).unwrap();
            boot(&scene);
            assert_eq!(tree(&scene.host.dir), lies, "{}: {length} bytes", shell.name);
            assert!(wanted(&scene).is_some(), "{}: {length} bytes", shell.name);
        }
        std::fs::write(program, &whole).unwrap();
        assert!(boot(&scene).unwrap().success());
        scene.assert_old(shell.name);
    }
}

/// Journal, program and unit are flushed together: of a transaction that had not got so far any may be
/// there without the others, and a removal may be lost.
#[tokio::test]
async fn what_is_left_of_a_guard_is_removed_by_the_next_boot_or_contact() {
    for shell in shells() {
        let mut lying = Lying::of(killed(shell, Path::Guarded, "main boot_unit_wanted#1").await);
        for lost in ["j.", "boot.", "j. boot."] {
            for by_boot in [true, false] {
                let at = format!("{}: without {lost}, by boot: {by_boot}", shell.name);
                let scene = lying.again();
                for entry in std::fs::read_dir(scene.host.root.join("state")).unwrap() {
                    let path = entry.unwrap().path();
                    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                    if lost.split(' ').any(|prefix| name.starts_with(prefix)) {
                        std::fs::remove_file(path).unwrap();
                    }
                }
                if by_boot {
                    boot(scene);
                    assert_eq!(wanted(scene).is_none(), !lost.contains("boot"), "{at}");
                }
                scene.host.assert_bytes("cert.pem", OLD_CERT);
                scene.host.recover().await.unwrap();
                // Without its journal nobody knows whose directory this is: the next plan finds it there.
                let _ = std::fs::remove_dir_all(scene.new_directory());
                // A recovery does not know of this directory for units; a transaction does.
                scene.drive(Path::Guarded).await.unwrap();
                scene.assert_new(&at);
            }
        }
    }
}

/// A file system that is not there yet must not pass for one whose files somebody removed.
#[tokio::test]
async fn files_that_are_not_there_at_boot_are_left_to_the_next_contact() {
    for shell in shells() {
        let scene = killed(shell, Path::Guarded, "main renamed#1").await;
        let aside = scene.host.root.join("unmounted");
        std::fs::rename(&scene.host.dir, &aside).unwrap();
        std::fs::create_dir(&scene.host.dir).unwrap();
        assert!(boot(&scene).unwrap().success());
        std::fs::remove_dir(&scene.host.dir).unwrap();
        std::fs::rename(&aside, &scene.host.dir).unwrap();
        assert!(wanted(&scene).is_some(), "{}", shell.name);
        let recovered = scene.host.recover().await.unwrap();
        assert_eq!(recovered.len(), 1, "{}", shell.name);
        scene.assert_old(shell.name);
    }
}

/// systemd may be told to read its units again, and to reach its target, while a transaction is under way.
#[tokio::test]
async fn a_unit_that_is_started_meanwhile_leaves_the_transaction_alone() {
    for shell in shells() {
        let mut scene = Scene::new(shell);
        scene.stop_at("", "CONT");
        let request = certroll::testing::host::TransactionRequest {
            boot_guard: Some(remote(&scene.units())),
            ..scene.request()
        };
        let process = scene.host.sh().await;
        let (mut running, _) =
            certroll::testing::remote::Transaction::begin_with(transaction(), process, request)
                .await
                .unwrap();
        running.commit().await.unwrap();
        let unit = std::fs::read_to_string(wanted(&scene).unwrap()).unwrap();
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let mut words = start.split(' ').skip(1);
        let sh = scene.host.shell.bin.join("sh");
        let mut command = Command::new(sh);
        command.args(words.by_ref());
        command.envs(scene.host.environment.iter().map(|(name, value)| (name, value)));
        assert!(command.status().unwrap().success());
        scene.host.assert_bytes("cert.pem", NEW_CERT);
        running.confirm().await.unwrap();
        scene.assert_new(shell.name);
    }
}
