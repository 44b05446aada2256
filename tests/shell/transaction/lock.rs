//! One at a time, and what the dead leave behind.

use super::host::*;
use certroll::testing::host::{FileRole, Inspection, RecoveredEnd};
use certroll::testing::remote::{RemoteError, Transaction, inspect_in};
use std::time::Duration;

#[tokio::test]
async fn a_second_controller_is_told_who_works_here() {
    for shell in shells() {
        let host = Host::new(shell);
        let (transaction, _) = host.begin(host.request()).await.unwrap();
        let error = host.begin(host.request()).await.unwrap_err();
        let RemoteError::Busy { pid, holder } = error else { panic!("{}: {error}", shell.name) };
        assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
        assert_eq!(holder, "since noon, alice@controller", "{}", shell.name);
        // The busy one took nothing with it.
        transaction.abort().await.unwrap();
        assert!(host.litter().is_empty());
    }
}

#[tokio::test]
async fn a_lock_is_waited_for() {
    for shell in shells() {
        let host = Host::new(shell);
        let (transaction, _) = host.begin(host.request()).await.unwrap();
        let mut request = host.request();
        request.limits.lock = Duration::from_secs(60);
        let second = async {
            let (second, _) = host.begin(request).await.unwrap();
            second.abort().await.unwrap();
        };
        let first = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            transaction.abort().await.unwrap();
        };
        tokio::join!(first, second);
        assert!(host.litter().is_empty());
    }
}

#[tokio::test]
async fn locks_of_the_dead_hold_nobody_up() {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let boot = boot.trim();
    let me = std::process::id();
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let born = stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().to_owned();
    for shell in shells() {
        let host = Host::new(shell);
        let locks = host.root.join("run/lock");
        std::fs::create_dir_all(&locks).unwrap();
        let dead = [
            format!("{boot}.4194000.5"),
            format!("{boot}.{me}.5"),
            format!("00000000-dead.{me}.{born}"),
            "garbage".to_owned(),
            "more garbage $(x)".to_owned(),
        ];
        for name in &dead {
            std::fs::write(locks.join(name), "").unwrap();
        }
        host.apply(host.request()).await.unwrap();
        assert!(host.litter().is_empty(), "{}: {:?}", shell.name, host.litter());
        // A live one does.
        std::fs::write(locks.join(format!("{boot}.{me}.{born}")), "6f6e65\n").unwrap();
        let error = host.begin(host.request()).await.unwrap_err();
        let busy =
            matches!(&error, RemoteError::Busy { pid, holder } if *pid == me && holder == "one");
        assert!(busy, "{}: {error}", shell.name);
    }
}

#[tokio::test]
async fn of_many_at_once_never_two_work() {
    for shell in shells() {
        let host = Host::new(shell);
        let mark = host.root.join("working");
        let overlap = host.root.join("overlap");
        let reload = format!(
            "mkdir '{0}' || touch '{1}'; sleep 0.1; rmdir '{0}'",
            mark.display(),
            overlap.display()
        );
        let racers = (0..6).map(|racer| {
            let mut request = host.request_for(vec![host.file(
                "cert.pem",
                format!("racer {racer}\n").as_bytes(),
                FileRole::Certificate,
            )]);
            request.services[0].reload = Some(timed(&["sh", "-c", &reload], 60));
            host.apply(request)
        });
        let ends = futures::future::join_all(racers).await;
        assert!(!overlap.exists(), "{}", shell.name);
        let done = ends.iter().filter(|end| end.is_ok()).count();
        assert!(done <= 1, "{}: {done} of one plan", shell.name);
        for error in ends.into_iter().filter_map(Result::err) {
            let harmless = matches!(error, RemoteError::Busy { .. } | RemoteError::Stale { .. });
            assert!(harmless, "{}: {error}", shell.name);
        }
        assert!(host.litter().is_empty());
    }
}

#[tokio::test]
async fn stages_without_a_journal_are_swept() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let plant = || {
            for name in [".certroll-20200101T000000Z-1", ".certroll-20200101T000000Z-1.new"] {
                std::fs::create_dir(host.dir.join(name)).unwrap();
                std::fs::write(host.dir.join(name).join("key.pem"), "half a k").unwrap();
            }
        };
        plant();
        std::fs::write(host.dir.join(".certroll-notes"), "a file is none of ours").unwrap();
        let (transaction, _) = host.begin(host.request()).await.unwrap();
        transaction.abort().await.unwrap();
        std::fs::remove_file(host.dir.join(".certroll-notes")).unwrap();
        host.assert_unchanged(&before);
        plant();
        assert!(host.recover().await.unwrap().is_empty());
        host.assert_unchanged(&before);
    }
}

#[tokio::test]
async fn torn_journals_are_dropped_and_whole_ones_obeyed() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        std::fs::create_dir(host.root.join("state")).unwrap();
        for (name, text) in [
            ("j.20200101T000000Z-1", ""),
            ("j.20200101T000000Z-2", "certroll-journal 1\nkeep 3\ndir /nonexist"),
            ("done.20200101T000000Z-3", "nonsense\n\0\n"),
        ] {
            std::fs::write(host.root.join("state").join(name), text).unwrap();
        }
        assert!(host.recover().await.unwrap().is_empty());
        host.assert_unchanged(&before);
        // As today's version writes them, as earlier ones did, and with names that cannot be read.
        for (by, begun_by) in [
            ("by 72756e203564\n".to_owned(), "run 5d"),
            (String::new(), ""),
            ("by 6\n".to_owned(), ""),
            ("by zz;x\n".to_owned(), ""),
        ] {
            let whole = format!("certroll-journal 1\n{by}keep 0\nend\n");
            std::fs::write(host.root.join("state/done.20200101T000000Z-4"), whole).unwrap();
            let recovered = host.recover().await.unwrap();
            assert_eq!((recovered.len(), recovered[0].end), (1, RecoveredEnd::New));
            assert_eq!(recovered[0].by, begun_by, "{}", shell.name);
            host.assert_unchanged(&before);
        }
    }
}

#[tokio::test]
async fn a_guard_goes_back_without_anybody() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let (mut transaction, _) = host.begin(host.request()).await.unwrap();
        assert!(transaction.commit().await.unwrap().guarded);
        host.kill();
        host.settled(&before).await;
        assert_eq!(host.reloads(), ["NEW+/=", "old"], "{}", shell.name);
        drop(transaction);
        // And where the program came with the one that read the host.
        let (_, read) = inspect_in(host.sh().await.into(), &Inspection::default()).await.unwrap();
        let (mut transaction, _) = Transaction::begin(read, host.request()).await.unwrap();
        assert!(transaction.commit().await.unwrap().guarded);
        host.kill();
        host.settled(&before).await;
        assert_eq!(host.reloads(), ["NEW+/=", "old", "NEW+/=", "old"], "{}", shell.name);
        drop(transaction);
    }
}
