//! The device's objects as files of the plan: a certificate with its chain, and the key to it.

use super::looked::{Looked, Object};
use crate::bigip::Entry;
use crate::engine::rollout::targets::store;
use crate::host::{FileFacts, FileState, Generation};
use crate::material::Certificate;
use crate::model::{Fingerprint, RemotePath};
use crate::plan::desired::DesiredState;
use crate::plan::request::Material;
use std::sync::Arc;

/// What is wanted, to compare with.
pub(super) struct Wanted<'a> {
    pub(super) desired: &'a DesiredState,
    pub(super) material: &'a Material,
}

/// The files of a task; `entry`: the one that it is about, if there is one.
pub(super) fn files(looked: &Looked, entry: Option<&Entry>, wanted: &Wanted<'_>) -> Vec<FileFacts> {
    let one = |want: &crate::plan::desired::FileWant| {
        let is_key = want.role.holds_key();
        let digest = |entry: &Entry| digest(looked, entry, is_key, want.digest, wanted.material);
        let mut facts = file(looked, entry, &want.path, is_key, digest);
        let earlier = looked
            .earlier
            .iter()
            .filter(|before| entry.is_some_and(|entry| entry.name == before.entry.name));
        facts.generations = earlier
            .map(|before| Generation {
                id: before.id.clone(),
                sha256: Some(digest(&before.entry)),
                certificates: if is_key { Vec::new() } else { served(looked, &before.entry) },
            })
            .collect();
        facts
    };
    wanted.desired.files.iter().map(|want| one(want)).collect()
}

/// The same where nothing is at hand to compare with.
pub(super) fn file(
    looked: &Looked,
    entry: Option<&Entry>,
    path: &RemotePath,
    is_key: bool,
    digest: impl Fn(&Entry) -> Fingerprint,
) -> FileFacts {
    let Some(entry) = entry else { return store::an_absent_file(path) };
    let mut file = store::a_file(digest(entry), None);
    file.holds_key = is_key;
    if !is_key {
        file.certificates = served(looked, entry);
    }
    FileFacts { state: FileState::File(Box::new(file)), ..store::an_absent_file(path) }
}

/// What an entry has served: its certificate, then its intermediates.
fn served(looked: &Looked, entry: &Entry) -> Vec<Arc<Certificate>> {
    let objects = [&entry.cert, &entry.chain].into_iter().filter_map(|name| looked.object(name));
    objects.flat_map(|object| &object.certificates).cloned().collect()
}

/// The fingerprints of the same.
fn fingerprints(looked: &Looked, entry: &Entry) -> Vec<Fingerprint> {
    let objects = [&entry.cert, &entry.chain].into_iter().filter_map(|name| looked.object(name));
    objects.flat_map(Object::fingerprints).collect()
}

/// Objects tell no bytes: they are as wanted where their certificates are. A key is as wanted where its certificate is,
/// as the device takes no other.
fn digest(
    looked: &Looked,
    entry: &Entry,
    is_key: bool,
    wanted: Option<Fingerprint>,
    material: &Material,
) -> Fingerprint {
    let held = fingerprints(looked, entry);
    let leaf = material.leaf.fingerprint;
    let chain = material.chain();
    let same = match is_key {
        true => held.first() == Some(&leaf),
        // Of an object whose file cannot be read only the first certificate is known.
        false => {
            held.split_first()
                .is_some_and(|(first, rest)| *first == leaf && rest == chain.as_slice())
                || (served(looked, entry).is_empty()
                    && held.first() == Some(&leaf)
                    && held.get(1) == chain.first())
        }
    };
    wanted.filter(|_| same).unwrap_or_else(|| other(&held, is_key))
}

/// A digest for what is something else than wanted.
pub(super) fn other(held: &[Fingerprint], is_key: bool) -> Fingerprint {
    let held = if is_key { held.get(..1).unwrap_or_default() } else { held };
    let words: Vec<String> = held.iter().map(ToString::to_string).collect();
    Fingerprint::of(format!("{is_key} {}", words.join(" ")).as_bytes())
}

/// The same for an entry about which nothing is wanted.
pub(super) fn as_it_is(looked: &Looked, entry: &Entry, is_key: bool) -> Fingerprint {
    other(&fingerprints(looked, entry), is_key)
}
