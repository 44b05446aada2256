//! How a target that is not a host describes itself to the plan, which knows hosts only: each of its values is a file.

use crate::host::{FileFacts, FileState, HostFacts, RegularFile, Tools};
use crate::model::{FileMode, Fingerprint, RemotePath};

/// What a store says of itself: everything is possible there.
pub(super) fn a_store() -> HostFacts {
    let tools = Tools {
        sha256: Some("sha256sum".to_owned()),
        stat: Some("gnu".to_owned()),
        sync: Some("sync".to_owned()),
        ..Tools::default()
    };
    HostFacts { user: "root".to_owned(), tools, ..HostFacts::default() }
}

/// A place with nothing in it.
pub(super) fn an_absent_file(path: &RemotePath) -> FileFacts {
    FileFacts {
        path: path.clone(),
        real_path: Some(path.clone()),
        via_links: Vec::new(),
        missing_directories: Vec::new(),
        read_only: false,
        writable: true,
        free_bytes: None,
        free_inodes: None,
        state: FileState::Absent,
        generations: Vec::new(),
        held: Vec::new(),
        orphans: Vec::new(),
    }
}

/// A value, with what the plan compares.
pub(super) fn a_file(sha256: Fingerprint, mode: Option<FileMode>) -> RegularFile {
    RegularFile {
        sha256,
        size: 1,
        uid: 0,
        gid: 0,
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: mode.unwrap_or(FileMode::new(0o644)),
        hard_links: 1,
        immutable: None,
        acl: false,
        readers: Vec::new(),
        mount_point: false,
        certificates: Vec::new(),
        holds_key: false,
        public_key_pem: None,
        readable_by_user: None,
    }
}
