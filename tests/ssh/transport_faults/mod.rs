//! Servers that misbehave: what the transport makes of each, in bounded time and memory.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by it; a test has no callers"
)]

mod enemy;

use certroll::testing::clock;
use certroll::testing::transport::{
    Become, ConnectError, Connector, Exit, Launch, Process, Session, StartError,
};
use enemy::{Door, Enemy};
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Far above what any of these may take, far below for ever.
const PATIENCE: Duration = Duration::from_secs(60);

async fn session(enemy: &Enemy) -> Session {
    Connector::new(clock::now()).connect(&enemy.target()).await.unwrap()
}

async fn start(session: &Session, misdeed: &str) -> Process {
    session.start(&Launch::new(misdeed, "@ready")).await.unwrap()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in bounded time")
}

/// That the connection still serves others.
async fn assert_alive(session: &Session) {
    let mut process = start(session, "echo").await;
    process.stdin.write_all(b"there?").await.unwrap();
    process.stdin.shutdown().await.unwrap();
    let mut text = String::new();
    soon(process.stdout.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "there?");
    assert!(soon(process.exit()).await.success());
}

/// This process's memory now, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn half_a_line_and_no_status_are_no_success() {
    let enemy = Enemy::start(Door::Open).await;
    let session = session(&enemy).await;
    for (misdeed, text) in [("half a line", "@certroll1 - stag"), ("no status", "all done\n")] {
        let mut process = start(&session, misdeed).await;
        let mut said = String::new();
        soon(process.stdout.read_to_string(&mut said)).await.unwrap();
        assert_eq!(said, text);
        let exit = soon(process.exit()).await;
        assert_eq!(exit, Exit { code: None, signal: None, closed_cleanly: true });
        assert!(!exit.success());
    }
    let mut process = start(&session, "odd signal").await;
    let exit = soon(process.exit()).await;
    let signal = exit.signal.clone().unwrap();
    assert!(signal.len() <= 32 && !signal.contains(['\u{1b}', '\n']), "{signal:?}");
    assert!(!exit.success());
    assert_alive(&session).await;
}

#[tokio::test]
async fn a_status_without_an_end_does_not_end_the_wait() {
    let enemy = Enemy::start(Door::Open).await;
    let session = session(&enemy).await;
    let mut process = start(&session, "status and silence").await;
    let waited = tokio::time::timeout(Duration::from_secs(1), process.exit()).await;
    assert!(waited.is_err(), "the caller's time limit decides, not a guess: {waited:?}");
    assert_alive(&session).await;
}

#[tokio::test]
async fn a_link_that_is_cut_within_the_payload() {
    let enemy = Enemy::start(Door::Open).await;
    let session = session(&enemy).await;
    let mut process = start(&session, "takes a little and cuts").await;
    let writing = soon(process.stdin.write_all(&vec![7; 8 << 20])).await;
    assert_eq!(writing.unwrap_err().kind(), ErrorKind::BrokenPipe);
    let error = soon(process.stdout.read(&mut [0; 8])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    let exit = soon(process.exit()).await;
    assert_eq!(exit, Exit { code: None, signal: None, closed_cleanly: false });
    assert!(enemy.seen.lock().unwrap().taken < 2 << 20);
}

#[tokio::test]
async fn endless_output_that_nobody_reads_is_cut_off() {
    if !crate::common::alone("transport_faults::endless_output_that_nobody_reads_is_cut_off") {
        return;
    }
    let enemy = Enemy::start(Door::Open).await;
    let session = session(&enemy).await;
    let before = resident();
    let mut process = start(&session, "endless output").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_alive(&session).await;
    assert!(resident().saturating_sub(before) < 64 << 20, "{} -> {}", before, resident());
    let mut bytes = Vec::new();
    let error = soon(process.stdout.read_to_end(&mut bytes)).await.unwrap_err();
    assert!(error.to_string().contains("too much output"), "{error}");
    assert!(bytes.len() <= 8 << 20, "{}", bytes.len());
    // The reader that gives up takes the channel with it.
    drop(process);
    assert_alive(&session).await;
}

#[tokio::test]
async fn endless_output_that_is_read_takes_no_memory() {
    if !crate::common::alone("transport_faults::endless_output_that_is_read_takes_no_memory") {
        return;
    }
    let enemy = Enemy::start(Door::Open).await;
    let session = session(&enemy).await;
    let before = resident();
    let mut process = start(&session, "endless output").await;
    let mut bytes = vec![0; 64 << 10];
    let mut total = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        total += soon(process.stdout.read(&mut bytes)).await.unwrap();
    }
    assert!(total > 1 << 20, "{total}");
    assert!(resident().saturating_sub(before) < 64 << 20);
    drop(process);
    assert_alive(&session).await;
}

#[tokio::test]
async fn endless_stderr_keeps_its_end_only() {
    if !crate::common::alone("transport_faults::endless_stderr_keeps_its_end_only") {
        return;
    }
    let enemy = Enemy::start(Door::Open).await;
    let session = session(&enemy).await;
    let before = resident();
    let process = start(&session, "endless stderr").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(process.stderr_tail().await.len() <= 64 << 10);
    assert!(resident().saturating_sub(before) < 64 << 20);
    assert_alive(&session).await;
}

#[tokio::test]
async fn slow_bytes_are_waited_for() {
    let enemy = Enemy::start(Door::Open).await;
    let session = session(&enemy).await;
    let mut process = start(&session, "byte by byte").await;
    let mut text = String::new();
    soon(process.stdout.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "@ready\nslowly but surely");
    assert!(soon(process.exit()).await.success());
}

#[tokio::test]
async fn a_server_may_open_no_channels() {
    let enemy = Enemy::start(Door::Open).await;
    let session = session(&enemy).await;
    let mut process = start(&session, "opens channels").await;
    let mut text = String::new();
    soon(process.stdout.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "tried\n");
    assert!(!enemy.seen.lock().unwrap().channel_agreed);
    assert_alive(&session).await;
}

fn becoming(command: &str) -> Launch {
    let password = Some("become password".to_owned().into());
    let to = Become { password, ..Become::sudo("root") };
    Launch { become_as: Some(to), ..Launch::new(command, "@ready") }
}

#[tokio::test]
async fn a_become_password_is_given_once() {
    let enemy = Enemy::start(Door::Open).await;
    let session = session(&enemy).await;
    let error = soon(session.start(&becoming("ask"))).await.unwrap_err();
    assert!(matches!(error, StartError::WrongPassword { .. }), "{error}");
    assert_eq!(enemy.seen.lock().unwrap().passwords[1..], ["become password\n"]);
}

#[tokio::test]
async fn a_flood_in_place_of_the_become_dialogue_ends_it() {
    if !crate::common::alone("transport_faults::a_flood_in_place_of_the_become_dialogue_ends_it") {
        return;
    }
    let enemy = Enemy::start(Door::Open).await;
    let session = session(&enemy).await;
    let before = resident();
    let error = soon(session.start(&becoming("flood"))).await.unwrap_err();
    assert!(error.to_string().len() < 2000, "{error}");
    assert!(resident().saturating_sub(before) < 64 << 20);
    assert_eq!(enemy.seen.lock().unwrap().passwords.len(), 1, "only the log-in's");
    assert_alive(&session).await;
}

async fn refused(door: Door) -> (String, Vec<String>) {
    let enemy = Enemy::start(door).await;
    let connecting = Connector::new(clock::now());
    let error = soon(connecting.connect(&enemy.target())).await.unwrap_err();
    assert!(matches!(error, ConnectError::AuthFailed { .. }), "{error}");
    let passwords = enemy.seen.lock().unwrap().passwords.clone();
    (error.to_string(), passwords)
}

#[tokio::test]
async fn doors_that_never_open() {
    let (error, passwords) = refused(Door::AsksForEver).await;
    assert_eq!(passwords, ["the password"], "it is given once");
    assert!(error.contains("keyboard-interactive"), "{error}");
    let (error, passwords) = refused(Door::AsksAPerson).await;
    assert!(passwords.is_empty(), "{passwords:?}");
    assert!(error.contains("What is your mother's name?") && !error.contains('\u{1b}'), "{error}");
    let (error, passwords) = refused(Door::NeverEnough).await;
    assert!(passwords.len() <= 2, "{passwords:?}");
    assert!(error.contains("accepted, but the server requires another method"), "{error}");
    let (error, _) = refused(Door::RudeFarewell).await;
    assert!(!error.contains('\u{1b}'), "{error}");
}

/// What comes before SSH's own name may be chatter (RFC 4253 §4.2), but not without end.
#[tokio::test]
async fn endless_chatter_before_the_protocol() {
    if !crate::common::alone("transport_faults::endless_chatter_before_the_protocol") {
        return;
    }
    for chatter in [&b"hello, world\r\n"[..], b"no end of line "] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let flood = chatter.repeat(4096);
            while stream.write_all(&flood).await.is_ok() {}
        });
        let enemy = Enemy { port, seen: Default::default() };
        let target = certroll::testing::transport::Target {
            connect_timeout: Duration::from_secs(3),
            ..enemy.target()
        };
        let before = resident();
        let error = soon(Connector::new(clock::now()).connect(&target)).await.unwrap_err();
        let kind = matches!(
            error,
            ConnectError::Timeout { .. } | ConnectError::Protocol { .. } | ConnectError::Io { .. }
        );
        assert!(kind, "{error}");
        assert!(resident().saturating_sub(before) < 64 << 20, "{chatter:?}");
    }
}
