//! How often a log-in waits for the server: counted, not timed.

use super::{connector, output};
use crate::common::sshd::Sshd;
use certroll::testing::host::{
    Attributes, Content, FileChange, FileRole, Inspection, InspectionVariant, Limits,
    ServiceCommands, StateDirs, TransactionId, TransactionRequest,
};
use certroll::testing::model::{Fingerprint, RemotePath};
use certroll::testing::remote::{Transaction, inspect_in, launch};
use certroll::testing::transport::{Launch, Target};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
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

/// The host is read, and the same shell goes on as the transaction: no second channel is opened for it. It waits for the
/// host for the facts, for `staged` (the files go with the request), and for each of the two verdicts.
#[tokio::test]
async fn a_rollout_takes_one_channel_and_one_turn_for_each_answer() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let (port, turns) = counted(sshd.port).await;
    let alias = Some(format!("[127.0.0.1]:{}", sshd.port));
    let target = Target { port, host_key_alias: alias, ..sshd.target_with_key("alice") };
    let site = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(site.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let path = |name: &str| {
        RemotePath::new(Path::as_os_str(&site.path().join(name)).as_encoded_bytes()).unwrap()
    };
    let dirs = StateDirs { state: path("state"), run: path("run") };
    let file = |name: &str, role| {
        let bytes = format!("{name}\n").into_bytes();
        FileChange {
            path: path(name),
            real_path: path(name),
            before: None,
            after: Some(Fingerprint::of(&bytes)),
            attributes: Attributes::default(),
            defaults: Attributes::default(),
            content: Content::Bytes(Arc::new(bytes.into())),
            role,
            in_place: false,
        }
    };
    let session = connector().connect(&target).await.unwrap();
    let log_in = turns.count.load(Ordering::SeqCst);
    let process = session.start(&launch(None)).await.unwrap();
    let inspection = Inspection {
        variants: vec![InspectionVariant {
            files: vec![path("cert.pem"), path("key.pem")],
            ..InspectionVariant::default()
        }],
        boot_guard: false,
        dirs: Some(dirs.clone()),
    };
    let (facts, shell) = inspect_in(process.into(), &inspection).await.unwrap();
    assert_eq!(facts.files.len(), 2);
    let read = turns.count.load(Ordering::SeqCst);
    let request = TransactionRequest {
        id: TransactionId::new(std::time::Duration::from_secs(1_700_000_000)),
        holder: "turns".to_owned(),
        directories: Vec::new(),
        files: vec![file("cert.pem", FileRole::Certificate), file("key.pem", FileRole::Key)],
        order: Vec::new(),
        watched: false,
        services: vec![ServiceCommands { name: "web".to_owned(), ..ServiceCommands::default() }],
        limits: Limits::default(),
        backups: 1,
        boot_guard: None,
        sealed: false,
        dirs: Some(dirs),
    };
    let (mut transaction, _) = Transaction::begin(shell, request).await.unwrap();
    let staged = turns.count.load(Ordering::SeqCst);
    transaction.commit().await.unwrap();
    transaction.confirm().await.unwrap();
    let all = turns.count.load(Ordering::SeqCst);
    assert_eq!(std::fs::read(site.path().join("key.pem")).unwrap(), b"key.pem\n");
    assert_eq!(sshd.log().matches("Starting session: command").count(), 1);
    // Channel and program; request and bodies; commit and confirm. One more each is allowed for a window that the library
    // opens further, for which nobody waits.
    assert!(read - log_in <= 4, "{} turns to read the host", read - log_in);
    assert!(staged - read <= 2, "{} turns to stage", staged - read);
    assert!(all - staged <= 3, "{} turns for the verdicts", all - staged);
}
