//! What will be done on one host for one task.

use super::desired::{FileWant, ProbeWant};
use super::evidence::Evidence;
use crate::host::FileRole;
use crate::material::Certificate;
use crate::model::{Backoff, FileAction, FileMode, Fingerprint, RemotePath, Step};
use crate::verify::SignatureChoice;
use std::sync::Arc;

/// What will be done on one host for one task. Nothing is chosen after this.
#[derive(Clone, Debug)]
pub struct HostPlan {
    /// File by file, in commit order.
    pub files: Vec<FilePlan>,
    /// What it comes to.
    pub decision: Decision,
    /// The handshakes that must show the new leaf. Those that name the same group of alternatives are
    /// satisfied by one of them.
    pub places: Vec<PlannedPlace>,
    /// What the operator should know; stops nothing.
    pub notes: Vec<String>,
    /// Why the change is not proven even when all `places` show the new leaf; empty when it is.
    pub unproven: Vec<String>,
    /// What services have to prove because no handshake can.
    pub by_service: Vec<ServiceProof>,
}

/// A service that must show on the host that it has loaded the files, since the handshakes showed the new leaf before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceProof {
    /// The service.
    pub service: String,
    /// How.
    pub by: Evidence,
    /// What the handshakes showed, one line.
    pub why: String,
    /// How often to look.
    pub backoff: Backoff,
    /// Without the proof the host is rolled back.
    pub required: bool,
}

impl HostPlan {
    /// The likeliest cause when a new certificate is not seen although the files are right: containers that go on
    /// seeing the old ones.
    pub fn mounted_alone(&self) -> impl Iterator<Item = &str> {
        let notes = self.notes.iter().map(String::as_str);
        notes.filter(|note| {
            note.contains(" is mounted into ") && note.contains(" as a single file, ")
        })
    }

    /// The kind of key of the certificate that a place showed before, where the change replaces it by one with a key of
    /// another kind: a server that keeps both in memory would go on serving the old one to whoever asks for that kind.
    pub fn replaced_kind(&self, place: &PlannedPlace) -> Option<SignatureChoice> {
        let old = place.before.leaf()?;
        let of_pair = self.files.iter().filter(|file| file.want.pair == place.probe.pair);
        let replaced = of_pair.filter_map(|file| file.present.as_ref());
        let kinds = replaced
            .filter(|present| present.fingerprint == old)
            .map(|present| SignatureChoice::of(&present.public_key));
        kinds.into_iter().find(|kind| {
            *kind != place.probe.signature
                && ![*kind, place.probe.signature].contains(&SignatureChoice::Any)
        })
    }
}

/// A handshake that must show the new leaf.
#[derive(Clone, Debug)]
pub struct PlannedPlace {
    /// The handshake.
    pub probe: ProbeWant,
    /// What it showed before the change.
    pub before: SeenBefore,
}

/// What a handshake before the change showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenBefore {
    /// This leaf was served.
    Leaf(Fingerprint),
    /// No certificate was served, and why.
    Nothing(String),
}

impl SeenBefore {
    /// The leaf that was served.
    pub fn leaf(&self) -> Option<Fingerprint> {
        match self {
            Self::Leaf(leaf) => Some(*leaf),
            Self::Nothing(_) => None,
        }
    }
}

/// What it comes to on a host: the [`FileAction`]s of its files in one, with what stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Files as wanted, and served.
    Unchanged,
    /// Files as wanted, but something else is served: reload and verify.
    ReloadOnly,
    /// Files will be written.
    Change,
    /// It cannot be done; nothing will be tried.
    Blocked {
        /// The step at which `apply` would fail.
        step: Step,
        /// Why, one line.
        why: String,
        /// The check that says so, where one does.
        check: Option<FailedCheck>,
    },
}

impl Decision {
    pub(super) fn blocked(step: Step, why: impl Into<String>) -> Self {
        Self::Blocked { step, why: why.into(), check: None }
    }
}

/// A check that fails on a host before anything was changed there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCheck {
    /// As its profile or the task spells it.
    pub command: String,
    /// `None`: it timed out and was ended.
    pub exit_code: Option<i32>,
    /// What it printed; printable.
    pub output: String,
}

/// What will be done with one file.
#[derive(Clone, Debug)]
pub struct FilePlan {
    /// What is wanted.
    pub want: Arc<FileWant>,
    /// The leaf in the file that is there now.
    pub present: Option<Arc<Certificate>>,
    /// The act.
    pub action: FileAction,
    /// Digest that the file must still have when it is replaced; `None`: absent.
    pub before: Option<Fingerprint>,
    /// Where the path leads now, links resolved.
    pub real_path: Option<RemotePath>,
    /// Directories on the way that will be created, topmost first.
    pub missing_directories: Vec<RemotePath>,
    /// Owner to set; `None` keeps the existing file's.
    pub owner: Option<String>,
    /// Group to set.
    pub group: Option<String>,
    /// Mode to set.
    pub mode: Option<FileMode>,
    /// What changes besides the bytes, as `0644 → 0600`.
    pub detail: String,
    /// The lines that change, where they were asked for.
    pub difference: Option<String>,
}

impl FilePlan {
    /// Whether the service's configuration changes here.
    pub(super) fn writes_configuration(&self) -> bool {
        self.want.role == FileRole::Config && !self.action.keeps_file()
    }
}

impl FilePlan {
    /// Whether its owner, group or mode changes.
    pub fn changes_attributes(&self) -> bool {
        self.owner.is_some() || self.group.is_some() || self.mode.is_some()
    }
}
