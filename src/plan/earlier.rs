//! What is wanted when an earlier generation is to come back: the same files, with kept bytes.

use super::desired::{DesiredState, FileWant};
use super::error::NoGeneration;
use super::inspection::{FileView, HostView};
use crate::host::Attributes;
use crate::material::Certificate;
use crate::verify::SignatureChoice;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The same task, wanting what the files held before the transaction `to`, or before the last one of
/// which anything is kept.
///
/// A file that `to` did not change goes back to what a later transaction kept of it; one that none
/// changed stays.
///
/// # Errors
/// Nothing is kept, or nothing of that generation.
pub(crate) fn earlier(view: &HostView, to: Option<&str>) -> Result<DesiredState, NoGeneration> {
    let kept = || view.files().flat_map(|file| &file.there.generations);
    let to = match to {
        Some(to) if kept().any(|generation| generation.id.as_str() == to) => to.to_owned(),
        Some(to) => {
            let mut known: Vec<_> = kept().map(|generation| generation.id.clone()).collect();
            known.sort_unstable();
            known.dedup();
            if known.is_empty() {
                return Err(NoGeneration::None);
            }
            return Err(NoGeneration::Other { wanted: to.to_owned(), kept: known });
        }
        None => {
            let ids = kept().map(|generation| generation.id.to_string());
            ids.max().ok_or(NoGeneration::None)?
        }
    };
    let mut leaves: BTreeMap<usize, Arc<Certificate>> = BTreeMap::new();
    let mut wants = Vec::with_capacity(view.desired().files.len());
    for file in view.files() {
        let want = one(file, &to)?;
        if let Some(leaf) = &want.leaf {
            leaves.insert(want.pair, Arc::clone(leaf));
        }
        wants.push(want);
    }
    let mut earlier = view.desired().clone();
    earlier.files = wants;
    for probe in &mut earlier.probes {
        if let Some(leaf) = leaves.get(&probe.pair) {
            probe.leaf = leaf.fingerprint;
            probe.signature = SignatureChoice::of(&leaf.public_key);
            probe.chain = None;
            probe.names.retain(|name| leaf.covers(name));
        }
    }
    for kept in &mut earlier.kept_keys {
        if let Some(leaf) = leaves.get(&kept.pair) {
            kept.leaf = Arc::clone(leaf);
        }
    }
    Ok(earlier)
}

/// One file as it was before `to`.
fn one(file: FileView<'_>, to: &str) -> Result<FileWant, NoGeneration> {
    let FileView { want, there } = file;
    // Ids sort by time: the first kept at `to` or later holds what was there before `to`.
    let kept = there.generations.iter().filter(|generation| generation.id.as_str() >= to);
    let kept = kept.min_by(|a, b| a.id.cmp(&b.id));
    let (digest, leaf, generation) = match kept {
        Some(kept) => (kept.sha256, kept.leaf(), Some(kept.id.clone())),
        None => {
            let present = there.file().ok_or_else(|| NoGeneration::NoFile(want.path.clone()))?;
            (present.sha256, there.leaf(), None)
        }
    };
    let leaf = match &want.leaf {
        None => None,
        Some(_) => {
            Some(leaf.cloned().ok_or_else(|| NoGeneration::NoCertificate(want.path.clone()))?)
        }
    };
    // Owner and mode stay as they are: what is kept is kept for its bytes.
    let (wanted, missing_issuer) = (Attributes::default(), None);
    Ok(FileWant { digest, leaf, generation, wanted, missing_issuer, ..want.clone() })
}
