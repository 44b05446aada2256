//! What to read on a host before anything is decided. Nothing of it changes the host.

use super::command::{RunningCheck, TimedCommand};
use super::container::Container;
use super::kind::HostKind;
use crate::model::{RemotePath, Secret};

/// Where the host keeps journals and locks. Chosen by the host (`/var/lib/certroll` and
/// `/run/certroll` for root, below `~/.local/state/certroll` for others) unless given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDirs {
    /// Journals; must survive a reboot.
    pub state: RemotePath,
    /// Locks and scratch.
    pub run: RemotePath,
}

/// What to read. Changes nothing on the host.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// What to read on which kinds of host; the host picks the first that fits it, so that facts
    /// come back for that one alone.
    pub variants: Vec<InspectionVariant>,
    /// Whether the host could settle a transaction at boot.
    pub boot_guard: bool,
    /// Where journals are, if not at the usual place.
    pub dirs: Option<StateDirs>,
}

/// What to read on some kinds of host. Facts come back in the order of these lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InspectionVariant {
    /// For these kinds; empty: for any.
    pub kinds: Vec<HostKind>,
    /// Destinations.
    pub files: Vec<RemotePath>,
    /// Of these (indices into `files`) the public half of the key in them is wanted.
    pub public_keys: Vec<usize>,
    /// Of these the certificate is wanted although they are no PEM, and that of their earlier generations.
    pub enclosed: Vec<Enclosed>,
    /// Whether this user could read each file.
    pub reader: Option<String>,
    /// Programs to look for.
    pub programs: Vec<String>,
    /// Services to look for.
    pub running: Vec<RunningCheck>,
    /// Services whose main process is wanted.
    pub processes: Vec<ProcessQuery>,
    /// Services of which the main process and those that it started are wanted, with their start times.
    pub workers: Vec<ProcessQuery>,
    /// Containers to look for.
    pub containers: Vec<Container>,
    /// Commands to run (checks of the untouched configuration, discovery).
    pub commands: Vec<InspectCommand>,
}

/// A file whose certificate is not to be read as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enclosed {
    /// An index into `files`.
    pub file: usize,
    /// What opens it, a PKCS#12 keystore; none: it is a certificate as DER.
    pub password: Option<Secret<String>>,
}

/// How the main process of a service is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessQuery {
    /// Its id is in this file.
    PidFile(RemotePath),
    /// It has this name (`comm`).
    Process(String),
    /// It listens on one of these TCP ports.
    Listening(Vec<u16>),
}

/// A command of an inspection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectCommand {
    /// What to run.
    pub command: TimedCommand,
    /// Skipped when this service (an index into `running`) is known not to run: the checks of some
    /// (`nginx -t`) leave files behind then.
    pub only_if_running: Option<usize>,
    /// It enters this container (an index into `containers`): it finds its first process and that one's start in
    /// `certroll_pid` and `certroll_started`, `USER:GROUP` or `-` in `certroll_as`, and the path in there of file N, where
    /// it has one, in `certroll_at_N`. Skipped when it does not run or cannot be entered.
    pub in_container: Option<usize>,
    /// It finds the user of this process (an index into `processes`) in `certroll_user`; nothing there where nobody knows.
    pub for_user_of: Option<usize>,
    /// Skipped on hosts whose transactions can give commands mounts of their own
    /// ([`Tools::mount_namespace`](super::Tools::mount_namespace)).
    pub unless_mounts: bool,
}
