//! Links that are slow, frozen, cut, refused, or end at something that is no sshd.

use super::{chain, connector, output, secret, whoami};
use crate::common::daemon::free_port;
use crate::common::sshd::Sshd;
use certroll::testing::transport::ssh_config::AddressFamily;
use certroll::testing::transport::{ConnectError, Keepalive, Launch, StartError, Target};
use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A wire in between that can be frozen (no byte passes, nothing is closed) and cut.
struct Wire {
    port: u16,
    frozen: Arc<AtomicBool>,
    cut: tokio::sync::watch::Sender<bool>,
}

impl Wire {
    async fn to(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let frozen = Arc::new(AtomicBool::new(false));
        let (cut, _) = tokio::sync::watch::channel(false);
        let (state, watch) = (frozen.clone(), cut.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let (near_out, near_in) = near.into_split();
                let (far_out, far_in) = far.into_split();
                let mut cut = watch.subscribe();
                let (there, back) = (state.clone(), state.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = copy(near_out, far_in, there) => {}
                        () = copy(far_out, near_in, back) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { port: own, frozen, cut }
    }
}

async fn copy(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    frozen: Arc<AtomicBool>,
) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        while frozen.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

fn over(wire: &Wire, target: Target) -> Target {
    let known = fs::read_to_string(&target.known_hosts[0]).unwrap();
    let known = known.replace(&format!(":{} ", target.port), &format!(":{} ", wire.port));
    let file = target.known_hosts[0].with_extension("wire");
    fs::write(&file, known).unwrap();
    Target { port: wire.port, known_hosts: vec![file], ..target }
}

#[tokio::test]
async fn a_frozen_link_is_noticed_by_its_silence() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let wire = Wire::to(sshd.port).await;
    let keepalive = Keepalive { interval: Duration::from_secs(1), count: 5 };
    let target =
        Target { keepalive: Some(keepalive), ..over(&wire, sshd.target_with_key("alice")) };
    let session = connector().connect(&target).await.unwrap();
    let mut process = session.start(&Launch::new("sh -c 'echo one; cat'", "")).await.unwrap();
    let mut line = [0; 4];
    process.stdout.read_exact(&mut line).await.unwrap();
    // Longer than the keepalive's patience: a quiet link is no dead one.
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(!session.is_closed());

    wire.frozen.store(true, Ordering::Relaxed);
    let frozen = Instant::now();
    let error = process.stdout.read(&mut line).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    assert!(frozen.elapsed() < Duration::from_secs(60), "{:?}", frozen.elapsed());
    let exit = process.exit().await;
    assert_eq!((exit.code, exit.closed_cleanly), (None, false), "unknown, not failed");
    assert!(session.is_closed());
    let error = session.start(&Launch::new("id", "")).await.unwrap_err();
    assert!(matches!(error, StartError::Lost { .. }), "{error}");
}

#[tokio::test]
async fn a_cut_link_is_no_end_of_output() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let wire = Wire::to(sshd.port).await;
    let target = over(&wire, sshd.target_with_key("alice"));
    let session = connector().connect(&target).await.unwrap();
    let file = sshd.dir.join("home/alice/ended");
    let command = "sh -c 'echo one; cat >/dev/null; echo end of input >~/ended'";
    let mut process = session.start(&Launch::new(command, "")).await.unwrap();
    let mut line = [0; 4];
    process.stdout.read_exact(&mut line).await.unwrap();
    wire.cut.send_replace(true);
    let error = process.stdout.read(&mut line).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(!process.exit().await.closed_cleanly);
    let writing = process.stdin.write_all(&[0; 1 << 20]).await;
    assert_eq!(writing.unwrap_err().kind(), ErrorKind::BrokenPipe);
    // The host's side sees the end of its input: what a remote script must take as "give up".
    wait_for(&file).await;
}

async fn wait_for(file: &std::path::Path) {
    let begun = Instant::now();
    while !file.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", file.display());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn dropping_everything_ends_the_programs_input() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let session = connector().connect(&sshd.target_with_key("alice")).await.unwrap();
    let command = "sh -c 'echo one; cat >/dev/null; echo done >~/ended'";
    let mut process = session.start(&Launch::new(command, "")).await.unwrap();
    process.stdout.read_exact(&mut [0; 4]).await.unwrap();
    drop(process);
    drop(session);
    wait_for(&sshd.dir.join("home/alice/ended")).await;
}

/// A program that never reads its input: the window closes for good, for it alone.
#[tokio::test]
async fn a_window_that_stays_closed_stops_its_writer_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let Some(bastion) = Sshd::start(dir.path(), "bastion", "") else { return };
    let Some(host) = Sshd::start(dir.path(), "host", "") else { return };
    let connector = connector();
    let jumps = vec![bastion.target_with_key("free")];
    let target = Target { jumps, ..host.target_with_key("alice") };
    let session = connector.connect(&target).await.unwrap();
    let mut process = session.start(&Launch::new("sleep 600", "")).await.unwrap();
    let payload = vec![7; 1 << 20];
    let mut written = 0;
    let writing = async {
        loop {
            process.stdin.write_all(&payload).await.unwrap();
            written += payload.len();
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), writing).await.is_err(), "it waits");
    assert!((1 << 20..=16 << 20).contains(&written), "{written}: what fits a few buffers");
    assert_eq!(whoami(&session).await, "alice", "another program on the same connection");
    let neighbour = connector.connect(&target).await.unwrap();
    assert_eq!(whoami(&neighbour).await, "alice", "another host behind the same bastion");
    drop(process);
    assert_eq!(whoami(&session).await, "alice", "the stuck one can be left");
}

#[tokio::test]
async fn as_many_programs_as_the_server_allows() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "MaxSessions 1") else { return };
    let session = connector().connect(&sshd.target_with_key("alice")).await.unwrap();
    let first = session.start(&Launch::new("cat", "")).await.unwrap();
    let error = session.start(&Launch::new("id", "")).await.unwrap_err();
    assert!(
        matches!(&error, StartError::Channel { reason, .. } if reason.contains("MaxSessions")),
        "{error}"
    );
    let (stdin, _stdout, ending) = first.split();
    drop(stdin);
    assert!(ending.exit().await.success(), "the first is unharmed");
    for _ in 0..10 {
        assert_eq!(whoami(&session).await, "alice", "one after another is fine");
    }
}

#[tokio::test]
async fn a_long_banner_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let banner = dir.path().join("banner");
    fs::write(&banner, "Authorized use only. \u{1b}[31m\n".repeat(2000)).unwrap();
    let options = format!("Banner {}", banner.display());
    let Some(sshd) = Sshd::start(dir.path(), "host", &options) else { return };
    let session = connector().connect(&sshd.target_with_key("alice")).await.unwrap();
    assert_eq!(output(&session, &Launch::new("echo clean", "")).await, "clean\n");
}

#[tokio::test]
async fn payloads_of_any_size_come_back_as_they_went() {
    let dir = tempfile::tempdir().unwrap();
    let options = "RekeyLimit 1M";
    let Some(sshd) = Sshd::start(dir.path(), "host", options) else { return };
    let session = connector().connect(&sshd.target_with_key("alice")).await.unwrap();
    for size in [0, 1, 32 << 10, (32 << 10) + 1, 5_000_000] {
        let payload: Vec<u8> = (0..size as u32).flat_map(|n| n.to_le_bytes()).take(size).collect();
        let (mut stdin, mut stdout, ending) =
            session.start(&Launch::new("cat", "")).await.unwrap().split();
        let sent = payload.clone();
        tokio::spawn(async move {
            stdin.write_all(&sent).await.unwrap();
            stdin.shutdown().await.unwrap();
        });
        let mut back = Vec::new();
        stdout.read_to_end(&mut back).await.unwrap();
        assert!(back == payload, "{size}");
        assert!(ending.exit().await.success());
    }
}

fn nowhere(port: u16) -> Target {
    Target {
        port,
        connect_timeout: Duration::from_secs(60),
        password: secret("any"),
        ..Target::new("web1".into(), "127.0.0.1", "alice")
    }
}

/// For servers that let everybody wait.
fn impatient(target: Target) -> Target {
    Target { connect_timeout: Duration::from_millis(700), ..target }
}

async fn failure(target: &Target) -> ConnectError {
    connector().connect(target).await.unwrap_err()
}

#[tokio::test]
async fn a_black_hole_takes_the_connect_timeout_and_no_longer() {
    // A full queue of connections that nobody accepts: the kernel answers no more.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    let address = ([127, 0, 0, 1], port).into();
    let fill = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
    let filled: Vec<_> = std::iter::repeat_with(fill).take(8).take_while(Result::is_ok).collect();
    assert!(filled.len() < 8);
    let begun = Instant::now();
    let error = failure(&impatient(nowhere(port))).await;
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_is_no_sshd() {
    let error = failure(&nowhere(free_port())).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    let unresolved = Target { address: "no-such-host.invalid".into(), ..nowhere(22) };
    let error = failure(&unresolved).await;
    assert!(matches!(error, ConnectError::Resolve { .. }), "{error}");
    let other = Target { address_family: AddressFamily::Inet6, ..nowhere(22) };
    let error = failure(&other).await;
    assert!(matches!(error, ConnectError::Resolve { .. }), "{error}");

    for (what, said, silent_after) in [
        ("a web server", "HTTP/1.1 400 Bad Request\r\n\r\n", false),
        ("an old protocol", "SSH-1.5-OpenSSH_2.3\r\n", false),
        ("one that hangs up", "", false),
        ("one that says nothing", "", true),
        ("one that stops after its name", "SSH-2.0-OpenSSH_9.2\r\n", true),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.write_all(said.as_bytes());
            silent_after.then_some(stream)
        });
        let target = if silent_after { impatient(nowhere(port)) } else { nowhere(port) };
        let error = failure(&target).await;
        drop(server.join().unwrap());
        let expected = match silent_after {
            true => matches!(error, ConnectError::Timeout { .. }),
            false => matches!(error, ConnectError::Protocol { .. } | ConnectError::Io { .. }),
        };
        assert!(expected, "{what}: {}", chain(&error));
    }
}

#[tokio::test]
async fn a_server_that_is_late_is_found_by_another_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let port = free_port();
    let far = sshd.port;
    let alias = Some(format!("[127.0.0.1]:{}", sshd.port));
    let target = Target { port, host_key_alias: alias, ..sshd.target_with_key("alice") };
    let once = connector().connect(&target).await;
    assert!(matches!(once, Err(ConnectError::Refused { .. })));
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(("127.0.0.1", far)).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    let patient = Target { connection_attempts: 60, ..target };
    assert_eq!(whoami(&connector().connect(&patient).await.unwrap()).await, "alice");
}

#[tokio::test]
async fn the_own_address_is_the_one_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let own = Some("127.0.0.77".parse().unwrap());
    let target = Target { bind_address: own, ..sshd.target_with_key("alice") };
    assert_eq!(whoami(&connector().connect(&target).await.unwrap()).await, "alice");
    assert!(sshd.log().contains("Connection from 127.0.0.77"), "{}", sshd.log());
}
