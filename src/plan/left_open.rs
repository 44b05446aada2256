//! Destinations that a task leaves open: what the services' own configuration names, where that is unambiguous. Their
//! usual places count where something is there already, or where no configuration tells of others.

use super::request::CertificateRequest;
use crate::host::{
    CommandResult, FileRole, FileState, HostFacts, HostKind, InspectCommand, Inspection,
    InspectionVariant, TimedCommand,
};
use crate::model::RemotePath;
use crate::playbook::certificate::{CertificateTask, Dest};
use crate::services::{Discovered, KeyPlace, Profile, Resolved, choose};
use std::sync::Arc;
use std::time::Duration;

/// For each command: services print their configuration in less than a second.
const PATIENCE: Duration = Duration::from_secs(20);
/// Paths in one sentence.
const SHOWN: usize = 4;
/// Files of a configuration beside which is looked for what runs have left.
const MOST_NAMED: usize = 1_000;

/// Whether the task names no destination, and its services can tell what they read.
pub(crate) fn is_left_open(wanted: &CertificateRequest) -> bool {
    is_open(&wanted.certificate, &wanted.profiles)
}

/// As [`is_left_open`], without the task's certificates.
pub(crate) fn is_open(task: &CertificateTask, profiles: &[Arc<Profile>]) -> bool {
    let names_none = |dest: &Dest| {
        let all = [&dest.cert, &dest.chain, &dest.key, &dest.combined, &dest.pkcs12];
        all.into_iter().chain([&dest.cert_der, &dest.key_der]).all(Option::is_none)
    };
    let on_host = task.services.iter().all(|service| service.container.is_none());
    let tells = |profile: &Arc<Profile>| {
        profile.discover.is_some() && profile.layout.key != KeyPlace::Pkcs12
    };
    // What a configuration of the task's own will name is not what is named now.
    matches!(task.pairs.as_slice(), [pair] if names_none(&pair.dest))
        && on_host
        && profiles.iter().all(tells)
        && task.store.is_none()
        && task.with.is_empty()
}

/// What to read for it.
pub(crate) fn ask_named(profiles: &[Arc<Profile>]) -> Inspection {
    let mut variants: Vec<InspectionVariant> = Vec::new();
    for kind in HostKind::all() {
        let here = on_kind(profiles, kind);
        let mut variant = InspectionVariant { kinds: vec![kind], ..InspectionVariant::default() };
        variant.files.extend(usual(&here));
        let commands = here.iter().filter_map(|service| service.discover.clone());
        variant.commands.extend(commands.map(|command| InspectCommand {
            command: TimedCommand { command, timeout: PATIENCE },
            only_if_running: None,
            in_container: None,
            for_user_of: None,
            unless_mounts: false,
        }));
        let same = variants
            .iter_mut()
            .find(|known| known.files == variant.files && known.commands == variant.commands);
        match same {
            Some(known) => known.kinds.push(kind),
            None => variants.push(variant),
        }
    }
    Inspection { variants, ..Inspection::default() }
}

fn on_kind(profiles: &[Arc<Profile>], kind: HostKind) -> Vec<Resolved> {
    profiles.iter().map(|profile| choose(profile, kind)).collect()
}

/// What each service's configuration names, in the order of the services.
fn told(profiles: &[Arc<Profile>], facts: &HostFacts) -> Vec<Vec<Discovered>> {
    let mut results = facts.commands.iter();
    let told = profiles.iter().zip(on_kind(profiles, facts.kind)).map(|(profile, service)| {
        let how = profile.discover.as_ref().filter(|_| service.discover.is_some());
        let told = how.and_then(|how| Some((how, results.next()?)));
        let told = told.filter(|(_, result)| has_told(result));
        told.map(|(how, result)| how.paths(&String::from_utf8_lossy(&result.stdout)))
    });
    told.map(Option::unwrap_or_default).collect()
}

/// Every file that the configurations name, as far as it is a path: beside any of them a run may have left something.
pub(crate) fn all_named(profiles: &[Arc<Profile>], facts: &HostFacts) -> Vec<RemotePath> {
    let named = told(profiles, facts).into_iter().flatten();
    let paths = named.flat_map(|named| {
        // It may be a directory with everything: then what is in it counts.
        let inside = format!("{}/site.pem", named.path.trim_end_matches('/'));
        let inside = (named.role == FileRole::Combined).then_some(inside);
        [Some(named.path), inside]
    });
    let paths = paths.flatten().filter_map(|path| RemotePath::new(path.into_bytes()).ok());
    paths.take(MOST_NAMED).collect()
}

/// The usual place of the certificate, where all services have the same one.
fn usual(here: &[Resolved]) -> Option<RemotePath> {
    let mut places = here.iter().map(|service| service.dest.as_ref());
    let first = places.next()??;
    places.all(|place| place == Some(first)).then(|| first.cert.clone())
}

/// The task with the destinations that the configurations name; none: the usual places stand.
///
/// # Errors
/// There are no usual places, and it cannot be told which files are meant.
pub(crate) fn named(
    wanted: &CertificateRequest,
    facts: &HostFacts,
) -> Result<Option<CertificateRequest>, String> {
    let Some(dest) = named_dest(&wanted.profiles, facts)? else { return Ok(None) };
    let mut filled = wanted.clone();
    let place = dest.cert.as_ref().or(dest.combined.as_ref()).map(ToString::to_string);
    filled.notes.push(format!(
        "dest is left out: {} is what the configuration of {} names",
        place.unwrap_or_default(),
        names(&wanted.profiles)
    ));
    fill(&mut filled.certificate, dest);
    Ok(Some(filled))
}

/// Gives the task's one pair the destinations that it leaves open.
pub(crate) fn fill(task: &mut CertificateTask, dest: Dest) {
    for pair in &mut task.pairs {
        let hashed = pair.dest.hashed.take();
        pair.dest = Dest { hashed, ..dest.clone() };
    }
}

fn names(profiles: &[Arc<Profile>]) -> String {
    profiles.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(" and ")
}

/// The destinations that the configurations name; none: the usual places stand.
///
/// # Errors
/// As [`named`].
pub(crate) fn named_dest(
    profiles: &[Arc<Profile>],
    facts: &HostFacts,
) -> Result<Option<Dest>, String> {
    let usual = usual(&on_kind(profiles, facts.kind));
    let is_there = |file: &crate::host::FileFacts| !matches!(file.state, FileState::Absent);
    if usual.is_some() && facts.files.first().is_some_and(is_there) {
        return Ok(None);
    }
    match meant(profiles, &told(profiles, facts)) {
        Ok(dest) => Ok(Some(dest)),
        Err(_) if usual.is_some() => Ok(None),
        Err(why) => Err(format!(
            "dest is left out, {} has no usual path here, and its configuration does not tell which files are meant: \
             {why}",
            names(profiles)
        )),
    }
}

/// `grep` ends with 1 where it finds nothing, and with 2 where one of several files is not there.
fn has_told(result: &CommandResult) -> bool {
    let in_part = result.rc == 2 && !result.stdout.is_empty();
    (matches!(result.rc, 0 | 1) || in_part) && !result.late && !result.skipped
}

/// The one pair, or the one file with both, that all services name.
fn meant(profiles: &[Arc<Profile>], found: &[Vec<Discovered>]) -> Result<Dest, String> {
    let mut meant: Option<Dest> = None;
    for (profile, paths) in profiles.iter().zip(found) {
        let one = |roles: &[FileRole], what: &str| -> Result<RemotePath, String> {
            let mut all: Vec<&str> = paths
                .iter()
                .filter(|named| roles.contains(&named.role))
                .map(|named| named.path.as_str())
                .collect();
            all.sort_unstable();
            all.dedup();
            match all.as_slice() {
                [] => Err(format!("it names no {what}")),
                [only] if is_others(only) => Err(format!("{only} is not its own")),
                [only] => RemotePath::new(only.as_bytes().to_vec())
                    .map_err(|error| format!("{only}: {error}")),
                several => Err(format!("it names several: {}", shown(several))),
            }
        };
        let dest = if profile.layout.key == KeyPlace::Separate {
            Dest {
                cert: Some(one(&[FileRole::Certificate], "certificate")?),
                key: Some(one(&[FileRole::Key], "key")?),
                ..Dest::default()
            }
        } else {
            let place = one(&[FileRole::Certificate, FileRole::Combined], "certificate")?;
            Dest { combined: Some(place), ..Dest::default() }
        };
        match &meant {
            None => meant = Some(dest),
            Some(known)
                if known.cert == dest.cert
                    && known.key == dest.key
                    && known.combined == dest.combined => {}
            Some(_) => return Err("the services name different ones".to_owned()),
        }
    }
    meant.ok_or_else(|| "there is no service".to_owned())
}

/// The pair that Debian gives all services, and what certbot renews by itself.
fn is_others(path: &str) -> bool {
    path.contains("ssl-cert-snakeoil") || path.contains("/letsencrypt/")
}

fn shown(paths: &[&str]) -> String {
    let more = if paths.len() > SHOWN { ", …" } else { "" };
    let first: Vec<&str> = paths.iter().take(SHOWN).copied().collect();
    crate::model::text::printable(format!("{}{more}", first.join(", ")).as_bytes(), 4096)
}
