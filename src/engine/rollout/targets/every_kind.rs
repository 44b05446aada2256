//! Which kind of target a task has.

use super::files::files;
#[cfg(feature = "kubernetes")]
use super::kubernetes::{Clusters, Kubernetes};
use crate::engine::connection::HostConnection;
use crate::engine::rollout::target::{Target, Targets};
use crate::host::StateDirs;
use crate::model::HostName;
use crate::playbook::certificate::ClusterSecret;
use std::sync::Arc;

/// Files on the host that a task runs on, or a secret of a cluster where the task says so.
#[derive(Default)]
pub(crate) struct EveryKind {
    #[cfg(feature = "kubernetes")]
    clusters: Arc<Clusters>,
}

impl Targets for EveryKind {
    fn target(
        &self,
        _: &HostName,
        connection: HostConnection,
        dirs: Option<StateDirs>,
        cluster: Option<&ClusterSecret>,
    ) -> Arc<dyn Target> {
        #[cfg(feature = "kubernetes")]
        if let Some(secret) = cluster {
            return Arc::new(Kubernetes::new(Arc::clone(&self.clusters), secret.clone()));
        }
        // Without the feature a task that names a secret is refused when it is read.
        let _ = cluster;
        files(connection, dirs)
    }
}
