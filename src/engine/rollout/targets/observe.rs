//! Looking at a host before anything is done: its files, its configuration, what it serves.

use super::proof;
use crate::engine::connection::HostConnection;
use crate::engine::difference::{SHOWN, difference};
use crate::engine::emit::Running;
use crate::engine::failure::{self, HostFailure};
use crate::engine::rollout::target::{Asked, Job, NotBegun, Observed, Recovery};
use crate::engine::verification;
use crate::host::{
    FileRole, HostFacts, Inspection, ModuleRequest, Recovered, RecoveredEnd, StateDirs, Verb,
};
use crate::model::{FileAction, Secret, Step};
use crate::plan::desired::ServiceWant;
use crate::plan::earlier::earlier;
use crate::plan::enclosed::{ask_enclosed, take_enclosed};
use crate::plan::host_plan::{Decision, HostPlan};
use crate::plan::inspection::{HostView, Look, ask, ask_for_plan, ask_for_status};
use crate::plan::left_open::{ask_named, is_left_open, named};
use crate::plan::variants::Variants;
use crate::remote::{self, RemoteError, Shell};
use crate::template::Opened;
use std::sync::Arc;

/// Reads the host and looks at what is served, at the same time, and plans. Changes nothing. With the shell that read it,
/// if a transaction or the next task may go on in that.
///
/// # Errors
/// The host is unreachable or does not answer sensibly.
pub(super) async fn observe(
    job: &Job,
    connection: &HostConnection,
    dirs: Option<&StateDirs>,
    may_go_on: bool,
) -> Result<(Observed, Option<Shell>), HostFailure> {
    let refuse = |why: String| failure::before_commit(job.task(), Step::Inspect, why);
    let placed = placed(job, connection, dirs).await?;
    let job = placed.as_ref().unwrap_or(job);
    let request =
        if job.tries_garbage() { ask_for_plan(&job.variants) } else { ask(&job.variants) };
    let (mut facts, looks, running, mut shell) =
        read(job, connection, dirs, request, may_go_on).await?;
    let desired = match job.tries_garbage() {
        true => job.variants.desired_for_plan(&facts),
        false => job.variants.desired(&facts),
    };
    let desired = desired.map_err(|why| refuse(why.to_string()))?;
    if job.earlier.is_some()
        && let Some(mut request) = ask_enclosed(&desired, &facts).map_err(refuse)?
    {
        request.dirs = dirs.cloned();
        let told = match shell {
            Some(same) => {
                let told = remote::inspect_in(same, &request).await;
                told.map(|(told, same)| (told, Some(same)))
            }
            None => {
                let process = connection.sh().await.map_err(|error| error.ended(job.task()))?;
                remote::inspect(process, &request).await.map(|told| (told, None))
            }
        };
        let (told, same) =
            told.map_err(|error| failure::remote(job.task(), job.host(), &error, None))?;
        take_enclosed(&mut facts, told);
        shell = same;
    }
    let view = HostView::read(desired, facts, looks).map_err(|why| refuse(why.to_string()))?;
    let view = match &job.earlier {
        None => view,
        Some(wanted) => {
            let desired = earlier(&view, wanted).map_err(|why| refuse(why.to_string()))?;
            view.with_desired(desired)
        }
    };
    let (view, mut plan) = proof::sought(&job.wanted, view, connection, job.identity.now).await;
    if let Some(opened) = &job.diff {
        show_differences(job, connection, &mut plan, opened).await?;
    }
    if !job.tries_garbage() && !plan.unproven.is_empty() && workers_might_prove(&view) {
        running.end("no handshake can prove the change: the service's configuration is read");
        if let Some(shell) = shell {
            shell.end().await;
        }
        let job = Job { plan_only: true, ..job.clone() };
        return Box::pin(observe(&job, connection, dirs, may_go_on)).await;
    }
    running.end(describe(&plan));
    Ok((Observed { view, plan }, shell))
}

/// The task with the destinations that it leaves open; none: it leaves none open.
///
/// # Errors
/// As [`observe`], or the host's services do not tell which files are meant.
async fn placed(
    job: &Job,
    connection: &HostConnection,
    dirs: Option<&StateDirs>,
) -> Result<Option<Job>, HostFailure> {
    if !is_left_open(&job.wanted) {
        return Ok(None);
    }
    let refuse = |why: String| failure::before_commit(job.task(), Step::Inspect, why);
    let mut request = ask_named(&job.wanted.profiles);
    request.dirs = dirs.cloned();
    let process = connection.sh().await.map_err(|error| error.ended(job.task()))?;
    let facts = remote::inspect(process, &request).await;
    let facts = facts.map_err(|error| failure::remote(job.task(), job.host(), &error, None))?;
    let Some(wanted) = named(&job.wanted, &facts).map_err(refuse)? else { return Ok(None) };
    let variants = Variants::of(&wanted).map_err(|why| refuse(why.to_string()))?;
    Ok(Some(Job { wanted: Arc::new(wanted), variants: Arc::new(variants), ..job.clone() }))
}

/// Reads the configuration files that would get other bytes, and says which lines change.
///
/// # Errors
/// The host does not answer any more.
async fn show_differences(
    job: &Job,
    connection: &HostConnection,
    plan: &mut HostPlan,
    opened: &Opened,
) -> Result<(), HostFailure> {
    let changes = plan.files.iter_mut().filter(|file| {
        let writes =
            matches!(file.action, FileAction::Create | FileAction::Replace | FileAction::Remove);
        file.want.role == FileRole::Config && writes && file.want.generation.is_none()
    });
    for file in changes {
        let path = file.want.path.to_string();
        let before = match (&file.action, file.want.hidden) {
            (FileAction::Replace | FileAction::Remove, false) => {
                content(job, connection, &path).await?
            }
            _ => Some(Secret::new(Vec::new())),
        };
        let after = match file.want.digest {
            Some(_) => file.want.content.expose().as_slice(),
            None => &[],
        };
        file.difference = match before {
            Some(_) if file.want.hidden => {
                Some(format!("{path}: {} bytes (not shown: they are secret)", after.len()))
            }
            Some(before) => difference(&path, before.expose(), after, false, opened),
            None => Some(format!("{path}: {} bytes (what is there cannot be read)", after.len())),
        };
    }
    Ok(())
}

/// What is in a file of the host; `None`: the host does not let it be read.
async fn content(
    job: &Job,
    connection: &HostConnection,
    path: &str,
) -> Result<Option<Secret<Vec<u8>>>, HostFailure> {
    let request = ModuleRequest::new(Verb::Look, true)
        .with("path", path)
        .flag("follow", true)
        .with("limit", (SHOWN + 1).to_string());
    let process = connection.sh().await.map_err(|error| error.ended(job.task()))?;
    let answer = remote::module::run(process, &request).await;
    let answer = answer.map_err(|error| failure::remote(job.task(), job.host(), &error, None))?;
    Ok(answer.ok().map(|reply| reply.content.unwrap_or_else(|| Secret::new(Vec::new()))))
}

/// Whether a service's workers could prove what no handshake does, if it was known which files its configuration names: a
/// rollout does not ask that before.
fn workers_might_prove(view: &HostView) -> bool {
    let unasked = |service: &ServiceWant| {
        let discover = service.discover.as_ref();
        service.workers.is_some() && discover.is_some_and(|discover| discover.handshake_tells)
    };
    view.desired().services.iter().any(unasked)
}

/// What the files and the places of a task are like, and no more. Changes nothing, and runs no command of the task.
///
/// # Errors
/// As [`observe`].
pub(super) async fn status(
    job: &Job,
    connection: &HostConnection,
    dirs: Option<&StateDirs>,
) -> Result<HostView, HostFailure> {
    let refuse = |why: String| failure::before_commit(job.task(), Step::Inspect, why);
    let placed = placed(job, connection, dirs).await?;
    let job = placed.as_ref().unwrap_or(job);
    let request = ask_for_status(&job.variants);
    let (facts, looks, running, shell) = read(job, connection, dirs, request, false).await?;
    if let Some(shell) = shell {
        connection.keep(shell).await;
    }
    let desired = job.variants.of_kind(facts.kind).map_err(|why| refuse(why.to_string()))?;
    let view = HostView::read(desired.for_status(), facts, looks);
    let view = view.map_err(|why| refuse(why.to_string()))?;
    running.end("asked");
    Ok(view)
}

/// What is at the destinations of a task whose certificates are not at hand. Changes nothing, and runs no command of the task.
///
/// # Errors
/// As [`observe`].
pub(super) async fn held(
    asked: &Asked<'_>,
    connection: &HostConnection,
    dirs: Option<&StateDirs>,
) -> Result<HostFacts, HostFailure> {
    let Asked { host, task, request, emitter } = *asked;
    let running = emitter.step(host, Step::Connect);
    let process = connection.sh().await.map_err(|error| error.ended(task))?;
    running.end(connection.describe());
    let running = emitter.step(host, Step::Inspect);
    let request = Inspection { dirs: dirs.cloned(), ..request.clone() };
    let facts = remote::inspect(process, &request).await;
    let facts = facts.map_err(|error| failure::remote(task, host, &error, None))?;
    running.end("asked");
    Ok(facts)
}

/// Asks a host and looks at what is served, at the same time. With the shell that asked, if something may follow in it.
async fn read(
    job: &Job,
    connection: &HostConnection,
    dirs: Option<&StateDirs>,
    mut request: Inspection,
    may_go_on: bool,
) -> Result<(HostFacts, Vec<Look>, Running, Option<Shell>), HostFailure> {
    let (host, task) = (job.host(), job.task());
    request.dirs = dirs.cloned();
    let running = job.emitter.step(host, Step::Connect);
    let new = async || Ok(connection.sh().await.map_err(|error| error.ended(task))?.into());
    let kept = connection.kept();
    let is_new = kept.is_none();
    let shell = match kept {
        Some(shell) => shell,
        None => new().await?,
    };
    running.end(connection.describe());
    let running = job.emitter.step(host, Step::Inspect);
    let (places, dialers) = (job.variants.probes(), connection.dialers());
    let ask = async |shell: Shell| {
        if may_go_on {
            remote::inspect_in(shell, &request).await
        } else {
            remote::inspect_only_in(shell, &request).await
        }
    };
    let asked = async {
        let asked = match ask(shell).await {
            // Nothing was begun, and it may have ended with its connection since it was kept.
            Err(_) if !is_new => ask(new().await?).await,
            asked => asked,
        };
        asked.map_err(|error| failure::remote(task, host, &error, None))
    };
    let (asked, looks) = tokio::join!(asked, verification::look(places, &dialers));
    let (facts, shell) = asked?;
    if may_go_on || job.goes_on {
        return Ok((facts, looks, running, Some(shell)));
    }
    shell.end().await;
    Ok((facts, looks, running, None))
}

fn describe(plan: &HostPlan) -> String {
    match &plan.decision {
        Decision::Unchanged => "nothing to do".to_owned(),
        Decision::ReloadOnly => {
            "files are right, but the service serves another certificate: reload only".to_owned()
        }
        Decision::Change => "files will be written".to_owned(),
        Decision::Blocked { why, .. } => format!("blocked: {why}"),
    }
}

/// Settles what an earlier run left on a host, in words.
///
/// # Errors
/// The host is unreachable, busy, or does not answer sensibly.
pub(super) async fn recover(
    recovery: &Recovery<'_>,
    connection: &HostConnection,
    dirs: Option<&StateDirs>,
) -> Result<Vec<String>, NotBegun> {
    let Recovery { host, task, holder, files, lock_wait, emitter } = *recovery;
    let running = emitter.step(host, Step::Recover);
    let process = connection.sh().await.map_err(|error| NotBegun::Failed(error.ended(task)))?;
    let settled = remote::recover(process, holder, lock_wait, files, dirs).await;
    let settled = settled.map_err(|error| {
        let failure = failure::remote(task, host, &error, None);
        match error {
            RemoteError::Busy { holder, .. } => NotBegun::Busy { holder, failure },
            _ => NotBegun::Failed(failure),
        }
    })?;
    let words: Vec<String> = settled.iter().map(recovered_words).collect();
    running.end(if words.is_empty() { "nothing to recover".to_owned() } else { words.join("; ") });
    Ok(words)
}

/// How an interrupted transaction was settled.
fn recovered_words(recovered: &Recovered) -> String {
    let id = match recovered.by.as_str() {
        "" => recovered.id.clone(),
        by => format!("{} ({by})", recovered.id),
    };
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
