//! Taking a run back: before anything is, every host is looked at. A run whose play says so takes itself back when it
//! fails.

use super::batch::stop_words;
use super::context::{Context, Operator};
use super::end::TaskEnd;
use super::failure;
use super::fan_out;
use super::foreseen::{self, Foreseen, Placed};
use super::ledger::Confirmed;
use super::rollout::job::job;
use super::rollout::target::Job;
use crate::event::{Kind, TaskResult};
use crate::inputs::play_scope::PlayScope;
use crate::inputs::preflight;
use crate::inputs::project::Options;
use crate::inputs::roster::{Roster, RosterPlay, Undo};
use crate::inputs::selection::{ChosenTask, PlayAt};
use crate::inputs::verb::{Back, Verb};
use crate::model::{HostName, Outcome, Step};
use crate::playbook::TaskKind;
use crate::source::Diagnostics;
use indexmap::{IndexMap, IndexSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// The task's name, for what is told.
const LOOK: &str = "look at what is to be taken back";

/// The run that takes back what `context`'s run has confirmed before it was stopped in the play `at`; none: it has
/// confirmed nothing, or it cannot be taken back, as was told.
pub(super) fn of_run(context: &Context, at: PlayAt<'_>) -> Option<Arc<Context>> {
    let mut undo = Undo::by_itself();
    let confirmed: Vec<Confirmed> = context.ledger().confirmed().to_vec();
    for one in &confirmed {
        undo.add(&one.host, one.task.clone());
    }
    if undo.is_empty() {
        return None;
    }
    let hosts: Vec<HostName> = undo.hosts().cloned().collect();
    context.emitter.run(Kind::TakingBack { hosts });
    let project = &context.inputs.project;
    let plays = project.plays().take(at.number() + 1);
    let plays = plays.map(|at| way_back(context, at, &confirmed)).collect();
    let origin = "this run".to_owned();
    let roster = Roster { origin, plays, undo: Some(undo), ..Roster::default() };
    let verb = Verb::Rollback { back: Back::Run, check: false };
    let options = Options { verb, roster: Some(Arc::new(roster)), ..project.options.clone() };
    let back = Context::new(
        Arc::new(project.again(options)),
        Arc::clone(&context.connections),
        context.emitter.clone(),
        context.stop.next().clone(),
        (*context.identity).clone(),
        Arc::clone(&context.targets),
        Arc::new(Nobody),
    );
    match preflight::check(&back.inputs, true) {
        Ok(_) => Some(Arc::new(back)),
        Err(problems) => {
            for problem in &problems.0 {
                context.emitter.warn(None, format!("the run cannot be taken back: {problem}"));
            }
            None
        }
    }
}

/// The hosts of a play on the way back, its last batch first. One that is not about certificates has the hosts that it
/// had.
fn way_back(context: &Context, at: PlayAt<'_>, confirmed: &[Confirmed]) -> RosterPlay {
    let mine: Vec<&Confirmed> = confirmed.iter().filter(|one| one.play == at.number()).collect();
    let is_certificate =
        |chosen: ChosenTask<'_>| matches!(chosen.task.kind, TaskKind::Certificate(_));
    if mine.is_empty() && !at.tasks().chain(at.all_added()).any(is_certificate) {
        let names = at.hosts(&context.inputs.variables).unwrap_or_default();
        return RosterPlay { names, ..RosterPlay::default() };
    }
    let mut batches: BTreeMap<usize, IndexSet<HostName>> = BTreeMap::new();
    for one in mine {
        batches.entry(one.batch).or_default().insert(one.host.clone());
    }
    // They were confirmed in the order in which they came to their ends.
    let hosts: IndexSet<HostName> =
        at.hosts(&context.inputs.variables).unwrap_or_default().into_iter().collect();
    let in_order = |mut batch: IndexSet<HostName>| {
        batch.sort_by_key(|host| hosts.get_index_of(host));
        batch.into_iter().collect()
    };
    let batches: Vec<Vec<HostName>> = batches.into_values().rev().map(in_order).collect();
    RosterPlay { names: batches.concat(), batches, ..RosterPlay::default() }
}

/// Enters what became of the hosts on the way back in the run's own ledger.
pub(super) fn enter(context: &Context, back: &Context) {
    let why = context.stop.reason().map(stop_words).unwrap_or_default();
    let hosts: IndexSet<HostName> =
        context.ledger().confirmed().iter().map(|one| one.host.clone()).collect();
    let ledger = back.ledger();
    let tally = &mut context.ledger().tally;
    for host in ledger.tally.hosts().filter(|host| ledger.tally.has_failed(host)) {
        if !hosts.contains(host) {
            let reason = ledger.tally.reason(host).unwrap_or_default();
            tally.fail(host, ledger.tally.outcome(host), reason);
        }
    }
    for host in &hosts {
        let reason = ledger.tally.reason(host).unwrap_or("the rollback did not reach it");
        let kept = format!("NOT taken back, it keeps the new certificate: {reason}");
        match ledger.tally.outcome(host) {
            // What it failed in itself is told.
            Outcome::Changed | Outcome::Unchanged if tally.has_failed(host) => {}
            Outcome::Changed | Outcome::Unchanged => {
                let outcome = Outcome::RolledBack(Step::Rollback);
                tally.fail(host, outcome, format!("taken back: {why}"));
            }
            outcome @ (Outcome::Unreachable | Outcome::Unknown(_) | Outcome::NotRestored(_)) => {
                tally.fail(host, outcome, format!("during the rollback: {reason}"));
            }
            // Nothing live was changed, or it was put back to what the run had confirmed.
            Outcome::Skipped | Outcome::Failed(_) | Outcome::RolledBack(_) => {
                tally.fail(host, Outcome::Failed(Step::Rollback), kept);
            }
        }
    }
}

/// None of the hosts that the run has confirmed goes back.
pub(super) fn enter_none(context: &Context) {
    let hosts: Vec<HostName> =
        context.ledger().confirmed().iter().map(|one| one.host.clone()).collect();
    let tally = &mut context.ledger().tally;
    for host in &hosts {
        let why = "NOT taken back, it keeps the new certificate: the playbook or its files cannot be read any more";
        tally.fail(host, Outcome::Failed(Step::Rollback), why);
    }
}

/// Nobody is asked on the way back: it goes on.
struct Nobody;

impl Operator for Nobody {
    fn is_there(&self) -> bool {
        true
    }

    fn confirm(&self, _: &str) -> bool {
        true
    }

    fn wait_for_return(&self, _: &str) -> std::io::Result<String> {
        Ok(String::new())
    }
}

/// Looks at every host of the run. One that cannot go back, because something has changed it since or because what it
/// held before is not kept, is named and takes no further part.
pub(super) async fn look(context: &Arc<Context>) {
    context.emitter.run(Kind::TaskStart { task: LOOK.to_owned(), place: None });
    let mut items: IndexMap<HostName, Vec<Placed<Job>>> = IndexMap::new();
    for at in context.inputs.project.plays() {
        let hosts = at.hosts(&context.inputs.variables).unwrap_or_default();
        let vars = PlayScope::new(at.book, at.play, &hosts);
        for host in &hosts {
            let made =
                foreseen::of_host(context, at, &vars, host, |chosen, spec, vars, host, scope| {
                    Ok(Placed::of(chosen, job(context, chosen, spec, vars, host, scope)?))
                });
            match made {
                // What only the run tells is looked at in its turn.
                Ok(Foreseen { made, .. }) => items.entry(host.clone()).or_default().extend(made),
                Err(problems) => refuse(context, host, &problems),
            }
        }
    }
    let work = |context: Arc<Context>, host: HostName, jobs: Vec<Placed<Job>>| async move {
        if context.stop.is_interrupt() {
            return;
        }
        let begun = Instant::now();
        for Placed { written, made: job, .. } in jobs {
            let concerned = job.earlier.is_some() && job.is_concerned();
            if concerned && let Err(failure) = job.target.observe(&job).await {
                let mut end = TaskEnd::failed(&host, failure);
                end.failure.iter_mut().for_each(|failure| failure.place.clone_from(&written));
                return fail(&context, end, begun);
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
        emitter.failure(host, (**failure).clone());
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
