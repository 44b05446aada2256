//! Many files in one directory: their bodies come in one go, their check sees them through an overlay, and
//! neither is needed.

use super::causes::check;
use super::host::*;
use super::validation::may_mount;
use certroll::testing::host::{
    FileRole, StepFailure, TransactionRequest, ValidateStep, ValidateVia, ValidationWay,
};
use certroll::testing::remote::RemoteError;
use std::process::Command;

/// More than come one by one.
const PAIRS: usize = 12;

/// A host with pairs of which each has bytes of its own.
fn crowded(shell: &'static Shell) -> Host {
    let host = Host::new(shell);
    for number in 0..PAIRS {
        host.put(&host.dir.join(format!("{number}.crt")), OLD_CERT, 0o644);
        host.put(&host.dir.join(format!("{number}.key")), OLD_KEY, 0o640);
    }
    host
}

/// What file `name` shall hold: of some size, and with what an awk could stumble over.
fn body(name: &str) -> Vec<u8> {
    format!("{name}\n\n0\n..\n {}\nNEW %s & end\n", "x".repeat(5000)).into_bytes()
}

fn names() -> impl Iterator<Item = String> {
    (0..PAIRS).flat_map(|number| [format!("{number}.crt"), format!("{number}.key")])
}

fn request(host: &Host) -> TransactionRequest {
    let mut request = host.request();
    request.files.extend(names().map(|name| {
        let role = if name.ends_with("key") { FileRole::Key } else { FileRole::Certificate };
        host.file(&name, &body(&name), role)
    }));
    request.services[0].validate = vec![ValidateStep {
        names: vec![("first".into(), host.path("0.key")), ("last".into(), host.path("11.crt"))],
        ..check(&["grep", "-c", "NEW", "{first}", "{last}"], ValidateVia::MountNamespace)
    }];
    request
}

/// Replaces a program by a script, in front of all others.
fn shadow(host: &mut Host, name: &str, script: &str) {
    let bin = host.root.join("shadow");
    std::fs::create_dir_all(&bin).unwrap();
    host.put(&bin.join(name), format!("#!/bin/bash\n{script}\n").as_bytes(), 0o755);
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", host.shell.bin.display(), bin.display());
    host.environment.retain(|(name, _)| name != "PATH");
    host.environment.push(("PATH".into(), path));
}

/// The shells that do not have such programs within themselves.
fn shells_with_tools() -> impl Iterator<Item = &'static Shell> {
    shells().iter().filter(|shell| !shell.is_busybox())
}

async fn all_new(host: &Host) {
    let committed = host.apply(request(host)).await;
    committed.unwrap_or_else(|error| panic!("{}: {error}", host.shell.name));
    for name in names() {
        host.assert_bytes(&name, &body(&name));
        let mode = if name.ends_with("key") { 0o640 } else { 0o644 };
        let group = if is_root() { 33 } else { host.attributes(&name).2 };
        let (found, _, of) = host.attributes(&name);
        assert_eq!((found, of), (mode, group), "{name} under {}", host.shell.name);
    }
}

async fn refused(host: &Host) -> StepFailure {
    let before = tree(&host.dir);
    let error = host.apply(request(host)).await.unwrap_err();
    let RemoteError::Failed(failure) = error else { panic!("{}: {error}", host.shell.name) };
    host.assert_unchanged(&before);
    failure
}

#[tokio::test]
async fn many_files_are_checked_switched_and_come_back() {
    if !may_mount() {
        return;
    }
    for shell in shells() {
        let host = crowded(shell);
        let before = tree(&host.dir);
        let (mut transaction, staged) = host.begin(request(&host)).await.unwrap();
        let seen = &staged.validations[0];
        assert_eq!(
            (seen.way, seen.rc),
            (ValidationWay::MountNamespace, 0),
            "{}: {}",
            shell.name,
            seen.output
        );
        transaction.commit().await.unwrap();
        transaction.rollback().await.unwrap();
        host.assert_unchanged(&before);
        all_new(&host).await;
    }
}

#[tokio::test]
async fn without_overlays_each_file_is_mounted() {
    if !may_mount() {
        return;
    }
    for shell in shells_with_tools() {
        let mut host = crowded(shell);
        shadow(
            &mut host,
            "mount",
            "case \"$*\" in *overlay*) exit 32;; esac; exec /bin/mount \"$@\"",
        );
        let (transaction, staged) = host.begin(request(&host)).await.unwrap();
        let seen = &staged.validations[0];
        assert_eq!((seen.way, seen.rc), (ValidationWay::MountNamespace, 0), "{}", shell.name);
        transaction.abort().await.unwrap();
    }
}

#[tokio::test]
async fn without_awk_and_without_full_blocks_they_arrive_as_well() {
    for shell in shells_with_tools() {
        for (name, script) in [("awk", "exit 127"), ("dd", "echo unknown operand >&2; exit 1")] {
            let mut host = crowded(shell);
            shadow(&mut host, name, script);
            let mut request = request(&host);
            request.services[0].validate.clear();
            let wanted = host.apply(request).await;
            if name == "awk" {
                // It is there and does nothing with what it is given.
                let error = wanted.unwrap_err().to_string();
                assert!(error.contains("cannot write the file"), "{}: {error}", shell.name);
                continue;
            }
            wanted.unwrap_or_else(|error| panic!("{}: {error}", shell.name));
            names().for_each(|name| host.assert_bytes(&name, &body(&name)));
        }
    }
}

#[tokio::test]
async fn bodies_that_are_cut_short_change_nothing() {
    for shell in shells_with_tools() {
        let mut host = crowded(shell);
        // The program itself comes by dd as well.
        shadow(
            &mut host,
            "dd",
            "if [ -e \"$0.used\" ]; then /bin/dd \"$@\" | head -c 30000; else : >\"$0.used\"; exec /bin/dd \"$@\"; fi",
        );
        let failure = refused(&host).await;
        assert!(failure.why.ends_with("cannot write the file"), "{}: {failure}", shell.name);
    }
}

#[tokio::test]
async fn a_disk_that_fills_up_among_many_files_changes_nothing() {
    for shell in shells().iter().filter(|_| is_root()) {
        let host = crowded(shell);
        let dir = host.dir.to_str().unwrap();
        let options = ["-t", "tmpfs", "-o", "size=400k", "t", dir];
        if !Command::new("mount").args(options).status().unwrap().success() {
            crate::common::skip("no mounts here: not tried");
            return;
        }
        for name in names().chain(["cert.pem".to_owned(), "key.pem".to_owned()]) {
            let bytes = if name.contains("key") { OLD_KEY } else { OLD_CERT };
            host.put(&host.dir.join(name), bytes, 0o640);
        }
        // Room for half of them.
        std::fs::write(host.dir.join("fill"), vec![0; 180 * 1024]).unwrap();
        let before = tree(&host.dir);
        let error = host.apply(request(&host)).await.unwrap_err();
        let after = tree(&host.dir);
        assert!(Command::new("umount").args(["-l", dir]).status().unwrap().success());
        assert_eq!(after, before, "{}", shell.name);
        let words = error.to_string();
        assert!(
            words.contains("No space left") || words.contains(" 100% "),
            "{}: {words}",
            shell.name
        );
    }
}

#[tokio::test]
async fn many_directories_are_switched_and_come_back() {
    for shell in shells() {
        let host = Host::new(shell);
        let mut files = vec![host.file("cert.pem", NEW_CERT, FileRole::Certificate)];
        for number in 0..PAIRS {
            let dir = host.dir.join(format!("site {number}"));
            std::fs::create_dir(&dir).unwrap();
            for (name, old, role) in
                [("cert.pem", OLD_CERT, FileRole::Certificate), ("key.pem", OLD_KEY, FileRole::Key)]
            {
                host.put(&dir.join(name), old, 0o640);
                files.push(change(&dir.join(name), &body(name), role));
            }
        }
        let before = tree(&host.dir);
        host.there_and_back(host.request_for(files.clone())).await.unwrap();
        host.assert_unchanged(&before);
        host.apply(host.request_for(files.clone())).await.unwrap();
        host.assert_bytes("cert.pem", NEW_CERT);
        for file in files.iter().skip(1) {
            let path = file.path.to_str().unwrap();
            let bytes = std::fs::read(path).unwrap();
            assert_eq!(
                bytes,
                body(path.rsplit('/').next().unwrap()),
                "{path} under {}",
                shell.name
            );
        }
        assert_eq!(host.litter(), Vec::<std::path::PathBuf>::new(), "{}", shell.name);
    }
}
