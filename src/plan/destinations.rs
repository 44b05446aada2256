//! Where the files of a task can be, whatever kind of host it is: all that the repair of a host needs to know.

use crate::host::HostKind;
use crate::model::RemotePath;
use crate::playbook::certificate::CertificateTask;
use crate::services::{Profile, choose};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Every destination that the task names, and the usual ones of its services on any kind of host.
pub(crate) fn destinations(
    task: &CertificateTask,
    profiles: &[Arc<Profile>],
) -> BTreeSet<RemotePath> {
    let named = task.pairs.iter().flat_map(|pair| {
        let dest = &pair.dest;
        [&dest.cert, &dest.chain, &dest.key, &dest.combined].into_iter().flatten().cloned()
    });
    let usual = profiles.iter().flat_map(|profile| {
        let paths = HostKind::all().filter_map(|kind| choose(profile, kind).dest);
        paths.flat_map(|paths| [Some(paths.cert), paths.key, paths.chain].into_iter().flatten())
    });
    let configs = task.with.iter().map(|file| file.path.clone());
    named.chain(configs).chain(usual).collect()
}
