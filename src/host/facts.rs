//! What a host said about itself: observed state, untrusted in content, bounded in size.
//!
//! `remote::inspect` fills these in; `plan` only reads them. Nothing here is secret: of a file
//! that holds a key only digest, owner, mode and its CERTIFICATE blocks ever leave the host.

use super::command::CommandResult;
use super::container::ContainerFacts;
use super::kind::HostKind;
use super::transaction::TransactionId;
use crate::material::Certificate;
use crate::model::{FileMode, Fingerprint, RemotePath};
use std::sync::Arc;

/// The state of one host, read in one go without changing it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// The user id that everything runs as (after become).
    pub uid: u32,
    /// The user's name.
    pub user: String,
    /// What decides between the variants of a profile.
    pub kind: HostKind,
    /// `ID` of `/etc/os-release`, as `debian` or `rocky`; empty when there is none.
    pub os_id: String,
    /// `/etc/machine-id`, if there is one, and the boot: the same under each of the machine's names.
    pub machine: Option<String>,
    /// What the transaction can work with.
    pub tools: Tools,
    /// The requested files, in the order of the request.
    pub files: Vec<FileFacts>,
    /// Results of the requested commands, in the order of the request.
    pub commands: Vec<CommandResult>,
    /// Whether each requested service runs, in the order of the request; `None`: cannot tell.
    pub running: Vec<Option<bool>>,
    /// The main process of each requested service, in the order of the request; `None`: not found.
    pub processes: Vec<Option<ProcessFacts>>,
    /// The processes of each service whose workers were asked for, in the order of the request; `None`: not found.
    pub workers: Vec<Option<Workers>>,
    /// The requested containers, in the order of the request.
    pub containers: Vec<ContainerFacts>,
    /// Of the programs asked for, those that the host does not have.
    pub absent: Vec<String>,
    /// Transactions that have not ended, oldest first.
    pub journals: Vec<JournalFacts>,
    /// Who works on the host right now.
    pub lock: Option<LockHolder>,
    /// Whether the host could settle a transaction at boot. Only told when asked for.
    pub boot_guard: BootGuard,
    /// sudo records the input of what it runs (`log_input`, `log_stdin`): a key that is sent would be in its log.
    pub input_log: bool,
    /// It has what opens [sealed](super::TransactionRequest::sealed) bodies. Only told where sudo records its input.
    pub unseals: bool,
}

impl HostFacts {
    /// The tools without which no transaction can be made. Empty: all there.
    pub fn missing_tools(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if self.tools.sha256.is_none() {
            missing.push("sha256sum (or sha256, shasum, openssl)");
        }
        if self.tools.stat.is_none() {
            missing.push("stat");
        }
        if self.tools.sync.is_none() {
            missing.push("sync (or fsync)");
        }
        missing.extend(self.tools.missing.iter().filter_map(|name| {
            [
                "od", "tr", "head", "tail", "cat", "awk", "readlink", "mkdir", "mv", "ln", "cp",
                "rm", "rmdir", "chmod", "chown", "touch", "sleep", "ls",
            ]
            .into_iter()
            .find(|known| known == name)
        }));
        missing
    }
}

/// A service's main process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Its id on the host.
    pub pid: u32,
    /// Whose it is now, as a number.
    pub uid: u32,
    /// The same as a name; the number where the host's own files know none. Printable.
    pub user: String,
    /// Its group and its further groups.
    pub groups: Vec<u32>,
    /// Root, or with the capability to read any file.
    pub reads_any: bool,
    /// The systemd unit whose main process it is.
    pub unit: Option<String>,
    /// Whether it can read each of the requested files as they are, in their order; `None`: not asked.
    pub reads: Vec<Option<bool>>,
}

impl ProcessFacts {
    /// The user's name; nothing where only the number is known.
    pub fn user_name(&self) -> Option<&str> {
        Some(self.user.as_str()).filter(|user| !user.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

/// A service's processes at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Its main process.
    pub main: ProcessName,
    /// Those that the main process started.
    pub started: Vec<ProcessName>,
}

/// A process, and not another that gets its number later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProcessName {
    /// Its id on the host.
    pub pid: u32,
    /// When it began, in the host's own words: on Linux in ticks since the boot. Printable.
    pub began: String,
}

/// Whether a systemd unit can settle an interrupted transaction when the host boots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BootGuard {
    /// Nobody asked.
    #[default]
    Unknown,
    /// It can.
    Possible,
    /// The host does not run systemd.
    NoSystemd,
    /// Only root can write units.
    NotRoot,
    /// `/etc/systemd/system` cannot be written.
    ReadOnly,
    /// Journals or units are in memory and gone when power is.
    Volatile,
}

impl BootGuard {
    /// Why it cannot be, in an operator's words.
    pub fn obstacle(self) -> Option<&'static str> {
        match self {
            Self::Possible => None,
            Self::Unknown => Some("the host did not say whether it can have one"),
            Self::NoSystemd => Some("no systemd here"),
            Self::NotRoot => Some("only root can write units, and there is no `become`"),
            Self::ReadOnly => Some("/etc/systemd/system cannot be written"),
            Self::Volatile => Some("the host keeps journals or units in memory only"),
        }
    }
}

/// Which of several known tools the host has. `None` or `false`: none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// `sha256sum`, `sha256`, `shasum` or `openssl`.
    pub sha256: Option<String>,
    /// `sync` or `fsync`, for single files.
    pub sync: Option<String>,
    /// `gnu` (`stat -c`, also busybox) or `bsd` (`stat -f`).
    pub stat: Option<String>,
    /// `unshare` may make a mount namespace, so staged files can be checked over the live paths.
    pub mount_namespace: bool,
    /// Required or useful tools that are not there.
    pub missing: Vec<String>,
}

/// One file as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// As asked for.
    pub path: RemotePath,
    /// Where writing to `path` would really write: links resolved, also in the directories.
    /// Missing directories are kept as they were spelled. `None` when it cannot be told
    /// (a loop of links).
    pub real_path: Option<RemotePath>,
    /// The links between `path` and `real_path` at the last component, in order.
    pub via_links: Vec<RemotePath>,
    /// Directories of `real_path` that do not exist, topmost first.
    pub missing_directories: Vec<RemotePath>,
    /// The directory cannot be written because its file system is mounted read-only.
    pub read_only: bool,
    /// Whether this user may create files beside it. False for others' directories, and for those with
    /// `chattr +i`.
    pub writable: bool,
    /// Free bytes on its file system for this user.
    pub free_bytes: Option<u64>,
    /// Free inodes on its file system; `None` where unknown or unlimited.
    pub free_inodes: Option<u64>,
    /// What is there.
    pub state: FileState,
    /// Earlier generations kept beside the file, oldest first.
    pub generations: Vec<Generation>,
    /// What else has it mounted: other mount namespaces, as of containers. Empty where only root could tell. Of what
    /// is not there yet, only where a requested container would see it.
    pub held: Vec<Held>,
    /// Directories of interrupted stagings that no journal knows; `certroll recover` removes them.
    pub orphans: Vec<Vec<u8>>,
}

impl FileFacts {
    /// Digest of the present bytes; `None` when no regular file is there.
    pub fn sha256(&self) -> Option<Fingerprint> {
        match &self.state {
            FileState::File(file) => Some(file.sha256),
            _ => None,
        }
    }

    /// The first certificate in the file that is there.
    pub fn leaf(&self) -> Option<&Arc<Certificate>> {
        self.file()?.certificates.first()
    }

    /// The regular file's facts.
    pub fn file(&self) -> Option<&RegularFile> {
        match &self.state {
            FileState::File(file) => Some(file),
            _ => None,
        }
    }
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Nothing.
    Absent,
    /// A link whose target does not exist: the target would be created.
    DanglingLink,
    /// A directory is in the way.
    Directory,
    /// A device, socket or fifo is in the way.
    Special,
    /// Links that lead in a circle, or too many.
    LinkLoop,
    /// It is there and cannot be read.
    Unreadable,
    /// A regular file.
    File(Box<RegularFile>),
}

/// A regular file's digest and attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegularFile {
    /// Digest of its bytes.
    pub sha256: Fingerprint,
    /// Bytes.
    pub size: u64,
    /// Owner's id.
    pub uid: u32,
    /// Group's id.
    pub gid: u32,
    /// Owner's name, or the id where the host knows no name.
    pub owner: String,
    /// Group's name, or the id.
    pub group: String,
    /// Permission bits.
    pub mode: FileMode,
    /// Names of the same inode; more than one: the other names keep the old bytes.
    pub hard_links: u32,
    /// `chattr +i`; `None`: cannot tell.
    pub immutable: Option<bool>,
    /// It carries an access control list beyond the mode bits.
    pub acl: bool,
    /// Of a file that holds a key: who else can read it through its group or its access list, as far as the host's own
    /// files tell, as `www-data` or `group adm`. Printable.
    pub readers: Vec<String>,
    /// Something is mounted on this very path (a container's bind): it cannot be replaced.
    pub mount_point: bool,
    /// The certificates in it, in file order; at most 64 KiB of them are told.
    pub certificates: Vec<Arc<Certificate>>,
    /// Whether the file holds a private key block.
    pub holds_key: bool,
    /// The public key of the private key in it (PEM), told by `openssl pkey -pubout` when asked for.
    pub public_key_pem: Option<Vec<u8>>,
    /// Whether the asked user can read it; `None`: not asked or cannot tell.
    pub readable_by_user: Option<bool>,
}

/// A file that another mount namespace has mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// How.
    pub kind: HeldAs,
    /// A process in there.
    pub pid: u32,
    /// That process's name. Printable.
    pub process: String,
    /// The first characters of the container's id, where podman or docker runs it.
    pub container: Option<String>,
    /// Where it is in there. Printable.
    pub path: String,
    /// Which of the requested containers it is.
    pub asked: Option<usize>,
}

impl Held {
    /// `container 0123456789ab (nginx, process 812)`.
    pub fn by(&self) -> String {
        let who = format!("{}, process {}", self.process, self.pid);
        match &self.container {
            Some(id) => format!("container {id} ({who})"),
            None => format!("a container ({who})"),
        }
    }
}

/// How a file is mounted elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldAs {
    /// By itself: a rename over it is not seen there.
    File,
    /// By itself, and it was replaced here since: an older file is there.
    Older,
    /// In a mounted directory: a rename is seen there.
    Directory,
}

impl HeldAs {
    /// By itself: what is renamed over it is another file than the one that is seen there.
    pub fn is_single(self) -> bool {
        matches!(self, Self::File | Self::Older)
    }
}

/// A kept earlier state of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The transaction that replaced it; sorts by time.
    pub id: TransactionId,
    /// Digest of the kept bytes; `None`: there was no file, and the transaction made it.
    pub sha256: Option<Fingerprint>,
    /// The certificates in it, in file order; at most 64 KiB of them are told.
    pub certificates: Vec<Arc<Certificate>>,
}

impl Generation {
    /// The first certificate in it.
    pub fn leaf(&self) -> Option<&Arc<Certificate>> {
        self.certificates.first()
    }
}

/// A transaction that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalFacts {
    /// The transaction's id.
    pub id: String,
    /// What the next contact will do with it.
    pub state: JournalState,
    /// Who began it, as [`LockHolder::note`]; empty where that cannot be read.
    pub by: String,
}

/// What a journal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalState {
    /// To be undone (or in progress while its lock is held).
    Undo,
    /// Confirmed: only the clearing up is left.
    Done,
    /// Undone, except for files that somebody else had changed meanwhile.
    Conflict,
}

/// Who holds the host's lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockHolder {
    /// Process id on the host.
    pub pid: u32,
    /// What the holder wrote about itself: which verb and run, who, since when. Printable.
    pub note: String,
}
