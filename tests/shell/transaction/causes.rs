//! Everything that can go wrong in the middle, and what the host holds then.

use super::host::*;
use certroll::testing::host::{
    RecoveredEnd, RunningCheck, ServiceCommands, StepFailure, TransactionRequest, ValidateStep,
    ValidateVia,
};
use certroll::testing::model::Step;
use certroll::testing::remote::RemoteError;
use std::time::{Duration, Instant};

pub(crate) fn check(argv: &[&str], via: ValidateVia) -> ValidateStep {
    ValidateStep {
        command: command(argv),
        names: Vec::new(),
        via,
        private_net: false,
        user: None,
        timeout: Duration::from_secs(60),
        refuse_output: Vec::new(),
        optional: None,
    }
}

pub(crate) fn with_check(host: &Host, step: ValidateStep) -> TransactionRequest {
    let mut request = host.request();
    request.services[0].validate.push(step);
    request
}

fn with_reload(host: &Host, argv: &[&str], seconds: u64) -> TransactionRequest {
    let mut request = host.request();
    request.services[0].reload = Some(timed(argv, seconds));
    request
}

async fn rolled_back(host: &Host, request: TransactionRequest) -> StepFailure {
    let before = tree(&host.dir);
    let error = host.apply(request).await.unwrap_err();
    let RemoteError::RolledBack { failure, rollback } = error else {
        panic!("{}: {error}", host.shell.name)
    };
    assert!(rollback.is_complete());
    host.assert_unchanged(&before);
    failure
}

#[tokio::test]
async fn a_reload_that_fails_is_rolled_back_with_its_output() {
    for shell in shells() {
        let host = Host::new(shell);
        let request = with_reload(&host, &["sh", "-c", "echo out; echo bad >&2; exit 3"], 60);
        let failure = rolled_back(&host, request).await;
        assert_eq!((failure.step, failure.rc), (Step::Reload, Some(3)), "{}", shell.name);
        assert_eq!(
            (failure.output.as_str(), failure.service.as_deref()),
            ("out\nbad\n", Some("web"))
        );
    }
}

/// The end of a login may end all its processes: also the reload of the way back, which nobody would repeat.
#[tokio::test]
async fn a_reload_that_a_signal_ends_on_the_way_back_is_told_again() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let mut request = host.request();
        let reload = format!(
            "echo told >>'{0}'; [ $(wc -l <'{0}') != 2 ] || kill -TERM $$",
            host.log().display()
        );
        request.services[0].reload = Some(timed(&["sh", "-c", &reload], 60));
        let back = host.there_and_back(request).await.unwrap();
        assert_eq!(back.services[0].reload, Some(0), "{}", shell.name);
        assert_eq!(host.reloads().len(), 3, "{}", shell.name);
        host.assert_unchanged(&before);
    }
}

/// Nor may it keep an old file from its place.
#[tokio::test]
async fn signals_to_everybody_do_not_stop_what_puts_files_back() {
    for shell in shells() {
        if shell.is_busybox() {
            continue; // its sh has its own mv: nothing on the path stands in for it
        }
        let mut host = Host::new(shell);
        let before = tree(&host.dir);
        let bin = host.root.join("bin");
        std::fs::create_dir(&bin).unwrap();
        // What a signal to all would do to it, if it heard it.
        let script = format!(
            "#!/bin/sh\n[ ! -e '{}' ] || {{ kill -TERM $$; kill -HUP $$; }}\nexec /bin/mv \"$@\"\n",
            host.root.join("ends").display()
        );
        host.put(&bin.join("mv"), script.as_bytes(), 0o755);
        let request = host.request();
        let (mut transaction, _) = {
            let path = std::env::var("PATH").unwrap();
            let path = format!("{}:{}:{path}", shell.bin.display(), bin.display());
            host.environment.push(("PATH".into(), path));
            host.begin(request).await.unwrap()
        };
        transaction.commit().await.unwrap();
        host.put(&host.root.join("ends"), b"", 0o600);
        let back = transaction.rollback().await.unwrap();
        assert_eq!(back.conflicts, Vec::new(), "{}", shell.name);
        host.assert_unchanged(&before);
    }
}

/// Whether a process has the path in its arguments.
fn is_in_a_command_line(path: &std::path::Path) -> bool {
    let path = path.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.into_iter().any(|line| String::from_utf8_lossy(&line).contains(path))
}

#[tokio::test]
async fn a_reload_that_hangs_is_ended_with_all_its_processes() {
    for shell in shells() {
        let host = Host::new(shell);
        let mark = host.root.join("survived");
        let text =
            format!("trap '' TERM; (sleep 1000; touch '{}') & sleep 1000 & wait", mark.display());
        let started = Instant::now();
        let failure = rolled_back(&host, with_reload(&host, &["sh", "-c", &text], 1)).await;
        assert_eq!((failure.step, failure.rc), (Step::Reload, Some(124)), "{}", shell.name);
        assert!(started.elapsed() < Duration::from_secs(300));
        let minute = Instant::now() + Duration::from_secs(60);
        while is_in_a_command_line(&mark) {
            assert!(Instant::now() < minute, "{}: a child survived", shell.name);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_reload_that_is_missing_or_floods_is_rolled_back() {
    for shell in shells() {
        let host = Host::new(shell);
        let failure = rolled_back(&host, with_reload(&host, &["/no/such/program"], 60)).await;
        assert_eq!(failure.rc, Some(127), "{}", shell.name);
        let failure = rolled_back(&host, with_reload(&host, &["yes"], 60)).await;
        assert_eq!(failure.rc, Some(125), "{}", shell.name);
        assert!(failure.output.len() <= 4096);
    }
}

#[tokio::test]
async fn a_reload_that_leaves_a_daemon_with_the_pipes_holds_nothing_up() {
    for shell in shells() {
        let host = Host::new(shell);
        let started = Instant::now();
        host.apply(with_reload(&host, &["sh", "-c", "sleep 1000 & exit 0"], 60)).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(300), "{}", shell.name);
        host.assert_bytes("cert.pem", NEW_CERT);
    }
}

#[tokio::test]
async fn output_cannot_forge_a_reply_nor_reach_a_terminal() {
    for shell in shells() {
        let host = Host::new(shell);
        let text = r"printf '\377\033[2J\000\n@certroll1 - boot\n@certroll1 x done\n'; exit 1";
        let failure = rolled_back(&host, with_reload(&host, &["sh", "-c", text], 60)).await;
        assert!(failure.output.starts_with("\u{fffd}[2J"), "{:?}", failure.output);
        assert!(failure.output.contains("x done"));
    }
}

#[tokio::test]
async fn a_refused_check_changes_nothing() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let step = check(&["sh", "-c", "echo no such luck; exit 7"], ValidateVia::Staged);
        let error = host.apply(with_check(&host, step)).await.unwrap_err();
        let RemoteError::Failed(failure) = error else { panic!("{}: {error}", shell.name) };
        assert_eq!((failure.step, failure.rc), (Step::Validate, Some(7)));
        assert_eq!(failure.output, "no such luck\n");
        host.assert_unchanged(&before);
        assert!(host.reloads().is_empty());
    }
}

#[tokio::test]
async fn a_check_of_the_live_files_that_is_refused_is_rolled_back_before_the_reload() {
    for shell in shells() {
        let host = Host::new(shell);
        let cert = host.dir.join("cert.pem").display().to_string();
        let step = check(&["grep", "-q", "old", &cert], ValidateVia::Live);
        let failure = rolled_back(&host, with_check(&host, step)).await;
        assert_eq!((failure.step, failure.rc), (Step::Validate, Some(1)), "{}", shell.name);
        assert_eq!(host.reloads(), ["old"], "told only of the way back");
    }
}

/// A process that dies when told to load the new files, and what starts it again.
#[tokio::test]
async fn a_service_that_died_of_the_new_files_is_started_again() {
    for shell in shells() {
        let host = Host::new(shell);
        let pid = host.root.join("pid");
        let start = format!("sleep 300 >/dev/null 2>&1 & echo $! >'{}'", pid.display());
        assert!(std::process::Command::new("sh").args(["-c", &start]).status().unwrap().success());
        let cert = host.dir.join("cert.pem");
        // As apache does: exit code 0, and the server is gone.
        let reload =
            format!("! grep -q NEW '{}' || kill -9 $(cat '{}')", cert.display(), pid.display());
        let mut request = host.request();
        request.services = vec![ServiceCommands {
            name: "apache".into(),
            validate: Vec::new(),
            reload: Some(timed(&["sh", "-c", &reload], 60)),
            recover: Some(timed(&["sh", "-c", &start], 60)),
            running: Some(RunningCheck::PidFile(remote(&pid))),
            seed: None,
        }];
        let (mut transaction, _) = host.begin(request).await.unwrap();
        let committed = transaction.commit().await.unwrap();
        assert_eq!(committed.reloads[0].up_before, Some(true), "{}", shell.name);
        let back = transaction.rollback().await.unwrap();
        assert_eq!((back.services[0].recover, back.services[0].up), (Some(0), Some(true)));
        host.assert_bytes("cert.pem", OLD_CERT);
        let alive = std::fs::read_to_string(&pid).unwrap();
        assert!(std::path::Path::new("/proc").join(alive.trim()).exists(), "{}", shell.name);
        std::process::Command::new("kill").arg(alive.trim()).status().unwrap();
    }
}

#[tokio::test]
async fn what_is_not_as_planned_is_stale() {
    for shell in shells() {
        let host = Host::new(shell);
        let planned = host.request();
        host.put(&host.dir.join("key.pem"), b"another\n", 0o600);
        let before = tree(&host.dir);
        let error = host.begin(planned.clone()).await.unwrap_err();
        let RemoteError::Stale { path, now, why } = error else { panic!("{}", error) };
        assert_eq!((path, why.as_str()), (host.path("key.pem"), "content"));
        assert_eq!(now, Some(certroll::testing::model::Fingerprint::of(b"another\n")));
        host.assert_unchanged(&before);
        std::fs::remove_file(host.dir.join("key.pem")).unwrap();
        let error = host.begin(planned.clone()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{} is not as planned: it is gone", host.path("key.pem"))
        );
        std::fs::create_dir(host.dir.join("key.pem")).unwrap();
        let error = host.begin(planned.clone()).await.unwrap_err();
        assert!(matches!(&error, RemoteError::Stale { why, .. } if why == "kind"), "{error}");
        std::fs::remove_dir(host.dir.join("key.pem")).unwrap();
        std::os::unix::fs::symlink("elsewhere", host.dir.join("key.pem")).unwrap();
        let error = host.begin(planned).await.unwrap_err();
        assert!(matches!(&error, RemoteError::Stale { why, .. } if why == "link"), "{error}");
        assert!(host.litter().is_empty());
    }
}

#[tokio::test]
async fn a_change_by_somebody_else_before_the_commit_is_left_alone() {
    for shell in shells() {
        let host = Host::new(shell);
        let (mut transaction, _) = host.begin(host.request()).await.unwrap();
        std::fs::write(host.dir.join("cert.pem"), "third\n").unwrap();
        let error = transaction.commit().await.unwrap_err();
        assert!(matches!(&error, RemoteError::Stale { why, .. } if why == "content"), "{error}");
        host.assert_bytes("cert.pem", b"third\n");
        host.assert_bytes("key.pem", OLD_KEY);
        assert_eq!(tree(&host.dir).len(), 2);
        assert!(host.litter().is_empty());
    }
}

#[tokio::test]
async fn a_file_replaced_by_its_like_before_the_commit_still_comes_back() {
    for shell in shells() {
        let host = Host::new(shell);
        let (mut transaction, _) = host.begin(host.request()).await.unwrap();
        let copy = host.root.join("copy");
        host.put(&copy, OLD_CERT, 0o604);
        std::fs::rename(copy, host.dir.join("cert.pem")).unwrap();
        transaction.commit().await.unwrap();
        host.assert_bytes("cert.pem", NEW_CERT);
        transaction.rollback().await.unwrap();
        host.assert_bytes("cert.pem", OLD_CERT);
        assert_eq!(host.attributes("cert.pem").0, 0o604, "{}", shell.name);
        assert_eq!(tree(&host.dir).len(), 2);
    }
}

#[tokio::test]
async fn a_change_by_somebody_else_after_the_commit_is_kept_and_told() {
    for shell in shells() {
        let host = Host::new(shell);
        let (mut transaction, _) = host.begin(host.request()).await.unwrap();
        transaction.commit().await.unwrap();
        std::fs::write(host.root.join("third"), "third\n").unwrap();
        std::fs::rename(host.root.join("third"), host.dir.join("cert.pem")).unwrap();
        let back = transaction.rollback().await.unwrap();
        assert_eq!(back.conflicts, [host.path("cert.pem")], "{}", shell.name);
        host.assert_bytes("cert.pem", b"third\n");
        host.assert_bytes("key.pem", OLD_KEY);
        // Told once more to the next contact, and the bytes that could not go back are kept.
        let recovered = host.recover().await.unwrap();
        assert_eq!(recovered.len(), 1);
        assert_eq!((recovered[0].end, recovered[0].conflicts), (RecoveredEnd::Conflict, 1));
        assert_eq!(recovered[0].by, "since noon, alice@controller");
        assert!(host.recover().await.unwrap().is_empty());
        assert!(host.litter().is_empty(), "{:?}", host.litter());
        let kept = host.dir.join(".certroll").join(&recovered[0].id).join("cert.pem");
        assert_eq!(std::fs::read(kept).unwrap(), OLD_CERT);
        host.assert_bytes("cert.pem", b"third\n");
    }
}

#[tokio::test]
async fn services_without_files_are_checked_and_told() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let mut request = host.request_for(Vec::new());
        request.services[0].validate.push(check(&["true"], ValidateVia::MountNamespace));
        let committed = host.apply(request).await.unwrap();
        assert_eq!(committed.reloads[0].rc, Some(0));
        let back = host.there_and_back(host.request_for(Vec::new())).await.unwrap();
        assert_eq!(back.services[0].reload, Some(0));
        assert_eq!(host.reloads(), ["old", "old", "old"], "{}", shell.name);
        host.assert_unchanged(&before);
    }
}
