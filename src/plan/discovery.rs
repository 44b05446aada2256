//! Whether these are the right files: what the service's own configuration, the links on the way and
//! the rights of its user say about the destinations.

use super::desired::ServiceWant;
use super::host_plan::FilePlan;
use super::inspection::{FileView, HostView, PrecheckView, ServiceView};
use crate::host::{FileFacts, FileRole, Held, HeldAs};
use crate::model::RemotePath;
use crate::playbook::certificate::SingleFiles;
use crate::services::Discovered;

/// Names of files in one note.
const SHOWN: usize = 3;

/// What looks wrong about the destinations, one line each. Stops nothing: a configuration may have
/// ways that a profile does not know.
pub(super) fn warnings(view: &HostView, files: &[FilePlan]) -> Vec<String> {
    let mut notes = unnamed(view, files);
    let files: Vec<(&FilePlan, &FileFacts)> = with_facts(view, files);
    let reader = view.desired().reader.as_deref();
    for (file, there) in files {
        notes.extend(shared_by_link(file, there));
        notes.extend(certbot(file, there));
        notes.extend(mounted_alone(view, file, there));
        notes.extend(unreadable(reader, file, there));
    }
    notes
}

/// Whether the service's configuration surely names this file. Where it does not tell of keys, the certificate speaks for
/// its key.
pub(super) fn names(service: &ServiceView<'_>, file: &FilePlan, there: &FileFacts) -> bool {
    let Some(found) = discovered(service) else { return false };
    let named: Vec<&Discovered> = found.iter().collect();
    !named.is_empty() && !is_missing(file, there, &named)
}

fn with_facts<'a>(view: &'a HostView, files: &'a [FilePlan]) -> Vec<(&'a FilePlan, &'a FileFacts)> {
    files.iter().filter_map(|file| Some((file, view.file_at(&file.want.path)?))).collect()
}

/// Destinations that no service's configuration names, and services that name none of them.
pub(crate) fn unnamed(view: &HostView, files: &[FilePlan]) -> Vec<String> {
    // What the host told is not what its service will read.
    if files.iter().any(FilePlan::writes_configuration) {
        return Vec::new();
    }
    let files = with_facts(view, files);
    let known: Vec<(&ServiceWant, Vec<Discovered>)> =
        view.services().filter_map(|service| Some((service.want, discovered(&service)?))).collect();
    let mut notes = Vec::new();
    for (service, named) in &known {
        if named.is_empty() {
            notes.push(format!(
                "{}: no certificate file was found in its configuration; it reads these files only \
                 once that names them",
                service.name
            ));
        }
    }
    // Without an answer from every service nobody knows that a file is read by none.
    let all_told = known.len() == view.desired().services.len();
    let named: Vec<&Discovered> = known.iter().flat_map(|(_, named)| named).collect();
    if !all_told || named.is_empty() {
        return notes;
    }
    let by_its_own = |pair: usize| -> Vec<&Discovered> {
        let own = known.iter().filter(|(service, _)| service.pairs.contains(&pair));
        own.flat_map(|(_, named)| named).collect()
    };
    let missing: Vec<&FilePlan> = files
        .iter()
        .filter(|(file, there)| is_missing(file, there, &by_its_own(file.want.pair)))
        .map(|(file, _)| *file)
        .collect();
    let services: Vec<&str> = known.iter().map(|(service, _)| service.name.as_str()).collect();
    let services = services.join(" and ");
    if missing.len() <= SHOWN {
        notes.extend(missing.iter().map(|file| {
            format!(
                "{} is not named in the configuration of {services} (named there: {})",
                file.want.path,
                nearest(&file.want.path.to_string(), file.want.role, &named)
            )
        }));
    } else {
        let paths: Vec<String> =
            missing.iter().take(SHOWN).map(|file| file.want.path.to_string()).collect();
        notes.push(format!(
            "{} of the destinations are not named in the configuration of {services}: {}, …",
            missing.len(),
            paths.join(", ")
        ));
    }
    notes
}

/// The paths in what the service printed about its configuration; `None`: it told nothing.
fn discovered(service: &ServiceView<'_>) -> Option<Vec<Discovered>> {
    let how = &service.want.discover.as_ref()?.how;
    let result = service.discovery?;
    // A service that cannot read its configuration prints nothing of it.
    if service.prechecks.iter().any(PrecheckView::is_failed) {
        return None;
    }
    // `grep` ends with 1 where it finds nothing, and with 2 where one of several files is not there.
    let in_part = result.rc == 2 && !result.stdout.is_empty();
    let told = (matches!(result.rc, 0 | 1) || in_part) && !result.late && !result.skipped;
    let text = String::from_utf8_lossy(&result.stdout);
    told.then(|| how.paths(&text))
}

fn fits(role: FileRole, named: &Discovered) -> bool {
    match named.role {
        FileRole::Combined => true,
        FileRole::Certificate => role.holds_leaf(),
        FileRole::Key => role.holds_key(),
        FileRole::Chain | FileRole::Config => role == named.role,
    }
}

fn is_missing(file: &FilePlan, there: &FileFacts, named: &[&Discovered]) -> bool {
    if file.want.role == FileRole::Config {
        return false;
    }
    let candidates: Vec<&Discovered> =
        named.iter().copied().filter(|named| fits(file.want.role, named)).collect();
    // Dovecot does not tell where its key is, and hardly anybody names a chain.
    if candidates.is_empty() {
        return file.want.role.holds_leaf();
    }
    let links = there.via_links.iter().chain(&there.real_path).filter_map(RemotePath::to_str);
    let own: Vec<&str> = file.want.path.to_str().into_iter().chain(links).collect();
    !candidates.iter().any(|named| own.iter().any(|path| named.names(path)))
}

/// The most similar of the files that are read.
fn nearest(path: &str, role: FileRole, named: &[&Discovered]) -> String {
    let mut paths: Vec<&str> =
        named.iter().filter(|named| fits(role, named)).map(|named| named.path.as_str()).collect();
    if paths.is_empty() {
        return "none of that kind".to_owned();
    }
    paths.sort_by(|a, b| strsim::jaro(b, path).total_cmp(&strsim::jaro(a, path)).then(a.cmp(b)));
    paths.dedup();
    let more = if paths.len() > SHOWN { ", …" } else { "" };
    paths.truncate(SHOWN);
    let text = format!("{}{more}", paths.join(", "));
    crate::model::text::printable(text.as_bytes(), 4096)
}

/// A link that leads out of the service's own directory: others may read that file too.
fn shared_by_link(file: &FilePlan, there: &FileFacts) -> Option<String> {
    let real = there.real_path.as_ref()?.to_string();
    let path = &file.want.path.to_string();
    if there.via_links.is_empty() || of_certbot(&real) || of_certbot(path) {
        return None;
    }
    if real.contains("ssl-cert-snakeoil") {
        return Some(format!(
            "{path} leads to {real}, the pair that other services of this host share: all of them get \
             the new one; give this service files of its own"
        ));
    }
    (territory(path) != territory(&real)).then(|| {
        format!(
            "{path} leads to {real}, out of the service's own directory: whatever else reads that file \
             gets the new one"
        )
    })
}

/// `/etc/dovecot` of `/etc/dovecot/private/key.pem`.
fn territory(path: &str) -> &str {
    let end = path.match_indices('/').nth(2).map_or(path.len(), |(at, _)| at);
    &path[..end]
}

fn of_certbot(path: &str) -> bool {
    path.contains("/letsencrypt/live/") || path.contains("/letsencrypt/archive/")
}

fn certbot(file: &FilePlan, there: &FileFacts) -> Option<String> {
    let path = &file.want.path.to_string();
    let real = there.real_path.as_ref().map(ToString::to_string);
    (of_certbot(path) || real.is_some_and(|real| of_certbot(&real))).then(|| {
        format!(
            "{path} belongs to certbot: its next renewal puts its own certificate there again; give the \
             service paths of its own"
        )
    })
}

/// Containers that have it mounted as a single file: what is renamed over it is not seen there, whatever the reload says.
/// Said also when nothing is written: an older file in there is the commonest cause of drift.
fn mounted_alone(view: &HostView, file: &FilePlan, there: &FileFacts) -> Vec<String> {
    let held = there.held.as_slice();
    let treated = |held: &Held, so: SingleFiles| {
        view.services().any(|service| service.treats(held.asked, so))
    };
    let restarts = |held: &Held| treated(held, SingleFiles::Restart);
    let in_place = view.is_written_in_place(&FileView { want: &file.want, there });
    let words = |held: &Held| {
        let (path, by, inside) = (&file.want.path, held.by(), &held.path);
        let remedy = "mount its directory instead, or restart the container in place of a reload";
        match held.kind {
            HeldAs::File | HeldAs::Older if restarts(held) => {
                (!file.action.keeps_file() || held.kind == HeldAs::Older).then(|| {
                    format!(
                        "{path} is mounted into {by} as a single file, {inside}: the container is restarted, and \
                         sees the new one then"
                    )
                })
            }
            HeldAs::Older => Some(format!(
                "{path} is mounted into {by} as a single file, {inside}, and was replaced since: an older file is \
                 in there until it is restarted; {remedy}"
            )),
            HeldAs::File if !file.action.keeps_file() && in_place => {
                treated(held, SingleFiles::InPlace).then(|| {
                    format!(
                        "{path} is overwritten in place, because {by} has mounted it by itself, as {inside}: that is not \
                         atomic, for a moment whoever reads it sees a part of it"
                    )
                })
            }
            HeldAs::File if !file.action.keeps_file() => Some(format!(
                "{path} is mounted into {by} as a single file, {inside}: what runs there goes on seeing the old one \
                 until it is restarted; {remedy}"
            )),
            HeldAs::Directory if !file.action.keeps_file() => Some(format!(
                "{path} is {inside} in {by}, in a mounted directory: the new file is seen there"
            )),
            HeldAs::File | HeldAs::Directory => None,
        }
    };
    held.iter().filter_map(words).collect()
}

/// Whether the service's user will be able to read the file, where that is sure.
fn unreadable(reader: Option<&str>, file: &FilePlan, there: &FileFacts) -> Option<String> {
    let reader = reader?;
    let now = there.file();
    let owner = file.owner.as_deref().or(now.map(|now| now.owner.as_str()))?;
    let group = file.group.as_deref().or(now.map(|now| now.group.as_str()))?;
    let mode = file.mode.or(now.map(|now| now.mode))?;
    let bits = mode.bits();
    let as_before = file.owner.is_none() && file.group.is_none() && file.mode.is_none();
    let readable = if as_before && now.is_some_and(|now| now.readable_by_user.is_some()) {
        now.and_then(|now| now.readable_by_user)
    } else if owner == reader {
        Some(bits & 0o400 != 0)
    } else if bits & 0o004 != 0 || (bits & 0o040 != 0 && group == reader) {
        Some(true)
    } else if bits & 0o040 == 0 {
        Some(false)
    } else {
        // Nobody here knows who is in that group.
        None
    };
    (readable == Some(false)).then(|| {
        format!(
            "{} will be {owner}:{group} {mode}, and the service reads it as {reader}, who cannot",
            file.want.path
        )
    })
}
