//! Where the way back of an import comes from, and what stands in the way of one.

use super::desired::{DesiredState, FileWant, ImportWant, ServiceWant};
use super::host_plan::{Decision, FilePlan, PlannedPlace};
use super::inspection::HostView;
use crate::host::{FileRole, Seed};
use crate::model::text::printable;
use crate::model::{RemotePath, Step};

/// Where an import's way back comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum WayBack {
    /// The pair in the spool is the one in use.
    Spool,
    /// What the store has is written there first, because of this.
    Export(String),
    /// There is none, because of this.
    None(String),
}

fn way_back(view: &HostView, import: &ImportWant, places: &[PlannedPlace]) -> WayBack {
    let spool = || of_spool(view.desired(), import);
    let missing =
        spool().find(|want| view.file_at(&want.path).is_some_and(|file| file.file().is_none()));
    let on_disk = view.leaves_on_disk(import.pair);
    let mine = places.iter().filter(|place| place.probe.pair == import.pair);
    let served = mine.filter_map(|place| place.before.leaf()).find(|leaf| !on_disk.contains(leaf));
    let why = match (missing, served) {
        (Some(file), _) => format!("{} is not there", file.path),
        (None, Some(leaf)) if !on_disk.is_empty() => {
            format!("{} is served, and it is not the certificate in the spool", leaf.short())
        }
        _ => return WayBack::Spool,
    };
    let whole = |seed: &&Seed| {
        let known = |path: &RemotePath| spool().any(|want| want.path == *path);
        !seed.names.is_empty() && seed.names.iter().all(|(_, path)| known(path))
    };
    if import.seed.as_ref().filter(whole).is_some() {
        WayBack::Export(why)
    } else {
        WayBack::None(why)
    }
}

fn of_spool<'a>(
    desired: &'a DesiredState,
    import: &ImportWant,
) -> impl Iterator<Item = &'a FileWant> {
    let pair = import.pair;
    desired
        .files
        .iter()
        .map(|want| &**want)
        .filter(move |want| want.pair == pair && want.role != FileRole::Config)
}

/// The export to run first, where a change needs one.
pub(super) fn seed<'a>(
    view: &'a HostView,
    service: &'a ServiceWant,
    places: &[PlannedPlace],
) -> Option<&'a Seed> {
    let import = service.import.as_ref()?;
    match way_back(view, import, places) {
        WayBack::Export(_) => import.seed.as_ref(),
        WayBack::Spool | WayBack::None(_) => None,
    }
}

/// What is to be known of a change, and what it lacks: a way back.
pub(super) fn judge(
    view: &HostView,
    files: &[FilePlan],
    places: &[PlannedPlace],
    notes: &mut Vec<String>,
) -> Option<Decision> {
    let desired = view.desired();
    let mut fault = None;
    for service in desired.services.iter() {
        let name = &service.name;
        let Some(import) = &service.import else { continue };
        let store = &import.store;
        let key = of_spool(desired, import).find(|want| want.role.holds_key());
        if let Some(key) = key {
            let directory = printable(key.path.directory(), 4096);
            let kept = if desired.backups == 0 { "" } else { ", in its earlier generations there" };
            notes.push(format!(
                "{}: {directory} is a spool, from which {name} imports the pair into {store}: the key lies in this file{kept} and in {store}",
                key.path
            ));
        }
        if desired.boot_guard {
            notes.push(format!(
                "{name}: no service runs early enough for an import at the next boot, so there is no guard for it: the next contact settles what a power loss interrupts"
            ));
        }
        if files.iter().all(|file| file.action.keeps_file()) {
            notes.push(format!(
                "{name}: the spool is imported into {store} once more; what others may have put there cannot be brought back"
            ));
            continue;
        }
        match way_back(view, import, places) {
            WayBack::Spool => {}
            WayBack::Export(why) => notes.push(format!(
                "{name}: {why}: what {store} has is exported into the spool first, as the way back; if it cannot be, {}",
                if desired.allow_no_way_back {
                    "a change that fails CANNOT be undone there (allow_no_way_back)"
                } else {
                    "nothing is changed"
                }
            )),
            WayBack::None(why) if desired.allow_no_way_back => notes.push(format!(
                "{name}: {why}, and {store} gives nothing away: a change that fails CANNOT be undone there (allow_no_way_back)"
            )),
            WayBack::None(why) => {
                fault.get_or_insert_with(|| {
                    format!(
                        "{name}: {why}, and {store} gives nothing away, so there is no way back: put the pair in use into the \
                         spool, or say `allow_no_way_back: true` in the task"
                    )
                });
            }
        }
    }
    fault.map(|why| Decision::blocked(Step::Inspect, why))
}
