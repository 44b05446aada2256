//! Looks at the host itself where a handshake from elsewhere proves nothing.

use crate::engine::connection::HostConnection;
use crate::engine::verification;
use crate::host::{Inspection, InspectionVariant, ProcessQuery, Workers};
use crate::model::Timestamp;
use crate::plan::build::build;
use crate::plan::host_plan::HostPlan;
use crate::plan::inspection::HostView;
use crate::plan::proof;
use crate::plan::request::CertificateRequest;
use crate::remote;

/// A plan whose handshakes prove as much as can be had: with looks at the host itself for those that showed
/// the new leaf before anything was done.
pub(super) async fn sought(
    wanted: &CertificateRequest,
    mut view: HostView,
    connection: &HostConnection,
    now: Timestamp,
) -> (HostView, HostPlan) {
    let mut plan = build(&view, now);
    let candidates = proof::candidates(&plan, wanted);
    let places: Vec<_> = candidates.iter().map(|one| one.probe.clone()).collect();
    let looks = verification::look(&places, &connection.dialers()).await;
    let mut said: Vec<(usize, String)> = Vec::new();
    let mut settled: Vec<usize> = Vec::new();
    let mut found = false;
    for (candidate, look) in candidates.iter().zip(looks) {
        if settled.contains(&candidate.for_probe) {
            continue;
        }
        let place = &candidate.probe.endpoint;
        let words = match look {
            Ok(served) if served.leaf == candidate.probe.leaf => {
                settled.push(candidate.for_probe);
                format!("so did the host itself ({place} from there)")
            }
            Ok(served) if proof::is_the_service(&candidate.probe, &served, &view) => {
                settled.push(candidate.for_probe);
                let known = |one: &crate::plan::desired::ProbeWant| {
                    one.endpoint == candidate.probe.endpoint
                        && one.via == candidate.probe.via
                        && one.leaf == candidate.probe.leaf
                        && one.server_name == candidate.probe.server_name
                };
                if !view.desired().probes.iter().any(known) {
                    view.add_place(candidate.probe.clone(), Ok(served));
                    found = true;
                }
                continue;
            }
            Ok(_) => format!("{place} on the host itself is another service's"),
            Err(why) => format!("the host itself tells nothing on {place} ({why})"),
        };
        // The likeliest place comes first; what is said of the others adds little.
        let told = said.iter_mut().find(|(index, _)| *index == candidate.for_probe);
        match told {
            Some((_, old)) if settled.contains(&candidate.for_probe) => *old = words,
            Some(_) => {}
            None => said.push((candidate.for_probe, words)),
        }
    }
    if found {
        plan = build(&view, now);
    }
    let with_workers = proof::services_with_workers(&plan, &view);
    let there = workers_are_there(connection, with_workers).await;
    proof::judge(&mut plan, &said, &there);
    (view, plan)
}

/// Those of the services that have a process with workers now.
async fn workers_are_there(
    connection: &HostConnection,
    services: Vec<(String, ProcessQuery)>,
) -> Vec<String> {
    let (names, queries): (Vec<String>, Vec<ProcessQuery>) = services.into_iter().unzip();
    // Where nobody can tell, nothing is proven, and that is said.
    let found = workers(connection, queries).await.unwrap_or_default();
    let has = |found: &Option<Workers>| found.as_ref().is_some_and(|one| !one.started.is_empty());
    names.into_iter().zip(found).filter(|(_, found)| has(found)).map(|(name, _)| name).collect()
}

/// The processes that each query finds now.
///
/// # Errors
/// The host did not tell.
pub(super) async fn workers(
    connection: &HostConnection,
    queries: Vec<ProcessQuery>,
) -> Result<Vec<Option<Workers>>, String> {
    if queries.is_empty() {
        return Ok(Vec::new());
    }
    let variant = InspectionVariant { workers: queries, ..InspectionVariant::default() };
    let request = Inspection { variants: vec![variant], ..Inspection::default() };
    let process = connection.sh().await.map_err(|error| error.to_string())?;
    let facts = remote::inspect(process, &request).await;
    facts.map(|facts| facts.workers).map_err(|error| error.to_string())
}
