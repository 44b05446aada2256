//! Files that are overwritten where they are, for containers that have mounted them by themselves.

use super::host::*;
use certroll::testing::host::{RecoveredEnd, TransactionRequest};
use certroll::testing::model::Step;
use certroll::testing::remote::RemoteError;
use std::os::unix::fs::MetadataExt;

fn request(host: &Host) -> TransactionRequest {
    let mut request = host.request();
    request.files.iter_mut().for_each(|file| file.in_place = true);
    request
}

fn inodes(host: &Host) -> Vec<u64> {
    let inode = |name: &&str| std::fs::metadata(host.dir.join(name)).unwrap().ino();
    ["cert.pem", "key.pem"].iter().map(inode).collect()
}

/// A `cat` before the real one: what it does with input and `$PPID`, when it is to copy.
fn with_cat(host: &mut Host, script: &str) {
    let bin = host.root.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let script =
        format!("#!/bin/sh\n[ $# = 0 ] || exec /bin/cat \"$@\"\n{script}\nexec /bin/cat\n");
    host.put(&bin.join("cat"), script.as_bytes(), 0o755);
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", host.shell.bin.display(), bin.display());
    host.environment.push(("PATH".into(), path));
}

#[tokio::test]
async fn the_inode_stays_and_the_old_bytes_are_a_generation() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = (inodes(&host), host.attributes("cert.pem"), host.attributes("key.pem"));
        let mut request = request(&host);
        request.backups = 1;
        let id = request.id.to_string();
        host.apply(request).await.unwrap();
        host.assert_bytes("cert.pem", NEW_CERT);
        host.assert_bytes("key.pem", NEW_KEY);
        let after = (inodes(&host), host.attributes("cert.pem"), host.attributes("key.pem"));
        assert_eq!(after, before, "{}", shell.name);
        let names: Vec<_> = tree(&host.dir).into_keys().collect();
        let kept = |name: &str| [".certroll", &id, name].iter().collect();
        let wanted: Vec<std::path::PathBuf> = vec![
            ".certroll".into(),
            [".certroll", &id].iter().collect(),
            kept("cert.pem"),
            kept("key.pem"),
            "cert.pem".into(),
            "key.pem".into(),
        ];
        assert_eq!(names, wanted, "{}", shell.name);
        host.assert_bytes(&format!(".certroll/{id}/key.pem"), OLD_KEY);
        assert_eq!(host.litter(), Vec::<std::path::PathBuf>::new());
        assert_eq!(host.reloads(), ["NEW+/="]);
    }
}

#[tokio::test]
async fn the_way_back_is_in_the_same_inode_with_a_later_time() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let (mut transaction, _) = host.begin(request(&host)).await.unwrap();
        transaction.commit().await.unwrap();
        let loaded = host.modified("cert.pem");
        transaction.rollback().await.unwrap();
        host.assert_unchanged(&before);
        assert!(host.modified("cert.pem") > loaded, "{}", shell.name);
        assert_eq!(host.reloads(), ["NEW+/=", "old"]);
    }
}

#[tokio::test]
async fn what_another_process_wrote_meanwhile_is_kept() {
    for shell in shells() {
        let host = Host::new(shell);
        let (mut transaction, _) = host.begin(request(&host)).await.unwrap();
        transaction.commit().await.unwrap();
        std::fs::write(host.dir.join("cert.pem"), b"somebody else's\n").unwrap();
        let back = transaction.rollback().await.unwrap();
        assert_eq!(back.conflicts, [host.path("cert.pem")], "{}", shell.name);
        host.assert_bytes("cert.pem", b"somebody else's\n");
        host.assert_bytes("key.pem", OLD_KEY);
        // Told once; the bytes that could not go back stay as a generation, and nothing else.
        let recovered = host.recover().await.unwrap();
        assert_eq!(recovered[0].end, RecoveredEnd::Conflict);
        let kept: Vec<_> = tree(&host.dir.join(".certroll")).into_keys().collect();
        assert!(kept.iter().any(|path| path.ends_with("cert.pem")), "{kept:?}");
        assert!(!kept.iter().any(|path| path.to_string_lossy().contains("/.certroll")), "{kept:?}");
    }
}

/// Another test may have forked while the copy was open for writing.
async fn started(program: &std::path::Path) -> std::process::Child {
    for _ in 0..600 {
        match std::process::Command::new(program).arg("600").spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            started => return started.unwrap(),
        }
    }
    panic!("{} stays busy", program.display());
}

#[tokio::test]
async fn a_file_that_cannot_be_overwritten_is_refused_before_anything_changes() {
    for shell in shells() {
        let host = Host::new(shell);
        // A program that runs cannot be written.
        std::fs::copy("/bin/sleep", host.dir.join("cert.pem")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(host.dir.join("cert.pem"), mode).unwrap();
        let mut running = started(&host.dir.join("cert.pem")).await;
        let before = tree(&host.dir);
        let error = host.apply(request(&host)).await.unwrap_err();
        running.kill().unwrap();
        running.wait().unwrap();
        let RemoteError::Failed(failure) = error else { panic!("{}: {error}", shell.name) };
        assert_eq!(failure.step, Step::Stage);
        assert!(failure.why.contains("cannot write the file in place"), "{}", failure.why);
        host.assert_unchanged(&before);
    }
}

/// The disk is full when the old bytes should go back, and later it is not.
#[tokio::test]
async fn a_way_back_that_cannot_be_written_is_unknown_and_tried_again() {
    for shell in shells() {
        if shell.is_busybox() {
            continue; // its sh has its own cat: nothing on the path stands in for it
        }
        let mut host = Host::new(shell);
        let full = host.root.join("full");
        with_cat(&mut host, &format!("[ ! -e {} ] || exit 1", full.display()));
        let before = tree(&host.dir);
        let (mut transaction, _) = host.begin(request(&host)).await.unwrap();
        transaction.commit().await.unwrap();
        std::fs::write(&full, b"").unwrap();
        let error = transaction.rollback().await.unwrap_err();
        assert!(
            matches!(error, RemoteError::Closed { may_have_changed: true, .. }),
            "{}: {error}",
            shell.name
        );
        host.assert_bytes("key.pem", b"");
        for _ in 0..2 {
            let error = host.recover().await.unwrap_err();
            let RemoteError::Failed(failure) = error else { panic!("{}: {error}", shell.name) };
            assert_eq!(failure.step, Step::Recover);
            assert!(failure.why.contains("cannot be written back in place"), "{}", failure.why);
        }
        // The guard tries once more at a moment of its own, and holds the lock meanwhile.
        let mut tries = 0;
        let error = loop {
            match host.apply(host.request()).await.unwrap_err() {
                RemoteError::Busy { .. } if tries < 60 => tries += 1,
                error => break error,
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        };
        assert!(matches!(error, RemoteError::Failed(_)), "{}: {error}", shell.name);
        // Nobody was told to load a half file.
        assert_eq!(host.reloads(), ["NEW+/="]);
        std::fs::remove_file(&full).unwrap();
        // None, where the guard was sooner.
        let recovered = host.recover().await.unwrap();
        assert!(recovered.iter().all(|one| one.end == RecoveredEnd::Old), "{}", shell.name);
        host.assert_unchanged(&before);
        assert_eq!(host.reloads().last().map(String::as_str), Some("old"));
    }
}

#[tokio::test]
async fn only_a_file_that_is_there_and_keeps_its_attributes_is_asked_for() {
    let host = Host::new(&shells()[0]);
    let mut absent = request(&host);
    absent.files[0].before = None;
    let mut moded = request(&host);
    moded.files[0].attributes.mode = Some(certroll::testing::model::FileMode::new(0o600));
    for request in [absent, moded] {
        let error = host.apply(request).await.unwrap_err();
        assert!(matches!(error, RemoteError::BadRequest(_)), "{error}");
    }
}
