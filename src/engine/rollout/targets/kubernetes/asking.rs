//! What every part asks: a secret, the values in it, and what an answer means.

use crate::engine::failure::{self, HostFailure};
use crate::kubernetes::{Cluster, Failed, Metadata, SecretName, TlsSecret, patch};
use crate::model::{RemotePath, Secret, Step};

/// The value that holds the certificate and its chain.
pub(super) const CERTIFICATE: &str = "tls.crt";
/// The value that holds the key.
pub(super) const KEY: &str = "tls.key";

/// Reads a secret; `None`: there is none of that name.
pub(super) async fn read(
    cluster: &Cluster,
    name: &SecretName,
) -> Result<Option<TlsSecret>, Failed> {
    match cluster.get(&name.path()).await {
        Ok(answer) => TlsSecret::read(&answer.body).map(Some).map_err(Failed::Unclear),
        Err(Failed::Refused(status)) if status.code == 404 => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// The API server did not answer, or did not know who asks.
pub(super) fn not_reached(task: &str, failed: &Failed) -> HostFailure {
    match failed {
        Failed::Refused(status) if status.code == 401 => {
            failure::turned_away(task, failed.to_string())
        }
        Failed::Refused(_) => failure::before_commit(task, Step::Inspect, failed.to_string()),
        Failed::NotSent(_) | Failed::Unclear(_) => failure::unreachable(task, failed.to_string()),
    }
}

/// Whether two values are the same bytes; an absent one is only like an absent one.
pub(super) fn is_same(one: Option<&Secret<Vec<u8>>>, other: Option<&Secret<Vec<u8>>>) -> bool {
    one.map(Secret::expose) == other.map(Secret::expose)
}

/// The secret's key that a path of the plan stands for.
pub(super) fn value_of(path: &RemotePath) -> &'static str {
    if path.as_bytes().ends_with(KEY.as_bytes()) { KEY } else { CERTIFICATE }
}

/// Who wrote the pair last, in words; for conflicts.
pub(super) fn writers(metadata: &Metadata) -> String {
    let writers = metadata.managed_fields.iter().filter(|field| field.holds_pair());
    let names: Vec<String> = writers
        .map(|field| crate::model::text::printable(field.manager.as_bytes(), 60))
        .filter(|name| name != patch::MANAGER)
        .collect();
    if names.is_empty() { "somebody else".to_owned() } else { names.join(" or ") }
}
