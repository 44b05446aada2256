//! A secret of a Kubernetes cluster. The controller asks the API server; nothing runs in the cluster, so that the
//! controller alone undoes what is not confirmed. `docs/kubernetes.md` says what follows from that.

mod asking;
mod change;
mod kept;
mod observe;
mod place;
mod recover;

pub(super) use place::{Clusters, Kubernetes};

use crate::engine::connection::HostConnection;
use crate::engine::failure::HostFailure;
use crate::engine::rollout::target::{Job, NotBegun, Observed, Recovery, Revived, Staged, Target};
use crate::engine::verification::Dialers;
use crate::host::Workers;
use crate::model::Guarantee;
use crate::plan::inspection::HostView;
use futures::future::BoxFuture;
use std::sync::Arc;

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
        Box::pin(recover::recover(self, recovery))
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
