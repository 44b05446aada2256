//! The types of a profile. Every value is checked when it is read; see `format`.

use super::family::ByFamily;
use super::pattern::Pattern;
use crate::host::FileRole;
use crate::model::{CommandLine, FileMode, RemotePath, StartTls};
use crate::source::SourceFile;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Everything known about one kind of service.
#[derive(Clone, Debug)]
pub struct Profile {
    /// What playbooks write after `service:`.
    pub name: String,
    /// One line for `certroll services`.
    pub description: String,
    /// The text it was read from.
    pub source: Arc<SourceFile>,
    /// Part of the program rather than the operator's.
    pub built_in: bool,
    /// The profile it extends.
    pub extends: Option<String>,
    /// What further placeholders stand for; the commands below have them filled in already.
    pub settings: Vec<(String, String)>,
    /// Which file holds what.
    pub layout: Layout,
    /// Default destinations; none where every site has its own.
    pub dest: ByFamily<Paths>,
    /// Who opens the key.
    pub reads: Reads,
    /// Who opens it at a reload, where that may be another.
    pub reload_reads_as: Option<Reads>,
    /// Modes of new files, unless the task or an existing file says otherwise.
    pub modes: Modes,
    /// Owners of new files, likewise.
    pub owners: ByFamily<Owners>,
    /// In which order the files are renamed into place; all three, each once.
    pub order: Vec<FileRole>,
    /// The files are a spool, from which the service imports the pair into a store of its own.
    pub import: Option<Import>,
    /// What it was written from, where it was never run on the real thing.
    pub experimental: Option<String>,
    /// The versions of the service for which all this was found to be so.
    pub measured: Option<String>,
    /// The service's checks over the staged files, all of which must pass.
    pub validate: Vec<ValidateStep>,
    /// The recipe for starting the service in namespaces of its own (`validate: boot`).
    pub seal: Option<SealedBoot>,
    /// How the service is made to load the files.
    pub reload: Reload,
    /// How it is told in a container, where that is not by the `plain` reload.
    pub in_container: Option<InContainer>,
    /// Run instead of another reload when the service was up before and is down now.
    pub recover: Option<CommandSpec>,
    /// The program without which the service is not installed.
    pub program: ByFamily<String>,
    /// What a reload costs those who are connected; `plan` says it.
    pub reload_costs: Option<String>,
    /// That the service itself replaces files that it dislikes.
    pub overwrites: Option<String>,
    /// How a running service is recognised.
    pub running: Running,
    /// Where its certificate can be seen; the first is the default endpoint.
    pub verify: Vec<VerifyDefault>,
    /// How the paths in use are read out of the service's own configuration.
    pub discover: Option<Discover>,
    /// Prints what the running service has loaded: a proof where no handshake is one.
    pub loaded: Option<CommandSpec>,
    /// Whether the service picks files up without being told.
    pub self_reload: SelfReload,
    /// What the operator should know before the first rollout; `plan` prints them.
    pub caveats: Vec<String>,
}

impl Profile {
    /// What all validation steps together cover, each kind once, in order.
    pub fn covers(&self) -> Vec<Covers> {
        let mut all: Vec<Covers> =
            self.validate.iter().flat_map(|step| step.covers.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The covers as one line: `checked on the host: PEM syntax, pair`, or that there is no check.
    pub fn coverage(&self) -> String {
        let names: Vec<&str> = self.covers().into_iter().map(Covers::describe).collect();
        if names.is_empty() {
            "nothing on the host; pair, dates, chain and names on the controller".into()
        } else {
            format!(
                "{} on the host; pair, dates, chain and names on the controller",
                names.join(", ")
            )
        }
    }
}

/// Which file holds what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// What the certificate file begins with.
    pub cert: CertFile,
    /// Where the intermediates go.
    pub chain: ChainPlace,
    /// Where the key goes.
    pub key: KeyPlace,
}

/// Content of the certificate file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertFile {
    /// Leaf, then intermediates.
    Fullchain,
    /// The leaf alone.
    Leaf,
}

/// Place of the intermediates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainPlace {
    /// After the leaf.
    InCert,
    /// In a file of their own.
    Separate,
    /// Nowhere.
    None,
}

/// Place of the private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In a file of its own.
    Separate,
    /// In the certificate file, before the leaf.
    First,
    /// In the certificate file, at the end.
    Last,
    /// The certificate file is a PKCS#12 keystore.
    Pkcs12,
}

/// Absolute paths on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The certificate file.
    pub cert: RemotePath,
    /// `None` when the key is in the certificate file.
    pub key: Option<RemotePath>,
    /// Only with [`ChainPlace::Separate`].
    pub chain: Option<RemotePath>,
}

/// Who opens the key file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// A process of root's, before it drops its rights.
    Root,
    /// That user.
    User(String),
    /// Whoever runs the process, which the profile cannot know.
    ProcessUser,
}

impl Reads {
    /// For people.
    pub fn describe(&self) -> &str {
        match self {
            Self::Root => "root",
            Self::ProcessUser => "the user of the process",
            Self::User(user) => user,
        }
    }
}

/// Modes of new files and of a directory that has to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// Certificate and chain files; of the one file when the key is inside.
    pub cert: FileMode,
    /// The key file.
    pub key: FileMode,
    /// A directory made for them.
    pub dir: FileMode,
}

/// `user:group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Name or number.
    pub user: String,
    /// Name or number.
    pub group: String,
}

impl Owner {
    /// `root:root`.
    pub fn root() -> Self {
        Self { user: "root".into(), group: "root".into() }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.user, self.group)
    }
}

/// Owners of new files and directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    /// Certificate and chain files; of the one file when the key is inside.
    pub cert: Owner,
    /// The key file.
    pub key: Owner,
    /// A directory made for them.
    pub dir: Owner,
}

impl Default for Owners {
    fn default() -> Self {
        Self { cert: Owner::root(), key: Owner::root(), dir: Owner::root() }
    }
}

/// A command that may depend on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandSpec {
    /// The same everywhere.
    Always(CommandLine),
    /// With and without systemd. A host without a matching variant has no such command; a host
    /// with systemd falls back to `plain`.
    Init {
        /// systemd runs the host.
        systemd: Option<Box<CommandSpec>>,
        /// It does not.
        plain: Option<Box<CommandSpec>>,
    },
    /// By distribution.
    Family(ByFamily<Box<CommandSpec>>),
}

/// One check over the staged files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidateStep {
    /// What is run; 0 is accepted, all else refused.
    pub command: CommandSpec,
    /// How the command comes to see the staged files.
    pub via: Via,
    /// Run as that user instead of root.
    pub as_user: Option<AsUser>,
    /// `HOME` is an empty directory that is removed afterwards.
    pub scratch_home: bool,
    /// In a network namespace of its own, so that it cannot take a port.
    pub net_private: bool,
    /// Output that means refused, whatever the exit code was.
    pub refuse_output: Vec<String>,
    /// Output is never shown (it may hold confidential configuration).
    pub discard_output: bool,
    /// A host without the program skips the step, and says so.
    pub optional: bool,
    /// What it was measured to check.
    pub covers: Vec<Covers>,
}

/// Who runs a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsUser {
    /// That user.
    Named(String),
    /// Whoever runs the service's process; where none runs, the user of `reads`.
    OfProcess,
}

impl AsUser {
    /// What profiles write for [`Self::OfProcess`].
    pub const OF_PROCESS: &'static str = "process_user";
}

/// How a check comes to see the staged files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// Staged files are bind-mounted over the live paths in a private mount namespace;
    /// `{cert}` and the others are the live paths.
    MountNamespace,
    /// `{cert}` and the others are the staged paths.
    Staged,
    /// Neither: the live files are looked at, so that it checks the configuration alone.
    Live,
    /// `{template}` is a file with this text, in which `{cert}` and the others became quoted
    /// staged paths.
    Template(String),
}

/// What a check was measured to find (not what its name promises).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Covers {
    /// The service's configuration as a whole.
    Config,
    /// The files exist and are not empty.
    FilesExist,
    /// Leaf and key parse.
    LeafPem,
    /// All of certificate, chain and key parse.
    Pem,
    /// Key and leaf fit, but only within one key type.
    PairSameType,
    /// Key and leaf fit.
    Pair,
    /// The service's user can read the files.
    Readable,
}

impl Covers {
    /// Every value with its name in profiles.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("config", Self::Config),
        ("files_exist", Self::FilesExist),
        ("leaf_pem", Self::LeafPem),
        ("pem", Self::Pem),
        ("pair_same_type", Self::PairSameType),
        ("pair", Self::Pair),
        ("readable", Self::Readable),
    ];

    /// For people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Config => "configuration",
            Self::FilesExist => "files exist",
            Self::LeafPem => "syntax of certificate and key",
            Self::Pem => "syntax of certificate, chain and key",
            Self::PairSameType => "pair (of one key type)",
            Self::Pair => "pair",
            Self::Readable => "readable by the service's user",
        }
    }
}

/// Starting the service itself, unseen by the live one, for a handshake inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedBoot {
    /// Directories hidden under an empty tmpfs.
    pub tmpfs: Vec<RemotePath>,
    /// Directories made in them.
    pub mkdir: Vec<MakeDir>,
    /// Starts the service in the background (or stays in the foreground: it is ended anyway).
    pub start: CommandSpec,
    /// Where it listens.
    pub port: u16,
    /// What precedes the handshake.
    pub starttls: StartTls,
}

/// A directory that the service needs to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakeDir {
    /// Where.
    pub path: RemotePath,
    /// Its owner; root's without.
    pub owner: Option<Owner>,
    /// Its mode; 0755 without.
    pub mode: Option<FileMode>,
}

/// How the service is made to load the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Nothing to run: it notices by itself.
    None,
    /// The task has to say (`reload:` or `reload: none`).
    Required,
    /// A command.
    Command {
        /// What is run.
        command: CommandSpec,
        /// What exit code 0 proves.
        exit_code: ExitCode,
        /// A bad certificate can end the service (Apache).
        can_stop_service: bool,
        /// New workers of the main process read the files, and the old ones end.
        replaces_workers: bool,
    },
}

/// How a store of the service's own takes up the pair that lies in the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Takes it up. Run again where it was killed, and with the old pair on the way back.
    pub command: CommandSpec,
    /// Where the pair lies then, for people.
    pub store: String,
    /// Writes the pair that the store has; `None`: it gives no key away.
    pub export: Option<CommandSpec>,
}

/// How a service in a container is told to load the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InContainer {
    /// A program in there.
    Reload(CommandLine),
    /// A signal to its first process: its name, without `SIG`.
    Signal(String),
}

/// What a reload's exit code 0 proves. Failure always means failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// The new configuration was loaded.
    ConfigLoaded,
    /// Likewise, but only where systemd checks first.
    ConfigLoadedIfSystemd,
    /// Nothing: only a handshake tells.
    Meaningless,
}

/// How a running service is recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Its pid file.
    pub pidfile: ByFamily<RemotePath>,
    /// Name of the process (`comm`).
    pub process: ByFamily<String>,
    /// systemd unit.
    pub unit: ByFamily<String>,
}

/// One place where the certificate can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyDefault {
    /// TCP port.
    pub port: u16,
    /// What precedes the handshake.
    pub starttls: StartTls,
    /// How long after the reload the new certificate is usually served.
    pub settle: Duration,
    /// How long after the reload nothing connects: the service is still taking it in.
    pub not_before: Duration,
}

/// Reading the paths in use out of the service's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discover {
    /// Prints the configuration; never one that prints keys.
    pub command: CommandSpec,
    /// Tried on every line, each match counts; the named groups `cert`, `key`, `chain` and `pem`
    /// (all in one file or directory) hold paths.
    pub patterns: Vec<Pattern>,
    /// What relative paths start from.
    pub relative_to: Option<String>,
}

/// A path that the service's configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// What it is. [`FileRole::Combined`] may be a directory of such files.
    pub role: FileRole,
    /// The path, absolute unless the profile does not know what it is relative to.
    pub path: String,
}

/// Whether the service picks up files without being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfReload {
    /// It does not.
    Never,
    /// Each new process of it reads them (Postfix).
    PerNewProcess,
    /// When a file is renamed into place (Envoy).
    OnRename,
    /// When its dynamic configuration changes (Traefik).
    OnConfigChange,
}
