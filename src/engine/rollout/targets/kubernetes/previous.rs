//! The old pair, kept in a second secret where the task says `keep_previous`: for `certroll rollback`, and for
//! `certroll recover` after a controller that died before it confirmed or undid a change.

use super::{CERTIFICATE, KEY, Kubernetes, is_same, not_reached, read};
use crate::engine::failure;
use crate::engine::rollout::target::{NotBegun, Recovery};
use crate::host::TransactionId;
use crate::kubernetes::{Cluster, Failed, SecretName, Sent, TlsSecret, patch};
use crate::model::{Fingerprint, Secret, Step};
use http::Method;
use std::collections::BTreeMap;
use std::time::Duration;

const TRANSACTION: &str = "certroll/transaction";
const STATE: &str = "certroll/state";
const BY: &str = "certroll/by";
const UNTIL: &str = "certroll/until";
const NEW: &str = "certroll/new";
const UNCONFIRMED: &str = "unconfirmed";
const CONFIRMED: &str = "confirmed";

/// The secret that holds the old pair of another.
pub(super) fn name_of(name: &SecretName) -> SecretName {
    SecretName {
        namespace: name.namespace.clone(),
        name: format!("{}-certroll-previous", name.name),
    }
}

/// What a second secret says.
pub(super) struct Previous {
    secret: TlsSecret,
    /// The change before which this was the pair.
    pub(super) id: TransactionId,
    /// That change was neither confirmed nor undone.
    pub(super) unconfirmed: Option<Unconfirmed>,
}

/// A change that was neither confirmed nor undone.
pub(super) struct Unconfirmed {
    /// Whose it was.
    pub(super) by: String,
    /// Digest of the new pair.
    new: String,
    /// When its run has surely ended, in seconds since 1970.
    until: i64,
}

impl Unconfirmed {
    /// Whether its run may still be at work.
    pub(super) fn is_under_way(&self) -> bool {
        crate::clock::now().unix() < self.until
    }
}

impl Previous {
    /// Reads what is kept of a secret.
    pub(super) async fn read(cluster: &Cluster, of: &SecretName) -> Result<Option<Self>, Failed> {
        let Some(secret) = read(cluster, &name_of(of)).await? else { return Ok(None) };
        let note = |name: &str| {
            let value = secret.metadata.annotations.get(name)?;
            Some(crate::model::text::printable(value.expose().as_bytes(), 300))
        };
        let Some(id) = note(TRANSACTION).as_deref().and_then(TransactionId::parse) else {
            return Ok(None);
        };
        let unconfirmed = (note(STATE).as_deref() == Some(UNCONFIRMED)).then(|| Unconfirmed {
            by: note(BY).unwrap_or_default(),
            new: note(NEW).unwrap_or_default(),
            until: note(UNTIL).and_then(|until| until.parse().ok()).unwrap_or_default(),
        });
        Ok(Some(Self { secret, id, unconfirmed }))
    }

    /// One of the kept values.
    pub(super) fn value(&self, key: &str) -> Option<&Secret<Vec<u8>>> {
        self.secret.value(key)
    }
}

/// One digest of a pair.
pub(super) fn digest(
    certificate: Option<&Secret<Vec<u8>>>,
    key: Option<&Secret<Vec<u8>>>,
) -> String {
    let one = |value: Option<&Secret<Vec<u8>>>| {
        value.map_or("-".to_owned(), |value| Fingerprint::of(value.expose()).to_string())
    };
    let both = format!("{} {}", one(certificate), one(key));
    Fingerprint::of(both.as_bytes()).to_string()
}

/// A change that is about to be made.
pub(super) struct Begun<'a> {
    pub(super) id: &'a TransactionId,
    pub(super) by: &'a str,
    /// How long its run may take.
    pub(super) within: Duration,
    /// [`digest`] of the new pair.
    pub(super) new: String,
}

/// Keeps what a secret holds now, before it is changed. `None`: it does not exist, and is to be deleted again.
pub(super) async fn keep(
    cluster: &Cluster,
    of: &SecretName,
    present: Option<&TlsSecret>,
    begun: &Begun<'_>,
) -> Result<(), Failed> {
    let name = name_of(of);
    let until = crate::clock::now().unix() + i64::try_from(begun.within.as_secs()).unwrap_or(900);
    let notes = BTreeMap::from([
        (TRANSACTION, begun.id.to_string()),
        (STATE, UNCONFIRMED.to_owned()),
        (BY, begun.by.to_owned()),
        (UNTIL, until.to_string()),
        (NEW, begun.new.clone()),
    ]);
    let labels = serde_json::json!({"app.kubernetes.io/managed-by": patch::MANAGER});
    let values: Vec<_> = [CERTIFICATE, KEY]
        .into_iter()
        .filter_map(|key| Some((key, present?.value(key)?)))
        .collect();
    // Not of type kubernetes.io/tls: nothing may take it for a pair to serve.
    let body = patch::whole(&name.name, "Opaque", &labels, &notes, &values);
    let path = format!("{}?fieldManager={}&force=true", name.path(), patch::MANAGER);
    cluster.write(Method::PATCH, &path, Sent::Apply(body)).await.map(drop)
}

/// The change stays, or was undone: nothing is left to recover.
pub(super) async fn settle(cluster: &Cluster, of: &SecretName) -> Result<(), Failed> {
    let path = format!("{}?fieldManager={}", name_of(of).path(), patch::MANAGER);
    let body = patch::annotations(&BTreeMap::from([(STATE, CONFIRMED.to_owned())]));
    cluster.write(Method::PATCH, &path, Sent::MergePatch(body)).await.map(drop)
}

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
