//! What one certificate task wants of one host that is known, with every path and command chosen.
//!
//! Made by [`Variants`](super::variants::Variants) of what is wanted of any host
//! ([`CertificateRequest`](super::request::CertificateRequest)).

use crate::host::{
    Attributes, Container, FileRole, KeyOrder, ProcessQuery, RunningCheck, Seed, TimedCommand,
    TransactionId, ValidateStep,
};
use crate::material::Certificate;
use crate::model::command::CommandLine;
use crate::model::{
    Backoff, Endpoint, FileMode, Fingerprint, HostName, RemotePath, Secret, Shared, StartTls, Via,
};
use crate::playbook::certificate::{SingleFiles, WhenStopped};
use crate::services::{Covers, Discover};
use crate::verify::{Roots, SignatureChoice};
use std::sync::Arc;
use std::time::Duration;

/// One destination file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileWant {
    /// Where, as the task or the profile names it.
    pub path: RemotePath,
    /// What it holds.
    pub role: FileRole,
    /// Which of the task's certificates it belongs to, from 0.
    pub pair: usize,
    /// Its bytes.
    pub content: Arc<Secret<Vec<u8>>>,
    /// Their digest; `None`: there is to be no file.
    pub digest: Option<Fingerprint>,
    /// The host takes the bytes from this kept generation instead.
    pub generation: Option<TransactionId>,
    /// Owner, group and mode as the task says.
    pub wanted: Attributes,
    /// Owner, group and mode of a file that does not exist yet.
    pub fallback: Attributes,
    /// An existing file that is wider is narrowed to this, unless the task names a mode.
    pub widest: Option<FileMode>,
    /// The leaf in it, for certificate files.
    pub leaf: Option<Arc<Certificate>>,
    /// The leaf's issuer, where it is an intermediate's that was not given.
    pub missing_issuer: Option<String>,
    /// `--diff` shows no line of it.
    pub hidden: bool,
    /// How its certificate can be read.
    pub encoding: Encoding,
    /// The key is the one that the file has: `content` is the certificates alone, and `digest` what the host says of both.
    pub own_key: Option<OwnKey>,
}

/// A key that stays in the file that holds the certificate too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnKey {
    /// Before or behind the certificates.
    pub place: KeyOrder,
    /// The host has said what the file will be.
    pub is_told: bool,
}

/// How a certificate is written into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Every host can tell it from the rest.
    Pem,
    /// The same, in a directory with hashed names.
    Hashed,
    /// The certificate alone.
    Der,
    /// In a PKCS#12 keystore with this password.
    Keystore(Secret<String>),
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
    /// Why no handshake can judge a certificate with its key; `None`: one can.
    pub beyond_judging: Option<String>,
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
    /// How long after the reload nothing connects.
    pub not_before: Duration,
    /// Which of the task's certificates it is about, from 0.
    pub pair: usize,
    /// One of a service's usual places, of which nobody said that it is used. In [`DesiredState`]: whether it
    /// counts is decided by what it served before. In a plan: one of this group must show the leaf.
    pub alternatives: Option<String>,
    /// A configuration file goes, and the place may have come with it: what is seen there afterwards fails nothing, unless
    /// it is what was seen before.
    pub may_go: bool,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceWant {
    /// Its profile's name.
    pub name: String,
    /// Which of the task's certificates it reads, from 0.
    pub pairs: Vec<usize>,
    /// The container that it runs in, or that one of its checks enters.
    pub container: Option<ServiceContainer>,
    /// Checks over the staged files, in order.
    pub validate: Vec<ValidateWant>,
    /// Checks of the untouched configuration, made at inspect: why fails before is not this change's fault.
    pub prechecks: Vec<PrecheckWant>,
    /// The same checks with garbage in place of the new files, for `plan` alone: one that passes proves nothing.
    pub counter_checks: Vec<CounterCheck>,
    /// Makes it load the files; `None`: it watches them itself, or the task says so.
    pub reload: Option<TimedCommand>,
    /// Starts it when it was up before and is down after a rollback.
    pub recover: Option<TimedCommand>,
    /// How to see that it runs.
    pub running: Option<RunningCheck>,
    /// How its main process is found, where that matters.
    pub process: Option<ProcessQuery>,
    /// How the workers are found whose age proves that the files were read, where the service has such.
    pub workers: Option<ProcessQuery>,
    /// Prints what the running service has loaded.
    pub loaded: Option<TimedCommand>,
    /// Who opens the key when it is reloaded, where that is not surely root.
    pub reload_reader: Option<ReloadReader>,
    /// How the files that its configuration names are found out.
    pub discover: Option<DiscoverWant>,
    /// It watches its files' directory for renames.
    pub watches_renames: bool,
    /// The program without which the service is not installed.
    pub program: Option<String>,
    /// Takes the pair up into a store of its own; [`reload`](Self::reload) begins with it.
    pub import: Option<ImportWant>,
    /// That it replaces files itself that it dislikes, in its profile's words.
    pub overwrites: Option<String>,
    /// What a reload costs those who are connected.
    pub reload_costs: Option<String>,
    /// What an operator should know before the first rollout.
    pub caveats: Vec<String>,
}

/// How a service imports the pair that lies in a spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportWant {
    /// Takes it up.
    pub command: TimedCommand,
    /// Where the pair lies then, for people.
    pub store: String,
    /// Which of the task's certificates it is, from 0.
    pub pair: usize,
    /// Writes what the store has into the spool; `None`: it gives nothing away.
    pub seed: Option<Seed>,
}

/// A service's container, and how it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceContainer {
    /// Which.
    pub container: Container,
    /// How the service loads the files.
    pub told: Told,
    /// What is done about files that are mounted by themselves.
    pub single_files: SingleFiles,
    /// The task names it in its `validate` alone (`podman exec NAME …`): nothing else is about it.
    pub in_check_only: bool,
}

/// How a service in a container is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is not; or a command of the host does it, which the task gave.
    Otherwise,
    /// By a program in there.
    Program(CommandLine),
    /// By a signal to its first process.
    Signal(String),
}

impl ServiceContainer {
    /// `container web`.
    pub fn describe(&self) -> String {
        format!("container {}", self.container.name)
    }
}

/// Who opens the key at a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadReader {
    /// This user.
    User(String),
    /// Whoever its process belongs to then.
    Process,
}

/// Reading the files in use out of a service's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoverWant {
    /// Prints the configuration, never a key.
    pub command: TimedCommand,
    /// How paths are found in it.
    pub how: Discover,
    /// The handshake after the reload shows whether the service reads the files: it is not asked, unless this is a plan.
    pub handshake_tells: bool,
}

/// A check of the untouched configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrecheckWant {
    /// What to run.
    pub command: TimedCommand,
    /// The same as the profile or the task spells it, for people.
    pub label: String,
    /// It enters the service's container.
    pub in_container: bool,
    /// The same check over the staged files tells as much, on hosts where those can lie over the live ones: there it is
    /// not run on the untouched configuration, unless this is a plan.
    pub staged_tells: bool,
}

/// A check that is run once with garbage where the new files will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterCheck {
    /// What to run. It ends with 127 where the garbage cannot be put there, and then runs nothing.
    pub command: TimedCommand,
    /// The check as the profile or the task spells it.
    pub label: String,
    /// Output that means refused, whatever the exit code.
    pub refuse_output: Vec<String>,
    /// It enters the service's container.
    pub in_container: bool,
}

/// A check over the staged files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidateWant {
    /// As the profile or the task spells it, for people.
    pub label: String,
    /// What it was measured to check; empty where nobody knows.
    pub covers: Vec<Covers>,
    /// The user of the service's process runs it, whom the inspection tells; `step` has the usual one.
    pub as_process_user: bool,
    /// What the host runs, and how.
    pub step: ValidateStep,
}

/// A key that stays on the host and must belong to the new leaf.
#[derive(Clone, Debug)]
pub struct KeptKey {
    /// Path of the key on the host.
    pub path: RemotePath,
    /// Which of the task's certificates it belongs to, from 0.
    pub pair: usize,
    /// The new leaf.
    pub leaf: Arc<Certificate>,
}

/// Everything that one task wants of one host.
#[derive(Clone, Debug)]
pub struct DesiredState {
    /// The host.
    pub host: HostName,
    /// The task's title.
    pub task: String,
    /// Destination files in commit order.
    pub files: Vec<Arc<FileWant>>,
    /// What is renamed first, and what last.
    pub order: Vec<FileRole>,
    /// Owner, group and mode of directories that must be created.
    pub directory: Attributes,
    /// Keys that the host keeps.
    pub kept_keys: Vec<KeptKey>,
    /// The services.
    pub services: Shared<Vec<ServiceWant>>,
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
    /// A key may be sent although sudo records what it is given.
    pub allow_input_log: bool,
    /// A store may take a pair up although what it has before cannot come back.
    pub allow_no_way_back: bool,
    /// Profiles that were never run on the real thing may be used.
    pub allow_experimental: bool,
    /// The profiles of it that were never run on the real thing: name, and what each was written from.
    pub experimental: Vec<(String, String)>,
    /// What to do where a service does not run.
    pub when_stopped: WhenStopped,
    /// Good to know, from the material checks and the profiles.
    pub notes: Vec<String>,
}

impl DesiredState {
    /// The files and the places alone: nothing is checked, run or asked of services.
    #[must_use]
    pub(crate) fn for_status(&self) -> Self {
        let quiet = |service: &ServiceWant| ServiceWant {
            validate: Vec::new(),
            prechecks: Vec::new(),
            counter_checks: Vec::new(),
            running: None,
            process: None,
            loaded: None,
            discover: None,
            program: None,
            ..service.clone()
        };
        let services: Vec<ServiceWant> = self.services.iter().map(quiet).collect();
        Self { services: services.into(), reader: None, boot_guard: false, ..self.clone() }
    }
}
