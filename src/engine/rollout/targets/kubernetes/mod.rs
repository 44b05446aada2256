//! A secret of a Kubernetes cluster. The controller asks the API server; nothing runs in the cluster, so that the
//! controller alone undoes what is not confirmed. `docs/kubernetes.md` says what follows from that.

mod change;
mod observe;
mod previous;

use crate::engine::connection::HostConnection;
use crate::engine::failure::{self, HostFailure};
use crate::engine::rollout::target::{Job, NotBegun, Observed, Recovery, Revived, Staged, Target};
use crate::engine::verification::Dialers;
use crate::host::Workers;
use crate::kubernetes::{Access, AccessError, Cluster, Failed, SecretName, TlsSecret};
use crate::model::{Guarantee, Secret, Step};
use crate::plan::inspection::HostView;
use crate::playbook::certificate::ClusterSecret;
use futures::future::BoxFuture;
use observe::Looked;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// The value that holds the certificate and its chain.
const CERTIFICATE: &str = "tls.crt";
/// The value that holds the key.
const KEY: &str = "tls.key";

/// The clusters of a run: each kubeconfig is read once, each API server has one client.
#[derive(Default)]
pub(super) struct Clusters {
    known: Mutex<HashMap<Access, Arc<Opening>>>,
}

type Opening = OnceCell<Result<Arc<Opened>, AccessError>>;

/// A cluster, and what it says of itself.
struct Opened {
    cluster: Cluster,
    version: OnceCell<String>,
}

impl Clusters {
    async fn open(&self, access: &Access) -> Result<Arc<Opened>, AccessError> {
        let opening = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(access.clone()).or_default())
        };
        let open = || async {
            let cluster = Cluster::open(access).await?;
            Ok(Arc::new(Opened { cluster, version: OnceCell::new() }))
        };
        opening.get_or_init(open).await.clone()
    }
}

impl Opened {
    /// The release of its API server, as `v1.36.2`.
    async fn version(&self) -> Result<&str, Failed> {
        let ask = || async {
            #[derive(serde::Deserialize)]
            struct Version {
                #[serde(rename = "gitVersion")]
                version: String,
            }
            let answer = self.cluster.get("/version").await?;
            let version = serde_json::from_slice::<Version>(answer.body.expose());
            let version = version.map_err(|_| {
                Failed::Unclear("what answers is not an API server of Kubernetes".to_owned())
            })?;
            Ok(crate::model::text::printable(version.version.as_bytes(), 60))
        };
        self.version.get_or_try_init(ask).await.map(String::as_str)
    }
}

/// The secret of a certificate task.
pub(super) struct Kubernetes {
    clusters: Arc<Clusters>,
    wanted: ClusterSecret,
    access: Access,
    name: SecretName,
    /// What the last look showed: a change holds only while it is still so.
    looked: Mutex<Option<Arc<Looked>>>,
}

impl Kubernetes {
    pub(super) fn new(clusters: Arc<Clusters>, wanted: ClusterSecret) -> Self {
        let access =
            Access { kubeconfig: wanted.kubeconfig.clone(), context: wanted.context.clone() };
        let name = SecretName { namespace: wanted.namespace.clone(), name: wanted.secret.clone() };
        Self { clusters, wanted, access, name, looked: Mutex::default() }
    }

    fn remember(&self, looked: Looked) {
        let mut slot = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Arc::new(looked));
    }

    fn last_look(&self) -> Option<Arc<Looked>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Target for Kubernetes {
    fn guarantee(&self) -> Guarantee {
        Guarantee::ControllerUndoes
    }

    fn machine(&self) -> Option<String> {
        Some(format!("kubernetes {:?} {}", self.access, self.name))
    }

    fn status<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<HostView, HostFailure>> {
        Box::pin(observe::status(self, job))
    }

    fn observe<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Observed, HostFailure>> {
        Box::pin(observe::observe(self, job))
    }

    fn recover<'a>(
        &'a self,
        recovery: &'a Recovery<'a>,
    ) -> BoxFuture<'a, Result<Vec<String>, NotBegun>> {
        Box::pin(previous::recover(self, recovery))
    }

    fn begin<'a>(
        &'a self,
        job: &'a Job,
        observed: &'a Arc<Observed>,
    ) -> BoxFuture<'a, Result<Box<dyn Staged>, NotBegun>> {
        Box::pin(async move {
            let staged = change::begin(self, job, observed).await?;
            Ok(Box::new(staged) as Box<dyn Staged>)
        })
    }

    fn revive<'a>(
        &'a self,
        _: &'a Job,
        _: &'a Observed,
        _: &'a [String],
    ) -> BoxFuture<'a, Result<Option<Revived>, String>> {
        // What reads the secret is the cluster's own affair.
        Box::pin(async { Ok(None) })
    }

    fn workers<'a>(
        &'a self,
        _: &'a HostView,
        services: &'a [&'a str],
    ) -> BoxFuture<'a, Result<Vec<Option<Workers>>, String>> {
        // Nobody can tell from here who reads the secret.
        Box::pin(async move { Ok(vec![None; services.len()]) })
    }

    fn dialers(&self) -> Dialers {
        Dialers { host: None, bastion: None }
    }

    fn connection(&self) -> Option<&HostConnection> {
        None
    }

    fn lost(&self) -> BoxFuture<'_, ()> {
        // There is no connection that would have to last.
        Box::pin(std::future::pending())
    }
}

/// Reads a secret; `None`: there is none of that name.
async fn read(cluster: &Cluster, name: &SecretName) -> Result<Option<TlsSecret>, Failed> {
    match cluster.get(&name.path()).await {
        Ok(answer) => TlsSecret::read(&answer.body).map(Some).map_err(Failed::Unclear),
        Err(Failed::Refused(status)) if status.code == 404 => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// The API server did not answer, or did not know who asks.
fn not_reached(task: &str, failed: &Failed) -> HostFailure {
    match failed {
        Failed::Refused(status) if status.code == 401 => {
            failure::turned_away(task, failed.to_string())
        }
        Failed::Refused(_) => failure::before_commit(task, Step::Inspect, failed.to_string()),
        Failed::NotSent(_) | Failed::Unclear(_) => failure::unreachable(task, failed.to_string()),
    }
}

/// Whether two values are the same bytes; an absent one is only like an absent one.
fn is_same(one: Option<&Secret<Vec<u8>>>, other: Option<&Secret<Vec<u8>>>) -> bool {
    one.map(Secret::expose) == other.map(Secret::expose)
}
