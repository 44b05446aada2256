//! What is on disk before what: a host that loses power must find the way.

use super::host::*;
use certroll::testing::host::{FileRole, RecoveredEnd};
use certroll::testing::remote::program::Program;
use certroll::testing::remote::{RemoteError, Transaction};
use std::path::Path;

/// Puts a script in the place of `name` that does the real thing unless the text ended it. busybox's sh has its own.
fn stand_in(host: &mut Host, name: &str, text: &str) {
    let bin = host.root.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let script = format!("#!/bin/sh\n{text}\nexec /bin/{name} \"$@\"\n");
    host.put(&bin.join(name), script.as_bytes(), 0o755);
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", host.shell.bin.display(), bin.display());
    host.environment.retain(|(name, _)| name != "PATH");
    host.environment.push(("PATH".into(), path));
}

fn with_programs_of_the_path() -> impl Iterator<Item = &'static Shell> {
    shells().iter().filter(|shell| !shell.is_busybox())
}

fn sync_fails_while(host: &mut Host, there: &Path) {
    let text = format!("[ ! -e '{}' ] || exit 1", there.display());
    stand_in(host, "sync", &text);
}

/// Hard links are there already; the bytes of copies are not.
#[tokio::test]
async fn copies_of_the_old_files_are_flushed_before_the_first_rename() {
    for shell in with_programs_of_the_path() {
        let mut host = Host::new(shell);
        let before = tree(&host.dir);
        let log = host.root.join("log");
        stand_in(&mut host, "ln", "exit 1");
        for name in ["sync", "mv"] {
            let text = format!("echo {name} \"$@\" >>'{}'", log.display());
            stand_in(&mut host, name, &text);
        }
        host.there_and_back(host.request()).await.unwrap();
        let log = std::fs::read_to_string(log).unwrap();
        let (flushed, _) = log.split_once("mv ").unwrap();
        for name in ["cert.pem", "key.pem"] {
            let copy = flushed.split_whitespace().any(|word| {
                word.ends_with(name) && word.contains("/.certroll-") && !word.contains(".new/")
            });
            assert!(copy, "{}: the copy of {name}: {flushed}", shell.name);
        }
        for (path, entry) in tree(&host.dir) {
            let old = Entry { inode: entry.inode, ..before[&path].clone() };
            assert_eq!(entry, old, "{}", shell.name);
        }
    }
}

/// If the record is lost with the power the host goes back, and for that it needs the old files.
#[tokio::test]
async fn a_confirmation_that_cannot_be_flushed_keeps_the_old_files() {
    for shell in with_programs_of_the_path() {
        let mut host = Host::new(shell);
        let failing = host.root.join("failing");
        sync_fails_while(&mut host, &failing);
        let before = tree(&host.dir);
        let (mut transaction, _) = host.begin(host.request()).await.unwrap();
        transaction.commit().await.unwrap();
        std::fs::write(&failing, "").unwrap();
        let error = transaction.confirm().await.unwrap_err();
        let RemoteError::Closed { may_have_changed: true, noise, .. } = &error else {
            panic!("{}: {error}", shell.name)
        };
        assert!(noise.contains("cannot be flushed"), "{noise}");
        host.assert_bytes("cert.pem", NEW_CERT);
        // Another contact while it still fails leaves them, too.
        host.recover().await.unwrap();
        let [record] = &host.litter()[..] else { panic!("{:?}", host.litter()) };
        let record = host.root.join("state").join(record);
        // The power is lost, and the record with it.
        let journal = record.to_str().unwrap().replace("done.", "j.");
        std::fs::rename(record, journal).unwrap();
        std::fs::remove_file(&failing).unwrap();
        let recovered = host.recover().await.unwrap();
        assert_eq!(recovered[0].end, RecoveredEnd::Old, "{}", shell.name);
        assert_eq!(recovered[0].by, "since noon, alice@controller", "{}", shell.name);
        host.assert_unchanged(&before);
    }
}

/// What is kept is moved before the record is on disk: if only that is lost with the power, the way back finds it where it
/// was moved to.
#[tokio::test]
async fn a_confirmation_whose_record_alone_is_lost_goes_back() {
    for shell in shells() {
        for step in ["generations_made", "kept"] {
            let host = Host::new(shell);
            host.put(&host.dir.join("site.conf"), OLD_CERT, 0o604);
            let before = tree(&host.dir);
            let new = host.dir.join("new.conf");
            let mut request = host.request_for(vec![
                host.file("cert.pem", NEW_CERT, FileRole::Certificate),
                host.file("key.pem", NEW_KEY, FileRole::Key),
                removal(&host.dir.join("site.conf")),
                change(&new, NEW_CERT, FileRole::Config),
            ]);
            request.backups = 1;
            let id = request.id.clone();
            // Without a guard, which would go on with the confirmation.
            let hook = format!(
                "step() {{ guard_text='exit 0'; [ \"$1\" != {step} ] || kill -s KILL $$; }}"
            );
            let program = Program::transaction(Some(&hook));
            let begun = Transaction::begin_with(&program, host.sh().await, request).await;
            let (mut transaction, _) = begun.unwrap();
            transaction.commit().await.unwrap();
            transaction.confirm().await.unwrap_err();
            assert_eq!(host.dir.join(".certroll").join(id.as_str()).is_dir(), step == "kept");
            let state = host.root.join("state");
            let record = |kind: &str| state.join(format!("{kind}.{id}"));
            std::fs::rename(record("done"), record("j")).unwrap();
            let recovered = host.recover().await.unwrap();
            assert_eq!(recovered[0].end, RecoveredEnd::Old, "{}: {step}", shell.name);
            assert_eq!(recovered[0].conflicts, 0, "{}: {step}", shell.name);
            // The directory for generations may stay if it was made and nothing was moved there.
            let _ = std::fs::remove_dir(host.dir.join(".certroll"));
            host.assert_unchanged(&before);
            assert_eq!(host.reloads(), ["NEW+/=", "old"], "{}", shell.name);
        }
    }
}

#[tokio::test]
async fn a_confirmation_that_can_be_flushed_later_stands() {
    for shell in with_programs_of_the_path() {
        let mut host = Host::new(shell);
        let failing = host.root.join("failing");
        sync_fails_while(&mut host, &failing);
        let (mut transaction, _) = host.begin(host.request()).await.unwrap();
        transaction.commit().await.unwrap();
        std::fs::write(&failing, "").unwrap();
        transaction.confirm().await.unwrap_err();
        std::fs::remove_file(&failing).unwrap();
        let recovered = host.recover().await.unwrap();
        assert_eq!(recovered[0].end, RecoveredEnd::New, "{}", shell.name);
        host.assert_bytes("key.pem", NEW_KEY);
        assert!(host.litter().is_empty());
    }
}

/// What went back may be lost with the power: then it goes back again.
#[tokio::test]
async fn a_way_back_that_cannot_be_flushed_keeps_its_journal() {
    for shell in with_programs_of_the_path() {
        let mut host = Host::new(shell);
        let failing = host.root.join("failing");
        sync_fails_while(&mut host, &failing);
        let before = tree(&host.dir);
        let (mut transaction, _) = host.begin(host.request()).await.unwrap();
        transaction.commit().await.unwrap();
        std::fs::write(&failing, "").unwrap();
        transaction.rollback().await.unwrap();
        host.assert_bytes("cert.pem", OLD_CERT);
        assert_eq!(host.litter().len(), 1, "{}: {:?}", shell.name, host.litter());
        std::fs::remove_file(&failing).unwrap();
        assert_eq!(host.recover().await.unwrap()[0].end, RecoveredEnd::Old);
        host.assert_unchanged(&before);
    }
}

/// Does not wait long for a disk.
fn impatient() -> Program {
    Program::transaction(Some("step() { t_flush=2 t_probe=2; }"))
}

async fn begin_impatiently(host: &Host) -> Result<Transaction, RemoteError> {
    let begun = Transaction::begin_with(&impatient(), host.sh().await, host.request()).await;
    begun.map(|(transaction, _)| transaction)
}

/// The lock is nobody's, sooner or later.
async fn unlocked(host: &Host) {
    for _ in 0..1200 {
        if std::fs::read_dir(host.root.join("run/lock")).unwrap().next().is_none() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{}: still locked", host.shell.name);
}

/// A disk somewhere that never answers: `sync` waits for it for ever.
#[tokio::test]
async fn a_flush_that_never_ends_is_given_up_before_anything_changes() {
    for shell in with_programs_of_the_path() {
        for hangs in [
            "exec sleep 1000",
            "[ \"$1\" = --version ] || [ \"$1\" = /dev/null ] || exec sleep 1000",
        ] {
            let mut host = Host::new(shell);
            stand_in(&mut host, "sync", hangs);
            let before = tree(&host.dir);
            let mut transaction = begin_impatiently(&host).await.unwrap();
            let error = transaction.commit().await.unwrap_err();
            let RemoteError::Failed(failure) = &error else { panic!("{}: {error}", shell.name) };
            assert!(failure.why.contains("cannot flush to disk"), "{}: {error}", shell.name);
            host.assert_unchanged(&before);
        }
    }
}

#[tokio::test]
async fn a_flush_that_never_ends_after_the_switch_holds_no_lock() {
    for shell in with_programs_of_the_path() {
        for killed in [false, true] {
            let mut host = Host::new(shell);
            let hanging = host.root.join("hanging");
            let text = format!("[ ! -e '{}' ] || exec sleep 1000", hanging.display());
            stand_in(&mut host, "sync", &text);
            let before = tree(&host.dir);
            let mut transaction = begin_impatiently(&host).await.unwrap();
            transaction.commit().await.unwrap();
            std::fs::write(&hanging, "").unwrap();
            if killed {
                // The guard does it.
                host.kill();
            } else {
                let rolled_back = transaction.rollback().await;
                assert!(rolled_back.is_ok(), "{}", shell.name);
            }
            unlocked(&host).await;
            host.assert_bytes("cert.pem", OLD_CERT);
            std::fs::remove_file(&hanging).unwrap();
            let recovered = host.recover().await.unwrap();
            assert_eq!(recovered[0].end, RecoveredEnd::Old, "{}", shell.name);
            host.assert_unchanged(&before);
        }
    }
}

/// `sync FILE` of uutils waits for all disks of the host; and another that does so and calls itself GNU.
#[tokio::test]
async fn where_sync_means_all_disks_files_are_flushed_another_way() {
    for shell in with_programs_of_the_path() {
        for name in ["uutils", "GNU"] {
            let mut host = Host::new(shell);
            let log = host.root.join("log");
            let told = |what: &str| format!("echo {what} \"$@\" >>'{}'", log.display());
            let text = format!(
                "{}\ncase $1 in --version) echo 'sync ({name} coreutils) 0.8.0'; exit;; -d) ;; \
                 /dev/null) [ {name} = GNU ] || exec sleep 1000; exit 0;; *) exec sleep 1000;; esac",
                told("sync")
            );
            stand_in(&mut host, "sync", &text);
            stand_in(&mut host, "dd", &told("dd"));
            stand_in(&mut host, "mv", &told("mv"));
            let mut transaction = begin_impatiently(&host).await.unwrap();
            transaction.commit().await.unwrap();
            transaction.confirm().await.unwrap();
            host.assert_bytes("key.pem", NEW_KEY);
            let log = std::fs::read_to_string(&log).unwrap();
            let (flushed, after) = log.split_once("mv ").unwrap();
            for file in ["cert.pem", "key.pem", "state/j."] {
                let by_dd = |line: &str| {
                    line.starts_with("dd ") && line.contains(file) && line.contains("conv=fsync")
                };
                assert!(flushed.lines().any(by_dd), "{}: {file}: {log}", shell.name);
            }
            let directory = format!("sync -d {}", host.dir.display());
            assert!(after.contains(&directory), "{}: {log}", shell.name);
        }
    }
}

/// Where process 1 reaps nobody, the dead keep their numbers, and can be sent signals.
#[test]
fn a_dead_program_is_not_told_for_ever_that_its_flush_is_late() {
    let mut dead = std::process::Command::new("true").spawn().unwrap();
    let script = format!(
        "{}\nself_pid={pid} flush_pid={pid} flush_limit=1\nflush_timer_start\nwait $flush_timer\n",
        include_str!("../../../src/remote/sh/core/flush.sh"),
        pid = dead.id()
    );
    let timers = shells().iter().map(|shell| {
        let sh = std::process::Command::new(shell.bin.join("sh")).args(["-c", &script]).spawn();
        (shell.name, sh.unwrap())
    });
    let mut timers: Vec<_> = timers.collect();
    let begun = std::time::Instant::now();
    while !timers.is_empty() {
        timers.retain_mut(|(_, timer)| timer.try_wait().unwrap().is_none());
        let left: Vec<_> = timers.iter().map(|(name, _)| name).collect();
        assert!(begun.elapsed() < std::time::Duration::from_secs(120), "{left:?}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    dead.wait().unwrap();
}
