//! Looks at the host itself where a handshake from elsewhere proves nothing.

use crate::engine::verification::{self, Dialers};
use crate::model::Timestamp;
use crate::plan::build::build;
use crate::plan::host_plan::HostPlan;
use crate::plan::inspection::HostView;
use crate::plan::proof;
use crate::plan::request::CertificateRequest;

/// A plan whose handshakes prove as much as can be had: with looks at the host itself for those that showed
/// the new leaf before anything was done.
pub(super) async fn sought(
    wanted: &CertificateRequest,
    mut view: HostView,
    dialers: &Dialers,
    now: Timestamp,
) -> (HostView, HostPlan) {
    let mut plan = build(&view, now);
    let candidates = proof::candidates(&plan, wanted);
    let places: Vec<_> = candidates.iter().map(|one| one.probe.clone()).collect();
    let looks = verification::look(&places, dialers).await;
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
    proof::judge(&mut plan, &said);
    (view, plan)
}
