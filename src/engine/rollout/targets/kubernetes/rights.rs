//! What this account may do, as the API server tells it, asked before anything is changed.

use super::kept::name_of;
use super::place::{Kubernetes, Looked};
use crate::kubernetes::{Cluster, Failed, SecretName, Sent, patch};

/// A right that a task needs and this account does not have.
pub(super) struct Missing {
    verb: &'static str,
    name: SecretName,
    /// What it is needed for, and what is enough.
    why: &'static str,
}

impl Missing {
    pub(super) fn patch(target: &Kubernetes) -> Self {
        let why = "a role with the verbs get and patch on this name is enough";
        Self { verb: "patch", name: target.name.clone(), why }
    }

    pub(super) fn words(&self, context: &str) -> String {
        let Self { verb, name, why } = self;
        let done = match *verb {
            "patch" => "patched",
            "create" => "created",
            _ => "deleted",
        };
        format!("secret {name} may not be {done} as '{context}': {why}")
    }
}

/// Whether this account may do something with a secret. Says nothing of admission, nor whether the secret is there.
pub(super) async fn may(cluster: &Cluster, verb: &str, name: &SecretName) -> Result<bool, Failed> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Review {
        status: Status,
    }
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct Status {
        allowed: bool,
    }
    let body = patch::review(verb, &name.namespace, &name.name);
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let answer = cluster.post(path, Sent::Json(body)).await?;
    let review: Review = serde_json::from_slice(answer.body.expose()).unwrap_or_default();
    Ok(review.status.allowed)
}

/// The first right, beyond that to patch the secret itself, that this change needs and that is not there.
pub(super) async fn missing(
    target: &Kubernetes,
    looked: &Looked,
) -> Result<Option<Missing>, Failed> {
    const KEPT: &str = "`keep_previous` needs the verbs get, patch and create on this name";
    let own = &target.name;
    let mut needed: Vec<(&'static str, SecretName, &'static str)> = Vec::new();
    if target.wanted.create && looked.present.is_none() {
        needed.push(("create", own.clone(), "`create` needs that verb on this name, or on all"));
        needed.push(("delete", own.clone(), "without that verb `create` has no way back"));
    }
    if target.wanted.keep_previous {
        needed.push(("patch", name_of(own), KEPT));
        if looked.previous.is_none() {
            needed.push(("create", name_of(own), KEPT));
        }
    }
    let asked = needed.iter().map(|(verb, name, _)| may(&looked.cluster, verb, name));
    let answers = futures::future::try_join_all(asked).await?;
    let missing = needed.into_iter().zip(answers).find(|(_, allowed)| !allowed);
    Ok(missing.map(|((verb, name, why), _)| Missing { verb, name, why }))
}
