//! Looking at a machine: what its reference names, what is in its store, and what is served.

use super::asking::{self, ask, unanswered, untouched};
use super::judge::judge;
use super::place::{Windows, is_done, leaf};
use crate::engine::emit::Emitter;
use crate::engine::failure::HostFailure;
use crate::engine::rollout::target::{Asked, Job, Observed, Target};
use crate::engine::rollout::targets::store;
use crate::engine::verification;
use crate::host::{FileFacts, FileState, HostFacts, JournalFacts, JournalState};
use crate::material::Bundle;
use crate::model::text::printable;
use crate::model::{Fingerprint, HostName, RemotePath, Step};
use crate::plan::build::build;
use crate::plan::earlier::earlier;
use crate::plan::host_plan::Decision;
use crate::plan::inspection::{HostView, Look};
use crate::plan::proof::judge as judge_proof;
use crate::windows::{Program, Seen};
use std::sync::Arc;

/// Asks the machine what is there.
async fn look(
    target: &Windows,
    task: &str,
    host: &HostName,
    emitter: &Emitter,
    wanted: Option<&Bundle>,
) -> Result<Seen, HostFailure> {
    let running = emitter.step(host, Step::Connect);
    let question = target.question(wanted);
    let answer = ask::<Seen>(&target.connection, Program::Observe, &question, &[]).await;
    let seen = answer
        .map_err(|silent| unanswered(task, silent))?
        .map_err(|why| asking::refused(target, task, Step::Inspect, &why))?;
    let text = |text: &str| printable(text.as_bytes(), 100);
    running.end(format!(
        "{}, as {}: Windows build {}, PowerShell {}",
        target.connection.describe(),
        text(&seen.user),
        seen.build,
        text(&seen.shell)
    ));
    Ok(seen)
}

/// Looks at the machine and at what is served, at the same time. Changes nothing.
pub(super) async fn status(target: &Windows, job: &Job) -> Result<HostView, HostFailure> {
    let (seen, looks) = both(target, job).await?;
    let running = job.emitter.step(job.host(), Step::Inspect);
    let view =
        view(target, job, &seen, looks).map_err(|why| untouched(job.task(), Step::Inspect, why))?;
    running.end("asked");
    Ok(view)
}

async fn both(target: &Windows, job: &Job) -> Result<(Seen, Vec<Look>), HostFailure> {
    let dialers = target.dialers();
    let bundle = bundle(job);
    let (seen, looks) = tokio::join!(
        look(target, job.task(), job.host(), &job.emitter, bundle.as_deref()),
        verification::look(job.variants.probes(), &dialers),
    );
    Ok((seen?, looks))
}

/// What the task wants there.
pub(super) fn bundle(job: &Job) -> Option<Arc<Bundle>> {
    job.wanted.materials.first().map(|material| Arc::clone(&material.bundle))
}

/// Looks at the machine for a task whose pair is not at hand. Changes nothing.
pub(super) async fn held(target: &Windows, asked: &Asked<'_>) -> Result<HostFacts, HostFailure> {
    let Asked { host, task, request, emitter } = *asked;
    let seen = look(target, task, host, emitter, None).await?;
    let running = emitter.step(host, Step::Inspect);
    let mut facts = facts_of(&seen);
    let here = request.variants.iter().filter(|variant| variant.kinds.contains(&facts.kind));
    facts.files =
        here.flat_map(|variant| &variant.files).map(|path| a_value(path, &seen, None)).collect();
    running.end("asked");
    Ok(facts)
}

fn facts_of(seen: &Seen) -> HostFacts {
    let mut facts = store::a_store();
    facts.user = printable(seen.user.as_bytes(), 100);
    facts.journals = interrupted(seen).into_iter().collect();
    facts
}

/// What is wanted, and what was seen.
fn view(target: &Windows, job: &Job, seen: &Seen, looks: Vec<Look>) -> Result<HostView, String> {
    let mut facts = facts_of(seen);
    let desired = job.variants.desired(&facts).map_err(|why| why.to_string())?;
    let bundle = bundle(job);
    let done = bundle.is_some_and(|bundle| is_done(target, seen, &bundle));
    let files = desired.files.iter();
    let files = files.map(|want| a_value(&want.path, seen, want.digest.filter(|_| done)));
    let kept = desired.kept_keys.iter().map(|kept| a_value(&kept.path, seen, None));
    facts.files = files.chain(kept).collect();
    HostView::read(desired, facts, looks).map_err(|why| why.to_string())
}

/// A value as a file. What a store keeps cannot be compared byte by byte: it is either what is wanted, or named by its
/// thumbprint.
fn a_value(path: &RemotePath, seen: &Seen, wanted: Option<Fingerprint>) -> FileFacts {
    let named = seen.used.as_ref().and_then(|used| used.thumbprint);
    let state = named.map_or(FileState::Absent, |thumbprint| {
        let now = || Fingerprint::of(format!("{path} {thumbprint}").as_bytes());
        let mut file = store::a_file(wanted.unwrap_or_else(now), None);
        if path.file_name() == b"key" {
            file.holds_key = true;
        } else {
            file.certificates = leaf(seen).map(Arc::new).into_iter().collect();
        }
        FileState::File(Box::new(file))
    });
    FileFacts { state, ..store::an_absent_file(path) }
}

/// An earlier run died between its begin and its confirmation, and its time is over.
fn interrupted(seen: &Seen) -> Option<JournalFacts> {
    let journal = seen.journal.as_ref()?;
    (journal.until <= seen.clock).then(|| JournalFacts {
        id: printable(journal.id.as_bytes(), 64),
        state: JournalState::Undo,
        by: printable(journal.by.as_bytes(), 300),
    })
}

/// As [`status`], and plans.
pub(super) async fn observe(target: &Windows, job: &Job) -> Result<Observed, HostFailure> {
    let refuse = |why: String| untouched(job.task(), Step::Inspect, why);
    let (seen, looks) = both(target, job).await?;
    let running = job.emitter.step(job.host(), Step::Inspect);
    let view = view(target, job, &seen, looks).map_err(refuse)?;
    let view = match &job.earlier {
        None => view,
        Some(to) => {
            let desired = earlier(&view, to).map_err(|why| refuse(why.to_string()))?;
            view.with_desired(desired)
        }
    };
    let mut plan = build(&view, job.identity.now);
    judge_proof(&mut plan, &[], &[]);
    if plan.decision == Decision::Change {
        match bundle(job) {
            Some(bundle) => judge(target, &seen, &bundle, &mut plan),
            None => {
                let why = "there is no certificate at hand".to_owned();
                plan.decision = Decision::Blocked { step: Step::Inspect, why, check: None };
            }
        }
    }
    running.end(match &plan.decision {
        Decision::Unchanged => "nothing to do".to_owned(),
        Decision::ReloadOnly => {
            "the reference is right, but another certificate is served".to_owned()
        }
        Decision::Change => format!("{} will be changed", target.describe()),
        Decision::Blocked { why, .. } => format!("blocked: {why}"),
    });
    target.remember(seen);
    Ok(Observed { view, plan })
}
