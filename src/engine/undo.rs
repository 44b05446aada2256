//! Taking a run back: before anything is, every host is looked at.

use super::context::Context;
use super::end::TaskEnd;
use super::failure;
use super::fan_out;
use super::foreseen::{self, Foreseen};
use super::rollout::job::job;
use super::rollout::target::Job;
use crate::event::{Kind, TaskResult};
use crate::inputs::play_scope::PlayScope;
use crate::model::{HostName, Step};
use crate::source::Diagnostics;
use indexmap::IndexMap;
use std::sync::Arc;
use tokio::time::Instant;

/// The task's name, for what is told.
const LOOK: &str = "look at what is to be taken back";

/// Looks at every host of the run. One that cannot go back, because something has changed it since or because what it
/// held before is not kept, is named and takes no further part.
pub(super) async fn look(context: &Arc<Context>) {
    context.emitter.run(Kind::TaskStart { task: LOOK.to_owned(), place: None });
    let mut items: IndexMap<HostName, Vec<Job>> = IndexMap::new();
    for at in context.inputs.project.plays() {
        let hosts = at.hosts(&context.inputs.variables).unwrap_or_default();
        let vars = PlayScope::new(at.book, at.play, &hosts);
        for host in &hosts {
            let made =
                foreseen::of_host(context, at, &vars, host, |chosen, spec, vars, host, scope| {
                    job(context, chosen, spec, vars, host, scope)
                });
            match made {
                // What only the run tells is looked at in its turn.
                Ok(Foreseen { made, .. }) => items.entry(host.clone()).or_default().extend(made),
                Err(problems) => refuse(context, host, &problems),
            }
        }
    }
    let work = |context: Arc<Context>, host: HostName, jobs: Vec<Job>| async move {
        if context.stop.is_interrupt() {
            return;
        }
        let begun = Instant::now();
        for job in jobs {
            let concerned = job.earlier.as_ref().is_some_and(|one| one.concerns(&job.variants));
            if concerned && let Err(failure) = job.target.observe(&job).await {
                return fail(&context, TaskEnd::failed(&host, failure), begun);
            }
        }
    };
    let begun = Instant::now();
    let lost = |host: HostName, why: String| {
        fail(context, TaskEnd::failed(&host, failure::lost(LOOK, Step::Inspect, &why)), begun);
    };
    fan_out::each(context, items.into_iter().collect(), work, lost).await;
}

fn refuse(context: &Context, host: &HostName, problems: &Diagnostics) {
    fail(context, TaskEnd::wrongs(host, LOOK, problems), Instant::now());
}

fn fail(context: &Context, end: TaskEnd, begun: Instant) {
    let (host, emitter) = (&end.host, &context.emitter);
    if let Some(failure) = &end.failure {
        emitter.failure(host, failure.clone());
    }
    {
        let tally = &mut context.ledger().tally;
        tally.task(host, end.result);
        if let Some(outcome) = end.outcome {
            tally.fail(host, outcome, end.message.clone().unwrap_or_default());
        }
    }
    let kind = Kind::TaskEnd {
        task: LOOK.to_owned(),
        place: None,
        result: if end.result == TaskResult::Unreachable { end.result } else { TaskResult::Failed },
        message: end.message.clone(),
        output: None,
        millis: super::emit::millis(begun.elapsed()),
    };
    emitter.host(host, kind);
}
