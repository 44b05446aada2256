//! What a plan shows, as data: the rows of its table and the sums of its batches.
//!
//! Holds nothing secret: of a key only its kind, of a file only what changes.

use crate::model::{Endpoint, FileAction, Fingerprint, Guarantee, HostName, Timestamp, Validity};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::Deref;
use std::sync::Arc;

/// A certificate task on one host: what would be done, file by file, command by command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedTask {
    /// The task's name.
    #[serde(default)]
    pub task: String,
    /// Where it is written, as `FILE:LINE`.
    #[serde(default)]
    pub place: Option<String>,
    /// What undoes a change that is not confirmed.
    #[serde(default)]
    pub guarantee: Guarantee,
    /// File by file.
    pub rows: Vec<PlanRow>,
    /// What is run on the host and, of the operator's own checks, on the controller.
    #[serde(default)]
    pub commands: Vec<PlannedCommand>,
    /// What must be seen, and where.
    #[serde(default)]
    pub handshakes: Vec<PlannedHandshake>,
}

/// A command that a task runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedCommand {
    /// The service whose command it is; none for the operator's own checks.
    pub service: Option<String>,
    /// `validate`, `export`, `reload`, `recover`, `check`.
    pub purpose: String,
    /// In one line, for people.
    pub command: String,
    /// SHA-256 over every word and limit of it.
    pub sha256: Fingerprint,
}

/// A handshake that must show a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedHandshake {
    /// The service that answers.
    pub service: String,
    /// Where.
    pub endpoint: Endpoint,
    /// SNI sent.
    pub server_name: Option<String>,
    /// The dialogue before TLS, `none` without one.
    pub starttls: String,
    /// From where: `controller`, `host`, `bastion`.
    pub via: String,
    /// SHA-256 of the leaf that must be seen.
    pub leaf: Fingerprint,
}

/// What would be done with one file on one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRow {
    /// The host.
    pub host: HostName,
    /// The service that reads the file; several joined by `, `.
    pub service: String,
    /// Path on the host.
    pub file: String,
    /// Where that leads, where it is a link.
    #[serde(default)]
    pub real_path: Option<String>,
    /// The act, as the fields `action` and, where it is blocked, `why`.
    #[serde(flatten)]
    pub action: FileAction,
    /// The leaf that is in the file now, where there is one.
    pub now: Option<SharedBrief>,
    /// The leaf that will be in it; none for files that hold no certificate.
    pub wanted: Option<SharedBrief>,
    /// SHA-256 of the bytes that are there; none: there is no file.
    #[serde(default)]
    pub before: Option<Fingerprint>,
    /// SHA-256 of the bytes that will be there; none: the file goes.
    #[serde(default)]
    pub after: Option<Fingerprint>,
    /// Owner to set; none: it stays.
    #[serde(default)]
    pub owner: Option<String>,
    /// Group to set; none: it stays.
    #[serde(default)]
    pub group: Option<String>,
    /// Mode to set, as `0600`; none: it stays.
    #[serde(default)]
    pub mode: Option<String>,
    /// What changes besides the bytes, as `0644 → 0600`; empty: nothing.
    pub detail: String,
    /// The lines of a configuration file that change, where `--diff` asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<String>,
    /// What checks the staged files and how, as `nginx -t in a private mount namespace`.
    pub validate: String,
    /// What makes the service load them.
    pub reload: String,
    /// Which handshakes must show the new leaf, as `192.0.2.1:443 (www.example.net)`.
    pub verify: String,
    /// What the operator should know, one line each.
    pub notes: Vec<String>,
}

/// A certificate in a few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertBrief {
    /// SHA-256 of the DER.
    pub fingerprint: Fingerprint,
    /// Whole days from the run to the last second of validity; negative: expired.
    pub days_left: i64,
    /// Serial number in upper-case hex; empty: a record of an older version does not tell it.
    #[serde(default)]
    pub serial: String,
    /// Subject.
    pub subject: String,
    /// Subject alternative names, DNS names first.
    pub names: Vec<String>,
    /// Issuer.
    pub issuer: String,
    /// First and last second, as the fields `not_before` and `not_after`.
    #[serde(flatten)]
    pub validity: Validity,
    /// Kind of key, as `EC P-256`.
    pub key: String,
}

/// A certificate in a few words, once for all files and hosts that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedBrief(Arc<CertBrief>);

impl From<CertBrief> for SharedBrief {
    fn from(brief: CertBrief) -> Self {
        Self(Arc::new(brief))
    }
}

impl Deref for SharedBrief {
    type Target = CertBrief;

    fn deref(&self) -> &CertBrief {
        &self.0
    }
}

impl Serialize for SharedBrief {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedBrief {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        CertBrief::deserialize(deserializer).map(Self::from)
    }
}

/// Sums of a batch. A host counts once, by the most telling of its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanCounts {
    /// Hosts in the batch.
    pub hosts: usize,
    /// Hosts where files will be written, or their owner or mode set.
    pub change: usize,
    /// Hosts that only need a reload.
    pub reload_only: usize,
    /// Hosts where all is as wanted.
    pub unchanged: usize,
    /// Hosts where it cannot be done.
    pub blocked: usize,
    /// Hosts that could not be reached.
    pub unreachable: usize,
}

impl PlanCounts {
    /// Counts hosts by what is done with their files; `unreachable` hosts have none and are added.
    pub(crate) fn of<'a>(
        acts: impl IntoIterator<Item = (&'a HostName, &'a FileAction)>,
        unreachable: usize,
    ) -> Self {
        let mut worst: indexmap::IndexMap<&HostName, u8> = indexmap::IndexMap::new();
        for (host, action) in acts {
            let rank = match action {
                FileAction::Unchanged => 0,
                FileAction::ReloadOnly => 1,
                FileAction::Create
                | FileAction::Replace
                | FileAction::Remove
                | FileAction::RepairMode => 2,
                FileAction::Blocked(_) => 3,
            };
            let entry = worst.entry(host).or_default();
            *entry = (*entry).max(rank);
        }
        let count = |wanted: u8| worst.values().filter(|rank| **rank == wanted).count();
        Self {
            hosts: worst.len() + unreachable,
            unchanged: count(0),
            reload_only: count(1),
            change: count(2),
            blocked: count(3),
            unreachable,
        }
    }

    /// Hosts where `apply` would do something.
    pub(crate) fn pending(&self) -> usize {
        self.change + self.reload_only
    }
}

/// What one service serves after a certificate task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceEnd {
    /// Its profile's name.
    pub service: String,
    /// The leaf that was last seen there, new or old.
    pub fingerprint: Option<Fingerprint>,
    /// That leaf's last second of validity; the earliest where there are several.
    pub not_after: Option<Timestamp>,
}
