//! Which secret of which cluster a task is about, and what the last look at it showed.

use super::kept::Previous;
use crate::kubernetes::{
    Access, AccessError, Answer, Cluster, Failed, SecretName, TlsSecret, gateways_path,
    ingresses_path,
};
use crate::playbook::certificate::ClusterSecret;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// The clusters of a run: each kubeconfig is read once, each API server has one client.
#[derive(Default)]
pub(in crate::engine::rollout::targets) struct Clusters {
    known: Mutex<HashMap<Access, Arc<Opening>>>,
}

type Opening = OnceCell<Result<Arc<Opened>, AccessError>>;

/// A cluster, and what it says of itself.
pub(super) struct Opened {
    pub(super) cluster: Cluster,
    version: OnceCell<String>,
    /// What each namespace has in which secrets are used, asked once.
    lists: Mutex<HashMap<String, Arc<OnceCell<Lists>>>>,
}

/// Ingresses and Gateways of a namespace, as the API server lists them; `None` where it does not.
pub(super) struct Lists {
    pub(super) ingresses: Option<Answer>,
    pub(super) gateways: Option<Answer>,
}

impl Clusters {
    pub(super) async fn open(&self, access: &Access) -> Result<Arc<Opened>, AccessError> {
        let opening = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(access.clone()).or_default())
        };
        let open = || async {
            let cluster = Cluster::open(access).await?;
            Ok(Arc::new(Opened { cluster, version: OnceCell::new(), lists: Mutex::default() }))
        };
        opening.get_or_init(open).await.clone()
    }
}

impl Opened {
    /// What is asked once, although a namespace may have many secrets in a run.
    pub(super) async fn lists(&self, namespace: &str) -> Arc<OnceCell<Lists>> {
        let lists = {
            let mut known = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(namespace.to_owned()).or_default())
        };
        let ask = || async {
            let (ingress, gateway) = (ingresses_path(namespace), gateways_path(namespace));
            let (ingresses, gateways) =
                tokio::join!(self.cluster.get(&ingress), self.cluster.get(&gateway));
            Lists { ingresses: ingresses.ok(), gateways: gateways.ok() }
        };
        lists.get_or_init(ask).await;
        lists
    }

    /// The release of its API server, as `v1.36.2`.
    pub(super) async fn version(&self) -> Result<&str, Failed> {
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
pub(in crate::engine::rollout::targets) struct Kubernetes {
    pub(super) clusters: Arc<Clusters>,
    pub(super) wanted: ClusterSecret,
    pub(super) access: Access,
    pub(super) name: SecretName,
    /// What the last look showed: a change holds only while it is still so.
    looked: Mutex<Option<Arc<Looked>>>,
}

impl Kubernetes {
    pub(in crate::engine::rollout::targets) fn new(
        clusters: Arc<Clusters>,
        wanted: ClusterSecret,
    ) -> Self {
        let access =
            Access { kubeconfig: wanted.kubeconfig.clone(), context: wanted.context.clone() };
        let name = SecretName { namespace: wanted.namespace.clone(), name: wanted.secret.clone() };
        Self { clusters, wanted, access, name, looked: Mutex::default() }
    }

    pub(super) fn remember(&self, looked: Looked) {
        let mut slot = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Arc::new(looked));
    }

    pub(super) fn last_look(&self) -> Option<Arc<Looked>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a look showed.
pub(super) struct Looked {
    pub(super) cluster: Cluster,
    /// `None`: there is no such secret.
    pub(super) present: Option<TlsSecret>,
    /// The second secret, where the task keeps one or an earlier pair is wanted.
    pub(super) previous: Option<Previous>,
}
