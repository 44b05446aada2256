//! Looking at a host before anything is done: its files, its configuration, what it serves.

use super::proof;
use crate::engine::connection::HostConnection;
use crate::engine::context::Context;
use crate::engine::failure::{self, HostFailure};
use crate::engine::verification;
use crate::host::HostFacts;
use crate::host::{Recovered, RecoveredEnd, StateDirs};
use crate::model::{HostName, RemotePath, Step};
use crate::plan::build::{Decision, HostPlan, SeenBefore};
use crate::plan::desired::Desired;
use crate::plan::earlier::earlier;
use crate::plan::inspection;
use crate::plan::{probes, resolve, wanted::Wanted};
use crate::remote::{self};
use std::sync::Arc;
use std::time::Duration;

/// How long a recovery waits for somebody else's lock.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Which earlier state: before this generation, or before the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier(pub Option<String>);

/// One host's part of a certificate task.
#[derive(Clone)]
pub struct Job {
    /// What is wanted.
    pub wanted: Arc<Wanted>,
    /// How the host is reached.
    pub link: HostConnection,
    /// Where it keeps journals, if not at the usual place.
    pub dirs: Option<StateDirs>,
    /// An earlier generation is wanted instead of the task's files.
    pub earlier: Option<Earlier>,
}

impl Job {
    /// The host.
    pub fn host(&self) -> &HostName {
        &self.wanted.host
    }

    /// The task's title.
    pub fn task(&self) -> &str {
        &self.wanted.task
    }
}

/// What a host showed, and what follows.
#[derive(Debug)]
pub struct Observed {
    /// What is wanted of a host of this kind.
    pub desired: Desired,
    /// What the host said.
    pub facts: HostFacts,
    /// What will be done.
    pub plan: HostPlan,
}

/// Reads the host and looks at what is served, at the same time. Changes nothing.
///
/// # Errors
/// The host is unreachable or does not answer sensibly.
pub async fn observe(job: &Job, context: &Context) -> Result<Observed, HostFailure> {
    let (host, task) = (job.host(), job.task());
    let refuse = |why: String| failure::before_commit(task, Step::Check, why);
    let mut request = inspection::inspect(&job.wanted);
    request.dirs.clone_from(&job.dirs);
    let running = context.emitter.step(host, Step::Connect);
    let process = job.link.sh().await.map_err(|error| error.ended(task))?;
    running.end(job.link.describe());
    let running = context.emitter.step(host, Step::Inspect);
    let dialers = job.link.dialers();
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
    let plan = proof::sought(job, &mut desired, &facts, seen, &dialers, context.now).await;
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
pub async fn recover(
    host: &HostName,
    task: &str,
    link: &HostConnection,
    files: &[RemotePath],
    dirs: Option<&StateDirs>,
    context: &Context,
) -> Result<Vec<String>, HostFailure> {
    let running = context.emitter.step(host, Step::Recover);
    let process = link.sh().await.map_err(|error| error.ended(task))?;
    let settled = remote::recover(process, &context.holder, LOCK_WAIT, files, dirs)
        .await
        .map_err(|error| failure::remote(task, host, &error, None))?;
    let words: Vec<String> = settled.iter().map(recovered_words).collect();
    running.end(if words.is_empty() { "nothing to settle".to_owned() } else { words.join("; ") });
    Ok(words)
}

/// How an interrupted transaction was settled.
pub fn recovered_words(recovered: &Recovered) -> String {
    let id = &recovered.id;
    let mut words = match recovered.end {
        RecoveredEnd::Old => format!("transaction {id} was interrupted: its files are back"),
        RecoveredEnd::New => format!("transaction {id} was confirmed: its leftovers are gone"),
        RecoveredEnd::Conflict => format!("transaction {id} was undone earlier"),
    };
    if recovered.conflicts > 0 {
        let files = crate::model::text::plural(recovered.conflicts as usize, "file");
        words.push_str(&format!(", except for {files} that somebody else changed meanwhile"));
    }
    if let Some(rc) = recovered.reload.filter(|rc| *rc != 0) {
        words.push_str(&format!(", but its reload ended with {rc}"));
    }
    words
}

/// Work that changes nothing live, dropped at the second interrupt: the link is cut and the host
/// discards whatever it had staged.
pub(super) async fn unless_cut<T>(
    context: &Context,
    job: &Job,
    work: impl Future<Output = Result<T, HostFailure>>,
) -> Result<T, HostFailure> {
    tokio::select! {
        result = work => result,
        () = context.stop.hard().cancelled() => {
            let why = "cut off by the second interrupt";
            Err(failure::before_commit(job.task(), Step::Barrier, why))
        }
    }
}
