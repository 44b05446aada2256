//! Connections that servers end early: idle ones, and those of servers with one program per connection.

use super::{connector, output};
use crate::common::daemon::{Daemon, free_port};
use crate::common::have;
use crate::common::sshd::{Sshd, keygen, run};
use certroll::testing::transport::{
    ConnectError, HostError, HostKeyChecking, Launch, SharedSession, Target,
};
use std::fs;
use std::process::Command;
use std::time::Duration;
use tokio::io::AsyncReadExt;

async fn says(shared: &SharedSession, word: &str) {
    let launch = Launch::new(format!("sh -c 'echo {word}'"), "");
    let mut process = shared.start(&launch).await.unwrap_or_else(|error| panic!("{word}: {error}"));
    let mut text = String::new();
    process.stdout.read_to_string(&mut text).await.unwrap();
    assert_eq!(text.trim(), word);
}

#[tokio::test]
async fn an_idle_connection_that_was_ended_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "UnusedConnectionTimeout 1s") else { return };
    let shared = SharedSession::new(sshd.target_with_key("alice"), connector());
    says(&shared, "one").await;
    let session = shared.last().unwrap();
    while !session.is_closed() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(sshd.log().contains("terminating inactive connection"), "{}", sshd.log());
    says(&shared, "two").await;
}

#[tokio::test]
async fn a_program_that_finds_no_channel_gets_a_connection_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "MaxSessions 1") else { return };
    let shared = SharedSession::new(sshd.target_with_key("alice"), connector());
    let first = shared.start(&Launch::new("cat", "")).await.unwrap();
    says(&shared, "beside").await;
    drop(first);
}

#[tokio::test]
async fn who_was_refused_is_not_asked_again() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let stranger = dir.path().join("stranger");
    keygen(&stranger, &["-t", "ed25519", "-N", ""]);
    let target = Target { identities: vec![stranger], ..sshd.target("alice") };
    let shared = SharedSession::new(target, connector());
    for _ in 0..3 {
        let error = shared.start(&Launch::new("id", "")).await.unwrap_err();
        let HostError::Connect(error) = error else { panic!("{error}") };
        assert!(matches!(*error, ConnectError::AuthFailed { .. }), "{error}");
    }
    let asked = "userauth-request for user alice service ssh-connection method publickey";
    assert_eq!(sshd.log().matches(asked).count(), 1, "{}", sshd.log());
}

#[tokio::test]
async fn tinysshd_serves_one_program_per_connection() {
    if !crate::common::am_root() || !have(&["tinysshd", "tinysshd-makekey", "socat", "unshare"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("tiny");
    fs::create_dir_all(place.join("home/.ssh")).unwrap();
    run(Command::new("tinysshd-makekey").arg("-q").arg(place.join("keys")));
    let key = dir.path().join("id");
    keygen(&key, &["-t", "ed25519", "-N", ""]);
    fs::copy(key.with_extension("pub"), place.join("home/.ssh/authorized_keys")).unwrap();
    let port = free_port();
    let shown = place.display();
    let script = format!(
        "mount --bind {shown}/home /root; chmod 700 /root /root/.ssh; \
         exec socat TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork \"EXEC:tinysshd {shown}/keys\""
    );
    let mut daemon = Daemon::sealed("tinysshd", &script, &place);
    daemon.wait_for(port);
    let target = Target {
        port,
        identities: vec![key],
        host_key_checking: HostKeyChecking::DangerOff,
        ..Target::new("tiny".into(), "127.0.0.1", "root")
    };
    let shared = SharedSession::new(target.clone(), connector());
    for word in ["one", "two", "three"] {
        says(&shared, word).await;
    }
    let session = connector().connect(&target).await.unwrap();
    assert_eq!(output(&session, &Launch::new("id -un", "")).await.trim(), "root");
}
