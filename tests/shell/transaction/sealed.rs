//! Bodies that only the program on the host can open.

use super::host::*;
use certroll::testing::host::{FileRole, TransactionRequest};
use certroll::testing::remote::{BOOTSTRAP, RemoteError, Transaction};
use certroll::testing::transport::local;

fn sealed(host: &Host) -> TransactionRequest {
    let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let mut request = host.request();
    request.files.push(host.file("store.p12", &bytes, FileRole::Config));
    request.files.push(host.file("empty", b"", FileRole::Config));
    request.sealed = true;
    request
}

#[tokio::test]
async fn sealed_bodies_arrive_as_they_were_and_nobody_who_listens_has_them() {
    for shell in shells() {
        for sealing in [true, false] {
            let host = Host::new(shell);
            let (heard, said) = (host.root.join("heard"), host.root.join("said"));
            let mut command = tokio::process::Command::new("/bin/sh");
            let text = format!(
                "tee '{}' | PATH='{}':$PATH {BOOTSTRAP} | tee '{}'",
                heard.display(),
                shell.bin.display(),
                said.display()
            );
            command.arg("-c").arg(text);
            let request = TransactionRequest { sealed: sealing, ..sealed(&host) };
            let wanted = request.files.clone();
            let process = local::spawn(command).unwrap();
            let (mut begun, _) = Transaction::begin(process, request).await.unwrap();
            // Nothing that opens one outlives the bodies.
            let scratch = host.root.join("run");
            assert!(tree(&scratch).keys().all(|path| !path.to_string_lossy().contains("seal")));
            begun.commit().await.unwrap();
            begun.confirm().await.unwrap();
            for file in wanted {
                let path = host.dir.join(file.path.to_str().unwrap());
                let bytes = std::fs::read(path).unwrap();
                let digest = certroll::testing::model::Fingerprint::of(&bytes);
                assert_eq!(Some(digest), file.after, "{}: {}", shell.name, file.path);
            }
            let overheard = [heard, said].map(|log| std::fs::read(log).unwrap()).concat();
            let line = NEW_KEY.split(|byte| *byte == b'\n').nth(1).unwrap();
            let found = overheard.windows(line.len()).any(|part| part == line);
            assert_eq!(found, !sealing, "{}", shell.name);
            assert!(host.litter().is_empty(), "{}: {:?}", shell.name, host.litter());
        }
    }
}

#[tokio::test]
async fn an_openssl_that_cannot_do_it_ends_it_before_anything_is_staged() {
    for shell in shells() {
        let mut host = Host::new(shell);
        let before = tree(&host.dir);
        let bin = host.root.join("bin");
        std::fs::create_dir(&bin).unwrap();
        host.put(&bin.join("openssl"), b"#!/bin/sh\necho unknown command >&2\nexit 1\n", 0o755);
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{}:{path}", shell.bin.display(), bin.display());
        host.environment.push(("PATH".into(), path));
        let error = host.begin(sealed(&host)).await.unwrap_err();
        let RemoteError::Failed(failure) = &error else { panic!("{}: {error}", shell.name) };
        assert_eq!(failure.why, "cannot make a key for sealed bodies", "{}", shell.name);
        assert_eq!(failure.output.trim(), "unknown command", "{}", shell.name);
        assert_eq!(tree(&host.dir), before, "{}", shell.name);
        assert!(host.litter().is_empty(), "{}: {:?}", shell.name, host.litter());
    }
}
