//! What `certroll status` found on a host, as data.
//!
//! Holds nothing secret: of a key only that it is there.

use super::planned::CertBrief;
use crate::model::{Endpoint, Fingerprint};
use serde::{Deserialize, Serialize};

/// Everything that one host holds of one certificate task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostStatus {
    /// Its files, in the order of the task.
    pub files: Vec<FileStatus>,
    /// What each endpoint serves now.
    pub served: Vec<ServedStatus>,
    /// Who works on the host right now: since when, who, from where.
    pub lock: Option<String>,
    /// Transactions that have not ended, oldest first.
    pub journals: Vec<JournalStatus>,
}

impl HostStatus {
    /// Whether an interrupted transaction waits to be settled.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.journals.iter().any(|journal| !self.is_under_way(journal))
    }

    /// Whether the host is not as it should be: its files, what it serves, or work that was not ended.
    pub(crate) fn deviates(&self) -> bool {
        let file = |file: &FileStatus| file.problem.is_some() || file.as_wanted == Some(false);
        let served = |one: &ServedStatus| one.problem.is_some() || one.as_in_file == Some(false);
        self.is_unfinished() || self.files.iter().any(file) || self.served.iter().any(served)
    }

    /// Whether the run that began this transaction is still at work on the host.
    pub(crate) fn is_under_way(&self, journal: &JournalStatus) -> bool {
        let (Some(lock), Some(by)) = (&self.lock, &journal.by) else { return false };
        journal.state == UnfinishedState::Undo && lock.contains(by.as_str())
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileStatus {
    /// The service that reads it; several joined by `, `.
    pub service: String,
    /// Path on the host.
    pub file: String,
    /// SHA-256 of its bytes; none: there is no regular file.
    pub digest: Option<Fingerprint>,
    /// Owner, group and mode, as `root:root 0600`.
    pub access: Option<String>,
    /// Whether a private key is in it.
    pub holds_key: bool,
    /// Its first certificate.
    pub certificate: Option<CertBrief>,
    /// That certificate's serial number in hex.
    pub serial: Option<String>,
    /// Whether it has the bytes that the playbook wants; none: not compared.
    pub as_wanted: Option<bool>,
    /// What is wrong with it, one line: it is not there, cannot be read, its key is another's.
    pub problem: Option<String>,
    /// Earlier generations kept beside it, oldest first.
    pub backups: Vec<BackupStatus>,
}

/// A kept earlier state of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupStatus {
    /// What `certroll rollback --to` takes.
    pub generation: String,
    /// SHA-256 of its bytes; none: there was no file.
    pub digest: Option<Fingerprint>,
    /// Its first certificate.
    pub certificate: Option<CertBrief>,
}

/// What one endpoint serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServedStatus {
    /// The service.
    pub service: String,
    /// Where it was asked.
    pub endpoint: Endpoint,
    /// SNI sent.
    pub server_name: Option<String>,
    /// The leaf that was served.
    pub certificate: Option<CertBrief>,
    /// Whether it is the leaf in the file on the host; none: nothing to compare.
    pub as_in_file: Option<bool>,
    /// Why nothing was served, one line.
    pub problem: Option<String>,
}

/// A transaction that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalStatus {
    /// Its id.
    pub id: String,
    /// What the next contact will do with it.
    pub state: UnfinishedState,
    /// Who began it: the verb, the person, since when, and the run.
    pub by: Option<String>,
}

/// What the next contact does with an interrupted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnfinishedState {
    /// Undo it; while the lock is held it is simply under way.
    Undo,
    /// Clear up after it: it had been confirmed.
    ClearUp,
    /// Tell that it was undone except for files that somebody else had changed.
    Conflict,
}
