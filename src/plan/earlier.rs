//! What is wanted when an earlier generation is to come back: the same files, with kept bytes.

use super::desired::{DesiredState, FileWant};
use super::error::NoGeneration;
use super::inspection::{FileView, HostView};
use super::variants::Variants;
use crate::event::planned::PlannedTask;
use crate::host::{Attributes, FileRole, Generation};
use crate::material::Certificate;
use crate::model::RemotePath;
use crate::verify::{SignatureChoice, beyond_judging};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which earlier state is wanted.
#[derive(Clone, Debug)]
pub(crate) enum Earlier {
    /// In words that mean the same on every host:
    ///
    /// - none, or `previous`: before the last transaction of which anything is kept;
    /// - at least eight hex digits of a certificate's fingerprint: when that certificate was last in place;
    /// - a moment, as `2026-11-24` or `2026-11-24T10:15:00Z`: before the first transaction since;
    /// - a generation: before that transaction, on the one host that has it.
    To(Option<String>),
    /// Before what a run did on the host.
    Before(Arc<Vec<PlannedTask>>),
}

impl Earlier {
    /// Whether a task can be about it: of what a run did, something was done to one of the task's files.
    pub(crate) fn concerns(&self, variants: &Variants) -> bool {
        let Self::Before(tasks) = self else { return true };
        let done = || tasks.iter().flat_map(|task| &task.rows).map(|row| row.file.as_str());
        let kinds = variants.all().filter_map(|(_, desired)| desired.ok());
        kinds.flat_map(|desired| &desired.files).any(|file| {
            let path = file.path.to_string();
            done().any(|it| it == path)
        })
    }
}

/// The same task, wanting what the files held earlier. A file that was not changed since goes back to what a later
/// transaction kept of it; one that none changed stays.
///
/// # Errors
/// Nothing is kept, or nothing of that state.
pub(crate) fn earlier(view: &HostView, wanted: &Earlier) -> Result<DesiredState, NoGeneration> {
    let wants: Result<Vec<FileWant>, NoGeneration> = match wanted {
        Earlier::To(to) => {
            let to = generation(view, to.as_deref())?;
            view.files().map(|file| one(view, file, &to)).collect()
        }
        Earlier::Before(tasks) => view.files().map(|file| before(view, file, tasks)).collect(),
    };
    let wants = wants?;
    let leaves: BTreeMap<usize, Arc<Certificate>> = wants
        .iter()
        .filter_map(|want| Some((want.pair, Arc::clone(want.leaf.as_ref()?))))
        .collect();
    let mut earlier = view.desired().clone();
    // What is kept has its own key in it.
    let files: Vec<&RemotePath> = wants.iter().map(|want| &want.path).collect();
    earlier.kept_keys.retain(|kept| !files.contains(&&kept.path));
    let goes = |(file, want): (FileView<'_>, &FileWant)| {
        want.digest.is_none() && file.there.file().is_some()
    };
    let may_go = view.files().zip(&wants).any(goes);
    earlier.files = wants.into_iter().map(Arc::new).collect();
    for probe in &mut earlier.probes {
        probe.may_go = may_go;
        if let Some(leaf) = leaves.get(&probe.pair) {
            probe.leaf = leaf.fingerprint;
            probe.signature = SignatureChoice::of(&leaf.public_key);
            probe.beyond_judging = beyond_judging(&leaf.public_key);
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

/// The generation before which a state is meant.
fn generation(view: &HostView, to: Option<&str>) -> Result<String, NoGeneration> {
    let kept = || view.files().flat_map(|file| &file.there.generations);
    if kept().next().is_none() {
        return Err(NoGeneration::None);
    }
    Ok(match to.filter(|to| *to != "previous") {
        Some(to) if kept().any(|generation| generation.id.as_str() == to) => to.to_owned(),
        Some(to) if fingerprint(to).is_some() => {
            let digits = fingerprint(to).unwrap_or_default();
            with_certificate(view, &digits).ok_or_else(|| NoGeneration::NotKept(to.to_owned()))?
        }
        Some(to) if moment(to).is_some() => {
            let moment = moment(to).unwrap_or_default();
            let later = kept().map(|generation| generation.id.to_string());
            later.filter(|id| *id >= moment).min().unwrap_or_else(|| NOW.to_owned())
        }
        Some(to) => {
            let mut known: Vec<_> = kept().map(|generation| generation.id.clone()).collect();
            known.sort_unstable();
            known.dedup();
            return Err(NoGeneration::Other { wanted: to.to_owned(), kept: known });
        }
        None => {
            let ids = kept().map(|generation| generation.id.to_string());
            ids.max().ok_or(NoGeneration::None)?
        }
    })
}

/// Sorts after every transaction: what is there now.
const NOW: &str = "~";

/// The hex digits of a fingerprint, or of its beginning.
fn fingerprint(to: &str) -> Option<String> {
    let digits: String = to.chars().filter(|c| *c != ':').collect();
    let is_one = (8..=64).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_hexdigit());
    is_one.then(|| digits.to_ascii_lowercase())
}

/// A moment in UTC in the form in which transactions are named.
fn moment(to: &str) -> Option<String> {
    let text: String = to.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let (date, time) = text.split_once('T').unwrap_or((&text, "000000Z"));
    let time = time.strip_suffix('Z')?;
    let is_one = date.len() == 8 && time.len() == 6 && digits(date) && digits(time);
    // With hyphens, or it might be a fingerprint.
    (is_one && to.contains('-')).then(|| format!("{date}T{time}Z"))
}

/// Before which transaction a certificate was last in place.
fn with_certificate(view: &HostView, digits: &str) -> Option<String> {
    let is_it = |leaf: &Arc<Certificate>| leaf.fingerprint.to_string().starts_with(digits);
    if view.files().any(|file| file.there.leaf().is_some_and(is_it)) {
        return Some(NOW.to_owned());
    }
    let kept = view.files().flat_map(|file| &file.there.generations);
    kept.filter(|kept| kept.leaf().is_some_and(is_it)).map(|kept| kept.id.to_string()).max()
}

/// What a file held.
enum Held<'a> {
    /// What it has.
    Now,
    /// What is kept of it.
    Kept(&'a Generation),
    /// It was not there.
    Absent,
}

/// Whether a file may go again that was not there. One of the certificate's files stays, for nothing says who else reads it;
/// and what a container sees cannot be taken from there.
fn may_go(view: &HostView, file: &FileView<'_>) -> bool {
    let contained = view.desired().services.iter().any(|service| service.container.is_some());
    file.want.role == FileRole::Config && !contained
}

/// One file as it was before `to`.
fn one(view: &HostView, file: FileView<'_>, to: &str) -> Result<FileWant, NoGeneration> {
    // Ids sort by time: the first kept at `to` or later holds what was there before `to`.
    let kept = file.there.generations.iter().filter(|generation| generation.id.as_str() >= to);
    let known = kept.filter(|kept| kept.sha256.is_some() || may_go(view, &file));
    match known.min_by(|a, b| a.id.cmp(&b.id)) {
        Some(kept) if kept.sha256.is_none() => wants(file, Held::Absent),
        Some(kept) => wants(file, Held::Kept(kept)),
        None if file.there.file().is_none() && may_go(view, &file) => wants(file, Held::Absent),
        None => wants(file, Held::Now),
    }
}

/// One file as it was before `tasks` changed it. One that something else has changed since is nobody's to restore.
fn before(
    view: &HostView,
    file: FileView<'_>,
    tasks: &[PlannedTask],
) -> Result<FileWant, NoGeneration> {
    let path = &file.want.path;
    let name = path.to_string();
    let mut rows = tasks.iter().flat_map(|task| &task.rows).filter(|row| row.file == name);
    let as_it_is = |file: FileView<'_>| match file.there.file() {
        None if may_go(view, &file) => wants(file, Held::Absent),
        _ => wants(file, Held::Now),
    };
    let Some(first) = rows.next() else { return as_it_is(file) };
    let after = rows.next_back().unwrap_or(first).after;
    let now = file.there.sha256();
    if first.before == after || now == first.before {
        return as_it_is(file);
    }
    if now != after {
        return Err(NoGeneration::Modified(path.clone()));
    }
    let Some(digest) = first.before else {
        return match may_go(view, &file) {
            true => wants(file, Held::Absent),
            false => Err(NoGeneration::Created(path.clone())),
        };
    };
    let kept = file.there.generations.iter();
    let kept = kept.filter(|generation| generation.sha256 == Some(digest));
    let kept = kept.max_by(|a, b| a.id.cmp(&b.id));
    let kept = kept.ok_or_else(|| NoGeneration::Gone { path: path.clone(), digest })?;
    wants(file, Held::Kept(kept))
}

/// A file with what it held.
fn wants(file: FileView<'_>, held: Held<'_>) -> Result<FileWant, NoGeneration> {
    let FileView { want, there } = file;
    let (digest, leaf, generation) = match held {
        Held::Kept(kept) => (kept.sha256, kept.leaf(), Some(kept.id.clone())),
        Held::Absent => (None, None, None),
        Held::Now => {
            let present = there.file().ok_or_else(|| NoGeneration::NoFile(want.path.clone()))?;
            (Some(present.sha256), there.leaf(), None)
        }
    };
    let leaf = match &want.leaf {
        None => None,
        Some(_) => {
            Some(leaf.cloned().ok_or_else(|| NoGeneration::NoCertificate(want.path.clone()))?)
        }
    };
    // Owner and mode stay as they are: what is kept is kept for its bytes.
    let wanted = there.file().map_or_else(|| want.wanted.clone(), |_| Attributes::default());
    let missing_issuer = None;
    let own_key = None;
    Ok(FileWant {
        digest,
        leaf,
        generation,
        wanted,
        missing_issuer,
        own_key,
        ..FileWant::clone(want)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_fingerprints_are_told_from_generations() {
        assert_eq!(moment("2026-11-24").as_deref(), Some("20261124T000000Z"));
        assert_eq!(moment("2026-11-24T10:15:00Z").as_deref(), Some("20261124T101500Z"));
        for other in ["20261124", "2026-11", "2026-11-24T10:15", "20261124T101500Z-0-0", "x-y"] {
            assert_eq!(moment(other), None, "{other}");
        }
        assert_eq!(fingerprint("AB:CD:EF:01").as_deref(), Some("abcdef01"));
        for other in
            ["abc", "2026-11-24", "20261124T101500Z-012345678-0123456789abcdef", "xyzxyzxyz"]
        {
            assert_eq!(fingerprint(other), None, "{other}");
        }
    }
}
