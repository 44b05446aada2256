//! Owners, modes, lists, labels, and what the file system refuses.

use super::host::*;
use certroll::testing::host::{Attributes, Content, FileRole};
use certroll::testing::model::FileMode;
use certroll::testing::remote::RemoteError;
use std::process::Command;

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn what_the_task_says_wins_and_comes_back() {
    for shell in shells().iter().filter(|_| is_root()) {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let request = || {
            let mut request = host.request();
            request.files[1].attributes = Attributes {
                owner: Some("daemon".into()),
                group: Some("0".into()),
                mode: Some(FileMode::new(0o400)),
            };
            request.files[0].attributes.mode = Some(FileMode::new(0o644));
            request
        };
        host.there_and_back(request()).await.unwrap();
        host.assert_unchanged(&before);
        host.apply(request()).await.unwrap();
        assert_eq!(host.attributes("key.pem"), (0o400, 1, 0), "{}", shell.name);
        assert_eq!(host.attributes("cert.pem"), (0o644, 0, 33), "{}", shell.name);
    }
}

#[tokio::test]
async fn a_new_file_has_the_defaults_and_is_never_wider() {
    for shell in shells() {
        let host = Host::bare(shell);
        let before = tree(&host.dir);
        host.there_and_back(host.request()).await.unwrap();
        host.assert_unchanged(&before);
        host.apply(host.request()).await.unwrap();
        assert_eq!(host.attributes("key.pem").0, 0o600, "{}", shell.name);
    }
}

#[tokio::test]
async fn bytes_may_stay_while_the_mode_changes() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let request = || {
            let mut key = host.file("key.pem", OLD_KEY, FileRole::Key);
            key.content = Content::Keep;
            key.attributes.mode = Some(FileMode::new(0o600));
            let mut request = host.request_for(vec![key]);
            request.backups = 0;
            request
        };
        host.there_and_back(request()).await.unwrap();
        host.assert_unchanged(&before);
        host.apply(request()).await.unwrap();
        host.assert_bytes("key.pem", OLD_KEY);
        assert_eq!(host.attributes("key.pem").0, 0o600, "{}", shell.name);
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_arrive() {
    for shell in shells() {
        let host = Host::new(shell);
        let every: Vec<u8> = (0..=255).cycle().take(20_000).collect();
        for bytes in [&every[..], b"", b"no newline", b".\n", b"a\\n\n", b"-n\n", b"-----x\n"] {
            let file = host.file("cert.pem", bytes, FileRole::Certificate);
            host.apply(host.request_for(vec![file])).await.unwrap();
            assert_eq!(std::fs::read(host.dir.join("cert.pem")).unwrap(), bytes, "{}", shell.name);
        }
    }
}

#[tokio::test]
async fn other_names_of_the_file_keep_the_old_bytes_and_come_back_to_it() {
    for shell in shells() {
        let host = Host::new(shell);
        std::fs::hard_link(host.dir.join("cert.pem"), host.dir.join("other.pem")).unwrap();
        let before = tree(&host.dir);
        host.there_and_back(host.request()).await.unwrap();
        host.assert_unchanged(&before);
        let mut request = host.request();
        request.backups = 1;
        host.apply(request).await.unwrap();
        host.assert_bytes("other.pem", OLD_CERT);
        assert_eq!(host.attributes("other.pem").0, 0o644, "a backup must not change other names");
    }
}

/// The tools on a path without GNU cp's `--attributes-only`: busybox, as on Alpine.
#[tokio::test]
async fn lists_and_attributes_are_carried_over_and_back() {
    for shell in shells().iter().filter(|_| is_root()) {
        let host = Host::new(shell);
        let key = host.dir.join("key.pem");
        if !run("setfacl", &["-m", "u:33:r", text(&key)]) {
            crate::common::skip("no access lists here: not tried");
            return;
        }
        let has_user_attributes = run("setfattr", &["-n", "user.t", "-v", "1", text(&key)]);
        let before = tree(&host.dir);
        let list = |path: &std::path::Path| {
            Command::new("getfacl").args(["-cpE", text(path)]).output().unwrap().stdout
        };
        let wanted = list(&key);
        assert!(String::from_utf8_lossy(&wanted).contains("user:www-data:r--"));
        host.there_and_back(host.request()).await.unwrap();
        host.assert_unchanged(&before);
        assert_eq!(list(&key), wanted);
        host.apply(host.request()).await.unwrap();
        host.assert_bytes("key.pem", NEW_KEY);
        assert_eq!(list(&key), wanted, "{}", shell.name);
        if has_user_attributes && !shell.is_busybox() {
            assert!(
                run("getfattr", &["--absolute-names", "-n", "user.t", text(&key)]),
                "{}",
                shell.name
            );
        }
    }
}

#[tokio::test]
async fn an_immutable_file_is_refused_before_anything_changes() {
    for shell in shells().iter().filter(|_| is_root()) {
        for name in ["cert.pem", "key.pem"] {
            // Not every file system in memory knows the flag.
            let mut host = Host::new(shell);
            let disk = tempfile::tempdir().unwrap();
            std::fs::remove_dir_all(&host.root).unwrap();
            host.root = disk.path().to_owned();
            host.dir = host.root.join("certs");
            std::fs::create_dir(&host.dir).unwrap();
            host.put(&host.dir.join("cert.pem"), OLD_CERT, 0o644);
            host.put(&host.dir.join("key.pem"), OLD_KEY, 0o640);
            let victim = host.dir.join(name);
            if !run("chattr", &["+i", text(&victim)]) {
                crate::common::skip("no immutable files here: not tried");
                return;
            }
            let before = tree(&host.dir);
            let error = host.apply(host.request()).await.unwrap_err();
            let after = tree(&host.dir);
            assert!(run("chattr", &["-i", text(&victim)]));
            assert_eq!(after, before);
            let RemoteError::Failed(failure) = error else { panic!("{}: {error}", shell.name) };
            assert!(failure.why.ends_with("the file is immutable"), "{}: {failure}", shell.name);
            assert!(host.litter().is_empty());
        }
    }
}

#[tokio::test]
async fn a_file_that_something_is_mounted_on_is_not_replaced() {
    for shell in shells().iter().filter(|_| is_root()) {
        let host = Host::new(shell);
        let (key, other) = (host.dir.join("key.pem"), host.root.join("other"));
        host.put(&other, OLD_KEY, 0o640);
        if !run("mount", &["--bind", text(&other), text(&key)]) {
            crate::common::skip("no mounts here: not tried");
            return;
        }
        let before = tree(&host.dir);
        let error = host.apply(host.request()).await.unwrap_err();
        let after = tree(&host.dir);
        assert!(run("umount", &[text(&key)]));
        assert_eq!(after, before, "{}", shell.name);
        let told = error.to_string();
        assert!(
            matches!(error, RemoteError::Failed(_) | RemoteError::RolledBack { .. }),
            "{}: {told}",
            shell.name
        );
    }
}

struct Mounted<'a>(&'a std::path::Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        run("umount", &["-l", text(self.0)]);
    }
}

#[tokio::test]
async fn a_full_disk_changes_nothing_or_everything() {
    for shell in shells().iter().filter(|_| is_root()) {
        let mut ends = [0, 0];
        for blocks in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 20] {
            let host = Host::bare(shell);
            if !run("mount", &["-t", "tmpfs", "-o", "size=2m", "t", text(&host.dir)]) {
                crate::common::skip("no mounts here: not tried");
                return;
            }
            let _mounted = Mounted(&host.dir);
            host.put(&host.dir.join("cert.pem"), OLD_CERT, 0o644);
            host.put(&host.dir.join("key.pem"), OLD_KEY, 0o640);
            let fill = format!(
                "dd if=/dev/zero of='{0}/fill' bs=4096 2>/dev/null; truncate -s -{1} '{0}/fill'",
                text(&host.dir),
                blocks * 4096
            );
            assert!(run("sh", &["-c", &fill]));
            let before = tree(&host.dir);
            let new = |line: &str| format!("{}\n", line.repeat(9000 / line.len())).into_bytes();
            let files = vec![
                host.file("cert.pem", &new("new cert"), FileRole::Certificate),
                host.file("key.pem", &new("new key"), FileRole::Key),
            ];
            match host.apply(host.request_for(files)).await {
                Ok(_) => {
                    ends[1] += 1;
                    host.assert_bytes("cert.pem", &new("new cert"));
                    host.assert_bytes("key.pem", &new("new key"));
                }
                Err(RemoteError::Failed(failure)) => {
                    ends[0] += 1;
                    let words = failure.to_string();
                    assert!(
                        words.contains("No space left") || words.contains(" 100% "),
                        "{}: {words}",
                        shell.name
                    );
                    host.assert_unchanged(&before);
                }
                Err(error) => panic!("{}: {error}", shell.name),
            }
        }
        assert!(ends[0] > 0 && ends[1] > 0, "{}: {ends:?}", shell.name);
    }
}

#[tokio::test]
async fn a_read_only_file_system_is_told_as_such() {
    for shell in shells().iter().filter(|_| is_root()) {
        let host = Host::new(shell);
        if !run("mount", &["--bind", text(&host.dir), text(&host.dir)]) {
            crate::common::skip("no mounts here: not tried");
            return;
        }
        let _mounted = Mounted(&host.dir);
        assert!(run("mount", &["-o", "remount,bind,ro", text(&host.dir)]));
        let before = tree(&host.dir);
        let error = host.apply(host.request()).await.unwrap_err();
        let words = error.to_string();
        assert!(matches!(error, RemoteError::Failed(_)), "{words}");
        assert!(words.contains("Read-only file system"), "{}: {words}", shell.name);
        host.assert_unchanged(&before);
    }
}
