//! A change as a request to the API server, and its trial: the server checks it and stores nothing.

use super::asking::value_of;
use super::place::{Kubernetes, Looked};
use crate::kubernetes::{Answer, Cluster, Failed, SecretName, Sent, Status, patch};
use crate::model::{Secret, Step};
use crate::plan::host_plan::HostPlan;
use http::Method;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The new values.
pub(super) type New = Vec<(&'static str, Arc<Secret<Vec<u8>>>)>;

/// What the plan wants in the secret.
pub(super) fn wanted(looked: &Looked, plan: &HostPlan) -> Result<New, String> {
    plan.files
        .iter()
        .map(|file| {
            let key = value_of(&file.want.path);
            let value = match &file.want.generation {
                None => Arc::clone(&file.want.content),
                Some(_) => {
                    let kept = looked.previous.as_ref().and_then(|previous| previous.value(key));
                    Arc::new(kept.ok_or_else(|| format!("nothing is kept of {key}"))?.clone())
                }
            };
            Ok((key, value))
        })
        .collect()
}

/// The request that makes the change, or only has it checked.
pub(super) async fn send(
    cluster: &Cluster,
    name: &SecretName,
    of: Option<(&str, &str)>,
    new: &New,
    dry: bool,
) -> Result<Answer, Failed> {
    let mut path = format!("{}?fieldManager={}", name.path(), patch::MANAGER);
    if dry {
        path.push_str("&dryRun=All");
    }
    let sent = match of {
        Some((uid, version)) => {
            let values: Vec<_> = new.iter().map(|(key, value)| (*key, Some(&**value))).collect();
            Sent::MergePatch(patch::values(uid, version, &values))
        }
        None => {
            let values: Vec<_> = new.iter().map(|(key, value)| (*key, &**value)).collect();
            let (labels, notes) = (serde_json::json!({}), BTreeMap::new());
            Sent::Apply(patch::whole(&name.name, "kubernetes.io/tls", &labels, &notes, &values))
        }
    };
    cluster.write(Method::PATCH, &path, sent).await
}

pub(super) fn identity(looked: &Looked) -> Option<(&str, &str)> {
    let metadata = &looked.present.as_ref()?.metadata;
    Some((&metadata.uid, &metadata.resource_version))
}

/// Has the API server check the very change, its admission included. Nothing is stored.
///
/// The server warns of a pair that does not belong together, and accepts it: here the warning is a refusal.
pub(super) async fn dry_run(
    target: &Kubernetes,
    looked: &Looked,
    plan: &HostPlan,
) -> Result<(), (Step, String)> {
    let new = wanted(looked, plan).map_err(|why| (Step::Stage, why))?;
    match send(&looked.cluster, &target.name, identity(looked), &new, true).await {
        Ok(answer) => match answer.warnings.iter().find(|text| text.starts_with("tls:")) {
            Some(warning) => Err((Step::Validate, format!("the API server warns: {warning}"))),
            None => Ok(()),
        },
        Err(failed) => Err((Step::Validate, refused(&target.name, &failed))),
    }
}

/// A refusal in words.
pub(super) fn refused(name: &SecretName, failed: &Failed) -> String {
    match failed.status() {
        Some(status) if status.names("immutable") => format!("secret {name} is immutable"),
        Some(status) if is_other(status) => {
            format!("secret {name} was deleted and created again since it was looked at")
        }
        _ => failed.to_string(),
    }
}

/// The secret of this name is another than the one that was read.
pub(super) fn is_other(status: &Status) -> bool {
    status.code == 404 || status.code == 422 && status.names("metadata.uid")
}
