//! What a host holds of a certificate task, as `certroll status` tells it.

use crate::event::planned::CertBrief;
use crate::event::status::{
    BackupStatus, FileStatus, HostStatus, JournalStatus, ServedStatus, UnfinishedState,
};
use crate::host::{FileFacts, FileState, HostFacts, JournalState};
use crate::material::Certificate;
use crate::model::{Fingerprint, Timestamp};
use crate::plan::desired::ProbeWant;
use crate::plan::inspection::{FileView, HostView, Look, PlaceView};
use crate::plan::row::brief;

/// From what was observed.
pub(crate) fn host_status(view: &HostView, now: Timestamp) -> HostStatus {
    let services: Vec<&str> = view.desired().services.iter().map(|one| one.name.as_str()).collect();
    let services = services.join(", ");
    // A server may have several certificates: the one that was asked for counts.
    let served =
        |place: PlaceView<'_>| served_status(place, &view.leaves_on_disk(place.probe.pair), now);
    let compared = |FileView { want, there }: FileView<'_>| FileStatus {
        as_wanted: there.sha256().map(|digest| Some(digest) == want.digest),
        ..file_status(&services, there, now)
    };
    HostStatus {
        files: view.files().map(compared).collect(),
        served: view.places().filter(PlaceView::tells).map(served).collect(),
        ..held_status(view.facts(), &services, &[], now)
    }
}

/// The same where it is not known what is wanted: files are compared with nothing, and what is served with them.
pub(crate) fn held_status(
    facts: &HostFacts,
    services: &str,
    looks: &[(ProbeWant, Look)],
    now: Timestamp,
) -> HostStatus {
    let places = looks.iter().map(|(probe, look)| PlaceView { probe, look });
    let served = |place: PlaceView<'_>| served_status(place, &[place.probe.leaf], now);
    HostStatus {
        files: facts.files.iter().map(|there| file_status(services, there, now)).collect(),
        served: places.filter(PlaceView::tells).map(served).collect(),
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
                by: Some(journal.by.clone()).filter(|by| !by.is_empty()),
            })
            .collect(),
    }
}

fn file_status(services: &str, there: &FileFacts, now: Timestamp) -> FileStatus {
    let file = there.file();
    let leaf = there.leaf();
    let problem = match &there.state {
        FileState::File(_) => None,
        FileState::Absent => Some("is not there"),
        FileState::DanglingLink => Some("is a dangling symbolic link"),
        FileState::Directory => Some("is a directory"),
        FileState::Special => Some("is not a regular file"),
        FileState::LinkLoop => Some("is a symbolic link that loops"),
        FileState::Unreadable => Some("cannot be read"),
    };
    FileStatus {
        service: services.to_owned(),
        file: there.path.to_string(),
        digest: there.sha256(),
        access: file.map(|file| format!("{}:{} {}", file.owner, file.group, file.mode)),
        holds_key: file.is_some_and(|file| file.holds_key),
        certificate: leaf.map(|leaf| brief(leaf, now)),
        serial: leaf.map(|leaf| leaf.serial.to_string()),
        as_wanted: None,
        problem: problem.map(str::to_owned),
        backups: there
            .generations
            .iter()
            .map(|kept| BackupStatus {
                generation: kept.id.to_string(),
                digest: kept.sha256,
                certificate: kept.leaf().map(|leaf| brief(leaf, now)),
            })
            .collect(),
    }
}

fn served_status(place: PlaceView<'_>, leaves: &[Fingerprint], now: Timestamp) -> ServedStatus {
    let PlaceView { probe: place, look } = place;
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
        as_in_file: leaf.filter(|_| !leaves.is_empty()).map(|leaf| leaves.contains(&leaf)),
        problem: look.as_ref().err().map(ToString::to_string),
    }
}
