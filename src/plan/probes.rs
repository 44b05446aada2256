//! Which handshakes show whether the new certificate is served.
//!
//! [`probes`] are the places to look at before the change: those that the operator named, or the
//! usual ones of the service, of which [`alternatives`](super::alternatives) keeps those that count.

use super::desired::ProbeWant;
use super::error::PlanError;
use super::request::{CertificateRequest, Material};
use crate::material::Certificate;
use crate::model::{Endpoint, StartTls, Via};
use crate::playbook::certificate::{VerifyChoice, VerifySpec};
use crate::services::{Profile, VerifyDefault};
use crate::verify::{SignatureChoice, beyond_judging};
use std::net::IpAddr;
use std::time::Duration;

/// The places to look at before the change; does not depend on the kind of host.
///
/// # Errors
/// A name that none of the task's certificates covers, or roots that were not loaded.
pub(crate) fn probes(wanted: &CertificateRequest) -> Result<Vec<ProbeWant>, PlanError> {
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
    wanted: &'a CertificateRequest,
    spec: &VerifySpec,
) -> Result<Vec<(usize, &'a Material)>, PlanError> {
    let all = || wanted.materials.iter().enumerate().map(|(index, m)| (index, m.as_ref()));
    if wanted.materials.len() <= 1 {
        return Ok(all().collect());
    }
    if let Some(name) = &spec.server_name {
        let found = covering(wanted, name);
        if found.is_empty() {
            return Err(PlanError::NameNotCovered(name.clone()));
        }
        return Ok(by_port(wanted, spec, found));
    }
    let by_host = spec.endpoint.as_ref().map(|endpoint| covering(wanted, &endpoint.host));
    let found = by_host.filter(|found| !found.is_empty()).unwrap_or_else(|| all().collect());
    Ok(by_port(wanted, spec, found))
}

/// Of several pairs those that are read by a service which usually listens there, if there is one.
fn by_port<'a>(
    wanted: &'a CertificateRequest,
    spec: &VerifySpec,
    found: Vec<(usize, &'a Material)>,
) -> Vec<(usize, &'a Material)> {
    let Some(endpoint) = &spec.endpoint else { return found };
    let listens = |profile: &Profile| profile.verify.iter().any(|p| p.port == endpoint.port);
    let reads = |pair: usize| {
        let pair = wanted.certificate.pairs.get(pair);
        let mut all = wanted.profiles.iter().enumerate();
        all.any(|(index, profile)| listens(profile) && pair.is_none_or(|pair| pair.is_for(index)))
    };
    let own: Vec<_> = found.iter().copied().filter(|(pair, _)| reads(*pair)).collect();
    if own.is_empty() { found } else { own }
}

/// The pairs that a server with all of them would pick from, one per kind of key: an exact name wins over
/// a wildcard.
fn covering<'a>(wanted: &'a CertificateRequest, name: &str) -> Vec<(usize, &'a Material)> {
    let exact = |leaf: &Certificate| leaf.dns_names.iter().any(|n| n.eq_ignore_ascii_case(name));
    let covers = |leaf: &Certificate| leaf.covers(name);
    let mut found: Vec<(usize, &Material)> = Vec::new();
    for fits in [&exact as &dyn Fn(&Certificate) -> bool, &covers] {
        for (index, material) in wanted.materials.iter().enumerate() {
            let kind = SignatureChoice::of(&material.leaf.public_key);
            let known = |(other, one): &(usize, &Material)| {
                SignatureChoice::of(&one.leaf.public_key) == kind
                    && share_a_service(wanted, *other, index)
            };
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

/// Only such pairs are ever picked from.
fn share_a_service(wanted: &CertificateRequest, one: usize, other: usize) -> bool {
    let pairs = &wanted.certificate.pairs;
    let (Some(one), Some(other)) = (pairs.get(one), pairs.get(other)) else { return true };
    (0..wanted.profiles.len()).any(|service| one.is_for(service) && other.is_for(service))
}

struct Maker<'a> {
    wanted: &'a CertificateRequest,
    spec: &'a VerifySpec,
    pair: usize,
    material: &'a Material,
}

impl<'a> Maker<'a> {
    /// Those of the services that read the pair.
    fn profiles(&self) -> impl Iterator<Item = &'a Profile> + use<'a> {
        let (wanted, pair) = (self.wanted, self.pair);
        let pair = wanted.certificate.pairs.get(pair);
        let all = wanted.profiles.iter().enumerate();
        let own = all.filter(move |(index, _)| pair.is_none_or(|pair| pair.is_for(*index)));
        own.map(|(_, profile)| profile.as_ref())
    }

    /// A place that the operator named.
    fn named(&self, endpoint: &Endpoint) -> Result<ProbeWant, PlanError> {
        let known = self.profiles().find_map(|profile| {
            let place = profile.verify.iter().find(|place| place.port == endpoint.port)?;
            Some((profile.name.as_str(), *place))
        });
        let first = self.profiles().next();
        let (service, place) = known.unwrap_or_else(|| {
            let usual = first.and_then(|profile| profile.verify.first());
            let place = VerifyDefault {
                port: endpoint.port,
                starttls: StartTls::None,
                settle: usual.map_or(Duration::ZERO, |usual| usual.settle),
                not_before: usual.map_or(Duration::ZERO, |usual| usual.not_before),
            };
            (first.map_or("", |profile| profile.name.as_str()), place)
        });
        self.probe(service, endpoint.clone(), place, None)
    }

    /// Every usual place of every service.
    fn usual(&self, probes: &mut Vec<ProbeWant>) -> Result<(), PlanError> {
        let host = match self.spec.via {
            // Seen from the host itself its public address may be somebody else's.
            Via::Host => "127.0.0.1".to_owned(),
            Via::Controller | Via::Bastion => self.wanted.address.clone(),
        };
        for profile in self.profiles() {
            let group = format!("{}#{}", profile.name, self.pair);
            for place in &profile.verify {
                let endpoint = Endpoint { host: host.clone(), port: place.port };
                probes.push(self.probe(&profile.name, endpoint, *place, Some(group.clone()))?);
            }
        }
        Ok(())
    }

    fn probe(
        &self,
        service: &str,
        endpoint: Endpoint,
        usual: VerifyDefault,
        alternatives: Option<String>,
    ) -> Result<ProbeWant, PlanError> {
        let spec = self.spec;
        let leaf = &self.material.leaf;
        let own = Some(&endpoint.host).filter(|host| is_name(host) && leaf.covers(host)).cloned();
        let server_name = spec.server_name.clone().or(own).or_else(|| name_for(self.wanted, leaf));
        let trust = match &spec.trust {
            None => None,
            Some(named) => {
                let loaded = self.wanted.roots.iter().find(|(trust, _)| trust == named);
                let roots = loaded.map(|(_, roots)| roots.clone());
                Some(roots.ok_or(PlanError::NoRoots)?)
            }
        };
        Ok(ProbeWant {
            may_go: false,
            service: service.to_owned(),
            endpoint,
            names: server_name.iter().cloned().collect(),
            server_name,
            starttls: spec.starttls.unwrap_or(usual.starttls),
            via: spec.via,
            timeout: spec.timeout,
            backoff: spec.backoff,
            all_addresses: spec.all_addresses,
            consecutive: spec.consecutive,
            proof_required: spec.proof_required,
            leaf: leaf.fingerprint,
            beyond_judging: beyond_judging(&leaf.public_key),
            signature: SignatureChoice::of(&leaf.public_key),
            chain: Some(self.material.chain()),
            trust,
            settle: usual.settle,
            not_before: usual.not_before,
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
pub(super) fn name_for(wanted: &CertificateRequest, leaf: &Certificate) -> Option<String> {
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
