//! Whether a secret may be changed at all, and what has to be said of a change.

use super::kept::name_of;
use super::place::{Kubernetes, Looked};
use super::rights::Missing;
use crate::kubernetes::{SecretName, TlsSecret, copied_by, last_applied, owners};
use crate::model::Step;
use crate::model::text::printable;
use crate::plan::host_plan::{Decision, HostPlan};

/// Blocks the plan where it may not, and adds notes.
pub(super) fn judge(
    target: &Kubernetes,
    looked: &Looked,
    missing: Option<&Missing>,
    plan: &mut HostPlan,
) {
    let name = &target.name;
    let mut block = |why: String| {
        plan.decision = Decision::Blocked { step: Step::Inspect, why, check: None };
    };
    if let Some(missing) = missing {
        return block(missing.words(&looked.cluster.context));
    }
    let Some(present) = &looked.present else {
        if !target.wanted.create {
            block(format!(
                "there is no secret {name}: correct `namespace` or `secret`, or say `create: true` in the task"
            ));
        } else {
            plan.notes.push(format!(
                "secret {name} does not exist: it is created, of type kubernetes.io/tls, and deleted again if \
                 that fails"
            ));
        }
        return;
    };
    if let Some(why) = unchangeable(name, present) {
        return block(why);
    }
    let owners = owners(&present.metadata);
    if let Some(owner) = owners.first().filter(|_| !target.wanted.take_over) {
        return block(format!(
            "secret {name} belongs to {}, which would put its own pair back: {}, or say `take_over: true` in the task",
            owner.who, owner.instead
        ));
    }
    for owner in owners {
        plan.notes.push(format!(
            "secret {name} belongs to {}: it may put its own pair back (take_over)",
            owner.who
        ));
    }
    plan.notes.extend(caveats(target, present));
}

fn unchangeable(name: &SecretName, present: &TlsSecret) -> Option<String> {
    if present.immutable == Some(true) {
        return Some(format!(
            "secret {name} is immutable: make one of another name, and have it used in its place"
        ));
    }
    if present.metadata.deletion_timestamp.is_some() {
        return Some(format!("secret {name} is being deleted"));
    }
    match present.kind.as_str() {
        "kubernetes.io/tls" | "Opaque" | "" => None,
        other => {
            let other = printable(other.as_bytes(), 100);
            Some(format!("secret {name} is of type {other}, not kubernetes.io/tls"))
        }
    }
}

fn caveats(target: &Kubernetes, present: &TlsSecret) -> Vec<String> {
    let name = &target.name;
    let mut notes = Vec::new();
    if present.kind != "kubernetes.io/tls" {
        notes.push(format!(
            "secret {name} is of type Opaque, and stays so: Gateways and some Ingress controllers want kubernetes.io/tls"
        ));
    }
    if last_applied(&present.metadata) {
        notes.push(format!(
            "secret {name} was made by `kubectl apply`: an annotation of it holds a copy of the present private key, \
             and the next `kubectl apply` puts the old pair back"
        ));
    }
    if let Some(who) = copied_by(&present.metadata) {
        notes.push(format!(
            "secret {name} is copied to other namespaces by {who}: the change reaches those too, and `verify` sees them only \
             where it is told to look"
        ));
    }
    if target.wanted.keep_previous {
        notes.push(format!(
            "the old pair, with its private key, is kept in the secret {}",
            name_of(name)
        ));
    }
    notes
}
