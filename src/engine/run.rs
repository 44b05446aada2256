//! The run itself: its playbooks and plays one after another, and the summary.

use super::batch::stop_words;
use super::context::Context;
use super::exit;
use super::plays::play;
use super::survey;
use super::undo;
use crate::event::{Kind, RunStart, Summary};
use crate::inputs::preflight::Findings;
use crate::inputs::selection::PlayAt;
use crate::inputs::verb::{Back, Verb};
use crate::model::{HostName, Outcome};
use crate::playbook::OnFailure;
use crate::source::Diagnostics;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep_until;

/// For how long a service may go on taking connections with its old workers once the new ones are seen: nginx tells those to
/// stop 100 ms after it has started new ones. Whoever looks at a host when the run has ended is shown what the run says.
const LINGER: Duration = Duration::from_millis(120);

/// Does what the verb asks and tells how it ended, after what the preflight found.
///
/// # Errors
/// For verbs that run no play: what is wrong with the playbook's values.
pub(crate) async fn run(
    context: &Arc<Context>,
    start: RunStart,
    findings: Findings,
) -> Result<Summary, Diagnostics> {
    context.emitter.run(Kind::RunStart(Box::new(start)));
    if context.inputs.project.options.verb.changes() {
        context.emitter.run(Kind::Inputs(Box::new(findings.inputs)));
    }
    for warning in findings.warnings {
        context.emitter.warn(None, warning);
    }
    match &context.inputs.project.options.verb {
        // A dry run looks at every host anyway.
        Verb::Rollback { back: Back::Run, check: false } => {
            undo::look(context).await;
            plays(context).await;
        }
        Verb::Plan | Verb::Apply | Verb::Rollback { .. } => {
            let stopped = plays(context).await;
            if let Some(at) = stopped.filter(|at| at.play.on_failure == OnFailure::RollbackRun)
                && context.may_take_back()
                && !context.stop.is_interrupt()
            {
                take_back(context, at).await;
            }
        }
        Verb::Verify | Verb::Status | Verb::Recover | Verb::Ping | Verb::Discover { .. } => {
            survey::run(context).await?
        }
    }
    old_workers_are_gone(context).await;
    Ok(summary(context))
}

/// Runs every play of every playbook. The one in which the run was stopped, if it was.
async fn plays(context: &Arc<Context>) -> Option<PlayAt<'_>> {
    let mut book = 0;
    let mut earlier_failed = false;
    let failed_before = context.ledger().tally.failures();
    for at in context.inputs.project.plays() {
        if at.book_index() != book {
            book = at.book_index();
            // A dry run looks at everything.
            let failures = context.ledger().tally.failures();
            earlier_failed = failures != failed_before && !context.is_plan();
        }
        if earlier_failed {
            not_begun(context, at, "a host failed in an earlier playbook");
            continue;
        }
        play::run(context, at).await;
        if context.stop.is_requested() {
            enter_remaining(context);
            return Some(at);
        }
    }
    None
}

/// Takes back what the run has confirmed, as its play asks.
async fn take_back(context: &Arc<Context>, at: PlayAt<'_>) {
    if context.ledger().confirmed().is_empty() {
        return;
    }
    match undo::of_run(context, at) {
        Some(back) => {
            undo::look(&back).await;
            plays(&back).await;
            old_workers_are_gone(&back).await;
            undo::enter(context, &back);
        }
        None => undo::enter_none(context),
    }
}

async fn old_workers_are_gone(context: &Context) {
    let loaded = context.ledger().loaded();
    if let Some(loaded) = loaded {
        sleep_until(loaded + LINGER).await;
    }
}

/// Hosts of plays that never began appear in the summary too, as skipped.
fn enter_remaining(context: &Context) {
    let Some(reason) = context.stop.reason() else { return };
    for at in context.inputs.project.plays() {
        not_begun(context, at, stop_words(reason));
    }
}

/// A play was not begun: those of its hosts with which nothing else was done are skipped.
fn not_begun(context: &Context, at: PlayAt<'_>, why: &str) {
    let hosts = at.hosts(&context.inputs.variables).unwrap_or_default();
    let tally = &mut context.ledger().tally;
    for host in hosts {
        tally.enter(&host);
        if tally.outcome(&host) == Outcome::Skipped {
            tally.skip(&host, format!("not begun: {why}"));
        }
    }
}

/// Emits the end of every host that was not told yet and the summary, and returns it.
fn summary(context: &Context) -> Summary {
    let hosts: Vec<HostName> = context.ledger().tally.hosts().cloned().collect();
    hosts.iter().for_each(|host| context.tell_end(host));
    let ledger = context.ledger();
    let tally = &ledger.tally;
    let (failed, unreachable) = tally.failures();
    let stopped = context.stop.reason();
    let pending = ledger.pending();
    let exit_code = match exit::code(failed, unreachable, stopped) {
        exit::OK if pending > 0 && context.inputs.project.options.pending_exit_code => {
            exit::PENDING
        }
        code => code,
    };
    let summary = Summary { hosts: tally.summary(), exit_code, stopped, pending };
    context.emitter.run(Kind::Summary(summary.clone()));
    summary
}
