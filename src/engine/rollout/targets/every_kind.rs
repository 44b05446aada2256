//! Which kind of target a task has.

use super::bigip::BigIp;
use super::files::files;
#[cfg(feature = "kubernetes")]
use super::kubernetes::{Clusters, Kubernetes};
use super::windows::Windows;
use crate::engine::connection::HostConnection;
use crate::engine::rollout::target::{Target, Targets};
use crate::host::StateDirs;
use crate::model::HostName;
use crate::playbook::certificate::Store;
use std::sync::Arc;

/// Files on the host that a task runs on, or the store that the task names in their place.
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
        store: Option<&Store>,
    ) -> Arc<dyn Target> {
        match store {
            None => files(connection, dirs),
            Some(Store::BigIp(profile)) => Arc::new(BigIp::new(connection, dirs, profile.clone())),
            #[cfg(feature = "kubernetes")]
            Some(Store::Cluster(secret)) => {
                Arc::new(Kubernetes::new(Arc::clone(&self.clusters), secret.clone()))
            }
            // A task that names a secret is refused when it is read.
            #[cfg(not(feature = "kubernetes"))]
            Some(Store::Cluster(_)) => files(connection, dirs),
            Some(Store::Windows(store)) => Arc::new(Windows::new(connection, store.clone())),
        }
    }
}
