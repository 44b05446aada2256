//! What is wanted when an earlier generation is to come back: the same files, with kept bytes.

use super::desired::{Desired, FileWant};
use crate::host::{Attributes, FileFacts, HostFacts, TransactionId};
use crate::material::{Certificate, certificates_in};
use crate::model::Fingerprint;
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
pub fn earlier(desired: &Desired, facts: &HostFacts, to: Option<&str>) -> Result<Desired, String> {
    let files: Vec<(&FileWant, &FileFacts)> = desired.files.iter().zip(&facts.files).collect();
    let kept = || files.iter().flat_map(|(_, there)| &there.generations);
    let to = match to {
        Some(to) if kept().any(|generation| generation.id.as_str() == to) => to.to_owned(),
        Some(to) => {
            let mut known: Vec<&str> = kept().map(|generation| generation.id.as_str()).collect();
            known.sort_unstable();
            known.dedup();
            return Err(match known.as_slice() {
                [] => "the host keeps no earlier generation of these files".to_owned(),
                some => format!("the host keeps no generation '{to}', only {}", some.join(", ")),
            });
        }
        None => kept()
            .map(|generation| generation.id.to_string())
            .max()
            .ok_or("the host keeps no earlier generation of these files")?,
    };
    let mut leaves: BTreeMap<usize, Arc<Certificate>> = BTreeMap::new();
    let mut wants = Vec::with_capacity(files.len());
    for (want, there) in files {
        let want = one(want, there, &to)?;
        if let Some(leaf) = &want.leaf {
            leaves.insert(want.pair, Arc::clone(leaf));
        }
        wants.push(want);
    }
    let mut earlier = desired.clone();
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
fn one(want: &FileWant, there: &FileFacts, to: &str) -> Result<FileWant, String> {
    // Ids sort by time: the first kept at `to` or later holds what was there before `to`.
    let kept = there.generations.iter().filter(|generation| generation.id.as_str() >= to);
    let kept = kept.min_by(|a, b| a.id.cmp(&b.id));
    let (digest, pem, generation): (Fingerprint, &[u8], Option<TransactionId>) = match kept {
        Some(kept) => (kept.sha256, &kept.certificates_pem, Some(kept.id.clone())),
        None => {
            let path = &want.path;
            let file = there.file().ok_or_else(|| {
                format!("{path}: no file is there, and no generation of it is kept")
            })?;
            (file.sha256, &file.certificates_pem, None)
        }
    };
    let leaf = match &want.leaf {
        None => None,
        Some(_) => {
            Some(certificates_in(pem).into_iter().next().map(Arc::new).ok_or_else(|| {
                format!("{}: what is kept of it holds no certificate that can be read", want.path)
            })?)
        }
    };
    // Owner and mode stay as they are: what is kept is kept for its bytes.
    Ok(FileWant { digest, leaf, generation, wanted: Attributes::default(), ..want.clone() })
}
