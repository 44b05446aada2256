//! How a certificate task ended on a host: what is registered, and what its services serve now.

use super::target::Observed;
use crate::engine::context::Context;
use crate::engine::end::TaskEnd;
use crate::event::planned::ServiceEnd;
use crate::event::{Kind, TaskResult};
use crate::model::{Fingerprint, HostName, Outcome};
use serde_json::json;

/// The end of a host where all is as wanted. `changed`: it was changed now, and why that is not proven, if nothing
/// proves it.
pub(crate) fn good(host: &HostName, observed: &Observed, changed: Option<&[String]>) -> TaskEnd {
    let (changed, unproven) = (changed.is_some(), changed.unwrap_or_default());
    let leaves: Vec<String> =
        observed.plan.places.iter().map(|place| place.probe.leaf.to_string()).collect();
    let value = json!({
        "changed": changed,
        "failed": false,
        "skipped": false,
        "served": leaves,
        "proven": !leaves.is_empty() && unproven.is_empty(),
    });
    let result = if changed { TaskResult::Changed } else { TaskResult::Ok };
    let message = match (changed, leaves.is_empty()) {
        (true, _) if !unproven.is_empty() => {
            Some(format!("changed, not proven: {}", unproven.join("; ")))
        }
        (true, _) => None,
        (false, false) => Some("files as wanted, and served".to_owned()),
        (false, true) => Some("files as wanted; what is served was not verified".to_owned()),
    };
    TaskEnd { result, message, ..TaskEnd::blank(host, value) }
}

/// Tells what each service of the task serves now.
pub(crate) fn tell_services(context: &Context, observed: &Observed, outcome: Outcome) {
    let Observed { view, plan } = observed;
    let desired = view.desired();
    let new = matches!(outcome, Outcome::Changed | Outcome::Unchanged);
    let services = desired.services.iter().map(|service| {
        let mine = plan.places.iter().filter(|place| place.probe.service == service.name);
        let leaves: Vec<Fingerprint> = mine
            .filter_map(|place| match outcome {
                Outcome::NotRestored(_) => None,
                _ if new => Some(place.probe.leaf),
                _ => place.before.leaf(),
            })
            .collect();
        let ends = leaves.iter().filter_map(|leaf| {
            let wanted = desired.files.iter().filter_map(|file| file.leaf.as_deref());
            let there = view.files().filter_map(|file| file.there.leaf().map(AsRef::as_ref));
            let known = wanted.chain(there).find(|one| one.fingerprint == *leaf);
            known.map(|one| one.validity.not_after)
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
