//! How often a controller waits for its host, over a link that delays: counted, not timed.

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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// From the controller to the host, or back.
const DELAY: Duration = Duration::from_millis(50);

/// How deep the conversation is: what the controller sends is one deeper than the deepest that it has heard, and what
/// the host sends is as deep as the deepest that has reached it. So what the controller has heard in the end is as deep as
/// the round trips that it had to wait for, one after another, whatever was under way at the same time.
#[derive(Default)]
struct Depth {
    heard_by_controller: AtomicUsize,
    reached_host: AtomicUsize,
}

impl Depth {
    fn turns(&self) -> usize {
        self.heard_by_controller.load(Ordering::SeqCst)
    }
}

/// One direction: each piece gets its depth when it is sent, and arrives [`DELAY`] later.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    depth: impl Fn() -> usize,
    arrived: &AtomicUsize,
) {
    let (line, mut under_way) = mpsc::unbounded_channel();
    let send = async move {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            let piece = (Instant::now() + DELAY, depth(), bytes[..count].to_vec());
            if line.send(piece).is_err() {
                break;
            }
        }
    };
    let receive = async move {
        while let Some((arrival, depth, bytes)) = under_way.recv().await {
            sleep_until(arrival).await;
            arrived.fetch_max(depth, Ordering::SeqCst);
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(send, receive);
}

/// A way to `port` on which every piece takes [`DELAY`], and what it tells of turns. The connection itself, which TCP
/// takes a turn for, is not counted.
async fn delayed(port: u16) -> (u16, Arc<Depth>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near_port = listener.local_addr().unwrap().port();
    let depth = Arc::new(Depth::default());
    let counting = depth.clone();
    tokio::spawn(async move {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let ((near_read, near_write), (far_read, far_write)) =
            (near.into_split(), far.into_split());
        let asks = || counting.heard_by_controller.load(Ordering::SeqCst) + 1;
        let answers = || counting.reached_host.load(Ordering::SeqCst);
        tokio::join!(
            pass(near_read, far_write, asks, &counting.reached_host),
            pass(far_read, near_write, answers, &counting.heard_by_controller)
        );
    });
    (near_port, depth)
}

/// The library asks for the service, then whether a key would do, and only then signs with it. A turn of ours beside
/// these would show here.
#[tokio::test]
async fn a_log_in_and_a_program_take_no_turn_more_than_the_library_needs() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let (port, depth) = delayed(sshd.port).await;
    let alias = Some(format!("[127.0.0.1]:{}", sshd.port));
    let target = Target { port, host_key_alias: alias, ..sshd.target_with_key("alice") };
    let session = connector().connect(&target).await.unwrap();
    let log_in = depth.turns();
    output(&session, &Launch::new("id -un", "")).await;
    let all = depth.turns();
    // Names and the host's KEXINIT, which it sends unasked; ours and the key exchange; service, query, signature.
    assert_eq!(log_in, 5, "turns for the log-in");
    // Channel, command, and what it said.
    assert!(all - log_in <= 3, "{} turns for the program", all - log_in);
}

/// The host is read, and the same shell goes on as the transaction: no second channel is opened for it. The controller waits
/// for the facts, for `staged` (the files go with the request), and for each of the two verdicts: eleven turns in all
/// after TCP.
#[tokio::test]
async fn a_rollout_takes_one_channel_and_one_turn_for_each_answer() {
    let dir = tempfile::tempdir().unwrap();
    let Some(sshd) = Sshd::start(dir.path(), "host", "") else { return };
    let (port, depth) = delayed(sshd.port).await;
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
    let log_in = depth.turns();
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
    let read = depth.turns();
    let request = TransactionRequest {
        id: TransactionId::new(Duration::from_secs(1_700_000_000)),
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
    let staged = depth.turns();
    transaction.commit().await.unwrap();
    transaction.confirm().await.unwrap();
    let all = depth.turns();
    assert_eq!(std::fs::read(site.path().join("key.pem")).unwrap(), b"key.pem\n");
    assert_eq!(sshd.log().matches("Starting session: command").count(), 1);
    // Channel, command, and what was found.
    assert_eq!(read - log_in, 3, "turns to read the host");
    assert_eq!(staged - read, 1, "turns to stage");
    assert_eq!(all - staged, 2, "turns for the verdicts");
    assert_eq!(all, 11, "turns after TCP");
}
