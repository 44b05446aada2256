//! Checks see the new files before anybody else does.

use super::causes::{check, with_check};
use super::host::*;
use certroll::testing::host::{
    BootRecipe, FileRole, Staged, TransactionRequest, ValidateStep, ValidateVia, ValidationWay,
};
use certroll::testing::model::Fingerprint;
use certroll::testing::remote::RemoteError;
use std::time::Duration;

pub(crate) fn may_mount() -> bool {
    let tried = std::process::Command::new("unshare").args(["-m", "-n", "true"]).status();
    let may = is_root() && tried.is_ok_and(|status| status.success());
    if !may {
        crate::common::skip("no namespaces here: not tried");
    }
    may
}

/// Greps for what only the new files hold, at their live paths.
fn sees_new(host: &Host) -> ValidateStep {
    ValidateStep {
        names: vec![("cert".into(), host.path("cert.pem")), ("key".into(), host.path("key.pem"))],
        ..check(&["grep", "-c", "NEW", "{cert}", "{key}"], ValidateVia::MountNamespace)
    }
}

async fn staged(host: &Host, request: TransactionRequest) -> Staged {
    let before = tree(&host.dir);
    let (transaction, staged) =
        host.begin(request).await.unwrap_or_else(|error| panic!("{}: {error}", host.shell.name));
    transaction.abort().await.unwrap();
    host.assert_unchanged(&before);
    staged
}

#[tokio::test]
async fn in_a_namespace_the_live_paths_show_the_new_files() {
    if !may_mount() {
        return;
    }
    for shell in shells() {
        for net in [false, true] {
            let host = Host::new(shell);
            let step = ValidateStep { private_net: net, ..sees_new(&host) };
            let staged = staged(&host, with_check(&host, step)).await;
            let validation = &staged.validations[0];
            let way = if net {
                ValidationWay::MountAndNetNamespace
            } else {
                ValidationWay::MountNamespace
            };
            assert_eq!((validation.way, validation.rc), (way, 0), "{}", shell.name);
            let (cert, key) = (host.path("cert.pem"), host.path("key.pem"));
            assert_eq!(validation.output, format!("{cert}:1\n{key}:1\n"));
        }
    }
}

#[tokio::test]
async fn a_refusal_in_a_namespace_is_told_and_nothing_has_changed() {
    if !may_mount() {
        return;
    }
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let mut step = sees_new(&host);
        step.command = command(&["sh", "-c", "grep old {cert} || { echo mismatch; exit 1; }"])
            .expand(|_| Some(host.path("cert.pem").to_string()));
        let error = host.apply(with_check(&host, step)).await.unwrap_err();
        let RemoteError::Failed(failure) = error else { panic!("{}: {error}", shell.name) };
        assert_eq!(failure.output, "mismatch\n", "{}", shell.name);
        host.assert_unchanged(&before);
    }
}

#[tokio::test]
async fn files_that_are_new_are_seen_in_a_namespace_too() {
    if !may_mount() {
        return;
    }
    for shell in shells() {
        let host = Host::bare(shell);
        host.put(&host.dir.join("other file"), b"NEW neighbour\n", 0o600);
        let mut step = sees_new(&host);
        step.command = command(&["sh", "-c", &format!("grep -c NEW {}/*", host.dir.display())]);
        let staged = staged(&host, with_check(&host, step)).await;
        let validation = &staged.validations[0];
        assert_eq!(validation.way, ValidationWay::MountNamespace, "{}", shell.name);
        assert_eq!(validation.output.lines().count(), 3, "{}", validation.output);
        // One old, one new.
        let host = Host::bare(shell);
        host.put(&host.dir.join("cert.pem"), OLD_CERT, 0o644);
        let staged = self::staged(&host, with_check(&host, sees_new(&host))).await;
        assert_eq!(staged.validations[0].rc, 0, "{}", shell.name);
    }
}

#[tokio::test]
async fn without_namespaces_the_check_comes_after_the_switch() {
    for shell in shells() {
        let mut host = Host::new(shell);
        // A host whose unshare may not.
        let bin = host.root.join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::fs::write(bin.join("unshare"), "#!/bin/sh\necho no >&2\nexit 1\n").unwrap();
        host.put(&bin.join("unshare"), b"#!/bin/sh\necho no >&2\nexit 1\n", 0o755);
        let path = std::env::var("PATH").unwrap();
        host.environment
            .push(("PATH".into(), format!("{}:{}:{path}", shell.bin.display(), bin.display())));
        if shell.is_busybox() {
            continue; // its sh prefers its own unshare to any on the path
        }
        let (mut transaction, staged) =
            host.begin(with_check(&host, sees_new(&host))).await.unwrap();
        assert_eq!(staged.validations[0].way, ValidationWay::Live, "{}", shell.name);
        let committed = transaction.commit().await.unwrap();
        assert_eq!(committed.validations.len(), 1);
        assert_eq!(
            (committed.validations[0].way, committed.validations[0].rc),
            (ValidationWay::Live, 0)
        );
        transaction.confirm().await.unwrap();
    }
}

#[tokio::test]
async fn staged_paths_stand_for_placeholders() {
    for shell in shells() {
        let host = Host::new(shell);
        let mut step = sees_new(&host);
        step.via = ValidateVia::Staged;
        // A kept key has no stage: its live path stands there.
        let kept = host.root.join("kept.key");
        std::fs::write(&kept, "NEW\n").unwrap();
        step.names[1].1 = remote(&kept);
        let staged = staged(&host, with_check(&host, step)).await;
        assert_eq!(staged.validations[0].way, ValidationWay::Staged);
        let output = &staged.validations[0].output;
        assert!(output.contains("/.certroll-") && output.contains("kept.key:1"), "{output}");
        assert!(staged.validations[0].output.lines().all(|line| line.ends_with(":1")));
    }
}

#[tokio::test]
async fn some_outputs_are_refusals_whatever_the_exit_code() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let mut step =
            check(&["sh", "-c", r"printf 'a\0b\nTLS library problem\n'"], ValidateVia::Staged);
        step.refuse_output = vec!["never".into(), "TLS library problem".into()];
        let error = host.apply(with_check(&host, step.clone())).await.unwrap_err();
        let RemoteError::Failed(failure) = error else { panic!("{}: {error}", shell.name) };
        assert_eq!(failure.rc, Some(0), "{}", shell.name);
        host.assert_unchanged(&before);
        step.refuse_output.pop();
        assert_eq!(staged(&host, with_check(&host, step)).await.validations[0].rc, 0);
    }
}

#[tokio::test]
async fn an_optional_check_without_its_program_is_left_out() {
    for shell in shells() {
        let host = Host::new(shell);
        let mut step = check(&["posttls-nobody-has-this", "{cert}"], ValidateVia::Staged);
        step.optional = Some("posttls-nobody-has-this".into());
        let staged = staged(&host, with_check(&host, step)).await;
        assert_eq!(staged.validations[0].way, ValidationWay::Absent, "{}", shell.name);
    }
}

#[tokio::test]
async fn a_check_runs_as_another_user_and_sees_what_that_one_may() {
    if !may_mount() {
        return;
    }
    for shell in shells() {
        let host = Host::new(shell);
        for dir in [&host.root, &host.dir] {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut step = sees_new(&host);
        step.user = Some("www-data".into());
        let script = format!("id -un; cat {0}/cert.pem; cat {0}/key.pem", host.dir.display());
        step.command = command(&["sh", "-c", &script]);
        // The key is 0640 with group 33: readable.
        let staged = staged(&host, with_check(&host, step.clone())).await;
        let output = &staged.validations[0].output;
        assert!(output.starts_with("www-data\n"), "{}: {output}", shell.name);
        assert_eq!(output.matches("BEGIN").count(), 2, "{}: {output}", shell.name);
        // 0600: not.
        let mut request = with_check(&host, step);
        request.files[1].attributes.mode = Some(certroll::testing::model::FileMode::new(0o600));
        let error = host.apply(request).await.unwrap_err();
        assert!(matches!(error, RemoteError::Failed(_)), "{}: {error}", shell.name);
    }
}

#[tokio::test]
async fn a_check_that_hangs_is_refused() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let mut step = check(&["sleep", "1000"], ValidateVia::MountNamespace);
        step.timeout = Duration::from_secs(1);
        let error = host.apply(with_check(&host, step)).await.unwrap_err();
        let failure = match error {
            RemoteError::Failed(failure) => failure,
            RemoteError::RolledBack { failure, .. } => failure,
            error => panic!("{}: {error}", shell.name),
        };
        assert_eq!(failure.rc, Some(124), "{}", shell.name);
        host.assert_unchanged(&before);
    }
}

/// A key and a certificate in PEM, and the certificate's digest.
fn pair(name: &str) -> (Vec<u8>, Vec<u8>, Fingerprint) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let leaf = Fingerprint::of(made.cert.der());
    (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes(), leaf)
}

fn sealed(host: &Host, port: u16, leaf: Fingerprint, start: &str) -> ValidateStep {
    let mut step = check(
        &["unused"],
        ValidateVia::Boot(BootRecipe {
            tmpfs: vec![remote(&host.root.join("var"))],
            mkdir: vec![remote(&host.root.join("var/log"))],
            start: command(&["sh", "-c", start]),
            port,
            starttls: certroll::testing::model::StartTls::None,
            signatures: None,
            server_name: Some("example.test".into()),
            leaf,
        }),
    );
    step.timeout = Duration::from_secs(60);
    step
}

#[tokio::test]
async fn a_sealed_boot_serves_the_new_certificate_or_refuses() {
    if !may_mount() || !std::path::Path::new("/usr/bin/openssl").exists() {
        return;
    }
    let rsa = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=rsa"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(&rsa)
        .output();
    assert!(made.unwrap().status.success());
    for shell in shells() {
        let host = Host::bare(shell);
        std::fs::create_dir(host.root.join("var")).unwrap();
        let (old_cert, old_key, _) = pair("example.test");
        let (cert, key, leaf) = pair("example.test");
        let (_, other_key, _) = pair("example.test");
        host.put(&host.dir.join("cert.pem"), &old_cert, 0o644);
        host.put(&host.dir.join("key.pem"), &old_key, 0o600);
        // A port that is taken outside: inside it is free.
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let start = format!(
            "touch {2}/var/log/boot; exec openssl s_server -quiet -accept 127.0.0.1:{port} -cert {0} -key {1}",
            host.path("cert.pem"),
            host.path("key.pem"),
            host.root.display()
        );
        let request = |key: &[u8], step| {
            let mut request = host.request_for(vec![
                host.file("cert.pem", &cert, FileRole::Certificate),
                host.file("key.pem", key, FileRole::Key),
            ]);
            request.services[0].validate = vec![step];
            request
        };
        let good = sealed(&host, port, leaf, &start);
        let staged = staged(&host, request(&key, good.clone())).await;
        let found = &staged.validations[0];
        if found.way == ValidationWay::Inconclusive && shell.is_busybox() {
            continue; // an unshare without --kill-child
        }
        assert_eq!((found.way, found.rc), (ValidationWay::Boot, 0), "{}: {found:?}", shell.name);
        assert!(!host.root.join("var/log").exists(), "{}: the boot was not sealed", shell.name);
        // A key that does not fit: the old pair boots, the new one does not.
        let error = host.apply(request(&other_key, good)).await.unwrap_err();
        let RemoteError::Failed(failure) = error else { panic!("{}: {error}", shell.name) };
        assert!(failure.output.contains("served in the sealed boot: nothing"), "{failure}");
        // A service with two certificates is asked for the one that is compared.
        let both = format!("{start} -dcert {0}/cert.pem -dkey {0}/key.pem", rsa.path().display());
        for (signatures, fits) in [("ECDSA+SHA256", true), ("RSA-PSS+SHA256:RSA+SHA256", false)] {
            if !fits && shell.name != "dash" {
                continue; // it waits in vain
            }
            let mut step = sealed(&host, port, leaf, &both);
            let ValidateVia::Boot(recipe) = &mut step.via else { unreachable!() };
            recipe.signatures = Some(signatures.to_owned());
            // The other one is not waited for in vain before the service is up.
            step.timeout = Duration::from_secs(if fits { 60 } else { 20 });
            match host.apply(request(&key, step)).await {
                Ok(_) => assert!(fits, "{}: {signatures}", shell.name),
                Err(RemoteError::Failed(failure)) => {
                    assert!(!fits && !failure.output.contains("boot: nothing"), "{failure}");
                }
                Err(other) => panic!("{}: {other}", shell.name),
            }
        }
        // Something that never boots says nothing about the new files.
        let never = sealed(&host, port, leaf, "exit 1");
        let staged = self::staged(&host, request(&key, never)).await;
        assert_eq!(staged.validations[0].way, ValidationWay::Inconclusive, "{}", shell.name);
        drop(taken);
    }
}
