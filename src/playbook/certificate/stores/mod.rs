//! The keys that name what takes the pair in place of files on the host, one file for each.

mod bigip;
mod cluster;
mod windows;

use super::mapping::mapping;
use super::spec::{Keys, StoreKind};
use super::store::Store;
use super::task::{Dest, VerifyChoice};
use crate::playbook::values::Values;
use std::path::Path;

/// Renders the one that is written.
pub(super) fn store(keys: &Keys, directory: &Path, values: &mut Values<'_>) -> Option<Store> {
    let (key, node) = keys.stores().next()?;
    // A template may give the mapping.
    let given = mapping(node, key.name, key.keys, values)?;
    match key.kind {
        StoreKind::Cluster => cluster::cluster(&given, directory, values).map(Store::Cluster),
        StoreKind::BigIp => bigip::profile(&given, values).map(Store::BigIp),
        StoreKind::Windows => windows::windows(&given, values).map(Store::Windows),
    }
}

/// Where the pair is in the plan, which knows files only.
pub(super) fn dest(store: &Store) -> Dest {
    match store {
        Store::Cluster(secret) => cluster::dest(secret),
        Store::BigIp(profile) => bigip::dest(profile),
        Store::Windows(store) => windows::dest(store),
    }
}

/// Where the certificate of a store is served cannot be guessed.
pub(super) fn needs_verify(keys: &Keys, verify: &VerifyChoice, values: &mut Values<'_>) {
    let Some((key, node)) = keys.stores().next() else { return };
    let message = match verify {
        VerifyChoice::Profile => {
            format!("{} needs 'verify': where it is served cannot be guessed", key.what)
        }
        VerifyChoice::Endpoints(places) if places.iter().any(|place| place.endpoint.is_none()) => {
            format!("each place of {} needs its 'endpoint'", key.what)
        }
        VerifyChoice::Endpoints(_) | VerifyChoice::Off => return,
    };
    let help = "verify: {endpoint: 'www.example.net:443'}, or verify: false";
    values.wrong(keys.verify.as_ref().unwrap_or(node), message, help);
}
