//! Looking at a host before anything is done: its files, its configuration, what it serves.

use super::proof;
use crate::engine::connection::HostConnection;
use crate::engine::failure::{self, HostFailure};
use crate::engine::rollout::target::{Earlier, Job, NotBegun, Observed};
use crate::engine::verification;
use crate::host::{Recovered, RecoveredEnd, StateDirs};
use crate::model::{RemotePath, Step};
use crate::plan::build::{Decision, HostPlan, SeenBefore};
use crate::plan::earlier::earlier;
use crate::plan::inspection;
use crate::plan::{probes, resolve};
use crate::remote::{self, RemoteError};
use std::time::Duration;

/// How long a recovery waits for somebody else's lock.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Reads the host and looks at what is served, at the same time. Changes nothing.
///
/// # Errors
/// The host is unreachable or does not answer sensibly.
pub(super) async fn observe(
    job: &Job,
    link: &HostConnection,
    dirs: Option<&StateDirs>,
) -> Result<Observed, HostFailure> {
    let (host, task) = (job.host(), job.task());
    let refuse = |why: String| failure::before_commit(task, Step::Check, why);
    let mut request = inspection::inspect(&job.wanted);
    request.dirs = dirs.cloned();
    let running = job.emitter.step(host, Step::Connect);
    let process = link.sh().await.map_err(|error| error.ended(task))?;
    running.end(link.describe());
    let running = job.emitter.step(host, Step::Inspect);
    let dialers = link.dialers();
    let places = probes::probes(&job.wanted).map_err(refuse)?;
    let (facts, looks) =
        tokio::join!(remote::inspect(process, &request), verification::look(&places, &dialers));
    let facts = facts.map_err(|error| failure::remote(task, host, &error, None))?;
    let seen: Vec<SeenBefore> = looks
        .into_iter()
        .map(|look| match look {
            Ok(served) => SeenBefore::Leaf(served.leaf),
            Err(why) => SeenBefore::Nothing(why.to_string()),
        })
        .collect();
    let desired = resolve::desired(&job.wanted, &facts)
        .map_err(|why| failure::before_commit(task, Step::Inspect, why))?;
    let mut desired = match &job.earlier {
        None => desired,
        Some(Earlier(to)) => earlier(&desired, &facts, to.as_deref())
            .map_err(|why| failure::before_commit(task, Step::Inspect, why))?,
    };
    let plan =
        proof::sought(&job.wanted, &mut desired, &facts, seen, &dialers, job.identity.now).await;
    running.end(describe(&plan));
    Ok(Observed { desired, facts, plan })
}

fn describe(plan: &HostPlan) -> String {
    match &plan.decision {
        Decision::Unchanged => "nothing to do".to_owned(),
        Decision::ReloadOnly => "files right, service serves another: reload only".to_owned(),
        Decision::Change => "files will be written".to_owned(),
        Decision::Blocked { why, .. } => format!("blocked: {why}"),
    }
}

/// Settles what an earlier run left on a host, in words.
///
/// # Errors
/// The host is unreachable, busy, or does not answer sensibly.
pub(super) async fn recover(
    job: &Job,
    link: &HostConnection,
    files: &[RemotePath],
    dirs: Option<&StateDirs>,
) -> Result<Vec<String>, NotBegun> {
    let (host, task) = (job.host(), job.task());
    let running = job.emitter.step(host, Step::Recover);
    let process = link.sh().await.map_err(|error| NotBegun::Failed(error.ended(task)))?;
    let settled = remote::recover(process, &job.identity.holder, LOCK_WAIT, files, dirs).await;
    let settled = settled.map_err(|error| {
        let failure = failure::remote(task, host, &error, None);
        match error {
            RemoteError::Busy { holder, .. } => NotBegun::Busy { holder, failure },
            _ => NotBegun::Failed(failure),
        }
    })?;
    let words: Vec<String> = settled.iter().map(recovered_words).collect();
    running.end(if words.is_empty() { "nothing to settle".to_owned() } else { words.join("; ") });
    Ok(words)
}

/// How an interrupted transaction was settled.
fn recovered_words(recovered: &Recovered) -> String {
    let id = &recovered.id;
    let mut words = match recovered.end {
        RecoveredEnd::Old => format!("transaction {id} was interrupted: its files are back"),
        RecoveredEnd::New => format!("transaction {id} was confirmed: its leftovers are gone"),
        RecoveredEnd::Conflict => format!("transaction {id} was undone earlier"),
    };
    if recovered.conflicts > 0 {
        let files = crate::model::text::plural(recovered.conflicts as usize, "file");
        words.push_str(&format!(", except for {files} modified meanwhile by another process"));
    }
    if let Some(rc) = recovered.reload.filter(|rc| *rc != 0) {
        words.push_str(&format!(", but its reload exited with code {rc}"));
    }
    words
}
