//! A secret of a Kubernetes cluster. The controller asks the API server; nothing runs in the cluster, so that the
//! controller alone undoes what is not confirmed. `docs/kubernetes.md` says what follows from that.

mod asking;
mod change;
mod judge;
mod kept;
mod observe;
mod place;
mod recover;
mod rights;
mod trial;

pub(super) use place::{Clusters, Kubernetes};

use crate::engine::failure::HostFailure;
use crate::engine::rollout::target::{Asked, Job, NotBegun, Observed, Recovery, Staged, Target};
use crate::host::HostFacts;
use crate::model::Guarantee;
use crate::plan::inspection::HostView;
use futures::future::BoxFuture;
use std::sync::Arc;

/// What reads the secret is the cluster's own affair, and there is no connection to lose: the rest is as for any target.
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

    fn held<'a>(&'a self, asked: &'a Asked<'a>) -> BoxFuture<'a, Result<HostFacts, HostFailure>> {
        Box::pin(observe::held(self, asked))
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
}
