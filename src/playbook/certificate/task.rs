//! What a certificate task says for one host: plain types, everything rendered.

use super::store::Store;
use crate::host::Container;
use crate::model::{Backoff, CommandLine, Endpoint, FileMode, HostName, RemotePath, StartTls, Via};
use crate::source::Span;
use std::path::PathBuf;
use std::time::Duration;

/// The task for one host, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateTask {
    /// The services, in order.
    pub services: Vec<ServiceUse>,
    /// What takes the pair in place of files on the host.
    pub store: Option<Store>,
    /// One per certificate.
    pub pairs: Vec<Pair>,
    /// Configuration files that are changed with the certificates.
    pub with: Vec<ConfigFile>,
    /// Owners and modes as the task says.
    pub ownership: Ownership,
    /// `None`: as the profile says.
    pub validate: Option<Validation>,
    /// `None`: as the profile says.
    pub reload: Option<ReloadChoice>,
    /// Where to look.
    pub verify: VerifyChoice,
    /// The operator's own checks.
    pub checks: Vec<Check>,
    /// Who confirms.
    pub confirm: Confirm,
    /// Generations to keep.
    pub backups: u32,
    /// The host settles an interrupted transaction at its next boot as well.
    pub boot_guard: bool,
    /// A key may be sent although sudo records what it is given.
    pub allow_input_log: bool,
    /// A store may take a pair up although what it has before cannot come back.
    pub allow_no_way_back: bool,
    /// What to do where a service does not run.
    pub when_stopped: WhenStopped,
    /// `chain: required`: a certificate of a CA's without its intermediates is an error.
    pub chain_required: bool,
    /// For how long another run's lock is waited for; `None`: as the command line says.
    pub lock_timeout: Option<Duration>,
    /// Limit of each validation.
    pub validate_timeout: Duration,
    /// Limit of each reload.
    pub reload_timeout: Duration,
    /// How long the host waits for the confirmation.
    pub confirm_timeout: Option<Duration>,
    /// Certificates that end within this time are worth a warning.
    pub expiry_warning: Duration,
    /// Where the task is.
    pub span: Option<Span>,
}

impl CertificateTask {
    /// `postfix, dovecot`.
    pub fn service_names(&self) -> String {
        let names: Vec<&str> = self.services.iter().map(|service| service.name.as_str()).collect();
        names.join(", ")
    }
}

/// One service of the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceUse {
    /// Its profile's name.
    pub name: String,
    /// The container that it runs in.
    pub container: Option<InContainer>,
}

/// A service in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InContainer {
    /// Which.
    pub container: Container,
    /// What is done about files that are mounted there by themselves.
    pub single_files: SingleFiles,
}

/// A file that a container has mounted by itself goes on being the old one there after a rename.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SingleFiles {
    /// Nothing is done to the host.
    #[default]
    Block,
    /// `restart: true`: the container is restarted in place of a reload.
    Restart,
    /// `in_place: true`: such a file is overwritten where it is, in its inode.
    InPlace,
}

/// One certificate: files here, and there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub cert: SourceText,
    /// Intermediates in a file of their own.
    pub chain: Option<SourceText>,
    /// Key; `None`: the host keeps its own.
    pub key: Option<SourceText>,
    /// Opens an encrypted key.
    pub passphrase: Option<Passphrase>,
    /// Certificate and key come out of one PKCS#12 keystore, which `cert` and `key` both name.
    pub from_keystore: bool,
    /// Destinations; the profile fills in what is missing.
    pub dest: Dest,
    /// How a keystore is sealed that is written on the host.
    pub keystore: Option<Keystore>,
    /// Which of the task's services read it, from 0; empty: all.
    pub services: Vec<usize>,
    /// Where it is written.
    pub span: Option<Span>,
    /// Where its files are named.
    pub places: PairPlaces,
}

/// Where the files of a pair are named; none: where the pair is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairPlaces {
    /// `cert`.
    pub cert: Option<Span>,
    /// `chain`.
    pub chain: Option<Span>,
    /// `key`.
    pub key: Option<Span>,
}

impl Pair {
    /// Whether that service of the task reads it.
    pub(crate) fn is_for(&self, service: usize) -> bool {
        self.services.is_empty() || self.services.contains(&service)
    }
}

/// A PKCS#12 keystore on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keystore {
    /// Opens it, and its key.
    pub password: Passphrase,
    /// The name of its one entry.
    pub alias: String,
}

/// `with`: a configuration file that joins the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its destination.
    pub path: RemotePath,
    /// What it holds.
    pub source: ConfigSource,
    /// `None`: that of the file that is there, else root.
    pub owner: Option<String>,
    /// Likewise.
    pub group: Option<String>,
    /// `None`: that of the file that is there, else 0644.
    pub mode: Option<FileMode>,
    /// Where it is written.
    pub span: Option<Span>,
}

/// Where the bytes of a configuration file come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// A template of the controller, looked for in `templates/`.
    Template(String),
    /// A file of the controller, looked for in `files/`; it may be a vault.
    Copy(String),
    /// This text. Never shown: it may come from a vault.
    Content(crate::model::Secret<String>),
}

/// Where a certificate, a chain or a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceText {
    /// A file on the controller.
    File(PathBuf),
    /// A variable's content, as a rule out of a vault. Never shown, a certificate's neither: nobody can tell here which
    /// variable holds the key.
    Content(crate::model::Secret<String>),
    /// What a command of the controller prints: its arguments, and the directory that it runs in.
    Command(Vec<String>, PathBuf),
    /// A file of a directory that an ACME client keeps, of its newest complete pair.
    Acme(PathBuf, AcmePart),
    /// A file of another host.
    OnHost(HostName, RemotePath),
}

/// Which file of an ACME client's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcmePart {
    /// The certificate with its chain.
    FullChain,
    /// The private key.
    Key,
}

impl SourceText {
    /// What messages call it.
    pub fn label(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Content(_) => "the content given in the playbook".to_owned(),
            // Arguments may hold a secret.
            Self::Command(argv, _) => {
                format!("what `{}` prints", argv.first().map_or("", String::as_str))
            }
            Self::Acme(directory, _) => directory.display().to_string(),
            Self::OnHost(host, path) => format!("{path} of {host}"),
        }
    }
}

/// Where the passphrase of a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passphrase {
    /// A variable, which belongs in a vault.
    Given(crate::model::Secret<String>),
    /// A file on the controller.
    File(PathBuf),
}

/// Paths on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dest {
    /// Certificate file.
    pub cert: Option<RemotePath>,
    /// Intermediates in a file of their own.
    pub chain: Option<RemotePath>,
    /// Key file.
    pub key: Option<RemotePath>,
    /// Everything in one file.
    pub combined: Option<RemotePath>,
    /// Everything in a PKCS#12 keystore.
    pub pkcs12: Option<RemotePath>,
    /// The leaf as DER.
    pub cert_der: Option<RemotePath>,
    /// The key as DER of PKCS#8.
    pub key_der: Option<RemotePath>,
    /// A directory with hashed names, as `c_rehash` makes it: the certificate and its chain there, each in a file of its own.
    pub hashed: Option<RemotePath>,
}

/// Owners and modes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Of certificate files, and of keys without `key_owner`.
    pub owner: Option<String>,
    /// Likewise.
    pub group: Option<String>,
    /// Of certificate files only.
    pub mode: Option<FileMode>,
    /// Of files that hold a key.
    pub key_owner: Option<String>,
    /// Of files that hold a key.
    pub key_group: Option<String>,
    /// Of files that hold a key.
    pub key_mode: Option<FileMode>,
}

/// `when_stopped`: what to do on a host where a service of the task does not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenStopped {
    /// The files are written; the service is neither told nor looked at.
    Deploy,
    /// The host is left alone.
    Skip,
    /// The host fails before anything is staged.
    #[default]
    Fail,
}

/// `validate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validation {
    /// `false`.
    Off,
    /// `boot`: the service itself, started in private namespaces.
    Boot,
    /// A command.
    Command(CommandLine),
}

/// `reload`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadChoice {
    /// `none` or `false`: the service picks up new files by itself.
    None,
    /// A command.
    Command(CommandLine),
}

/// `verify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyChoice {
    /// The profile's usual places.
    Profile,
    /// `false`.
    Off,
    /// These.
    Endpoints(Vec<VerifySpec>),
}

/// One endpoint to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifySpec {
    /// `None`: the profile's ports on the host's address.
    pub endpoint: Option<Endpoint>,
    /// SNI.
    pub server_name: Option<String>,
    /// `None`: as the profile says for that port, else none.
    pub starttls: Option<StartTls>,
    /// From where.
    pub via: Via,
    /// Per attempt.
    pub timeout: Duration,
    /// Attempts and waits.
    pub backoff: Backoff,
    /// Roots to which the chain must lead.
    pub trust: Option<Trust>,
    /// Every address of the name.
    pub all_addresses: bool,
    /// Equal answers in a row.
    pub consecutive: u32,
    /// `proof: required`: a change that no handshake can prove is not made.
    pub proof_required: bool,
}

impl Default for VerifySpec {
    fn default() -> Self {
        Self {
            endpoint: None,
            server_name: None,
            starttls: None,
            via: Via::Controller,
            timeout: Duration::from_secs(10),
            backoff: Backoff::default(),
            trust: None,
            all_addresses: false,
            consecutive: 1,
            proof_required: false,
        }
    }
}

/// `trust`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The controller's own roots.
    System,
    /// Roots in this file.
    File(PathBuf),
}

/// One check of the operator's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What to run.
    pub command: CommandLine,
    /// Where.
    pub on: CheckOn,
    /// Limit.
    pub timeout: Duration,
}

/// Where a check runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOn {
    /// Here.
    Controller,
    /// There.
    Host,
}

/// Who confirms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirm {
    /// certroll, after the checks.
    Auto,
    /// A person, batch by batch.
    Prompt,
}
