//! A program is killed, but what it had begun goes on: a command that tells a service, a process that moves or
//! removes files. It acts when the next contact has settled everything already.

use super::scene::*;
use crate::transaction::host::*;
use certroll::testing::host::{FileRole, RecoveredEnd};
use certroll::testing::remote::RemoteError;
use std::path::PathBuf;
use std::time::Duration;

/// Kills the program that holds the lock.
fn kill_text(host: &Host) -> String {
    let locks = host.root.join("run/lock");
    format!(
        "for l in '{}'/*; do l=${{l##*/}}; l=${{l#*.}}; kill -s KILL ${{l%%.*}}; done",
        locks.display()
    )
}

/// Puts another program in the place of `name` for the next programs; `text` has the real one in `$real`.
fn stand_in(host: &mut Host, name: &str, text: &str) {
    let bin = host.root.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let script = format!("#!/bin/sh\nreal=/bin/{name}\n{text}\nexec $real \"$@\"\n");
    host.put(&bin.join(name), script.as_bytes(), 0o755);
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{}:{path}", host.shell.bin.display(), bin.display());
    host.environment.retain(|(name, _)| name != "PATH");
    host.environment.push(("PATH".into(), path));
}

fn without_guard(shell: &'static Shell) -> Host {
    let mut host = Host::new(shell);
    host.environment.push(("CRASH_ALONE".into(), "1".into()));
    host.environment.push(("CRASH_TRACE".into(), "/dev/null".into()));
    host.environment.push(("CRASH_AT".into(), String::new()));
    host
}

async fn apply(
    host: &Host,
    request: certroll::testing::host::TransactionRequest,
) -> Result<(), RemoteError> {
    let process = host.sh().await;
    let begun =
        certroll::testing::remote::Transaction::begin_with(transaction(), process, request).await;
    let (mut running, _) = begun?;
    running.commit().await?;
    running.rollback().await.map(drop)
}

/// A straggler waits for this file before it acts.
fn go(host: &Host) -> PathBuf {
    host.root.join("go")
}

fn wait_text(host: &Host) -> String {
    format!(
        "n=0; while [ ! -e '{}' ] && [ $n -lt 3000 ]; do sleep 0.1; n=$((n+1)); done",
        go(host).display()
    )
}

/// Lets it act, and waits until it has.
async fn acts(host: &Host, acted: impl Fn() -> bool) {
    assert!(!acted(), "{}: it waits", host.shell.name);
    std::fs::write(go(host), "").unwrap();
    for _ in 0..6000 {
        if acted() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{}: it does not act", host.shell.name);
}

/// The service would be left with new files while the old ones are there.
#[tokio::test]
async fn a_reload_that_outlives_its_program_is_over_before_services_are_told_again() {
    for shell in shells() {
        let host = without_guard(shell);
        let before = tree(&host.dir);
        let mut request = host.request();
        let once = host.root.join("once");
        // As a script that joins files: reads them now and uses them later.
        let text = format!(
            "read_now=$(sed -n 2p '{0}')\n\
             if [ ! -e '{1}' ]; then echo $$ >'{1}'; {2}; {3}; fi\n\
             echo \"$read_now\" >>'{4}'",
            host.dir.join("cert.pem").display(),
            once.display(),
            kill_text(&host),
            wait_text(&host),
            host.log().display()
        );
        request.services[0].reload = Some(timed(&["/bin/sh", "-c", &text], 20));
        let error = apply(&host, request).await.unwrap_err();
        assert!(matches!(error, RemoteError::Closed { .. }), "{}: {error}", shell.name);
        let recovered = host.recover().await.unwrap();
        assert_eq!(recovered[0].end, RecoveredEnd::Old, "{}", shell.name);
        // Were it alive it would act now.
        std::fs::write(go(&host), "").unwrap();
        let pid = std::fs::read_to_string(once).unwrap();
        while std::fs::read_to_string(format!("/proc/{}/cmdline", pid.trim()))
            .is_ok_and(|line| line.contains("read_now"))
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(host.reloads(), ["old"], "{}", shell.name);
        host.assert_unchanged(&before);
    }
}

/// Somebody may have put a file there meanwhile, by the next rollout for instance.
#[tokio::test]
async fn a_removal_that_outlives_its_program_does_not_meet_the_files_of_the_next() {
    // busybox's sh has its own rm and mv: nothing on the path stands in for them.
    for shell in shells().iter().filter(|shell| !shell.is_busybox()) {
        let mut host = without_guard(shell);
        let added = host.dir.join("chain.pem");
        let acted = host.root.join("acted");
        let request = || host.request_for(vec![change(&added, NEW_CERT, FileRole::Chain)]);
        let (first, second) = (request(), request());
        let text = format!(
            "case \" $* \" in *' {} '*) [ -e '{1}.once' ] || {{\n\
             : >'{1}.once'; {2}; {3}; $real \"$@\"; : >'{1}'; exit; }};; esac",
            added.display(),
            acted.display(),
            kill_text(&host),
            wait_text(&host)
        );
        for name in ["rm", "mv"] {
            stand_in(&mut host, name, &text);
        }
        let error = apply(&host, first).await.unwrap_err();
        assert!(matches!(error, RemoteError::Closed { .. }), "{}: {error}", shell.name);
        assert_eq!(host.recover().await.unwrap().len(), 1, "{}", shell.name);
        assert!(!added.exists());
        host.apply(second).await.unwrap();
        acts(&host, || acted.exists()).await;
        host.assert_bytes("chain.pem", NEW_CERT);
    }
}

/// The new files are out of its reach before the old ones come back: it acts when these are there and before the
/// stage goes.
#[tokio::test]
async fn a_rename_that_outlives_its_program_finds_nothing_to_rename() {
    for shell in shells().iter().filter(|shell| !shell.is_busybox()) {
        let mut host = without_guard(shell);
        let before = tree(&host.dir);
        let acted = host.root.join("acted");
        let text = format!(
            "case $*:$# in *.new/*:5) $real \"$1\" \"$2\" \"$3\" \"$5\"\n\
             {}; {}; $real \"$1\" \"$2\" \"$4\" \"$5\"; : >'{}'; exit;; esac",
            kill_text(&host),
            wait_text(&host),
            acted.display()
        );
        stand_in(&mut host, "mv", &text);
        let mut request = host.request();
        let let_it_act = format!(
            ": >'{}'; n=0; while [ ! -e '{}' ] && [ $n -lt 3000 ]; do sleep 0.1; n=$((n+1)); done",
            go(&host).display(),
            acted.display()
        );
        request.services[0].reload = Some(timed(&["/bin/sh", "-c", &let_it_act], 60));
        let error = apply(&host, request).await.unwrap_err();
        assert!(matches!(error, RemoteError::Closed { .. }), "{}: {error}", shell.name);
        host.assert_bytes("key.pem", NEW_KEY);
        host.assert_bytes("cert.pem", OLD_CERT);
        assert!(!acted.exists());
        host.recover().await.unwrap();
        assert!(acted.exists(), "{}", shell.name);
        host.assert_unchanged(&before);
    }
}

/// The next contact is about to go back when it is confirmed after all.
#[tokio::test]
async fn a_confirmation_that_outlives_its_program_is_taken_up_at_once() {
    for shell in shells().iter().filter(|shell| !shell.is_busybox()) {
        let mut scene = Scene::new(shell);
        scene.host.environment.push(("CRASH_ALONE".into(), "1".into()));
        scene.stop_at("main answered#1", "KILL");
        scene.drive(Path::Confirm).await.unwrap_err();
        scene.stop_at("", "CONT");
        let text =
            "case $* in *undo.*) j=$2; s=${j%/*}; $real \"$j\" \"$s/done.${j##*/j.}\";; esac";
        stand_in(&mut scene.host, "mv", text);
        let recovered = scene.host.recover().await.unwrap();
        assert_eq!(recovered.len(), 1, "{}: {recovered:?}", shell.name);
        assert_eq!(recovered[0].end, RecoveredEnd::New, "{}", shell.name);
        scene.assert_new(shell.name);
    }
}
