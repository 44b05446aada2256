//! Each way a transaction can end.

use super::host::*;
use certroll::testing::host::{
    FileRole, InspectCommand, Inspection, InspectionVariant, RecoveredEnd,
};
use certroll::testing::remote::{self, RemoteError, Shell, Transaction};
use std::time::Duration;

#[tokio::test]
async fn confirmed_files_stay_with_their_owner_and_mode() {
    for shell in shells() {
        let host = Host::new(shell);
        let (mut transaction, staged) = host.begin(host.request()).await.unwrap();
        assert!(staged.recovered.is_empty() && staged.validations.is_empty());
        assert_eq!(staged.files, [host.request().files[0].after, host.request().files[1].after]);
        host.assert_bytes("cert.pem", OLD_CERT);
        let committed = transaction.commit().await.unwrap();
        assert!(committed.guarded, "{}", shell.name);
        assert_eq!(committed.files, staged.files);
        assert_eq!(committed.reloads.len(), 1);
        assert_eq!((committed.reloads[0].rc, committed.reloads[0].up), (Some(0), None));
        transaction.confirm().await.unwrap();
        host.assert_bytes("cert.pem", NEW_CERT);
        host.assert_bytes("key.pem", NEW_KEY);
        if is_root() {
            assert_eq!(host.attributes("cert.pem"), (0o644, 0, 33), "{}", shell.name);
            assert_eq!(host.attributes("key.pem"), (0o640, 0, 33), "{}", shell.name);
        }
        assert_eq!(host.reloads(), ["NEW+/="]);
        assert_eq!(tree(&host.dir).len(), 2, "{}: {:?}", shell.name, tree(&host.dir).keys());
        assert!(host.litter().is_empty(), "{}: {:?}", shell.name, host.litter());
    }
}

#[tokio::test]
async fn a_rollback_brings_the_same_inodes_back() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let back = host.there_and_back(host.request()).await.unwrap();
        assert!(back.is_complete());
        assert_eq!((back.services.len(), back.services[0].reload), (1, Some(0)));
        host.assert_unchanged(&before);
        assert_eq!(host.reloads(), ["NEW+/=", "old"]);
    }
}

/// Some services read a file again only when its time, often in whole seconds, is later than that of the one they
/// loaded; a clock may have been ahead when that was written.
#[tokio::test]
async fn what_replaces_a_file_is_later_than_it_in_whole_seconds_there_and_back() {
    let seconds = |host: &Host| ["cert.pem", "key.pem"].map(|name| host.modified(name));
    for shell in shells() {
        let host = Host::new(shell);
        for (name, ahead) in [("cert.pem", 0), ("key.pem", 3600)] {
            let file = std::fs::File::open(host.dir.join(name)).unwrap();
            let at = file.metadata().unwrap().modified().unwrap() + Duration::from_secs(ahead);
            file.set_modified(at).unwrap();
        }
        let old = seconds(&host);
        let (mut transaction, _) = host.begin(host.request()).await.unwrap();
        transaction.commit().await.unwrap();
        let new = seconds(&host);
        assert!(new[1] > old[1], "{}: {old:?} {new:?}", shell.name);
        transaction.rollback().await.unwrap();
        let back = seconds(&host);
        assert!(back[0] > new[0] && back[1] > new[1], "{}: {new:?} {back:?}", shell.name);
        host.assert_bytes("key.pem", OLD_KEY);
    }
}

/// What a command that is run in a shell finds: its mask, directory, environment and ignored signals.
async fn surroundings(shell: Shell, host: &Host) -> (Shell, String) {
    let text = "umask; pwd; env | grep -v -e ^_= -e ^OLDPWD= -e ^SHLVL= | sort; grep SigIgn /proc/self/status";
    let command = InspectCommand {
        command: timed(&["sh", "-c", text], 60),
        only_if_running: None,
        in_container: None,
        for_user_of: None,
        unless_mounts: false,
    };
    let variant = InspectionVariant { commands: vec![command], ..Default::default() };
    let request =
        Inspection { variants: vec![variant], dirs: Some(host.dirs()), ..Inspection::default() };
    let (facts, shell) = remote::inspect_in(shell, &request).await.unwrap();
    (shell, String::from_utf8(facts.commands[0].stdout.clone()).unwrap())
}

#[tokio::test]
async fn what_goes_on_after_a_transaction_finds_nothing_of_it() {
    for shell in shells() {
        let host = Host::new(shell);
        let (_, anew) = surroundings(host.sh().await.into(), &host).await;
        let (mut transaction, _) = host.begin(host.request()).await.unwrap();
        transaction.commit().await.unwrap();
        let next = transaction.confirm_and_go_on().await.unwrap();
        assert!(host.litter().is_empty(), "{}: {:?}", shell.name, host.litter());
        let (next, after) = surroundings(next, &host).await;
        assert!(anew.contains("PATH="), "{}: {anew}", shell.name);
        assert_eq!(after, anew, "{}", shell.name);
        // And once more, back to the old files.
        let back = host.request_for(vec![
            host.file("cert.pem", OLD_CERT, FileRole::Certificate),
            host.file("key.pem", OLD_KEY, FileRole::Key),
        ]);
        let (mut transaction, _) = Transaction::begin(next, back).await.unwrap();
        transaction.commit().await.unwrap();
        transaction.confirm().await.unwrap();
        host.assert_bytes("cert.pem", OLD_CERT);
        host.assert_bytes("key.pem", OLD_KEY);
        assert!(host.litter().is_empty(), "{}: {:?}", shell.name, host.litter());
    }
}

#[tokio::test]
async fn an_aborted_stage_leaves_nothing() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let (transaction, _) = host.begin(host.request()).await.unwrap();
        transaction.abort().await.unwrap();
        host.assert_unchanged(&before);
        assert_eq!(times(&tree(&host.dir)), times(&before), "{}", shell.name);
        assert!(host.reloads().is_empty());
    }
}

#[tokio::test]
async fn the_end_of_the_link_discards_or_goes_back() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let (transaction, _) = host.begin(host.request()).await.unwrap();
        drop(transaction);
        host.settled(&before).await;
        assert!(host.reloads().is_empty());
        let (mut transaction, _) = host.begin(host.request()).await.unwrap();
        transaction.commit().await.unwrap();
        drop(transaction);
        host.settled(&before).await;
        assert_eq!(host.reloads(), ["NEW+/=", "old"], "{}", shell.name);
    }
}

#[tokio::test]
async fn silence_discards_or_goes_back() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let mut request = host.request();
        request.limits.stage = Duration::from_secs(1);
        request.limits.confirm = Duration::from_secs(1);
        let (mut transaction, _) = host.begin(request.clone()).await.unwrap();
        host.settled(&before).await;
        let error = transaction.commit().await.unwrap_err();
        assert!(matches!(&error, RemoteError::Aborted { why } if why == "timeout"), "{error}");
        host.assert_unchanged(&before);
        request.id = host.request().id;
        request.limits.stage = Duration::from_secs(60);
        let (mut transaction, _) = host.begin(request).await.unwrap();
        transaction.commit().await.unwrap();
        host.settled(&before).await;
        let error = transaction.confirm().await.unwrap_err();
        let RemoteError::RolledBack { failure, rollback } = error else { panic!("{error}") };
        assert_eq!(failure.to_string(), "confirm failed: timeout");
        assert!(rollback.is_complete());
        host.assert_unchanged(&before);
    }
}

#[tokio::test]
async fn the_next_contact_settles_what_a_killed_program_left() {
    for shell in shells() {
        let host = Host::new(shell);
        let before = tree(&host.dir);
        let (mut transaction, _) = host.begin(host.request()).await.unwrap();
        transaction.commit().await.unwrap();
        host.kill();
        let error = transaction.confirm().await.unwrap_err();
        assert!(matches!(error, RemoteError::Closed { may_have_changed: true, .. }), "{error}");
        // Either this contact or the guard goes back.
        let recovered = host.recover().await.unwrap();
        assert!(recovered.iter().all(|one| one.end == RecoveredEnd::Old && one.conflicts == 0));
        host.settled(&before).await;
        assert_eq!(host.reloads(), ["NEW+/=", "old"], "{}", shell.name);
    }
}
