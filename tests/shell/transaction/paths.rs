//! Destinations of every shape: links, directories to be made, names that confuse shells.

use super::host::*;
use certroll::testing::host::{Attributes, FileChange, FileRole, NewDirectory};
use certroll::testing::model::FileMode;
use certroll::testing::remote::RemoteError;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

/// As a plan would: `link` leads to `real`.
fn through(link: &std::path::Path, real: &std::path::Path) -> FileChange {
    FileChange { path: remote(link), ..change(real, NEW_CERT, FileRole::Certificate) }
}

#[tokio::test]
async fn a_link_is_kept_and_its_target_replaced_beside_itself() {
    for shell in shells() {
        let host = Host::new(shell);
        let archive = host.root.join("archive");
        std::fs::create_dir(&archive).unwrap();
        let real = archive.join("cert1.pem");
        std::fs::rename(host.dir.join("cert.pem"), &real).unwrap();
        // relative, absolute and chained, through a linked directory
        symlink("archive", host.root.join("current")).unwrap();
        symlink("../current/cert1.pem", host.dir.join("relative.pem")).unwrap();
        symlink(host.dir.join("relative.pem"), host.dir.join("cert.pem")).unwrap();
        let before = (tree(&host.dir), tree(&archive));
        for link in ["relative.pem", "cert.pem"] {
            let request = host.request_for(vec![through(&host.dir.join(link), &real)]);
            host.there_and_back(request).await.unwrap();
            assert_eq!((tree(&host.dir), tree(&archive)), before, "{link} under {}", shell.name);
        }
        let request = host.request_for(vec![through(&host.dir.join("cert.pem"), &real)]);
        host.apply(request).await.unwrap();
        assert_eq!(std::fs::read(&real).unwrap(), NEW_CERT);
        assert_eq!(tree(&host.dir), before.0, "{}", shell.name);
    }
}

#[tokio::test]
async fn a_dangling_link_gets_its_target_and_loses_it_again() {
    for shell in shells() {
        let host = Host::bare(shell);
        symlink("gone.pem", host.dir.join("cert.pem")).unwrap();
        let real = host.dir.join("gone.pem");
        let before = tree(&host.dir);
        let request = || host.request_for(vec![through(&host.dir.join("cert.pem"), &real)]);
        host.there_and_back(request()).await.unwrap();
        host.assert_unchanged(&before);
        host.apply(request()).await.unwrap();
        assert_eq!(std::fs::read(&real).unwrap(), NEW_CERT, "{}", shell.name);
        assert_eq!(std::fs::read_link(host.dir.join("cert.pem")).unwrap(), OsStr::new("gone.pem"));
    }
}

#[tokio::test]
async fn a_link_that_was_turned_since_the_plan_is_stale() {
    for shell in shells() {
        let host = Host::new(shell);
        symlink("cert.pem", host.dir.join("link.pem")).unwrap();
        let request =
            host.request_for(vec![through(&host.dir.join("link.pem"), &host.dir.join("cert.pem"))]);
        std::fs::remove_file(host.dir.join("link.pem")).unwrap();
        symlink("key.pem", host.dir.join("link.pem")).unwrap();
        let error = host.begin(request).await.unwrap_err();
        assert!(matches!(&error, RemoteError::Stale { why, .. } if why == "link"), "{error}");
        symlink("b", host.dir.join("a")).unwrap();
        symlink("a", host.dir.join("b")).unwrap();
        let circle = through(&host.dir.join("a"), &host.dir.join("a"));
        let error = host.begin(host.request_for(vec![circle])).await.unwrap_err();
        assert!(matches!(&error, RemoteError::Stale { why, .. } if why == "link"), "{error}");
    }
}

#[tokio::test]
async fn missing_directories_are_made_and_removed_again() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let (outer, inner) = (host.dir.join("a dir"), host.dir.join("a dir/b"));
        let request = || {
            let mut request = host.request_for(vec![
                change(&inner.join("cert.pem"), NEW_CERT, FileRole::Certificate),
                change(&inner.join("key.pem"), NEW_KEY, FileRole::Key),
            ]);
            let attributes = Attributes {
                owner: is_root().then(|| "root".to_owned()),
                group: is_root().then(|| "33".to_owned()),
                mode: Some(FileMode::new(0o750)),
            };
            request.directories = [&outer, &inner]
                .map(|path| NewDirectory { path: remote(path), attributes: attributes.clone() })
                .into();
            request
        };
        host.there_and_back(request()).await.unwrap();
        host.assert_unchanged(&before);
        let (transaction, _) = host.begin(request()).await.unwrap();
        transaction.abort().await.unwrap();
        host.assert_unchanged(&before);
        host.apply(request()).await.unwrap();
        assert_eq!(std::fs::read(inner.join("key.pem")).unwrap(), NEW_KEY);
        let owner =
            if is_root() { (0, 33) } else { (host.attributes(".").1, host.attributes(".").2) };
        for name in ["a dir", "a dir/b"] {
            assert_eq!(host.attributes(name), (0o750, owner.0, owner.1), "{}", shell.name);
        }
        assert_eq!(host.attributes("a dir/b/key.pem").0, 0o600);
        // Once it is there the same plan is stale.
        let error = host.begin(request()).await.unwrap_err();
        assert!(matches!(&error, RemoteError::Stale { why, .. } if why == "directory"), "{error}");
    }
}

#[tokio::test]
async fn a_directory_that_leads_elsewhere_than_planned_is_stale() {
    for shell in shells() {
        let host = Host::new(shell);
        symlink(&host.dir, host.root.join("linked")).unwrap();
        // A plan that took the link for the directory.
        let wrong = host.root.join("linked/cert.pem");
        let request = host.request_for(vec![change(&wrong, NEW_CERT, FileRole::Certificate)]);
        let before = tree(&host.dir);
        let error = host.begin(request).await.unwrap_err();
        assert!(matches!(&error, RemoteError::Stale { why, .. } if why == "link"), "{error}");
        host.assert_unchanged(&before);
    }
}

#[tokio::test]
async fn files_in_two_directories_go_and_come_back_together() {
    for shell in shells() {
        let host = Host::new(shell);
        let keys = host.root.join("private");
        std::fs::create_dir(&keys).unwrap();
        host.put(&keys.join("site.key"), OLD_KEY, 0o600);
        let before = (tree(&host.dir), tree(&keys));
        let request = || {
            host.request_for(vec![
                host.file("cert.pem", NEW_CERT, FileRole::Certificate),
                change(&keys.join("site.key"), NEW_KEY, FileRole::Key),
            ])
        };
        host.there_and_back(request()).await.unwrap();
        assert_eq!((tree(&host.dir), tree(&keys)), before, "{}", shell.name);
        host.apply(request()).await.unwrap();
        assert_eq!(std::fs::read(keys.join("site.key")).unwrap(), NEW_KEY);
        host.assert_bytes("cert.pem", NEW_CERT);
        assert_eq!(tree(&keys).len(), 1);
    }
}

#[tokio::test]
async fn names_that_confuse_shells() {
    let names: [&[u8]; 13] = [
        b"a b",
        b"quote'\"$x`y",
        b"new\nline",
        b"-rf",
        b"*?[a]",
        b"tail\n",
        b"back\\slash\\0101",
        b"caf\xe9",
        b" lead",
        b"%41",
        b"~",
        b"..dots",
        b"&;|<>(){}#",
    ];
    for (number, shell) in shells().iter().enumerate() {
        // Each by itself under one shell; all at once under every one.
        let alone = names.chunks(1).filter(|_| number == 0);
        for names in alone.chain([&names[..]]) {
            let host = Host::bare(shell);
            let mut dirs = Vec::new();
            let mut paths = Vec::new();
            for name in names {
                let dir = host.dir.join(OsStr::from_bytes(&[b"d ", *name].concat()));
                std::fs::create_dir(&dir).unwrap();
                paths.extend(
                    [&b"c"[..], b"", b"."]
                        .map(|prefix| dir.join(OsStr::from_bytes(&[prefix, *name].concat()))),
                );
                dirs.push(dir);
            }
            for path in &paths {
                host.put(path, OLD_CERT, 0o640);
            }
            let before = tree(&host.dir);
            let request = || {
                let file =
                    |path: &std::path::PathBuf| change(path, NEW_CERT, FileRole::Certificate);
                let mut request = host.request_for(paths.iter().map(file).collect());
                request.services.clear();
                request.backups = 1;
                request
            };
            let names = names.iter().map(|name| OsStr::from_bytes(name));
            let at = format!("{:?} under {}", names.collect::<Vec<_>>(), shell.name);
            host.there_and_back(request()).await.unwrap_or_else(|error| panic!("{at}: {error}"));
            assert_eq!(tree(&host.dir), before, "{at}");
            // Killed after the commit, so that the names come from the journal.
            let (mut transaction, _) = host.begin(request()).await.unwrap();
            transaction.commit().await.unwrap();
            host.kill();
            drop(transaction);
            host.recover().await.unwrap();
            host.settled(&before).await;
            for round in 0..2 {
                let mut again = request();
                for file in again.files.iter_mut().filter(|_| round > 0) {
                    *file = change(&local_path(&file.path), OLD_CERT, FileRole::Certificate);
                }
                host.apply(again).await.unwrap_or_else(|error| panic!("{at}: {error}"));
            }
            for dir in &dirs {
                let kept = std::fs::read_dir(dir.join(".certroll")).unwrap().count();
                assert_eq!(kept, 1, "{at}: {}", dir.display());
            }
            for path in &paths {
                assert_eq!(std::fs::read(path).unwrap(), OLD_CERT, "{at}: {}", path.display());
            }
        }
    }
}
