//! A directory that plays the host: files, state, and any installed shell as its `sh`.
#![allow(dead_code, unreachable_pub, reason = "shared by test binaries that use parts of it")]

use certroll::testing::host::{
    Attributes, Committed, Content, FileChange, FileRole, Limits, RolledBack, ServiceCommands,
    Staged, StateDirs, TimedCommand, TransactionId, TransactionRequest,
};
use certroll::testing::model::{CommandLine, FileMode, Fingerprint, RemotePath};
use certroll::testing::remote::program::Program;
use certroll::testing::remote::{self, RemoteError, Transaction};
use certroll::testing::transport::{Process, local};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

pub const OLD_CERT: &[u8] = b"-----BEGIN CERTIFICATE-----\nold\n-----END CERTIFICATE-----\n";
pub const NEW_CERT: &[u8] = b"-----BEGIN CERTIFICATE-----\nNEW+/=\n-----END CERTIFICATE-----\n";
pub const OLD_KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----\nold\n-----END PRIVATE KEY-----\n";
pub const NEW_KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----\nNEW+/=\n-----END PRIVATE KEY-----\n";

/// The shells that the host's program is run under, each with a directory in which it is called `sh`: those of this
/// machine, or those that `CERTROLL_TEST_SHELLS` names, as words `NAME=PROGRAM` (the shells of another release, say).
/// The name of a BusyBox begins with `busybox`.
pub fn shells() -> &'static [Shell] {
    static SHELLS: OnceLock<Vec<Shell>> = OnceLock::new();
    SHELLS.get_or_init(|| {
        // The same for every run: what a static holds is never removed.
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shells");
        let mut shells = Vec::new();
        for (name, program) in wanted_shells() {
            let bin = root.join(name);
            std::fs::create_dir_all(&bin).unwrap();
            // Another test may do the same at this moment.
            let own = bin.join(format!("sh.{}", std::process::id()));
            std::os::unix::fs::symlink(program, &own).unwrap();
            std::fs::rename(&own, bin.join("sh")).unwrap();
            assert!(bin.join("sh").exists(), "{name}");
            shells.push(Shell { name, bin });
        }
        assert!(!shells.is_empty());
        shells
    })
}

fn wanted_shells() -> Vec<(&'static str, PathBuf)> {
    if let Ok(list) = std::env::var("CERTROLL_TEST_SHELLS") {
        let words = list.leak().split_whitespace();
        let shells = words.map(|word| word.split_once('=').expect("a word NAME=PROGRAM"));
        return shells.map(|(name, program)| (name, program.into())).collect();
    }
    let mut shells = Vec::new();
    for name in ["dash", "busybox", "bash", "mksh", "ksh93", "zsh"] {
        let places = ["/usr/bin", "/bin", "/usr/local/bin"];
        match places.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists()) {
            Some(program) => shells.push((name, program)),
            None => {
                crate::common::skip(&format!("{name} is not installed"));
            }
        }
    }
    shells
}

pub struct Shell {
    pub name: &'static str,
    pub bin: PathBuf,
}

impl Shell {
    /// It has tools of its own, before those of the path.
    pub fn is_busybox(&self) -> bool {
        self.name.starts_with("busybox")
    }
}

/// A new directory in memory where there is one.
pub fn fast_dir() -> PathBuf {
    let shm = Path::new("/dev/shm");
    let base = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("certroll-test.").tempdir_in(base).unwrap().keep()
}

pub struct Host {
    pub root: PathBuf,
    pub dir: PathBuf,
    pub shell: &'static Shell,
    pub environment: Vec<(String, String)>,
}

impl Drop for Host {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

/// What a file or directory is. Everything but the time must come back: what was replaced comes back with a later one.
#[derive(Clone, Debug)]
pub struct Entry {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub inode: u64,
    pub mtime: (i64, i64),
    pub bytes: Vec<u8>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        let all = |one: &Self| (one.mode, one.uid, one.gid, one.inode);
        all(self) == all(other) && self.bytes == other.bytes
    }
}

impl Eq for Entry {}

/// Seconds and nanoseconds of each entry's time.
pub fn times(tree: &Tree) -> Vec<(i64, i64)> {
    tree.values().map(|entry| entry.mtime).collect()
}

/// Everything below a directory, by relative path. The inode and time of directories do not count.
pub type Tree = BTreeMap<PathBuf, Entry>;

pub fn tree(of: &Path) -> Tree {
    assert!(of.is_dir(), "{}", of.display());
    let mut tree = Tree::new();
    walk(of, of, &mut tree);
    tree
}

/// What goes while it is looked at is not there.
fn walk(top: &Path, at: &Path, tree: &mut Tree) {
    let Ok(entries) = std::fs::read_dir(at) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let Ok((meta, bytes)) = look(&path) else { continue };
        let is_dir = meta.is_dir();
        tree.insert(
            path.strip_prefix(top).unwrap().to_owned(),
            Entry {
                mode: meta.mode(),
                uid: meta.uid(),
                gid: meta.gid(),
                inode: if is_dir { 0 } else { meta.ino() },
                mtime: if is_dir { (0, 0) } else { (meta.mtime(), meta.mtime_nsec()) },
                bytes,
            },
        );
        if is_dir {
            walk(top, &path, tree);
        }
    }
}

fn look(path: &Path) -> std::io::Result<(std::fs::Metadata, Vec<u8>)> {
    let meta = std::fs::symlink_metadata(path)?;
    let bytes = if meta.is_symlink() {
        std::fs::read_link(path)?.as_os_str().as_bytes().to_vec()
    } else if meta.is_file() {
        std::fs::read(path)?
    } else {
        Vec::new()
    };
    Ok((meta, bytes))
}

impl Host {
    /// A certificate and a key, and a service that writes down what it was told to load.
    pub fn new(shell: &'static Shell) -> Self {
        let host = Self::bare(shell);
        host.put(&host.dir.join("cert.pem"), OLD_CERT, 0o644);
        host.put(&host.dir.join("key.pem"), OLD_KEY, 0o640);
        host
    }

    /// Without files.
    pub fn bare(shell: &'static Shell) -> Self {
        let root = fast_dir();
        let dir = root.join("certs");
        std::fs::create_dir(&dir).unwrap();
        Self { root, dir, shell, environment: Vec::new() }
    }

    /// The time of a file, in whole seconds.
    pub fn modified(&self, name: &str) -> i64 {
        std::fs::metadata(self.dir.join(name)).unwrap().mtime()
    }

    pub fn put(&self, path: &Path, bytes: &[u8], mode: u32) {
        std::fs::write(path, bytes).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        // A group that a new file would not have by itself.
        if is_root() {
            std::os::unix::fs::chown(path, Some(0), Some(33)).unwrap();
        }
        // A time that tells a copy from the original.
        let then = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        std::fs::File::options().append(true).open(path).unwrap().set_modified(then).unwrap();
    }

    pub fn path(&self, name: &str) -> RemotePath {
        remote(&self.dir.join(name))
    }

    pub fn dirs(&self) -> StateDirs {
        StateDirs { state: remote(&self.root.join("state")), run: remote(&self.root.join("run")) }
    }

    /// The pair, both new, with a service that notes the digests of what it loads.
    pub fn request(&self) -> TransactionRequest {
        let files = vec![
            self.file("cert.pem", NEW_CERT, FileRole::Certificate),
            self.file("key.pem", NEW_KEY, FileRole::Key),
        ];
        self.request_for(files)
    }

    pub fn request_for(&self, files: Vec<FileChange>) -> TransactionRequest {
        TransactionRequest {
            id: next_id(),
            holder: "since noon, alice@controller".into(),
            directories: Vec::new(),
            files,
            order: Vec::new(),
            watched: false,
            services: vec![ServiceCommands {
                name: "web".into(),
                reload: Some(self.reload()),
                ..ServiceCommands::default()
            }],
            limits: Limits {
                lock: Duration::ZERO,
                stage: Duration::from_secs(60),
                confirm: Duration::from_secs(60),
            },
            backups: 0,
            boot_guard: None,
            sealed: false,
            dirs: Some(self.dirs()),
        }
    }

    /// Appends what the certificate's first real line is to the log.
    pub fn reload(&self) -> TimedCommand {
        // Without a process of its own: the tests reload some ten thousand times.
        let text = format!(
            "{{ read -r l && read -r l && echo \"$l\"; :; }} >>'{}' 2>&1 <'{}'",
            self.log().display(),
            self.dir.join("cert.pem").display()
        );
        timed(&["/bin/sh", "-c", &text], 60)
    }

    pub fn log(&self) -> PathBuf {
        self.root.join("reloads")
    }

    /// What the service was told to load, in order.
    pub fn reloads(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub fn file(&self, name: &str, bytes: &[u8], role: FileRole) -> FileChange {
        change(&self.dir.join(name), bytes, role)
    }

    /// The shell program on this host.
    pub async fn sh(&self) -> Process {
        let path = format!("{}:{}", self.shell.bin.display(), std::env::var("PATH").unwrap());
        let own = self.environment.iter().find(|(name, _)| name == "PATH");
        let path = own.map_or(&path, |(_, own)| own);
        // As a login shell finds and starts it, without that process.
        let (sh, words) = remote::BOOTSTRAP.split_once(" -c '").expect("sh -c '…' certroll");
        let (text, name) = words.rsplit_once("' ").expect("sh -c '…' certroll");
        let mut places = std::env::split_paths(path).map(|dir| dir.join(sh));
        let place = places.find(|place| place.exists()).expect("a shell");
        let mut command = tokio::process::Command::new(place);
        command.arg0(sh).args(["-c", text, name]).env("PATH", path);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        local::spawn(command).unwrap()
    }

    pub async fn begin(
        &self,
        request: TransactionRequest,
    ) -> Result<(Transaction, Staged), RemoteError> {
        Transaction::begin(self.sh().await, request).await
    }

    /// Stage, commit, confirm.
    pub async fn apply(&self, request: TransactionRequest) -> Result<Committed, RemoteError> {
        let (mut transaction, _) = self.begin(request).await?;
        let committed = transaction.commit().await?;
        transaction.confirm().await?;
        Ok(committed)
    }

    /// Stage, commit, roll back.
    pub async fn there_and_back(
        &self,
        request: TransactionRequest,
    ) -> Result<RolledBack, RemoteError> {
        let (mut transaction, _) = self.begin(request).await?;
        transaction.commit().await?;
        transaction.rollback().await
    }

    pub async fn recover(&self) -> Result<Vec<certroll::testing::host::Recovered>, RemoteError> {
        static PROGRAM: LazyLock<Program> = LazyLock::new(|| Program::recovery(None));
        self.recover_with(&PROGRAM).await
    }

    pub async fn recover_with(
        &self,
        program: &Program,
    ) -> Result<Vec<certroll::testing::host::Recovered>, RemoteError> {
        let files = [self.path("cert.pem"), self.path("key.pem")];
        let dirs = self.dirs();
        let process = self.sh().await;
        let lock = Duration::from_secs(60);
        remote::transaction::recover_with(program, process, "bob", lock, &files, Some(&dirs)).await
    }

    /// Journals, locks and units that are left.
    pub fn litter(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for dir in ["state", "run", "units"] {
            let dir = self.root.join(dir);
            if dir.is_dir() {
                found.extend(tree(&dir).into_keys().filter(|path| *path != Path::new("lock")));
            }
        }
        found
    }

    /// Kills the one program that holds the lock.
    pub fn kill(&self) {
        let locks: Vec<String> = std::fs::read_dir(self.root.join("run/lock"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(locks.len(), 1);
        let pid = locks[0].split('.').nth(1).unwrap();
        assert!(Command::new("kill").args(["-9", pid]).status().unwrap().success());
    }

    /// Waits until the host has gone back by itself.
    pub async fn settled(&self, before: &Tree) {
        for _ in 0..1200 {
            if self.litter().is_empty() && tree(&self.dir) == *before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.assert_unchanged(before);
    }

    /// Nothing but the files themselves: the same names, bytes, modes, owners, times and inodes.
    #[track_caller]
    pub fn assert_unchanged(&self, before: &Tree) {
        assert_eq!(&tree(&self.dir), before, "{}", self.shell.name);
        assert_eq!(self.litter(), Vec::<PathBuf>::new(), "{}", self.shell.name);
    }

    #[track_caller]
    pub fn assert_bytes(&self, name: &str, bytes: &[u8]) {
        let found = std::fs::read(self.dir.join(name)).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&found),
            String::from_utf8_lossy(bytes),
            "{name} under {}",
            self.shell.name
        );
    }

    /// (mode, uid, gid) of a file.
    pub fn attributes(&self, name: &str) -> (u32, u32, u32) {
        let meta = std::fs::metadata(self.dir.join(name)).unwrap();
        (meta.mode() & 0o7777, meta.uid(), meta.gid())
    }
}

/// As if each were made a second after the last.
pub fn next_id() -> TransactionId {
    static SECONDS: AtomicU64 = AtomicU64::new(1_700_000_000);
    TransactionId::new(Duration::from_secs(SECONDS.fetch_add(1, Ordering::Relaxed)))
}

pub fn is_root() -> bool {
    // /proc/self belongs to the effective user.
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

pub fn remote(path: &Path) -> RemotePath {
    RemotePath::new(path.as_os_str().as_bytes()).unwrap()
}

pub fn local_path(path: &RemotePath) -> PathBuf {
    OsStr::from_bytes(path.as_bytes()).into()
}

/// A change of `path` as a plan would make it: from what is there now to `bytes`.
pub fn change(path: &Path, bytes: &[u8], role: FileRole) -> FileChange {
    FileChange {
        path: remote(path),
        real_path: remote(path),
        before: std::fs::read(path).ok().map(|bytes| Fingerprint::of(&bytes)),
        after: Some(Fingerprint::of(bytes)),
        attributes: Attributes::default(),
        defaults: Attributes { mode: Some(FileMode::new(0o600)), ..Attributes::default() },
        content: Content::Bytes(Arc::new(bytes.to_vec().into())),
        role,
        in_place: false,
    }
}

/// That a file goes.
pub fn removal(path: &Path) -> FileChange {
    let there = std::fs::read(path).unwrap();
    FileChange { after: None, content: Content::Absent, ..change(path, &there, FileRole::Config) }
}

pub fn timed(argv: &[&str], seconds: u64) -> TimedCommand {
    TimedCommand { command: command(argv), timeout: Duration::from_secs(seconds) }
}

pub fn command(argv: &[&str]) -> CommandLine {
    CommandLine::Argv(argv.iter().map(|&word| word.to_owned()).collect())
}
