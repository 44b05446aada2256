//! A sudo that records what it is given: what is sealed is in its log, and the key is not.

use super::connector;
use crate::common::sshd::{Sshd, run};
use certroll::testing::host::{
    Attributes, Content, FileChange, FileRole, Inspection, Limits, ServiceCommands, StateDirs,
    TransactionId, TransactionRequest,
};
use certroll::testing::model::{Fingerprint, RemotePath};
use certroll::testing::remote::{Transaction, inspect_in, launch};
use certroll::testing::transport::Become;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

fn remote(path: &Path) -> RemotePath {
    RemotePath::new(path.as_os_str().as_encoded_bytes()).unwrap()
}

fn request(site: &Path, key: &[u8], sealed: bool) -> TransactionRequest {
    TransactionRequest {
        id: TransactionId::new(std::time::Duration::from_secs(1_700_000_000)),
        holder: "recorded".to_owned(),
        directories: Vec::new(),
        files: vec![FileChange {
            path: remote(&site.join("key.pem")),
            real_path: remote(&site.join("key.pem")),
            before: None,
            after: Some(Fingerprint::of(key)),
            attributes: Attributes::default(),
            defaults: Attributes::default(),
            content: Content::Bytes(Arc::new(key.to_vec().into())),
            role: FileRole::Key,
            in_place: false,
        }],
        order: Vec::new(),
        watched: false,
        services: vec![ServiceCommands { name: "web".to_owned(), ..ServiceCommands::default() }],
        limits: Limits::default(),
        backups: 0,
        boot_guard: None,
        sealed,
        dirs: Some(StateDirs {
            state: remote(&site.join("state")),
            run: remote(&site.join("run")),
        }),
    }
}

/// All that sudo wrote down, once it has the last word that it was given.
fn recorded(log: &Path) -> String {
    let script = "find \"$0\" -type f -exec zcat -fq {} + || :";
    for _ in 0..300 {
        let recorded = run(Command::new("sh").args(["-c", script]).arg(log));
        if recorded.contains("\nconfirm\n") {
            return recorded;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    panic!("nothing is recorded in {}", log.display());
}

#[tokio::test]
async fn a_sealed_key_is_not_in_the_log_of_a_sudo_that_records_everything() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let sudoers = sshd.dir.join("sudoers");
    let rules = std::fs::read_to_string(&sudoers).unwrap();
    let session = connector().connect(&sshd.target_with_key("free")).await.unwrap();
    let key = run(Command::new("openssl").args(["genpkey", "-algorithm", "ed25519"]));
    let secret = key.lines().nth(1).unwrap();
    for sealed in [true, false] {
        let log = sshd.dir.join(format!("iolog-{sealed}"));
        // In place, as the server sees this very file.
        let defaults = format!("Defaults log_input, log_output, iolog_dir={}\n", log.display());
        std::fs::write(&sudoers, format!("{defaults}{rules}")).unwrap();
        let site = sshd.dir.join(format!("site-{sealed}"));
        std::fs::create_dir(&site).unwrap();
        let process = session.start(&launch(Some(Become::sudo("root")))).await.unwrap();
        let (facts, shell) = inspect_in(process.into(), &Inspection::default()).await.unwrap();
        assert!(facts.input_log && facts.unseals, "{facts:?}");
        let request = request(&site, key.as_bytes(), sealed);
        let (mut transaction, _) = Transaction::begin(shell, request).await.unwrap();
        transaction.commit().await.unwrap();
        transaction.confirm().await.unwrap();
        assert_eq!(std::fs::read_to_string(site.join("key.pem")).unwrap(), key);
        let recorded = recorded(&log);
        assert_eq!(recorded.contains("\npeer "), sealed, "what was asked for is recorded");
        assert_eq!(recorded.contains(secret), !sealed, "sealed: {sealed}");
    }
}
