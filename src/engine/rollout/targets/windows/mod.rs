//! A certificate store of Windows, over OpenSSH. What refers to a certificate is switched from one thumbprint to another; a
//! task of SYSTEM on the machine undoes what is not confirmed. `docs/windows.md` says what follows from that, and that this was
//! never run on the real thing.

mod asking;
mod change;
mod judge;
mod observe;
mod place;
mod recover;

pub(super) use place::Windows;

use crate::engine::failure::HostFailure;
use crate::engine::rollout::target::{Asked, Job, NotBegun, Observed, Recovery, Staged, Target};
use crate::engine::verification::Dialers;
use crate::host::HostFacts;
use crate::model::Guarantee;
use crate::plan::inspection::HostView;
use futures::future::BoxFuture;
use std::sync::Arc;

/// A cut connection ends nothing: the next question connects anew, and the machine's own task waits for its time. No check of
/// the operator's runs there: they are written for a POSIX shell.
impl Target for Windows {
    fn guarantee(&self) -> Guarantee {
        Guarantee::HostUndoes
    }

    fn machine(&self) -> Option<String> {
        Some(self.connection.machine())
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

    fn dialers(&self) -> Dialers {
        self.connection.dialers()
    }
}
