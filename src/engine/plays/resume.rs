//! A run that goes on where another ended: hosts that are done are checked, and hosts in flight are asked for their state,
//! before anything is done in their batch.

use crate::engine::batch::Batch;
use crate::engine::context::Context;
use crate::engine::end::TaskEnd;
use crate::engine::failure;
use crate::engine::fan_out;
use crate::engine::foreseen::{self, Foreseen};
use crate::engine::leftovers::{self, Leftovers};
use crate::engine::rollout::ends::{good, tell_services};
use crate::engine::rollout::job::job;
use crate::engine::rollout::target::{Job, Observed};
use crate::event::{Kind, TaskResult};
use crate::inputs::selection::PlayAt;
use crate::model::{HostName, Outcome, Step};
use crate::plan::host_plan::Decision;
use std::sync::Arc;
use tokio::time::Instant;

/// The task's name, for what is told.
const LOOK: &str = "look at what the resumed run did";

/// What is to be asked of a host.
enum Question {
    /// Whether it still is as it was left.
    IsDone(Vec<Job>),
    /// What is true of it.
    WasInFlight(Vec<Leftovers>),
}

/// The hosts of a batch with which nothing is to be done any more: an earlier run brought them to the end of the play,
/// and all that their certificate tasks want is still there and served. Settles what is left on those in flight.
pub(super) async fn done_before(batch: &Batch<'_>) -> Vec<HostName> {
    let questions = questions(batch);
    if questions.is_empty() {
        return Vec::new();
    }
    let context = batch.context;
    context.emitter.run(Kind::TaskStart { task: LOOK.to_owned(), place: None });
    let work = |context: Arc<Context>, host: HostName, question: Question| async move {
        if context.stop.is_interrupt() {
            return None;
        }
        match question {
            Question::IsDone(jobs) => is_done(&context, &host, jobs).await.then_some(host),
            Question::WasInFlight(leftovers) => {
                settle(&context, &host, leftovers).await;
                None
            }
        }
    };
    let lost = |host: HostName, why: String| {
        // It is done again, and whatever is wrong shows then.
        context.emitter.warn(Some(&host), failure::lost(LOOK, Step::Inspect, &why).failure.message);
        None
    };
    let done: Vec<Option<HostName>> = fan_out::each(context, questions, work, lost).await;
    done.into_iter().flatten().collect()
}

/// What is to be asked, host by host. A host of which that cannot be told before the play is begun goes through it as
/// any other.
fn questions(batch: &Batch<'_>) -> Vec<(HostName, Question)> {
    let (context, at, vars) = (batch.context, batch.at, &batch.vars);
    let Some(roster) = &context.inputs.project.options.roster else { return Vec::new() };
    let Some(play) = roster.play(at.number()) else { return Vec::new() };
    let sets_names = at.tasks().any(|chosen| chosen.task.sets().next().is_some());
    let mut questions = Vec::new();
    for host in &batch.active() {
        if play.done.contains(host) && !(sets_names && goes_on(context, at, host)) {
            let jobs =
                foreseen::of_host(context, at, vars, host, |chosen, spec, vars, host, scope| {
                    job(context, chosen, spec, vars, host, scope)
                });
            // What is wrong with its values is told where they are used.
            if let Ok(Foreseen { made, unknown }) = jobs
                && unknown.is_empty()
            {
                questions.push((host.clone(), Question::IsDone(made)));
            }
        } else if play.in_flight.contains(host) {
            let left =
                foreseen::of_host(context, at, vars, host, |chosen, spec, vars, host, scope| {
                    Leftovers::of(context, chosen, spec, vars, host, scope)
                });
            if let Ok(Foreseen { made, .. }) = left
                && !made.is_empty()
            {
                questions.push((host.clone(), Question::WasInFlight(made)));
            }
        }
    }
    questions
}

/// Whether a later play has something to do with a host: it may need what this one sets.
fn goes_on(context: &Context, at: PlayAt<'_>, host: &HostName) -> bool {
    let project = &context.inputs.project;
    let Some(roster) = &project.options.roster else { return true };
    project.plays().skip(at.number() + 1).any(|later| {
        let is_done = roster.play(later.number()).is_some_and(|play| play.done.contains(host));
        let hosts = later.hosts(&context.inputs.variables).unwrap_or_default();
        !is_done && hosts.contains(host)
    })
}

/// Looks whether everything is as it was left; tells it, and counts it as unchanged.
async fn is_done(context: &Context, host: &HostName, jobs: Vec<Job>) -> bool {
    let begun = Instant::now();
    let mut seen: Vec<Observed> = Vec::new();
    for job in &jobs {
        let observed = match job.target.observe(job).await {
            Ok(observed) => observed,
            Err(failure) => return goes_again(context, host, &failure.failure.message),
        };
        let Observed { view, plan } = &observed;
        if !view.facts().journals.is_empty() {
            return goes_again(context, host, "an interrupted transaction is unfinished");
        }
        if view.facts().lock.is_some() {
            return goes_again(context, host, "another run is at work on it");
        }
        match &plan.decision {
            Decision::Unchanged => seen.push(observed),
            Decision::ReloadOnly => {
                return goes_again(context, host, "another certificate is served");
            }
            Decision::Change => return goes_again(context, host, "its files were modified"),
            Decision::Blocked { why, .. } => return goes_again(context, host, why),
        }
    }
    let mut end = TaskEnd::blank(host, serde_json::Value::Null);
    for observed in &seen {
        tell_services(context, observed, Outcome::Unchanged);
        end = good(host, observed, None);
    }
    {
        let tally = &mut context.ledger().tally;
        tally.task(host, TaskResult::Ok);
        seen.iter().for_each(|_| tally.unchanged(host));
    }
    let words = end.message.unwrap_or_else(|| "there is no certificate to look at".to_owned());
    let kind = Kind::TaskEnd {
        task: LOOK.to_owned(),
        place: None,
        result: TaskResult::Ok,
        message: Some(format!("done in the resumed run: {words}")),
        output: None,
        millis: crate::engine::emit::millis(begun.elapsed()),
    };
    context.emitter.host(host, kind);
    true
}

fn goes_again(context: &Context, host: &HostName, why: &str) -> bool {
    let words = format!("the resumed run was done with this host, but {why}: it is done again");
    context.emitter.warn(Some(host), words);
    false
}

/// Settles what was left on a host in flight. What goes wrong shows again, and counts, where its tasks begin.
async fn settle(context: &Context, host: &HostName, leftovers: Vec<Leftovers>) {
    match leftovers::recover(context, host, LOOK, leftovers).await {
        Ok(words) => words.into_iter().for_each(|line| context.emitter.warn(Some(host), line)),
        Err(failure) => {
            let words =
                format!("in flight when the resumed run ended: {}", failure.failure.message);
            context.emitter.info(Some(host), words);
        }
    }
}
