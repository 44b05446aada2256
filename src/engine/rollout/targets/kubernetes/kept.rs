//! The old pair, kept in a second secret where the task says `keep_previous`: for `certroll rollback`, and for
//! `certroll recover` after a controller that died before it confirmed or undid a change.

use super::asking::{CERTIFICATE, KEY, read};
use crate::host::TransactionId;
use crate::kubernetes::{Cluster, Failed, SecretName, Sent, TlsSecret, patch};
use crate::model::{Fingerprint, Secret};
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
    pub(super) new: String,
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
    let until = crate::clock::now().unix() + i64::try_from(begun.within.as_secs()).unwrap_or(900);
    let notes = BTreeMap::from([
        (TRANSACTION, begun.id.to_string()),
        (STATE, UNCONFIRMED.to_owned()),
        (BY, begun.by.to_owned()),
        (UNTIL, until.to_string()),
        (NEW, begun.new.clone()),
    ]);
    write(cluster, of, present, &notes).await
}

/// Makes the second secret as it was: its change did not happen, and what it kept before is still the earlier pair.
pub(super) async fn restore(
    cluster: &Cluster,
    of: &SecretName,
    earlier: &Previous,
) -> Result<(), Failed> {
    let notes =
        BTreeMap::from([(TRANSACTION, earlier.id.to_string()), (STATE, CONFIRMED.to_owned())]);
    write(cluster, of, Some(&earlier.secret), &notes).await
}

async fn write(
    cluster: &Cluster,
    of: &SecretName,
    pair: Option<&TlsSecret>,
    notes: &BTreeMap<&str, String>,
) -> Result<(), Failed> {
    let name = name_of(of);
    let labels = serde_json::json!({"app.kubernetes.io/managed-by": patch::MANAGER});
    let values: Vec<_> =
        [CERTIFICATE, KEY].into_iter().filter_map(|key| Some((key, pair?.value(key)?))).collect();
    // Not of type kubernetes.io/tls: nothing may take it for a pair to serve.
    let body = patch::whole(&name.name, "Opaque", &labels, notes, &values);
    let path = format!("{}?fieldManager={}&force=true", name.path(), patch::MANAGER);
    cluster.write(Method::PATCH, &path, Sent::Apply(body)).await.map(drop)
}

/// The change stays, or there was no earlier pair: nothing is left to recover.
pub(super) async fn settle(cluster: &Cluster, of: &SecretName) -> Result<(), Failed> {
    let path = format!("{}?fieldManager={}", name_of(of).path(), patch::MANAGER);
    let body = patch::annotations(&BTreeMap::from([(STATE, CONFIRMED.to_owned())]));
    cluster.write(Method::PATCH, &path, Sent::MergePatch(body)).await.map(drop)
}
