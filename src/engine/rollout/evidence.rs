//! The proof of a change by what shows on the host, where the handshakes showed the new certificate before it.

use super::target::{Job, Observed};
use crate::plan::evidence::Seen;
use crate::plan::host_plan::ServiceProof;

/// What showed before the change, one entry for each of the plan's [`ServiceProof`]s.
pub(super) struct Before(Vec<Option<Seen>>);

/// A service that does not show that it has loaded the files.
pub(super) struct NotShown<'a> {
    pub(super) proof: &'a ServiceProof,
    /// What was seen, one line.
    pub(super) why: String,
}

/// Looks just before the commit.
///
/// A look that fails counts as one that finds nothing: then nothing is proven, and that is said.
pub(super) async fn before(job: &Job, observed: &Observed) -> Before {
    Before(look(job, observed).await.unwrap_or_default())
}

/// Looks after the handshakes until every service shows it, as often as the handshakes are tried. What was seen
/// of each, one line; and those that do not.
pub(super) async fn proven<'a>(
    job: &Job,
    observed: &'a Observed,
    before: &Before,
) -> (Vec<String>, Vec<NotShown<'a>>) {
    let proofs = &observed.plan.by_service;
    let mut waits: Vec<_> = proofs.iter().flat_map(|proof| proof.backoff.waits()).collect();
    waits.sort_unstable();
    waits.reverse();
    loop {
        let (mut seen, mut missing) = (Vec::new(), Vec::new());
        let after = look(job, observed).await;
        for (index, proof) in proofs.iter().enumerate() {
            let there = |looks: &[Option<Seen>]| looks.get(index).cloned().flatten();
            let told = match &after {
                Ok(after) => proof.by.proven(there(&before.0).as_ref(), there(after).as_ref()),
                Err(why) => Err(why.clone()),
            };
            match told {
                Ok(words) => seen.push(format!("{}: {words}", proof.service)),
                Err(why) => missing.push(NotShown { proof, why }),
            }
        }
        let Some(wait) = waits.pop().filter(|_| !missing.is_empty()) else {
            return (seen, missing);
        };
        tokio::time::sleep(wait).await;
    }
}

async fn look(job: &Job, observed: &Observed) -> Result<Vec<Option<Seen>>, String> {
    let proofs = &observed.plan.by_service;
    if proofs.is_empty() {
        return Ok(Vec::new());
    }
    job.target.evidence(proofs.iter().map(|proof| proof.by.clone()).collect()).await
}
