//! What a run is given, as digests: whether a run that follows another is given the same.

use super::project::Project;
use super::roster::shown;
use crate::event::RunInputs;
use crate::event::run::{HostInputs, Source};
use crate::model::text::plural;
use crate::model::{Fingerprint, HostName};
use crate::plan::request::{CertificateRequest, Shape};
use crate::playbook::certificate::{CertificateTask, ConfigFile, Pair, PairPlaces};
use crate::services::Profile;
use crate::source::{Diagnostic, Diagnostics, Node, Value};
use crate::template::Scope;
use indexmap::{IndexMap, IndexSet};
use std::collections::BTreeMap;

/// What was seen of it so far.
#[derive(Default)]
pub(super) struct Given {
    /// The hosts that each play has, whether they take part or not.
    pub(super) plays: Vec<Vec<HostName>>,
    hosts: IndexMap<HostName, (Vec<Fingerprint>, Vec<Fingerprint>)>,
    profiles: BTreeMap<String, Fingerprint>,
}

impl Given {
    /// A certificate task of a host, which sees `scope`.
    pub(super) fn add(&mut self, wanted: &CertificateRequest, scope: &Scope) {
        let (leaves, digests) = self.hosts.entry(wanted.host.clone()).or_default();
        leaves.extend(wanted.materials.iter().map(|one| one.leaf.fingerprint));
        for material in &wanted.materials {
            let files = [Shape::Fullchain, Shape::Key].map(|shape| material.content(shape));
            digests.extend(files.into_iter().flatten().map(|content| content.digest));
        }
        digests.extend(wanted.configs.iter().map(|config| config.content.digest));
        let keystores = (0..wanted.materials.len()).filter_map(|pair| wanted.keystore(pair));
        digests.extend(keystores.map(|content| content.digest));
        digests.push(words(&wanted.certificate));
        digests.push(Fingerprint::of(whereabouts(wanted, scope).as_bytes()));
        for profile in &wanted.profiles {
            let name = format!("the profile of {}", profile.name);
            self.profiles.entry(name).or_insert_with(|| of_profile(profile));
        }
    }

    /// All of it, with the files of the project.
    pub(super) fn end(self, project: &Project) -> RunInputs {
        let files = project.sources().into_iter().chain(self.profiles);
        let hosts = self.hosts.into_iter().map(|(host, (leaves, digests))| {
            let all: String = digests.iter().map(ToString::to_string).collect();
            (host, HostInputs { leaves, sha256: Fingerprint::of(all.as_bytes()) })
        });
        RunInputs {
            sources: files.map(|(file, sha256)| Source { file, sha256 }).collect(),
            plays: self.plays,
            hosts: hosts.collect(),
        }
    }
}

/// Every word of a rendered task, wherever it is written. Contents and passphrases are secrets, which hide themselves:
/// the bytes that they lead to count by their own digests.
fn words(task: &CertificateTask) -> Fingerprint {
    let bare = |pair: &Pair| Pair { span: None, places: PairPlaces::default(), ..pair.clone() };
    let pairs = task.pairs.iter().map(bare).collect();
    let with = task.with.iter().map(|file| ConfigFile { span: None, ..file.clone() }).collect();
    let task = CertificateTask { span: None, pairs, with, ..task.clone() };
    Fingerprint::of(format!("{task:?}").as_bytes())
}

fn of_profile(profile: &Profile) -> Fingerprint {
    // What it has of the profile that it extends is in its values.
    let values = (&profile.settings, &profile.validate, &profile.reload, &profile.recover);
    Fingerprint::of(format!("{values:?}{}", profile.source.text).as_bytes())
}

/// Which machine the host's name stands for.
fn whereabouts(wanted: &CertificateRequest, scope: &Scope) -> String {
    let port = Node::made(Value::Text("{{ ansible_port | default(22) }}".to_owned()));
    format!("{}:{}", wanted.address, scope.text(&port).unwrap_or_default())
}

/// Whether a run is given what run `run` was given. Only the hosts of today count where it is `narrowed`.
///
/// # Errors
/// Every difference, each with the remedy.
pub(crate) fn same(
    then: &RunInputs,
    now: &RunInputs,
    run: &str,
    narrowed: bool,
    remedy: &str,
) -> Result<(), Diagnostics> {
    let mut found = Diagnostics::default();
    let mut differs = |message: String| {
        found.push(Diagnostic::error(message).help(remedy));
    };
    for source in &now.sources {
        let file = &source.file;
        match then.sources.iter().find(|one| one.file == *file) {
            Some(one) if one.sha256 == source.sha256 => {}
            Some(one) => differs(format!(
                "{file} was modified since run {run} (sha256 {}, then {})",
                source.sha256, one.sha256
            )),
            None => differs(format!("{file} was not part of run {run}")),
        }
    }
    for one in &then.sources {
        if !narrowed && !now.sources.iter().any(|source| source.file == one.file) {
            differs(format!("{}, which was part of run {run}, is not any more", one.file));
        }
    }
    let everyone = |inputs: &RunInputs| -> IndexSet<HostName> {
        inputs.plays.iter().flatten().cloned().collect()
    };
    let (before, after) = (everyone(then), everyone(now));
    let left = before.difference(&after).filter(|_| !narrowed);
    let moved = [("joined", after.difference(&before).collect()), ("left", left.collect())];
    for (verb, hosts) in moved {
        let hosts: Vec<&HostName> = hosts;
        if !hosts.is_empty() {
            let (count, names) = (plural(hosts.len(), "host"), shown(&hosts));
            differs(format!("the inventory was modified: {count} {verb} since run {run}: {names}"));
        }
    }
    let mut otherwise: Vec<&HostName> = Vec::new();
    for (host, now) in &now.hosts {
        let Some(then) = then.hosts.get(host) else { continue };
        if now.leaves != then.leaves {
            let listed = |leaves: &[Fingerprint]| {
                leaves.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            };
            differs(format!(
                "{host}: run {run} was about certificate {}, and now it is {}",
                listed(&then.leaves),
                listed(&now.leaves)
            ));
        } else if now.sha256 != then.sha256 {
            otherwise.push(host);
        }
    }
    if !otherwise.is_empty() {
        let names = shown(&otherwise);
        differs(format!(
            "the certificates are those of run {run}, but a key, a chain, an address or a value of a certificate task \
             was modified since, for {names}"
        ));
    }
    if found.has_errors() { Err(found) } else { Ok(()) }
}
