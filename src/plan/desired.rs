//! What one certificate task wants of one host that is known, with every path and command chosen.
//!
//! Made by [`resolve`](super::resolve::resolve) of what is wanted of any host
//! ([`Wanted`](super::wanted::Wanted)).

use crate::material::Certificate;
use crate::model::command::CommandLine;
use crate::model::{Backoff, Endpoint, FileMode, Fingerprint, HostName, Secret, StartTls, Via};
use crate::services::{Covers, Discover};
use crate::verify::{Roots, SignatureChoice};
use std::sync::Arc;
use std::time::Duration;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The private key alone.
    Key,
    /// Intermediates alone.
    Chain,
    /// Leaf, and intermediates where the layout says so.
    Cert,
    /// Certificates and key in one file.
    Combined,
}

impl Role {
    /// Whether key-file ownership and modes apply.
    pub fn holds_key(self) -> bool {
        matches!(self, Self::Key | Self::Combined)
    }
}

/// One destination file.
#[derive(Clone, Debug)]
pub struct FileWant {
    /// Absolute path on the host, as the task or the profile names it.
    pub path: String,
    /// What it holds.
    pub role: Role,
    /// Which of the task's certificates it belongs to, from 0.
    pub pair: usize,
    /// Its bytes.
    pub content: Arc<Secret<Vec<u8>>>,
    /// Their digest.
    pub digest: Fingerprint,
    /// The host takes the bytes from this kept generation instead.
    pub generation: Option<String>,
    /// Owner, group and mode as the task says.
    pub wanted: Ownership,
    /// Owner, group and mode of a file that does not exist yet.
    pub fallback: Ownership,
    /// An existing file that is wider is narrowed to this, unless the task names a mode.
    pub widest: Option<FileMode>,
    /// The leaf in it, for certificate files.
    pub leaf: Option<Arc<Certificate>>,
}

/// Owner, group and permission bits; `None` leaves what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// User name or number.
    pub owner: Option<String>,
    /// Group name or number.
    pub group: Option<String>,
    /// Permission bits.
    pub mode: Option<FileMode>,
}

/// One handshake that must show the new leaf.
#[derive(Clone, Debug)]
pub struct ProbeWant {
    /// Service it belongs to.
    pub service: String,
    /// Where.
    pub endpoint: Endpoint,
    /// SNI; none for bare addresses.
    pub server_name: Option<String>,
    /// Dialogue before TLS.
    pub starttls: StartTls,
    /// From where.
    pub via: Via,
    /// Per attempt.
    pub timeout: Duration,
    /// How often, and how long to wait in between.
    pub backoff: Backoff,
    /// Every address of the name must answer so.
    pub all_addresses: bool,
    /// Equal answers in a row that count as one.
    pub consecutive: u32,
    /// A change that no handshake can prove is not made.
    pub proof_required: bool,
    /// The leaf that must be served.
    pub leaf: Fingerprint,
    /// Its kind of key: a server with one certificate per kind is asked for this one.
    pub signature: SignatureChoice,
    /// What should be served behind the leaf, in order. `None`: not looked at.
    pub chain: Option<Vec<Fingerprint>>,
    /// Roots to which the chain must lead.
    pub trust: Option<Roots>,
    /// Names that the leaf must cover.
    pub names: Vec<String>,
    /// How long after the reload the new leaf is usually served.
    pub settle: Duration,
    /// Which of the task's certificates it is about, from 0.
    pub pair: usize,
    /// One of a service's usual places, of which nobody said that it is used. In [`Desired`]: whether it
    /// counts is decided by what it served before. In a plan: one of this group must show the leaf.
    pub alternatives: Option<String>,
}

/// One command of the operator's own.
#[derive(Clone, Debug)]
pub struct CheckWant {
    /// What to run.
    pub command: CommandLine,
    /// On the controller, or on the host.
    pub on_host: bool,
    /// Its limit.
    pub timeout: Duration,
}

/// One service that reads the files.
#[derive(Clone, Debug)]
pub struct ServiceWant {
    /// Its profile's name.
    pub name: String,
    /// Checks over the staged files, in order.
    pub validate: Vec<ValidateWant>,
    /// Checks of the untouched configuration, made at inspect: why fails before is not this change's fault.
    pub prechecks: Vec<PrecheckWant>,
    /// Makes it load the files; `None`: it watches them itself, or the task says so.
    pub reload: Option<CommandWant>,
    /// Starts it when it was up before and is down after a rollback.
    pub recover: Option<CommandWant>,
    /// How to see that it runs.
    pub running: Option<RunningWant>,
    /// How the files that its configuration names are found out.
    pub discover: Option<DiscoverWant>,
    /// It watches its files' directory for renames.
    pub watches_renames: bool,
    /// What an operator should know before the first rollout.
    pub caveats: Vec<String>,
}

/// Reading the files in use out of a service's configuration.
#[derive(Clone, Debug)]
pub struct DiscoverWant {
    /// Prints the configuration, never a key.
    pub command: CommandWant,
    /// How paths are found in it.
    pub how: Discover,
}

/// A command and its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandWant {
    /// What to run.
    pub command: CommandLine,
    /// Its whole process group is ended after this.
    pub timeout: Duration,
}

/// A check of the untouched configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrecheckWant {
    /// What to run.
    pub command: CommandWant,
    /// The same as the profile or the task spells it, for people.
    pub label: String,
}

/// How to tell that a service runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunningWant {
    /// The process whose id is in this file is alive.
    PidFile(String),
    /// A process of this name exists.
    Process(String),
    /// This command ends with 0.
    Command(CommandWant),
}

/// A check over the staged files.
#[derive(Clone, Debug)]
pub struct ValidateWant {
    /// Which of the task's certificates its placeholders mean, from 0.
    pub pair: usize,
    /// What to run; `{cert}`, `{key}` and `{chain}` are paths.
    pub command: CommandLine,
    /// The same as the profile or the task spells it, for people.
    pub label: String,
    /// What it was measured to check; empty where nobody knows.
    pub covers: Vec<Covers>,
    /// How it sees the new files.
    pub via: ViaWant,
    /// A private network too.
    pub private_net: bool,
    /// As this user.
    pub user: Option<String>,
    /// Its limit.
    pub timeout: Duration,
    /// Output that is a refusal whatever the exit code.
    pub refuse_output: Vec<String>,
    /// The program without which it is left out, and said; `None`: it must be there.
    pub optional: Option<String>,
}

/// How a check sees the new files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ViaWant {
    /// Mounted over the live paths, for the check alone.
    MountNamespace,
    /// As arguments.
    Staged,
    /// After the renames, before the reload.
    Live,
    /// The service itself, started in private namespaces.
    Boot(BootWant),
}

/// How to start a service in private namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootWant {
    /// Directories hidden behind empty ones.
    pub tmpfs: Vec<String>,
    /// Directories to create after that.
    pub mkdir: Vec<String>,
    /// Starts the service.
    pub start: CommandLine,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// Dialogue before TLS.
    pub starttls: StartTls,
    /// SNI.
    pub server_name: Option<String>,
    /// Which of the service's certificates is asked for, where the task has several kinds.
    pub signature: SignatureChoice,
    /// The leaf that must be served.
    pub leaf: Fingerprint,
}

/// A key that stays on the host and must belong to the new leaf.
#[derive(Clone, Debug)]
pub struct KeptKey {
    /// Path of the key on the host.
    pub path: String,
    /// Which of the task's certificates it belongs to, from 0.
    pub pair: usize,
    /// The new leaf.
    pub leaf: Arc<Certificate>,
}

/// Everything that one task wants of one host.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The host.
    pub host: HostName,
    /// The task's title.
    pub task: String,
    /// Destination files in commit order: keys, then chains, then certificates.
    pub files: Vec<FileWant>,
    /// Owner, group and mode of directories that must be created.
    pub directory: Ownership,
    /// Keys that the host keeps.
    pub kept_keys: Vec<KeptKey>,
    /// The services.
    pub services: Vec<ServiceWant>,
    /// The user that must be able to read the keys, where it is not root.
    pub reader: Option<String>,
    /// Handshakes to make before the change; the plan keeps those that must show the new leaf after it.
    pub probes: Vec<ProbeWant>,
    /// The operator's own checks.
    pub checks: Vec<CheckWant>,
    /// A person looks before the batch is confirmed.
    pub confirm_by_person: bool,
    /// How long the host waits for the confirmation before it goes back.
    pub confirm_timeout: Duration,
    /// Earlier generations to keep.
    pub backups: u32,
    /// The host settles an interrupted transaction at its next boot as well.
    pub boot_guard: bool,
    /// Good to know, from the material checks and the profiles.
    pub notes: Vec<String>,
}
