//! Certificate and key in one file whose key stays: the host joins what it was sent with what it has.

use super::host::*;
use certroll::testing::host::{Content, FileChange, FileRole, KeyOrder};
use certroll::testing::model::Fingerprint;
use certroll::testing::remote::RemoteError;
use std::sync::Arc;

/// What lies around a key in such a file, and what of it goes with the key: nothing.
const AROUND: [&[u8]; 2] =
    [b"# of the old one\n", b"-----BEGIN DH PARAMETERS-----\nx\n-----END DH PARAMETERS-----"];

fn file(host: &Host, order: KeyOrder) -> FileChange {
    let wanted = match order {
        KeyOrder::First => [OLD_KEY, NEW_CERT],
        KeyOrder::Last => [NEW_CERT, OLD_KEY],
    };
    let file = host.file("site.pem", NEW_CERT, FileRole::Combined);
    let Content::Bytes(certificates) = &file.content else { panic!("bytes are given") };
    let content = Content::WithOwnKey(Arc::clone(certificates), order);
    FileChange { content, after: Some(Fingerprint::of(&wanted.concat())), ..file }
}

#[tokio::test]
async fn the_key_stays_before_or_behind_the_new_certificates_sealed_or_not() {
    for shell in shells() {
        for order in [KeyOrder::First, KeyOrder::Last] {
            for sealed in [false, true] {
                let host = Host::new(shell);
                let old = [AROUND[0], OLD_CERT, OLD_KEY, AROUND[1]].concat();
                host.put(&host.dir.join("site.pem"), &old, 0o640);
                let mut request = host.request_for(vec![file(&host, order)]);
                request.sealed = sealed;
                let after = request.files[0].after;
                host.apply(request).await.unwrap_or_else(|error| panic!("{}: {error}", shell.name));
                let bytes = std::fs::read(host.dir.join("site.pem")).unwrap();
                assert_eq!(Some(Fingerprint::of(&bytes)), after, "{} {order:?}", shell.name);
                assert!(host.litter().is_empty(), "{}: {:?}", shell.name, host.litter());
            }
        }
    }
}

/// Its digest is then not the one that was told, and nothing is changed.
#[tokio::test]
async fn a_key_that_changed_since_it_was_asked_for_ends_it_before_the_switch() {
    for shell in shells() {
        let host = Host::new(shell);
        host.put(&host.dir.join("site.pem"), &[OLD_CERT, NEW_KEY].concat(), 0o600);
        let before = tree(&host.dir);
        let request = host.request_for(vec![file(&host, KeyOrder::Last)]);
        let error = host.apply(request).await.unwrap_err();
        let RemoteError::Failed(failure) = &error else { panic!("{}: {error}", shell.name) };
        assert!(failure.why.ends_with("what was written reads differently"), "{error}");
        assert_eq!(tree(&host.dir), before, "{}", shell.name);
    }
}
