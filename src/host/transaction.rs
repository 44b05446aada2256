//! One transaction on one host: which files change, and what its services are told.

use super::command::{RunningCheck, TimedCommand};
use super::inspection::StateDirs;
use crate::model::command::CommandLine;
use crate::model::{FileMode, Fingerprint, RemotePath, Secret, StartTls, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Names one transaction. Sorts by time; also the name of the backup generation that it leaves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(String);

impl TransactionId {
    /// A fresh id: the moment (since 1970-01-01T00:00:00Z) with its nanoseconds, then 64 random bits, as
    /// `20260730T120000Z-012345678-0123456789abcdef`. Ids of one process sort in the order in which they
    /// were made, even if its clock is set back meanwhile.
    pub fn new(moment: Duration) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let nanos = u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX);
        let later = |last: u64| nanos.max(last.saturating_add(1));
        // The closure always gives a value.
        let last =
            LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(later(last)));
        let moment = Duration::from_nanos(later(last.unwrap_or_default()));
        let seconds = Timestamp::from_unix(i64::try_from(moment.as_secs()).unwrap_or(i64::MAX));
        let seconds: String =
            seconds.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
        let (nanos, random) = (moment.subsec_nanos(), rand::random::<u64>());
        Self(format!("{seconds}-{nanos:09}-{random:016x}"))
    }

    /// An id that a host named. `None` unless it has the safe characters and length of one.
    pub fn parse(text: &str) -> Option<Self> {
        let safe = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (!text.is_empty() && text.len() <= 64 && text.bytes().all(safe) && !text.starts_with('-'))
            .then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for TransactionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// One transaction on one host: any number of files and services, all or nothing.
///
/// Without files it is a reload: services are checked, reloaded, and reloaded
/// again on rollback.
#[derive(Clone, Debug)]
pub struct TransactionRequest {
    /// Its name.
    pub id: TransactionId,
    /// For whoever finds the host locked: since when, who, from where. One line.
    pub holder: String,
    /// Directories to create, parents first. They are removed again on rollback.
    pub directories: Vec<NewDirectory>,
    /// The files. Within one directory they are renamed by one process, in the order that
    /// [`order`](Self::order) says, whatever their order here.
    pub files: Vec<FileChange>,
    /// In which order they are renamed within a directory, by what they hold: [`FileRole::Certificate`] counts for
    /// [`FileRole::Combined`] too. Roles that are not named follow, keys first and certificates last.
    pub order: Vec<FileRole>,
    /// A service watches for renames: none is seen but the last of each pair, so that it never looks
    /// at half of one.
    pub watched: bool,
    /// The services that read them.
    pub services: Vec<ServiceCommands>,
    /// Deadlines.
    pub limits: Limits,
    /// How many earlier generations to keep beside each file; 0: none.
    pub backups: u32,
    /// Where to put a systemd unit with which the next boot settles it too, if power is lost.
    pub boot_guard: Option<RemotePath>,
    /// The new bytes travel so that only this very program on the host can read them: for a sudo that records
    /// what it is given. The host needs openssl.
    pub sealed: bool,
    /// Where to keep journal and lock, if not at the usual place.
    pub dirs: Option<StateDirs>,
}

/// A directory that does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDirectory {
    /// Its absolute path, without a slash at the end.
    pub path: RemotePath,
    /// Owner and mode.
    pub attributes: Attributes,
}

/// Owner, group and mode; `None`: as the host's defaults for the logged-in user give it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Name or id.
    pub owner: Option<String>,
    /// Name or id.
    pub group: Option<String>,
    /// Permission bits.
    pub mode: Option<FileMode>,
}

/// One file of a transaction.
#[derive(Clone, Debug)]
pub struct FileChange {
    /// The destination as the task names it.
    pub path: RemotePath,
    /// Where that led when the plan was made ([`FileFacts::real_path`](super::FileFacts)).
    /// If it leads elsewhere now the host answers `stale`.
    pub real_path: RemotePath,
    /// Digest that the plan saw; `None`: no file.
    pub before: Option<Fingerprint>,
    /// Digest of the new bytes; `None`: the file is to go, and its content is [`Content::Absent`].
    pub after: Option<Fingerprint>,
    /// The wanted attributes; each `None` keeps what the existing file has.
    pub attributes: Attributes,
    /// For a file that did not exist, where `attributes` says nothing.
    pub defaults: Attributes,
    /// The new bytes.
    pub content: Content,
    /// What it is, for the order of the renames.
    pub role: FileRole,
    /// It is overwritten where it is, in its inode, and keeps its attributes: for whoever has mounted it by itself. Not
    /// atomic. Only for a file that is there.
    pub in_place: bool,
}

/// Where the new bytes come from.
#[derive(Clone, Debug)]
pub enum Content {
    /// From the controller; shared by all hosts that get these bytes.
    Bytes(Arc<Secret<Vec<u8>>>),
    /// The bytes stay; only owner, group or mode change.
    Keep,
    /// From a generation kept beside the file. The host copies; the bytes never travel.
    Generation(TransactionId),
    /// Certificates from the controller, with the key that is in the file. The host joins them; the key never travels.
    WithOwnKey(Arc<Secret<Vec<u8>>>, KeyOrder),
    /// There are none: the file is to go.
    Absent,
}

impl Content {
    /// The bytes that the controller sends.
    pub(crate) fn sent(&self) -> Option<&Secret<Vec<u8>>> {
        match self {
            Self::Bytes(bytes) | Self::WithOwnKey(bytes, _) => Some(bytes),
            Self::Keep | Self::Generation(_) | Self::Absent => None,
        }
    }
}

/// Where the key is in a file with the certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrder {
    /// Before them.
    First,
    /// Behind them.
    Last,
}

impl KeyOrder {
    /// As the host is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
        }
    }
}

/// What a file holds. Ordered as the renames are where nobody says otherwise: a watcher usually triggers on the
/// certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileRole {
    /// A private key alone.
    Key,
    /// A chain alone.
    Chain,
    /// A certificate, with or without its chain.
    Certificate,
    /// Certificate and key in one.
    Combined,
    /// A configuration file that names them: renamed after all of them, wherever it is in its directory.
    Config,
}

impl FileRole {
    /// Whether owners and modes for keys apply.
    pub fn holds_key(self) -> bool {
        matches!(self, Self::Key | Self::Combined)
    }

    /// Its place in an order of renames, in which the certificate's counts for a file with everything in it. What an
    /// order does not name comes just before its last.
    pub fn rank(self, order: &[Self]) -> usize {
        let usual = [Self::Key, Self::Chain, Self::Certificate];
        let order = if order.is_empty() { &usual } else { order };
        if self == Self::Config {
            return 2 * order.len() + 2;
        }
        let role = if self == Self::Combined { Self::Certificate } else { self };
        match order.iter().position(|known| *known == role) {
            Some(place) => 2 * place + 1,
            None => 2 * (order.len() - 1),
        }
    }

    /// Whether a leaf is in it.
    pub fn holds_leaf(self) -> bool {
        matches!(self, Self::Certificate | Self::Combined)
    }
}

/// How one service checks, loads and shows signs of life.
#[derive(Clone, Debug, Default)]
pub struct ServiceCommands {
    /// Name for messages.
    pub name: String,
    /// Checks, in order; the first refusal ends the transaction.
    pub validate: Vec<ValidateStep>,
    /// Makes it load the files; `None`: it watches them itself.
    pub reload: Option<TimedCommand>,
    /// Starts it again when it was up before and is down after a rollback.
    pub recover: Option<TimedCommand>,
    /// How to see that it runs.
    pub running: Option<RunningCheck>,
    /// The files are a spool, and what its store has now is written there first.
    pub seed: Option<Seed>,
}

/// Writes the pair that a service's own store has to where the old files are kept: it becomes what was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The command. `{name}` of [`names`](Self::names) is where it writes.
    pub command: CommandLine,
    /// Placeholders, and the live path of the file that each stands for: all are files of the request.
    pub names: Vec<(String, RemotePath)>,
    /// Its whole process group is ended after this.
    pub timeout: Duration,
    /// Without it nothing is changed; `false`: the operator goes on without a way back.
    pub needed: bool,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidateStep {
    /// The command. `{name}` of [`names`](Self::names) is replaced by the file's path: the staged one with
    /// [`ValidateVia::Staged`], the live one otherwise. Ignored by [`ValidateVia::Boot`].
    pub command: CommandLine,
    /// Placeholders: `cert`, `key`, `chain` and the live path that each stands for.
    pub names: Vec<(String, RemotePath)>,
    /// How it gets to see the new files.
    pub via: ValidateVia,
    /// A private network as well, so that it can take no port. Falls back to none if
    /// the host cannot make one.
    pub private_net: bool,
    /// Runs as this user instead of the logged-in one.
    pub user: Option<String>,
    /// Its whole process group is ended after this.
    pub timeout: Duration,
    /// Output that holds one of these is a refusal, whatever the exit code.
    pub refuse_output: Vec<String>,
    /// The program without which it is left out, and said; `None`: it must be there.
    pub optional: Option<String>,
}

/// How a check gets to see the new files before they are live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValidateVia {
    /// The staged files are mounted over the live paths, seen by the check alone. Where the host cannot,
    /// the check runs after the renames and before the reload.
    MountNamespace,
    /// The command takes the staged paths as arguments.
    Staged,
    /// The same, and it shows them to the service's program in a private copy of a container's mounts.
    Container,
    /// The same in another container of the image, where no such copy can be made.
    Throwaway,
    /// Only after the renames and before the reload.
    Live,
    /// The service itself is started in private namespaces and must serve the new certificate there. If it
    /// does not even serve the old files there, the check is inconclusive and not a refusal.
    Boot(BootRecipe),
}

/// How to start a service in private mount, net and pid namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootRecipe {
    /// Directories hidden behind empty ones.
    pub tmpfs: Vec<RemotePath>,
    /// Directories to create after that.
    pub mkdir: Vec<RemotePath>,
    /// Starts the service; may or may not return.
    pub start: CommandLine,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// Dialogue before TLS.
    pub starttls: StartTls,
    /// The signature algorithms to offer, as `openssl s_client -sigalgs` takes them: for a service with
    /// certificates of several kinds.
    pub signatures: Option<String>,
    /// For SNI.
    pub server_name: Option<String>,
    /// SHA-256 of the leaf (DER) that must be served.
    pub leaf: Fingerprint,
}

/// Deadlines of a transaction; rounded up to whole seconds on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long to wait for somebody else's lock.
    pub lock: Duration,
    /// How long the host waits for `commit` after `staged` (the barrier) before it discards.
    pub stage: Duration,
    /// How long it waits for `confirm` after `committed` before it goes back.
    pub confirm: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lock: Duration::from_secs(10),
            stage: Duration::from_secs(300),
            confirm: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_in_the_order_in_which_they_were_made() {
        let moment = Duration::new(1_785_412_800, 7);
        let ids: Vec<TransactionId> = (0..1000).map(|_| TransactionId::new(moment)).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids[0].as_str().starts_with("20260730T"), "{}", ids[0]);
        let set_back = TransactionId::new(Duration::from_secs(1));
        assert!(set_back > ids[999], "{set_back}");
        assert_eq!(TransactionId::parse(ids[0].as_str()).as_ref(), ids.first());
        let of_one_second =
            [Duration::new(1_985_412_800, 999_999_999), Duration::new(1_985_412_801, 1)];
        assert!(of_one_second.map(TransactionId::new).is_sorted());
    }
}
