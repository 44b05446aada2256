//! Backups: kept, counted, hidden, restored.

use super::host::*;
use certroll::testing::host::{Content, FileRole, TransactionId};
use certroll::testing::remote::RemoteError;
use std::os::unix::fs::PermissionsExt;

/// Ids below the directory, oldest first.
fn generations(host: &Host) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(host.dir.join(".certroll")) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_newest_generations_are_kept_and_nobody_else_can_read_them() {
    for shell in shells() {
        let host = Host::new(shell);
        let mut ids = Vec::new();
        for round in 0..5 {
            let bytes = format!("round {round}\n");
            let mut request = host.request_for(vec![
                host.file("cert.pem", bytes.as_bytes(), FileRole::Certificate),
                host.file("key.pem", bytes.as_bytes(), FileRole::Key),
            ]);
            request.backups = 3;
            ids.push(request.id.to_string());
            host.apply(request).await.unwrap();
        }
        assert_eq!(generations(&host), ids[2..], "{}", shell.name);
        let hidden = host.dir.join(".certroll");
        for (path, entry) in tree(&hidden) {
            let wanted = if entry.inode == 0 { 0o700 } else { 0o600 };
            assert_eq!(entry.mode & 0o7777, wanted, "{} under {}", path.display(), shell.name);
        }
        assert_eq!(hidden.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let kept = std::fs::read(hidden.join(&ids[2]).join("key.pem")).unwrap();
        assert_eq!(kept, b"round 1\n");
    }
}

#[tokio::test]
async fn one_file_s_generations_are_not_crowded_out_by_another_s() {
    for shell in shells() {
        let host = Host::new(shell);
        for round in 0..4 {
            let name = if round == 0 { "key.pem" } else { "cert.pem" };
            let bytes = format!("round {round}\n");
            let mut request =
                host.request_for(vec![host.file(name, bytes.as_bytes(), FileRole::Combined)]);
            request.backups = 2;
            host.apply(request).await.unwrap();
        }
        let found = tree(&host.dir.join(".certroll"));
        let count = |name| found.keys().filter(|path| path.ends_with(name)).count();
        assert_eq!((count("key.pem"), count("cert.pem")), (1, 2), "{}: {found:?}", shell.name);
        assert_eq!(generations(&host).len(), 3);
    }
}

#[tokio::test]
async fn a_generation_comes_back_without_its_bytes_travelling() {
    for shell in shells() {
        let host = Host::new(shell);
        let mut request = host.request();
        request.backups = 2;
        let first = request.id.clone();
        host.apply(request).await.unwrap();
        let restore = |id: &TransactionId| {
            let mut files = vec![
                host.file("cert.pem", OLD_CERT, FileRole::Certificate),
                host.file("key.pem", OLD_KEY, FileRole::Key),
            ];
            for file in &mut files {
                file.content = Content::Generation(id.clone());
            }
            let mut request = host.request_for(files);
            request.backups = 2;
            request
        };
        let replaced = host.modified("key.pem");
        host.apply(restore(&first)).await.unwrap();
        assert!(host.modified("key.pem") > replaced, "{}", shell.name);
        host.assert_bytes("cert.pem", OLD_CERT);
        host.assert_bytes("key.pem", OLD_KEY);
        assert_eq!(host.attributes("key.pem").0, 0o640, "the live file's mode, {}", shell.name);
        assert_eq!(generations(&host).len(), 2);
        let before = tree(&host.dir);
        let error = host.apply(restore(&next_id())).await.unwrap_err();
        let RemoteError::Failed(failure) = error else { panic!("{error}") };
        assert!(failure.why.ends_with("there is no such generation"), "{failure}");
        host.assert_unchanged(&before);
    }
}

#[tokio::test]
async fn without_backups_none_stay() {
    for shell in shells() {
        let host = Host::new(shell);
        let mut request = host.request();
        request.backups = 1;
        host.apply(request).await.unwrap();
        assert_eq!(generations(&host).len(), 1);
        host.apply(host.request_for(vec![host.file("cert.pem", b"x\n", FileRole::Certificate)]))
            .await
            .unwrap();
        let found = tree(&host.dir.join(".certroll"));
        let names: Vec<_> = found.keys().filter(|path| path.ends_with("cert.pem")).collect();
        assert!(names.is_empty(), "{}: {names:?}", shell.name);
    }
}
