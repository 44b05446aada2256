//! How often a log-in waits for the server: counted, not timed.

use super::{connector, output};
use crate::common::sshd::Sshd;
use certroll::testing::transport::{Launch, Target};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What the client sends after it has heard from the server is another turn.
#[derive(Default)]
struct Turns {
    count: AtomicUsize,
    heard: AtomicBool,
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, seen: impl Fn()) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        seen();
        if to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
}

/// A way to `port` on which turns are counted.
async fn counted(port: u16) -> (u16, Arc<Turns>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near_port = listener.local_addr().unwrap().port();
    let turns = Arc::new(Turns::default());
    turns.heard.store(true, Ordering::SeqCst);
    let counting = turns.clone();
    tokio::spawn(async move {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let ((near_read, near_write), (far_read, far_write)) =
            (near.into_split(), far.into_split());
        let asks = || {
            if counting.heard.swap(false, Ordering::SeqCst) {
                counting.count.fetch_add(1, Ordering::SeqCst);
            }
        };
        let answers = || counting.heard.store(true, Ordering::SeqCst);
        tokio::join!(pass(near_read, far_write, asks), pass(far_read, near_write, answers));
    });
    (near_port, turns)
}

/// The library asks whether a key would do before it signs with it, and for the service before that. A turn
/// more of ours would show here; one is allowed for what the server says unasked.
#[tokio::test]
async fn a_log_in_and_a_program_take_no_turn_more_than_the_library_needs() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let (port, turns) = counted(sshd.port).await;
    let alias = Some(format!("[127.0.0.1]:{}", sshd.port));
    let target = Target { port, host_key_alias: alias, ..sshd.target_with_key("alice") };
    let session = connector().connect(&target).await.unwrap();
    let log_in = turns.count.load(Ordering::SeqCst);
    output(&session, &Launch::new("id -un", "")).await;
    let all = turns.count.load(Ordering::SeqCst);
    // Name, KEXINIT, key, service, query, signature; then channel and program.
    assert!(log_in <= 7, "{log_in} turns for the log-in");
    assert!(all - log_in <= 3, "{} turns for the program", all - log_in);
}
