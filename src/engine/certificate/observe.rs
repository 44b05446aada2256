//! Looking at a host before anything is done: its files, its configuration, what it serves.

use super::proof;
use crate::engine::connection::HostConnection;
use crate::engine::context::Context;
use crate::engine::emit::Running;
use crate::engine::failure::{self, HostFailure};
use crate::engine::verification;
use crate::host::{Recovered, RecoveredEnd, StateDirs};
use crate::model::{HostName, RemotePath, Step};
use crate::plan::earlier::earlier;
use crate::plan::host_plan::{Decision, HostPlan};
use crate::plan::inspection::{HostView, ask};
use crate::plan::resolve::Variants;
use crate::plan::wanted::Wanted;
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
    /// The same, made concrete for each kind of host.
    pub variants: Arc<Variants>,
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
    /// What is wanted of a host of this kind, and what it showed.
    pub view: HostView,
    /// What will be done.
    pub plan: HostPlan,
}

/// Reads the host and looks at what is served, at the same time, and plans. Changes nothing.
///
/// # Errors
/// The host is unreachable or does not answer sensibly.
pub async fn observe(job: &Job, context: &Context) -> Result<Observed, HostFailure> {
    let (view, running) = look_at(job, context).await?;
    let view = match &job.earlier {
        None => view,
        Some(Earlier(to)) => {
            let desired = earlier(&view, to.as_deref()).map_err(|why| {
                failure::before_commit(job.task(), Step::Inspect, why.to_string())
            })?;
            view.with_desired(desired)
        }
    };
    let (view, plan) = proof::sought(job, view, &job.link.dialers(), context.now).await;
    running.end(describe(&plan));
    Ok(Observed { view, plan })
}

/// What a host holds and serves now, without a plan.
///
/// # Errors
/// As [`observe`].
pub async fn look(job: &Job, context: &Context) -> Result<HostView, HostFailure> {
    let (view, running) = look_at(job, context).await?;
    running.end("asked");
    Ok(view)
}

async fn look_at(job: &Job, context: &Context) -> Result<(HostView, Running), HostFailure> {
    let (host, task) = (job.host(), job.task());
    let refuse = |why: String| failure::before_commit(task, Step::Inspect, why);
    let mut request = ask(&job.variants);
    request.dirs.clone_from(&job.dirs);
    let running = context.emitter.step(host, Step::Connect);
    let process = job.link.sh().await.map_err(|error| error.ended(task))?;
    running.end(job.link.describe());
    let running = context.emitter.step(host, Step::Inspect);
    let dialers = job.link.dialers();
    let places = job.variants.probes();
    let (facts, looks) =
        tokio::join!(remote::inspect(process, &request), verification::look(places, &dialers));
    let facts = facts.map_err(|error| failure::remote(task, host, &error, None))?;
    let desired = job.variants.desired(&facts).map_err(|why| refuse(why.to_string()))?;
    let view = HostView::read(desired, facts, looks).map_err(|why| refuse(why.to_string()))?;
    Ok((view, running))
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
