//! Whether the handshakes after a change can prove it: one that showed the new leaf before the change shows it
//! after a change that did nothing, too.
//!
//! That happens behind a balancer whose other member was renewed before, and where the service reads other
//! files than the task writes. Then the host itself is asked ([`candidates`]); where that tells nothing, workers
//! that are newer than the change can prove it ([`newer`]); else it is called *not proven* ([`judge`]).

use super::desired::ProbeWant;
use super::discovery;
use super::host_plan::{Decision, FilePlan, HostPlan, SeenBefore, WorkersProof};
use super::inspection::HostView;
use super::request::CertificateRequest;
use crate::host::{ProcessQuery, Workers};
use crate::material::Certificate;
use crate::model::text::plural;
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

/// Services whose workers can prove what handshakes do not: a reload replaces them, and the service's configuration
/// names the files that are written. With how they are found.
pub(crate) fn services_with_workers(
    plan: &HostPlan,
    view: &HostView,
) -> Vec<(String, ProcessQuery)> {
    let mut found: Vec<(String, ProcessQuery)> = Vec::new();
    for (_, probe) in unproven(plan) {
        let service = view.services().find(|service| service.want.name == probe.service);
        let Some(service) = service.filter(|service| service.up != Some(false)) else { continue };
        let Some(query) = &service.want.workers else { continue };
        let reads = |file: &FilePlan| {
            let there = view.file_at(&file.want.path);
            file.want.pair != probe.pair
                || there.is_some_and(|there| discovery::names(&service, file, there))
        };
        let known = found.iter().any(|(name, _)| *name == probe.service);
        if !known && plan.files.iter().all(reads) {
            found.push((probe.service.clone(), query.clone()));
        }
    }
    found
}

/// Calls by name what no handshake can prove; where the task wants a proof and there is none, nothing is done. `on_host`
/// says, per handshake of the plan that proves nothing, what the look at the host itself gave; `with_workers` are the
/// services whose workers are there to prove it.
pub(crate) fn judge(plan: &mut HostPlan, on_host: &[(usize, String)], with_workers: &[String]) {
    let mut by_workers: Vec<WorkersProof> = Vec::new();
    let mut nothing = Vec::new();
    let mut required = false;
    for (index, probe) in unproven(plan) {
        let place = &probe.endpoint;
        let said = on_host.iter().find(|(of, _)| *of == index).map(|(_, said)| said.as_str());
        let said = said.map_or_else(String::new, |said| format!(", and {said}"));
        let why = format!("{place} already showed the new certificate before the change{said}");
        if with_workers.contains(&probe.service) {
            match by_workers.iter_mut().find(|one| one.service == probe.service) {
                Some(one) => {
                    one.why = format!("{}; {why}", one.why);
                    one.required |= probe.proof_required;
                }
                None => by_workers.push(WorkersProof {
                    service: probe.service.clone(),
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
    plan.notes.extend(by_workers.iter().map(|one| {
        format!(
            "{}; so no handshake can prove the change: {} has to have new workers after it",
            one.why, one.service
        )
    }));
    plan.by_workers = by_workers;
    let unproven = nothing;
    if unproven.is_empty() {
        return;
    }
    let why = unproven.join("; ");
    if required && matches!(plan.decision, Decision::Change) {
        plan.decision = Decision::Blocked {
            step: Step::Verify,
            why: format!("no handshake could prove the change (`proof: required`): {why}"),
            check: None,
        };
    }
    plan.notes.push(format!("not proven by a handshake: {why}; {REMEDY}"));
    plan.unproven = unproven;
}

/// Whether the service's configuration, with the files that it names, was read between two looks at its processes: what
/// was seen, one line.
///
/// # Errors
/// Why not, one line.
pub(crate) fn newer(before: Option<&Workers>, after: Option<&Workers>) -> Result<String, String> {
    let (Some(before), Some(after)) = (before, after) else {
        return Err("its processes are not found".to_owned());
    };
    if before.main != after.main {
        return Ok(format!("process {} is newer than the change", after.main.pid));
    }
    let new = after.started.iter().filter(|one| !before.started.contains(one)).count();
    let old = after.started.len() - new;
    // One alone may have been started in place of one that crashed, with what was read long ago.
    if new > 0 && (old == 0 || new >= before.started.len()) {
        let are = if new == 1 { "is" } else { "are" };
        return Ok(format!("{} {are} newer than the change", plural(new, "worker")));
    }
    Err(format!("{} of {} are newer than the change", new, plural(after.started.len(), "worker")))
}

/// What to do about a change that is not proven.
const REMEDY: &str = "if a balancer or another machine answers there, name a place of this host in `verify:` \
     (`via: host`); if this host does, its service reads other files than `dest` names";

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
        let writes = matches!(file.action, FileAction::Create | FileAction::Replace);
        writes && file.want.leaf.as_ref().is_some_and(|one| one.fingerprint == leaf)
    })
}

/// Whether another handshake with the same service showed something else before.
fn proven(plan: &HostPlan, probe: &ProbeWant) -> bool {
    plan.places.iter().any(|other| {
        other.probe.leaf == probe.leaf
            && other.probe.service == probe.service
            && other.before != SeenBefore::Leaf(probe.leaf)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ProcessName;

    fn processes(main: u32, started: &[u32]) -> Workers {
        let name = |pid: u32| ProcessName { pid, began: format!("{pid}00") };
        Workers { main: name(main), started: started.iter().map(|pid| name(*pid)).collect() }
    }

    #[test]
    fn workers_are_newer_when_the_reload_replaced_them() {
        let before = processes(1, &[2, 3]);
        let told = |after: Workers| newer(Some(&before), Some(&after));
        assert_eq!(told(processes(1, &[4, 5])).unwrap(), "2 workers are newer than the change");
        // Old ones that still serve those who are connected; fewer than before, without any old one; a restart.
        assert!(told(processes(1, &[2, 3, 4, 5])).is_ok());
        assert!(told(processes(1, &[4])).is_ok());
        assert_eq!(told(processes(9, &[])).unwrap(), "process 9 is newer than the change");
        // Nothing happened; one crashed and was started anew from what the main process had read before.
        assert!(told(processes(1, &[2, 3])).is_err());
        assert_eq!(
            told(processes(1, &[2, 4])).unwrap_err(),
            "1 of 2 workers are newer than the change"
        );
        assert!(told(processes(1, &[])).is_err());
        assert!(newer(None, Some(&before)).is_err() && newer(Some(&before), None).is_err());
    }

    #[test]
    fn a_number_that_another_process_got_is_not_the_same_process() {
        let before = processes(1, &[2]);
        let mut after = before.clone();
        after.started[0].began = "later".to_owned();
        assert!(newer(Some(&before), Some(&after)).is_ok());
    }
}
