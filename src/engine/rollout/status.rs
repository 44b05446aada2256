//! What a host holds of a certificate task, as `certroll status` tells it.

use super::target::Observed;
use crate::engine::verification::LookFailure;
use crate::event::planned::CertBrief;
use crate::event::status::{
    BackupStatus, FileStatus, HostStatus, JournalStatus, ServedStatus, UnfinishedState,
};
use crate::host::{FileFacts, FileState, JournalState};
use crate::material::{Certificate, certificates_in};
use crate::model::Timestamp;
use crate::plan::desired::{Desired, FileWant, ProbeWant};
use crate::plan::row::brief;
use crate::verify::Served;

/// From what was observed and what each place serves now.
pub fn host_status(
    observed: &Observed,
    places: &[ProbeWant],
    looks: &[Result<Served, LookFailure>],
    now: Timestamp,
) -> HostStatus {
    let Observed { desired, facts, .. } = observed;
    let files = desired.files.iter().zip(&facts.files);
    HostStatus {
        files: files.clone().map(|(want, there)| file_status(desired, want, there, now)).collect(),
        served: places
            .iter()
            .zip(looks)
            // Of the usual places those where nothing listens say nothing.
            .filter(|(place, look)| place.alternatives.is_none() || look.is_ok())
            .map(|(place, look)| {
                // A server may have several certificates: the one that was asked for counts.
                let own = files.clone().filter(|(want, _)| want.pair == place.pair);
                let leaves: Vec<Certificate> =
                    own.filter_map(|(_, there)| leaf_in(there)).collect();
                served_status(place, look, &leaves, now)
            })
            .collect(),
        lock: facts.lock.as_ref().map(|lock| format!("process {}: {}", lock.pid, lock.note)),
        journals: facts
            .journals
            .iter()
            .map(|journal| JournalStatus {
                id: journal.id.clone(),
                state: match journal.state {
                    JournalState::Undo => UnfinishedState::Undo,
                    JournalState::Done => UnfinishedState::ClearUp,
                    JournalState::Conflict => UnfinishedState::Conflict,
                },
            })
            .collect(),
    }
}

fn leaf_in(there: &FileFacts) -> Option<Certificate> {
    certificates_in(&there.file()?.certificates_pem).into_iter().next()
}

fn file_status(
    desired: &Desired,
    want: &FileWant,
    there: &FileFacts,
    now: Timestamp,
) -> FileStatus {
    let services: Vec<&str> = desired.services.iter().map(|one| one.name.as_str()).collect();
    let file = there.file();
    let leaf = leaf_in(there);
    let problem = match &there.state {
        FileState::File(_) => None,
        FileState::Absent => Some("is not there"),
        FileState::DanglingLink => Some("is a link that leads nowhere"),
        FileState::Directory => Some("is a directory"),
        FileState::Special => Some("is no regular file"),
        FileState::LinkLoop => Some("is a link that leads to itself"),
        FileState::Unreadable => Some("cannot be read"),
    };
    let backup = |pem: &[u8]| certificates_in(pem).first().map(|leaf| brief(leaf, now));
    FileStatus {
        service: services.join(", "),
        file: want.path.to_string(),
        digest: there.sha256(),
        access: file.map(|file| format!("{}:{} {}", file.owner, file.group, file.mode)),
        holds_key: file.is_some_and(|file| file.holds_key),
        certificate: leaf.as_ref().map(|leaf| brief(leaf, now)),
        serial: leaf.as_ref().map(|leaf| leaf.serial.to_string()),
        as_wanted: there.sha256().map(|digest| digest == want.digest),
        problem: problem.map(str::to_owned),
        backups: there
            .generations
            .iter()
            .map(|kept| BackupStatus {
                generation: kept.id.to_string(),
                digest: kept.sha256,
                certificate: backup(&kept.certificates_pem),
            })
            .collect(),
    }
}

fn served_status(
    place: &ProbeWant,
    look: &Result<Served, LookFailure>,
    leaves: &[Certificate],
    now: Timestamp,
) -> ServedStatus {
    let leaf = look.as_ref().ok().map(|served| served.leaf);
    let certificate: Option<CertBrief> = look
        .as_ref()
        .ok()
        .and_then(|served| Certificate::from_der(served.chain.first()?))
        .map(|leaf| brief(&leaf, now));
    ServedStatus {
        service: place.service.clone(),
        endpoint: place.endpoint.clone(),
        server_name: place.server_name.clone(),
        certificate,
        as_in_file: leaf
            .filter(|_| !leaves.is_empty())
            .map(|leaf| leaves.iter().any(|one| one.fingerprint == leaf)),
        problem: look.as_ref().err().map(ToString::to_string),
    }
}
