//! How a certificate task ended on a host: what is registered, and what its services serve now.

use super::target::Observed;
use crate::engine::context::Context;
use crate::engine::end::TaskEnd;
use crate::event::planned::ServiceEnd;
use crate::event::{Kind, TaskResult};
use crate::material::certificates_in;
use crate::model::{Fingerprint, HostName, Outcome};
use crate::plan::build::SeenBefore;
use serde_json::json;

/// The end of a host where all is as wanted.
pub(super) fn good(host: &HostName, observed: &Observed, changed: bool) -> TaskEnd {
    let leaves: Vec<String> =
        observed.plan.probes.iter().map(|probe| probe.leaf.to_string()).collect();
    let value = json!({
        "changed": changed,
        "failed": false,
        "skipped": false,
        "served": leaves,
        "proven": !leaves.is_empty() && observed.plan.unproven.is_empty(),
    });
    let result = if changed { TaskResult::Changed } else { TaskResult::Ok };
    let message = match (changed, leaves.is_empty()) {
        (true, _) if !observed.plan.unproven.is_empty() => {
            Some(format!("changed, not proven: {}", observed.plan.unproven.join("; ")))
        }
        (true, _) => None,
        (false, false) => Some("files as wanted, and served".to_owned()),
        (false, true) => Some("files as wanted; what is served was not verified".to_owned()),
    };
    TaskEnd { result, message, ..TaskEnd::blank(host, value) }
}

/// Tells what each service of the task serves now.
pub(super) fn tell_services(context: &Context, observed: &Observed, outcome: Outcome) {
    let Observed { desired, facts, plan } = observed;
    let new = matches!(outcome, Outcome::Changed | Outcome::Unchanged);
    let services = desired.services.iter().map(|service| {
        let places = plan.probes.iter().zip(&plan.before);
        let mine = places.filter(|(probe, _)| probe.service == service.name);
        let leaves: Vec<Fingerprint> = mine
            .filter_map(|(probe, before)| match (new, before) {
                (true, _) => Some(probe.leaf),
                (false, SeenBefore::Leaf(leaf)) => Some(*leaf),
                (false, SeenBefore::Nothing(_)) => None,
            })
            .collect();
        let ends = leaves.iter().filter_map(|leaf| {
            let wanted = desired.files.iter().filter_map(|file| file.leaf.as_deref());
            let known = wanted.into_iter().find(|one| one.fingerprint == *leaf).cloned();
            let there = || {
                let files = facts.files.iter().filter_map(|file| file.file());
                files
                    .filter_map(|file| certificates_in(&file.certificates_pem).into_iter().next())
                    .find(|one| one.fingerprint == *leaf)
            };
            known.or_else(there).map(|one| one.validity.not_after)
        });
        ServiceEnd {
            service: service.name.clone(),
            fingerprint: leaves.first().copied(),
            not_after: ends.min(),
        }
    });
    let kind =
        Kind::CertificateEnd { task: desired.task.clone(), services: services.collect(), outcome };
    context.emitter.host(&desired.host, kind);
}
