//! Which handshakes show whether the new certificate is served.
//!
//! [`probes`] are the places to look at before the change: those that the operator named, or the
//! usual ones of the service. Of the usual ones, `decide` keeps those that turned out to serve the
//! certificate in question: not everybody has something listening on port 587.

use super::build::SeenBefore;
use super::desired::{Desired, ProbeWant};
use super::wanted::{Material, Wanted};
use crate::host::HostFacts;
use crate::material::{Certificate, certificates_in};
use crate::model::{Endpoint, Fingerprint, StartTls, Via};
use crate::playbook::certificate::{VerifyChoice, VerifySpec};
use crate::services::VerifyDefault;
use crate::verify::SignatureChoice;
use std::net::IpAddr;
use std::time::Duration;

/// The places to look at before the change; does not depend on the kind of host.
///
/// # Errors
/// A name that none of the task's certificates covers, or roots that were not loaded.
pub fn probes(wanted: &Wanted) -> Result<Vec<ProbeWant>, String> {
    let usual = VerifySpec::default();
    let specs = match &wanted.certificate.verify {
        VerifyChoice::Off => return Ok(Vec::new()),
        VerifyChoice::Profile => std::slice::from_ref(&usual),
        VerifyChoice::Endpoints(specs) => specs,
    };
    let mut probes = Vec::new();
    for spec in specs {
        for (pair, material) in chosen_pairs(wanted, spec)? {
            let maker = Maker { wanted, spec, pair, material };
            match &spec.endpoint {
                Some(endpoint) => probes.push(maker.named(endpoint)?),
                None => maker.usual(&mut probes)?,
            }
        }
    }
    Ok(probes)
}

/// The pairs that a spec is about: those with its name, else all.
fn chosen_pairs<'a>(
    wanted: &'a Wanted,
    spec: &VerifySpec,
) -> Result<Vec<(usize, &'a Material)>, String> {
    let all = || wanted.materials.iter().enumerate().map(|(index, m)| (index, m.as_ref()));
    if wanted.materials.len() <= 1 {
        return Ok(all().collect());
    }
    if let Some(name) = &spec.server_name {
        let found = covering(wanted, name);
        if found.is_empty() {
            return Err(format!(
                "verify: none of the task's certificates covers server_name '{name}'"
            ));
        }
        return Ok(found);
    }
    let by_host = spec.endpoint.as_ref().map(|endpoint| covering(wanted, &endpoint.host));
    Ok(by_host.filter(|found| !found.is_empty()).unwrap_or_else(|| all().collect()))
}

/// The pairs that a server with all of them would pick from, one per kind of key: an exact name wins over
/// a wildcard.
fn covering<'a>(wanted: &'a Wanted, name: &str) -> Vec<(usize, &'a Material)> {
    let exact = |leaf: &Certificate| leaf.dns_names.iter().any(|n| n.eq_ignore_ascii_case(name));
    let covers = |leaf: &Certificate| leaf.covers(name);
    let mut found: Vec<(usize, &Material)> = Vec::new();
    for fits in [&exact as &dyn Fn(&Certificate) -> bool, &covers] {
        for (index, material) in wanted.materials.iter().enumerate() {
            let kind = SignatureChoice::of(&material.leaf.public_key);
            let known =
                |(_, one): &(usize, &Material)| SignatureChoice::of(&one.leaf.public_key) == kind;
            if fits(&material.leaf) && !found.iter().any(known) {
                found.push((index, material));
            }
        }
        if !found.is_empty() {
            break;
        }
    }
    found
}

struct Maker<'a> {
    wanted: &'a Wanted,
    spec: &'a VerifySpec,
    pair: usize,
    material: &'a Material,
}

impl Maker<'_> {
    /// A place that the operator named.
    fn named(&self, endpoint: &Endpoint) -> Result<ProbeWant, String> {
        let known = self.wanted.profiles.iter().find_map(|profile| {
            let place = profile.verify.iter().find(|place| place.port == endpoint.port)?;
            Some((profile.name.as_str(), *place))
        });
        let first = self.wanted.profiles.first();
        let (service, starttls, settle) = match known {
            Some((name, place)) => (name, place.starttls, place.settle),
            None => (
                first.map_or("", |profile| profile.name.as_str()),
                StartTls::None,
                first
                    .and_then(|profile| profile.verify.first())
                    .map_or(Duration::ZERO, |p| p.settle),
            ),
        };
        self.probe(service, endpoint.clone(), starttls, settle, None)
    }

    /// Every usual place of every service.
    fn usual(&self, probes: &mut Vec<ProbeWant>) -> Result<(), String> {
        let host = match self.spec.via {
            // Seen from the host itself its public address may be somebody else's.
            Via::Host => "127.0.0.1".to_owned(),
            Via::Controller | Via::Bastion => self.wanted.address.clone(),
        };
        for profile in &self.wanted.profiles {
            let group = format!("{}#{}", profile.name, self.pair);
            for VerifyDefault { port, starttls, settle } in &profile.verify {
                let endpoint = Endpoint { host: host.clone(), port: *port };
                let group = Some(group.clone());
                probes.push(self.probe(&profile.name, endpoint, *starttls, *settle, group)?);
            }
        }
        Ok(())
    }

    fn probe(
        &self,
        service: &str,
        endpoint: Endpoint,
        starttls: StartTls,
        settle: Duration,
        alternatives: Option<String>,
    ) -> Result<ProbeWant, String> {
        let spec = self.spec;
        let leaf = &self.material.leaf;
        let own = Some(&endpoint.host).filter(|host| is_name(host) && leaf.covers(host)).cloned();
        let server_name = spec.server_name.clone().or(own).or_else(|| name_for(self.wanted, leaf));
        let trust = match &spec.trust {
            None => None,
            Some(named) => {
                let loaded = self.wanted.roots.iter().find(|(trust, _)| trust == named);
                let roots = loaded.map(|(_, roots)| roots.clone());
                Some(roots.ok_or("verify: the roots of `trust` were not loaded")?)
            }
        };
        Ok(ProbeWant {
            service: service.to_owned(),
            endpoint,
            names: server_name.iter().cloned().collect(),
            server_name,
            starttls: spec.starttls.unwrap_or(starttls),
            via: spec.via,
            timeout: spec.timeout,
            backoff: spec.backoff,
            all_addresses: spec.all_addresses,
            consecutive: spec.consecutive,
            proof_required: spec.proof_required,
            leaf: leaf.fingerprint,
            signature: SignatureChoice::of(&leaf.public_key),
            chain: Some(self.material.chain()),
            trust,
            settle,
            pair: self.pair,
            alternatives,
        })
    }
}

fn is_name(host: &str) -> bool {
    host.parse::<IpAddr>().is_err()
}

/// The name to ask for where nobody said one: an address alone would show the default virtual host.
/// The host's own name if the certificate covers it, else the certificate's first.
pub(super) fn name_for(wanted: &Wanted, leaf: &Certificate) -> Option<String> {
    let own = [wanted.host.as_str(), wanted.address.as_str()];
    let own = own.into_iter().filter(|name| is_name(name) && leaf.covers(name)).map(str::to_owned);
    let exact = leaf.dns_names.iter().filter(|name| !name.starts_with("*.")).cloned();
    // Any label does for a wildcard; this one is the most likely to lead to a virtual host.
    let wildcard = leaf.dns_names.iter().map(|name| name.replacen('*', "www", 1));
    let candidates: Vec<String> = own.chain(exact).chain(wildcard).collect();
    // A name that another certificate of the task covers better would show that one.
    let shows_this = |name: &&String| {
        wanted.materials.len() == 1
            || covering(wanted, name)
                .iter()
                .any(|(_, material)| material.leaf.fingerprint == leaf.fingerprint)
    };
    candidates.iter().find(shows_this).or(candidates.first()).cloned()
}

/// The probes that must show the new leaf, what each showed before, and what is to be said about it.
pub(super) struct Decided {
    pub probes: Vec<ProbeWant>,
    pub seen: Vec<SeenBefore>,
    pub notes: Vec<String>,
}

/// Chooses among the usual places of each service by what they served; the operator's own all count.
pub(super) fn decide(desired: &Desired, facts: &HostFacts, seen: &[SeenBefore]) -> Decided {
    let mut decided = Decided { probes: Vec::new(), seen: Vec::new(), notes: Vec::new() };
    let looks: Vec<(&ProbeWant, &SeenBefore)> = desired.probes.iter().zip(seen).collect();
    let mut done: Vec<&str> = Vec::new();
    for (probe, shown) in &looks {
        let Some(group) = probe.alternatives.as_deref() else {
            decided.keep(probe, shown, None);
            if let SeenBefore::Nothing(why) = shown {
                let place = &probe.endpoint;
                decided.notes.push(format!("before the change {place} served nothing: {why}"));
            }
            continue;
        };
        if done.contains(&group) {
            continue;
        }
        done.push(group);
        let members: Vec<(&ProbeWant, &SeenBefore)> = looks
            .iter()
            .filter(|(other, _)| other.alternatives.as_deref() == Some(group))
            .copied()
            .collect();
        decided.group(&members, &leaves_on_disk(desired, facts, probe.pair), group);
    }
    decided
}

impl Decided {
    fn keep(&mut self, probe: &ProbeWant, seen: &SeenBefore, alternatives: Option<&str>) {
        let alternatives = alternatives.map(str::to_owned);
        self.probes.push(ProbeWant { alternatives, ..probe.clone() });
        self.seen.push(seen.clone());
    }

    fn group(
        &mut self,
        members: &[(&ProbeWant, &SeenBefore)],
        on_disk: &[Fingerprint],
        group: &str,
    ) {
        let leaf = |seen: &SeenBefore| match seen {
            SeenBefore::Leaf(leaf) => Some(*leaf),
            SeenBefore::Nothing(_) => None,
        };
        let ours = |(probe, seen): &&(&ProbeWant, &SeenBefore)| {
            leaf(seen).is_some_and(|leaf| leaf == probe.leaf || on_disk.contains(&leaf))
        };
        let any = |(_, seen): &&(&ProbeWant, &SeenBefore)| leaf(seen).is_some();
        let mut chosen: Vec<_> = members.iter().filter(ours).collect();
        if chosen.is_empty() {
            chosen = members.iter().filter(any).collect();
            if !chosen.is_empty() && !on_disk.is_empty() {
                let places: Vec<String> =
                    chosen.iter().map(|(probe, _)| probe.endpoint.to_string()).collect();
                self.notes.push(format!(
                    "{} serves another certificate than the file holds; it must show the new one after \
                     the change (if it is not the place to look at, name that in `verify:`)",
                    places.join(", ")
                ));
            }
        }
        match (chosen.as_slice(), members) {
            ([], [(probe, seen)]) => {
                let why = match seen {
                    SeenBefore::Nothing(why) => why.as_str(),
                    SeenBefore::Leaf(_) => "",
                };
                self.notes.push(format!(
                    "nothing is served on {} now ({why}); after the change it must show the new \
                     certificate, or the host is rolled back (name another place in `verify:`)",
                    probe.endpoint
                ));
                self.keep(probe, seen, None);
            }
            ([], several) => {
                let places: Vec<String> =
                    several.iter().map(|(probe, _)| probe.endpoint.to_string()).collect();
                self.notes.push(format!(
                    "nothing is served on any of {} now; after the change one of them must show the new \
                     certificate, or the host is rolled back (name the place in `verify:`)",
                    places.join(", ")
                ));
                for (probe, seen) in several {
                    self.keep(probe, seen, Some(group));
                }
            }
            (some, _) => {
                for (probe, seen) in some {
                    self.keep(probe, seen, None);
                }
            }
        }
    }
}

/// The leaf in the destination files of a pair now.
pub(super) fn leaves_on_disk(
    desired: &Desired,
    facts: &HostFacts,
    pair: usize,
) -> Vec<Fingerprint> {
    let files = desired.files.iter().zip(&facts.files);
    files
        .filter(|(want, _)| want.pair == pair && want.leaf.is_some())
        .filter_map(|(_, there)| {
            certificates_in(&there.file()?.certificates_pem).into_iter().next()
        })
        .map(|leaf| leaf.fingerprint)
        .collect()
}
