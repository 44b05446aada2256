//! After a controller that died before it confirmed or undid a change: the old pair comes back, where it was kept.

use super::asking::{CERTIFICATE, KEY, is_same, not_reached, read};
use super::kept::{Previous, Unconfirmed, digest, settle};
use super::place::Kubernetes;
use crate::engine::failure;
use crate::engine::rollout::target::{NotBegun, Recovery};
use crate::kubernetes::{Cluster, Failed, SecretName, Sent, TlsSecret, patch};
use crate::model::Step;
use http::Method;

/// Puts the old pair back that a run left without a confirmation when it died.
pub(super) async fn recover(
    target: &Kubernetes,
    recovery: &Recovery<'_>,
) -> Result<Vec<String>, NotBegun> {
    let task = recovery.task;
    let running = recovery.emitter.step(recovery.host, Step::Recover);
    let opened = target.clusters.open(&target.access).await;
    let opened =
        opened.map_err(|error| NotBegun::Failed(failure::turned_away(task, error.to_string())))?;
    let failed = |failed: Failed| NotBegun::Failed(not_reached(task, &failed));
    let (cluster, name) = (&opened.cluster, &target.name);
    let previous = Previous::read(cluster, name).await.map_err(failed)?;
    let Some((previous, left)) =
        previous.as_ref().and_then(|previous| Some((previous, previous.unconfirmed.as_ref()?)))
    else {
        running.end("nothing to recover");
        return Ok(Vec::new());
    };
    if left.is_under_way() {
        let why = format!("another run is changing secret {name} ({})", left.by);
        let failure = failure::before_commit(task, Step::Recover, why);
        return Err(NotBegun::Busy { holder: left.by.clone(), failure });
    }
    let present = read(cluster, name).await.map_err(failed)?;
    let words = put_back(cluster, name, previous, left, present.as_ref()).await.map_err(failed)?;
    settle(cluster, name).await.map_err(failed)?;
    running.end(words.clone());
    Ok(vec![words])
}

async fn put_back(
    cluster: &Cluster,
    name: &SecretName,
    previous: &Previous,
    left: &Unconfirmed,
    present: Option<&TlsSecret>,
) -> Result<String, Failed> {
    let by = if left.by.is_empty() { String::new() } else { format!(" of {}", left.by) };
    let Some(present) = present else {
        return Ok(format!("secret {name}: the change{by} was never made"));
    };
    let (certificate, key) = (present.value(CERTIFICATE), present.value(KEY));
    let old = [CERTIFICATE, KEY].map(|key| previous.value(key));
    if is_same(certificate, old[0]) && is_same(key, old[1]) {
        return Ok(format!("secret {name}: the change{by} was never made, or was undone"));
    }
    if digest(certificate, key) != left.new {
        return Ok(format!(
            "secret {name}: left alone, it was changed again after the unconfirmed change{by}"
        ));
    }
    let metadata = &present.metadata;
    if old.iter().all(Option::is_none) {
        let body = patch::deletion(&metadata.uid, &metadata.resource_version);
        cluster.write(Method::DELETE, &name.path(), Sent::Json(body)).await?;
        return Ok(format!(
            "secret {name}: deleted again, as its creation{by} was never confirmed"
        ));
    }
    let values = [(CERTIFICATE, old[0]), (KEY, old[1])];
    let body = patch::values(&metadata.uid, &metadata.resource_version, &values);
    let path = format!("{}?fieldManager={}", name.path(), patch::MANAGER);
    cluster.write(Method::PATCH, &path, Sent::MergePatch(body)).await?;
    Ok(format!("secret {name}: the old pair was put back, as the change{by} was never confirmed"))
}
