//! A file that goes, because it was not there before what is taken back.

use super::causes::check;
use super::host::*;
use super::validation::may_mount;
use certroll::testing::host::{FileRole, TransactionRequest, ValidateVia, ValidationWay};
use certroll::testing::remote::RemoteError;

/// A site's configuration, new with the pair.
fn with_site(host: &Host) -> TransactionRequest {
    let mut request = host.request();
    request.files.push(host.file("site.conf", NEW_CERT, FileRole::Config));
    request.backups = 3;
    request
}

/// The pair as it was, and the site's configuration gone.
fn without_site(host: &Host) -> TransactionRequest {
    let mut request = host.request_for(vec![
        host.file("cert.pem", OLD_CERT, FileRole::Certificate),
        host.file("key.pem", OLD_KEY, FileRole::Key),
        removal(&host.dir.join("site.conf")),
    ]);
    request.backups = 3;
    request
}

#[tokio::test]
async fn what_a_transaction_created_goes_with_it_and_is_kept() {
    for shell in shells() {
        let host = Host::new(shell);
        let created = with_site(&host);
        let kept = |id: &str| host.dir.join(".certroll").join(id).join("site.conf");
        let first = kept(created.id.as_str());
        host.apply(created).await.unwrap();
        assert!(first.is_dir(), "{}: that it was not there is known", shell.name);
        let before = tree(&host.dir);
        host.there_and_back(without_site(&host)).await.unwrap();
        host.assert_unchanged(&before);
        let gone = without_site(&host);
        let second = kept(gone.id.as_str());
        let committed = host.apply(gone).await.unwrap();
        assert_eq!(committed.files.last(), Some(&None), "{}", shell.name);
        assert!(!host.dir.join("site.conf").exists(), "{}", shell.name);
        assert_eq!(std::fs::read(second).unwrap(), NEW_CERT, "{}", shell.name);
        host.assert_bytes("cert.pem", OLD_CERT);
        assert_eq!(host.litter(), Vec::<std::path::PathBuf>::new(), "{}", shell.name);
    }
}

#[tokio::test]
async fn what_somebody_else_puts_there_meanwhile_stays() {
    for shell in shells() {
        let host = Host::new(shell);
        host.apply(with_site(&host)).await.unwrap();
        let (mut running, _) = host.begin(without_site(&host)).await.unwrap();
        running.commit().await.unwrap();
        std::fs::write(host.dir.join("site.conf"), "of another\n").unwrap();
        let back = running.rollback().await.unwrap();
        assert_eq!(back.conflicts.len(), 1, "{}: {back:?}", shell.name);
        host.assert_bytes("site.conf", b"of another\n");
        host.assert_bytes("cert.pem", NEW_CERT);
        // Changed before anything was done: nothing is.
        host.recover().await.unwrap();
        let request = without_site(&host);
        std::fs::write(host.dir.join("site.conf"), "of a third\n").unwrap();
        let before = tree(&host.dir);
        let error = host.apply(request).await.unwrap_err();
        assert!(matches!(error, RemoteError::Stale { .. }), "{}: {error}", shell.name);
        assert_eq!(tree(&host.dir), before, "{}", shell.name);
    }
}

#[tokio::test]
async fn a_check_in_a_namespace_does_not_see_it_any_more() {
    if !may_mount() {
        return;
    }
    for shell in shells() {
        let host = Host::new(shell);
        host.put(&host.dir.join("other.conf"), b"NEIGHBOUR\n", 0o644);
        host.apply(with_site(&host)).await.unwrap();
        let mut request = without_site(&host);
        let look = format!("cd {} && ls && cat *.conf && sed -n 2p cert.pem", host.dir.display());
        request.services[0].validate =
            vec![check(&["sh", "-c", &look], ValidateVia::MountNamespace)];
        let (running, staged) = host.begin(request).await.unwrap();
        let seen = &staged.validations[0];
        assert_eq!(seen.way, ValidationWay::MountNamespace, "{}: {seen:?}", shell.name);
        let lines: Vec<&str> = seen.output.lines().collect();
        let wanted = ["cert.pem", "key.pem", "other.conf", "NEIGHBOUR", "old"];
        assert_eq!(lines, wanted, "{}", shell.name);
        running.abort().await.unwrap();
        host.assert_bytes("site.conf", NEW_CERT);
    }
}
