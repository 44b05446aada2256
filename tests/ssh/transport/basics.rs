//! One session: pipes, a dialogue, and the first ways in.

use super::{connector, secret, whoami};
use crate::common::sshd::{PASSWORD, Sshd};
use certroll::testing::transport::{ConnectError, Launch, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_key_file_logs_in_and_pipes_carry_a_dialogue() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let session = connector().connect(&sshd.target_with_key("alice")).await.unwrap();
    assert_eq!(whoami(&session).await, "alice");
    let script = "sh -c 'while read a; do echo got $a; done; echo bye >&2; exit 7'";
    let mut process = session.start(&Launch::new(script, "")).await.unwrap();
    process.stdin.write_all(b"one\n").await.unwrap();
    let mut first = [0; 8];
    process.stdout.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"got one\n");
    process.stdin.write_all(b"two\n").await.unwrap();
    process.stdin.shutdown().await.unwrap();
    let mut rest = String::new();
    process.stdout.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "got two\n");
    let exit = process.exit().await;
    assert_eq!((exit.code, exit.closed_cleanly), (Some(7), true));
    assert_eq!(process.stderr_tail().await, b"bye\n");
    session.close().await;
}

#[tokio::test]
async fn a_password_logs_in_and_a_wrong_one_says_what_was_tried() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let target = Target { password: secret(PASSWORD), ..sshd.target("alice") };
    let session = connector().connect(&target).await.unwrap();
    assert_eq!(whoami(&session).await, "alice");
    let target = Target { password: secret("wrong"), ..sshd.target("alice") };
    let error = connector().connect(&target).await.unwrap_err();
    let ConnectError::AuthFailed { tried, .. } = &error else { panic!("{error}") };
    assert_eq!(tried, &["password (refused)"]);
    assert!(!error.to_string().contains("wrong"), "{error}");
}
