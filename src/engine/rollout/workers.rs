//! The proof of a change by the age of a service's workers, where the handshakes showed the new certificate before it.

use super::target::{Job, Observed};
use crate::host::Workers;
use crate::plan::host_plan::WorkersProof;
use crate::plan::proof::newer;

/// The workers before the change, one entry for each of the plan's [`WorkersProof`]s.
pub(super) struct Before(Vec<Option<Workers>>);

/// A service whose workers are not newer than the change.
pub(super) struct NotNewer<'a> {
    pub(super) proof: &'a WorkersProof,
    /// What was seen, one line.
    pub(super) why: String,
}

/// Looks just before the commit.
///
/// A look that fails counts as one that finds nothing: then nothing is proven, and that is said.
pub(super) async fn before(job: &Job, observed: &Observed) -> Before {
    Before(look(job, observed).await.unwrap_or_default())
}

/// Looks after the handshakes until every service has new workers, as often as the handshakes are tried. What was seen
/// of each, one line; and those that have none.
pub(super) async fn proven<'a>(
    job: &Job,
    observed: &'a Observed,
    before: &Before,
) -> (Vec<String>, Vec<NotNewer<'a>>) {
    let proofs = &observed.plan.by_workers;
    let mut waits: Vec<_> = proofs.iter().flat_map(|proof| proof.backoff.waits()).collect();
    waits.sort_unstable();
    waits.reverse();
    loop {
        let (mut seen, mut missing) = (Vec::new(), Vec::new());
        let after = look(job, observed).await;
        for (index, proof) in proofs.iter().enumerate() {
            let there = |looks: &[Option<Workers>]| looks.get(index).cloned().flatten();
            let told = match &after {
                Ok(after) => newer(there(&before.0).as_ref(), there(after).as_ref()),
                Err(why) => Err(why.clone()),
            };
            match told {
                Ok(words) => seen.push(format!("{}: {words}", proof.service)),
                Err(why) => missing.push(NotNewer { proof, why }),
            }
        }
        let Some(wait) = waits.pop().filter(|_| !missing.is_empty()) else {
            return (seen, missing);
        };
        tokio::time::sleep(wait).await;
    }
}

async fn look(job: &Job, observed: &Observed) -> Result<Vec<Option<Workers>>, String> {
    let proofs = &observed.plan.by_workers;
    if proofs.is_empty() {
        return Ok(Vec::new());
    }
    let services: Vec<&str> = proofs.iter().map(|proof| proof.service.as_str()).collect();
    job.target.workers(&observed.view, &services).await
}
