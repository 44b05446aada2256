//! The second interrupt, for work that changes nothing live.

use super::target::Job;
use crate::engine::context::Context;
use crate::engine::failure::{self, HostFailure};
use crate::model::Step;

/// Work that changes nothing live, dropped at the second interrupt: the link is cut and the host discards
/// whatever it had staged.
pub(super) async fn unless_cut<T>(
    context: &Context,
    job: &Job,
    work: impl Future<Output = T>,
) -> Result<T, HostFailure> {
    tokio::select! {
        result = work => Ok(result),
        () = context.stop.hard().cancelled() => {
            let why = "cut off by the second interrupt";
            Err(failure::before_commit(job.task(), Step::Barrier, why))
        }
    }
}
