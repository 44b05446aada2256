//! An entry of a client-ssl profile on a BIG-IP, over SSH. New objects are installed beside the old ones and the entry is
//! pointed to them in one command; a job on the device points it back where no confirmation comes.
//!
//! Written from documents and never run on the real thing: `docs/bigip.md` says from which, and what follows.

mod change;
mod held;
mod line;
mod look;
mod looked;
mod observe;
mod place;
mod recover;

pub(super) use place::BigIp;

use crate::engine::connection::HostConnection;
use crate::engine::failure::HostFailure;
use crate::engine::rollout::target::{Asked, Job, NotBegun, Observed, Recovery, Staged, Target};
use crate::engine::verification::Dialers;
use crate::host::HostFacts;
use crate::model::Guarantee;
use crate::plan::inspection::HostView;
use futures::future::BoxFuture;
use std::sync::Arc;

impl Target for BigIp {
    fn guarantee(&self) -> Guarantee {
        Guarantee::HostUndoes
    }

    fn machine(&self) -> Option<String> {
        Some(self.connection.machine())
    }

    fn status<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<HostView, HostFailure>> {
        Box::pin(async move { Ok(observe::status(self, job).await?.0) })
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

    fn dialers(&self) -> Dialers {
        self.connection.dialers()
    }

    fn connection(&self) -> Option<&HostConnection> {
        Some(&self.connection)
    }
}
