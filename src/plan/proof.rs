//! Whether the handshakes after a change can prove it: one that showed the new leaf before the change shows it
//! after a change that did nothing, too.
//!
//! That happens behind a balancer whose other member was renewed before, and where the service reads other
//! files than the task writes. Then the host itself is asked ([`candidates`]); where that tells nothing, what the service
//! has loaded or workers that are newer than the change can prove it ([`evidence`]); else it is called *not proven* ([`judge`]).
//! A change of nothing but configuration files is one that no handshake shows: workers alone can prove it.

use super::desired::ProbeWant;
use super::discovery;
use super::evidence::{Evidence, leaf_names};
use super::host_plan::{Decision, FilePlan, HostPlan, SeenBefore, ServiceProof};
use super::inspection::HostView;
use super::request::CertificateRequest;
use crate::host::FileRole;
use crate::material::Certificate;
use crate::model::{Endpoint, FileAction, Fingerprint, StartTls, Step, Via};
use crate::verify::Served;

/// A place on the host itself that may show what only this host serves.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Where to look, through the link to the host.
    pub probe: ProbeWant,
    /// The index, in the plan, of the handshake that proves nothing.
    pub for_probe: usize,
}

/// Where to look on the host itself, best first for each handshake that showed the new leaf already.
///
/// A host whose files are right and that is looked at by its own address is left alone: there is nothing to
/// prove, and nobody stands between.
pub(crate) fn candidates(plan: &HostPlan, wanted: &CertificateRequest) -> Vec<Candidate> {
    let address = wanted.address.as_str();
    let mut candidates = Vec::new();
    for (index, probe) in matching(plan) {
        let itself = probe.endpoint.host == address;
        if probe.via == Via::Host || (itself && !changes(plan, probe.leaf)) {
            continue;
        }
        // A balancer may listen on a port of its own.
        let usual = wanted.profiles.iter().filter(|profile| profile.name == probe.service);
        let usual = usual.flat_map(|profile| &profile.verify);
        let usual = usual.map(|place| (place.port, place.starttls));
        let own = (probe.endpoint.port, probe.starttls);
        let mut places: Vec<(u16, StartTls)> = vec![own];
        places.extend(usual.filter(|place| *place != own));
        for (host, (port, starttls)) in
            ["127.0.0.1", address].iter().flat_map(|host| places.iter().map(move |at| (host, *at)))
        {
            let probe = ProbeWant {
                endpoint: Endpoint { host: (*host).to_owned(), port },
                starttls,
                via: Via::Host,
                all_addresses: false,
                alternatives: None,
                ..probe.clone()
            };
            candidates.push(Candidate { probe, for_probe: index });
        }
    }
    candidates
}

/// Whether what a candidate shows is the service in question: a certificate that lies in its files now, or one
/// for the same name. Others may listen on the port of another address.
pub(crate) fn is_the_service(candidate: &ProbeWant, served: &Served, view: &HostView) -> bool {
    let for_the_name = || {
        let leaf = served.chain.first().and_then(|der| Certificate::from_der(der));
        leaf.is_some_and(|leaf| candidate.server_name.iter().any(|name| leaf.covers(name)))
    };
    view.leaves_on_disk(candidate.pair).contains(&served.leaf) || for_the_name()
}

/// The handshakes that prove nothing of a change.
fn unproven(plan: &HostPlan) -> impl Iterator<Item = (usize, &ProbeWant)> {
    matching(plan).filter(|(_, probe)| changes(plan, probe.leaf) && !proven(plan, probe))
}

/// What could prove on the host what handshakes do not, best first for each service: what the service says that it has
/// loaded; its workers, where a reload replaces them and its configuration names the files that are written.
pub(crate) fn evidence(plan: &HostPlan, view: &HostView) -> Vec<(String, Evidence)> {
    let mut found: Vec<(String, Evidence)> = Vec::new();
    for (_, probe) in unproven(plan) {
        let service = view.services().find(|service| service.want.name == probe.service);
        let Some(service) = service.filter(|service| service.up != Some(false)) else { continue };
        let known = |loaded: bool| {
            let of_service = found.iter().filter(|(name, _)| *name == probe.service);
            of_service
                .map(|(_, one)| one)
                .any(|one| matches!(one, Evidence::Loaded { .. }) == loaded)
        };
        let (loaded_known, workers_known) = (known(true), known(false));
        if let Some(command) = service.want.loaded.as_ref().filter(|_| !loaded_known) {
            let of_service = unproven(plan).filter(|(_, other)| other.service == probe.service);
            let leaves = of_service.map(|(_, other)| leaf(plan, other.leaf).map(leaf_names));
            if let Some(leaves) = leaves.collect() {
                let command = command.clone();
                found.push((probe.service.clone(), Evidence::Loaded { command, leaves }));
            }
        }
        let Some(query) = service.want.workers.as_ref().filter(|_| !workers_known) else {
            continue;
        };
        let reads = |file: &FilePlan| {
            let there = view.file_at(&file.want.path);
            file.want.pair != probe.pair
                || there.is_some_and(|there| discovery::names(&service, file, there))
        };
        if plan.files.iter().all(reads) {
            found.push((probe.service.clone(), Evidence::Workers(query.clone())));
        }
    }
    for (service, _) in configured(plan) {
        let service = view.services().find(|one| one.want.name == service);
        let Some(service) = service.filter(|service| service.up != Some(false)) else { continue };
        if let Some(query) = &service.want.workers {
            found.push((service.want.name.clone(), Evidence::Workers(query.clone())));
        }
    }
    found
}

/// The services of which nothing but the configuration changes, and one of their handshakes: it shows the certificate,
/// which was served before.
fn configured(plan: &HostPlan) -> Vec<(&str, &ProbeWant)> {
    let writes = || plan.files.iter().filter(|file| writes(file));
    let only = writes().all(|file| file.want.role == FileRole::Config);
    if plan.decision != Decision::Change || !only || writes().next().is_none() {
        return Vec::new();
    }
    let mut found: Vec<(&str, &ProbeWant)> = Vec::new();
    for place in &plan.places {
        let probe = &place.probe;
        let known = found.iter().any(|(service, _)| *service == probe.service);
        let mut own = plan.places.iter().filter(|other| other.probe.service == probe.service);
        if !known && own.all(|other| other.before == SeenBefore::Leaf(other.probe.leaf)) {
            found.push((&probe.service, probe));
        }
    }
    found
}

/// The new leaf with this digest.
fn leaf(plan: &HostPlan, leaf: Fingerprint) -> Option<&Certificate> {
    let leaves = plan.files.iter().filter_map(|file| file.want.leaf.as_deref());
    leaves.into_iter().find(|one| one.fingerprint == leaf)
}

/// Calls by name what no handshake can prove; where the task wants a proof and there is none, nothing is done. `on_host`
/// says, per handshake of the plan that proves nothing, what the look at the host itself gave; `evidence` is what is
/// there to prove it, best first for each service.
pub(crate) fn judge(
    plan: &mut HostPlan,
    on_host: &[(usize, String)],
    evidence: &[(String, Evidence)],
) {
    let mut by_service: Vec<ServiceProof> = Vec::new();
    let mut nothing = Vec::new();
    let mut required = false;
    for (index, probe) in unproven(plan) {
        let place = &probe.endpoint;
        let said = on_host.iter().find(|(of, _)| *of == index).map(|(_, said)| said.as_str());
        let said = said.map_or_else(String::new, |said| format!(", and {said}"));
        let why = format!("{place} already showed the new certificate before the change{said}");
        if let Some((_, by)) = evidence.iter().find(|(name, _)| *name == probe.service) {
            match by_service.iter_mut().find(|one| one.service == probe.service) {
                Some(one) => {
                    one.why = format!("{}; {why}", one.why);
                    one.required |= probe.proof_required;
                }
                None => by_service.push(ServiceProof {
                    service: probe.service.clone(),
                    by: by.clone(),
                    why,
                    backoff: probe.backoff,
                    required: probe.proof_required,
                }),
            }
            continue;
        }
        nothing.push(why);
        required |= probe.proof_required;
    }
    let mut unseen: Vec<String> = Vec::new();
    for (service, probe) in configured(plan) {
        let why = format!("only the configuration of {service} changes, which no handshake shows");
        match evidence.iter().find(|(name, _)| name == service) {
            Some((_, by)) => by_service.push(ServiceProof {
                service: service.to_owned(),
                by: by.clone(),
                why,
                backoff: probe.backoff,
                required: probe.proof_required,
            }),
            None => {
                required |= probe.proof_required;
                unseen.push(why);
            }
        }
    }
    plan.notes.extend(by_service.iter().map(|one| {
        let (why, service, wanted) = (&one.why, &one.service, one.by.wanted());
        format!("{why}; so no handshake can prove the change: {service} {wanted}")
    }));
    plan.by_service = by_service;
    if nothing.is_empty() && unseen.is_empty() {
        return;
    }
    for (whys, remedy) in [(&nothing, REMEDY), (&unseen, CONFIGURATION)] {
        if !whys.is_empty() {
            let why = whys.join("; ");
            plan.notes.push(format!("not proven by a handshake: {why}; {remedy}"));
        }
    }
    let unproven = [nothing, unseen].concat();
    let why = unproven.join("; ");
    if required && matches!(plan.decision, Decision::Change) {
        plan.decision = Decision::Blocked {
            step: Step::Verify,
            why: format!("no handshake could prove the change (`proof: required`): {why}"),
            check: None,
        };
    }
    plan.unproven = unproven;
}

/// What to do about a change that is not proven.
const REMEDY: &str = "if a balancer or another machine answers there, name a place of this host in `verify:` \
     (`via: host`); if this host does, its service reads other files than `dest` names";

/// What to do about a configuration that is not seen.
const CONFIGURATION: &str = "the service's own check accepts it before it is live; that it is in effect is for a \
     check of your own to show (`checks:`)";

/// The handshakes that showed the wanted leaf before the change.
fn matching(plan: &HostPlan) -> impl Iterator<Item = (usize, &ProbeWant)> {
    let places = plan.places.iter().enumerate();
    places
        .filter(|(_, place)| place.before == SeenBefore::Leaf(place.probe.leaf))
        .map(|(index, place)| (index, &place.probe))
}

/// Whether a file with this leaf is written, and not only given another owner or mode.
fn changes(plan: &HostPlan, leaf: Fingerprint) -> bool {
    plan.files.iter().any(|file| {
        writes(file) && file.want.leaf.as_ref().is_some_and(|one| one.fingerprint == leaf)
    })
}

fn writes(file: &FilePlan) -> bool {
    matches!(file.action, FileAction::Create | FileAction::Replace | FileAction::Remove)
}

/// Whether another handshake with the same service showed something else before.
fn proven(plan: &HostPlan, probe: &ProbeWant) -> bool {
    plan.places.iter().any(|other| {
        other.probe.leaf == probe.leaf
            && other.probe.service == probe.service
            && other.before != SeenBefore::Leaf(probe.leaf)
    })
}
