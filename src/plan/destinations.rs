//! Where the files of a task can be, without a look at any certificate: all that the repair of a host needs to know, and
//! all that can be asked where the certificates cannot be read.

use crate::host::{HostKind, Inspection, InspectionVariant};
use crate::model::RemotePath;
use crate::playbook::certificate::{CertificateTask, Pair};
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
        let named = [&dest.cert, &dest.chain, &dest.key, &dest.combined];
        let others = [&dest.pkcs12, &dest.cert_der, &dest.key_der];
        // Of a directory whatever name is in it.
        let hashed = dest.hashed.iter().filter_map(|directory| {
            RemotePath::new([directory.as_bytes(), b"/00000000.0"].concat()).ok()
        });
        named.into_iter().chain(others).flatten().cloned().chain(hashed)
    });
    let usual = profiles.iter().flat_map(|profile| {
        let paths = HostKind::all().filter_map(|kind| choose(profile, kind).dest);
        paths.flat_map(|paths| [Some(paths.cert), paths.key, paths.chain].into_iter().flatten())
    });
    let configs = task.with.iter().map(|file| file.path.clone());
    named.chain(configs).chain(usual).collect()
}

/// What to ask of a host to see what is at the destinations of the task. Usual places count only where the task names no
/// others, and are those of the host's kind.
pub(crate) fn ask_what_is_there(task: &CertificateTask, profiles: &[Arc<Profile>]) -> Inspection {
    let mut variants: Vec<InspectionVariant> = Vec::new();
    for kind in HostKind::all() {
        let files = on_kind(task, profiles, kind);
        match variants.iter_mut().find(|known| known.files == files) {
            Some(known) => known.kinds.push(kind),
            None => variants.push(InspectionVariant {
                kinds: vec![kind],
                files,
                ..InspectionVariant::default()
            }),
        }
    }
    Inspection { variants, ..Inspection::default() }
}

/// Where the certificate of a pair would be among those places, on a host of that kind.
pub(super) fn of_certificate(
    task: &CertificateTask,
    pair: &Pair,
    profiles: &[Arc<Profile>],
    kind: HostKind,
) -> Vec<RemotePath> {
    let dest = &pair.dest;
    let named = [&dest.cert, &dest.combined].into_iter().flatten().cloned();
    let is_usual = task.pairs.len() == 1 && dest.combined.is_none() && dest.cert.is_none();
    let usual = profiles.iter().filter(|_| is_usual);
    named.chain(usual.filter_map(|profile| Some(choose(profile, kind).dest?.cert))).collect()
}

fn on_kind(task: &CertificateTask, profiles: &[Arc<Profile>], kind: HostKind) -> Vec<RemotePath> {
    let mut paths: Vec<RemotePath> = Vec::new();
    let mut add = |path: Option<RemotePath>| {
        paths.extend(path.filter(|path| !paths.contains(path)));
    };
    for pair in &task.pairs {
        let dest = &pair.dest;
        for path in [&dest.cert, &dest.chain, &dest.key, &dest.combined] {
            add(path.clone());
        }
        let usual = profiles.iter().filter_map(|profile| choose(profile, kind).dest);
        for usual in usual.filter(|_| task.pairs.len() == 1 && dest.combined.is_none()) {
            add(Some(usual.cert).filter(|_| dest.cert.is_none()));
            add(usual.chain.filter(|_| dest.cert.is_none() && dest.chain.is_none()));
            // A key that the host keeps may be at the usual place beside a certificate that is not.
            let is_usual = dest.key.is_none() && (dest.cert.is_none() || pair.key.is_none());
            add(usual.key.filter(|_| is_usual));
        }
    }
    paths
}
