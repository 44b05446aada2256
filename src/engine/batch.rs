//! A batch of a play: its hosts, its tolerance, and the bookkeeping of what its tasks did.

use super::blocks::Blocks;
use super::budget::Budget;
use super::context::Context;
use super::emit;
use super::end::TaskEnd;
use super::tally::UNTOUCHED;
use crate::event::planned::{PlanCounts, PlannedTask};
use crate::event::{Failure, Kind, StopReason, TaskResult};
use crate::inputs::play_scope::PlayScope;
use crate::inputs::selection::{ChosenTask, PlayAt};
use crate::inputs::variables::node;
use crate::model::{FileAction, Guarantee, HostName, Outcome};
use crate::playbook::{BlockPath, RunsOn, Task, TaskKind};
use crate::template::is_template;
use indexmap::IndexSet;
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::time::Instant;

/// A play's batch at work.
pub(crate) struct Batch<'a> {
    /// The run.
    pub context: &'a Arc<Context>,
    /// The play.
    pub at: PlayAt<'a>,
    /// Its variables.
    pub vars: PlayScope,
    /// From 1.
    pub number: usize,
    /// How many the play has.
    pub of: usize,
    /// All its hosts.
    pub hosts: Vec<HostName>,
    /// The play's tolerance.
    pub budget: Budget,
    left: IndexSet<HostName>,
    /// Hosts for which nothing follows the task under way, in the play or after it.
    leaving: HashSet<HostName>,
    blocks: Blocks,
    view: View,
}

/// What a plan says of a batch.
#[derive(Default)]
struct View {
    /// Host by host what is done with its files.
    acts: Vec<(HostName, FileAction)>,
    unreachable: usize,
    unknown: IndexSet<String>,
}

/// Why a run was ended early, for hosts that were not begun.
pub(crate) fn stop_words(reason: StopReason) -> &'static str {
    match reason {
        StopReason::BatchFailed => "every host of an earlier batch failed",
        StopReason::FailureBudget => "more hosts failed than the play tolerates",
        StopReason::Interrupt | StopReason::SecondInterrupt => "the run was interrupted",
    }
}

impl<'a> Batch<'a> {
    /// Batch `number` of `of`, which has not begun.
    pub(crate) fn new(
        context: &'a Arc<Context>,
        at: PlayAt<'a>,
        vars: PlayScope,
        (number, of): (usize, usize),
        hosts: &[HostName],
    ) -> Self {
        let budget = Budget {
            any_errors_fatal: at
                .play
                .any_errors_fatal
                .unwrap_or(context.inputs.project.options.any_errors_fatal),
            max_fail_percentage: at.play.max_fail_percentage,
            // A host that cannot go back keeps no other from it.
            unlimited: context.is_taking_back(),
        };
        let left = hosts.iter().cloned().collect();
        let hosts = hosts.to_vec();
        Self {
            context,
            at,
            vars,
            number,
            of,
            hosts,
            budget,
            left,
            leaving: HashSet::new(),
            blocks: Blocks::default(),
            view: View::default(),
        }
    }

    /// Sets the hosts that are done with the run when they are done with the next task.
    pub(crate) fn set_leaving(&mut self, hosts: HashSet<HostName>) {
        self.leaving = hosts;
    }

    /// A host is done with the task under way. Where that was its last one its connection ends: those of a whole fleet
    /// would fill the memory.
    pub(crate) fn depart(&self, host: &HostName) {
        if self.leaving.contains(host) {
            self.context.connections.release(host);
        }
    }

    /// A task has ended on a host, and for others of its batch not yet: tells the end of the host where nothing
    /// follows.
    pub(crate) fn tell_end_after(&self, task: &Task, end: &TaskEnd) {
        let in_blocks = !task.around.blocks.is_empty();
        if in_blocks || !self.context.hosts_end_apart() || task.ignore_errors.is_some() {
            return;
        }
        let forced =
            self.at.play.force_handlers || self.context.inputs.project.options.force_handlers;
        match (end.outcome, end.result) {
            (Some(outcome), _) if !forced => {
                self.context.tell_end_as(&end.host, outcome, end.message.clone());
            }
            (None, TaskResult::Ok | TaskResult::Changed) if self.leaving.contains(&end.host) => {
                let before = self.context.ledger().tally.outcome(&end.host);
                let changed = end.result == TaskResult::Changed || before == Outcome::Changed;
                let outcome = if changed { Outcome::Changed } else { Outcome::Unchanged };
                self.context.tell_end_as(&end.host, outcome, None);
            }
            // What became of it is in the ledger when the batch ends.
            _ => {}
        }
    }

    /// Emits the end of the batch, that of its hosts that are in no `later` play, and what a plan comes to.
    pub(crate) fn finish(&mut self, later: &HashSet<HostName>) {
        if self.context.hosts_end_apart() {
            let done = self.hosts.iter().filter(|host| !later.contains(*host));
            done.for_each(|host| self.context.tell_end(host));
        }
        let emitter = &self.context.emitter;
        if self.context.is_plan() {
            let view = std::mem::take(&mut self.view);
            emitter.run(Kind::PlanBatch {
                play: self.at.play.name.clone(),
                batch: self.number,
                batches: self.of,
                counts: PlanCounts::of(
                    view.acts.iter().map(|(host, act)| (host, act)),
                    view.unreachable,
                ),
                unknown: view.unknown.into_iter().collect(),
            });
        }
        emitter.run(Kind::BatchEnd { batch: self.number, failed: self.failed() });
    }

    /// Hosts of the batch that failed or were unreachable so far.
    pub(crate) fn failed(&self) -> usize {
        let ledger = self.context.ledger();
        self.hosts.iter().filter(|host| ledger.tally.has_failed(host)).count()
    }

    /// Whether the run ends here; asks the stop switch for it when the tolerance is exceeded. A dry run
    /// looks at every host whatever it finds.
    pub(crate) fn must_stop(&self) -> bool {
        let stop = &self.context.stop;
        if stop.is_requested() {
            return true;
        }
        if self.context.is_plan() {
            return false;
        }
        match self.budget.exceeded(self.hosts.len(), self.failed()) {
            Some(reason) => {
                if stop.request(reason) {
                    self.context.emitter.run(Kind::Stopping { reason });
                }
                true
            }
            None => false,
        }
    }

    /// The hosts that take part in the next task.
    pub(crate) fn active(&self) -> Vec<HostName> {
        let ledger = self.context.ledger();
        self.left.iter().filter(|host| !ledger.tally.has_failed(host)).cloned().collect()
    }

    /// The hosts that take part in a task at this place: those that failed before in one of its blocks among them,
    /// where `rescue` or `always` is for them.
    pub(crate) fn taking_part(&self, path: &BlockPath) -> Vec<HostName> {
        let ledger = self.context.ledger();
        let lost = |host: &HostName| ledger.tally.has_failed(host) && !self.blocks.remembers(host);
        let taking = self.left.iter().filter(|host| !lost(host));
        taking.filter(|host| self.blocks.takes_part(host, path)).cloned().collect()
    }

    /// The hosts that failed in this batch and take no part in a task at this place.
    pub(crate) fn missing(&self, path: &BlockPath) -> Vec<HostName> {
        let taking: HashSet<HostName> = self.taking_part(path).into_iter().collect();
        let ledger = self.context.ledger();
        let failed = self.left.iter().filter(|host| ledger.tally.has_failed(host));
        failed.filter(|host| !taking.contains(*host)).cloned().collect()
    }

    /// The run ends at this place: what `always` says is still done for the hosts that are in its blocks.
    pub(crate) fn close(&mut self, path: &BlockPath) {
        let ledger = self.context.ledger();
        for host in &self.left {
            if !ledger.tally.has_failed(host) || self.blocks.remembers(host) {
                self.blocks.close(host, path);
            }
        }
    }

    /// A task begins, `first` being the first host that does it: its name is rendered with that host's variables, and
    /// `ansible_play_batch` and its like are the hosts that still take part.
    pub(crate) fn begin(&mut self, task: &Task, first: &HostName) {
        let active = self.active();
        let still: HashSet<&HostName> = active.iter().collect();
        let here: HashSet<&HostName> = self.hosts.iter().collect();
        let playing: Vec<HostName> = {
            let ledger = self.context.ledger();
            let all = self.vars.everyone().iter();
            let in_play = |host: &&HostName| {
                if here.contains(host) {
                    still.contains(host)
                } else {
                    !ledger.tally.has_failed(host)
                }
            };
            all.filter(in_play).cloned().collect()
        };
        let vars = self.vars.with_hosts(&playing, &active).with_title(&task.title());
        let scope = self.context.inputs.variables.task_scope(&vars, first, task);
        let name = task.name.as_ref().filter(|name| name.as_str().is_some_and(is_template));
        let rendered = name.and_then(|name| scope.ok()?.text(name).ok());
        self.vars = match rendered.filter(|title| !title.trim().is_empty()) {
            Some(title) => vars.with_title(&task.in_role(title.trim())),
            None => vars,
        };
    }

    /// The play ends here for a host.
    pub(crate) fn leave(&mut self, host: &HostName) {
        self.left.shift_remove(host);
    }

    /// Counts and registers. `everyone`: the hosts that share a result of `run_once`.
    /// `path` is where a failure counts: the task's own place, or that of the flush that runs a handler.
    pub(crate) fn record(
        &mut self,
        chosen: &ChosenTask<'_>,
        end: &TaskEnd,
        everyone: &[HostName],
        path: &BlockPath,
    ) {
        let task = &*chosen.task;
        let ignored = is_ignored(self.context, &self.vars, task, end);
        let sharing = if everyone.is_empty() { std::slice::from_ref(&end.host) } else { everyone };
        if let Some(outcome) = end.outcome.filter(|_| !ignored)
            && self.fails(end, outcome, sharing, path)
        {
            self.rescued(chosen, end, outcome, sharing);
            return;
        }
        // What a module would change is as pending as a certificate.
        let would_change = matches!(task.kind, TaskKind::Module(_))
            && end.result == TaskResult::Changed
            && task.check_mode != Some(false);
        if would_change && self.context.is_plan() {
            self.context.ledger().mark_pending(&end.host);
        }
        let unchanged =
            task.kind.runs_on() == RunsOn::Batch && end.result == TaskResult::Ok && !end.unknown;
        {
            let tally = &mut self.context.ledger().tally;
            tally.task(&end.host, if ignored { TaskResult::Ignored } else { end.result });
            if ignored && end.value["changed"] == true {
                tally.changed(&end.host);
            }
            if unchanged {
                tally.unchanged(&end.host);
            }
            if let Some(outcome) = end.outcome.filter(|_| !ignored) {
                let reason = end.message.clone().unwrap_or_default();
                tally.fail(&end.host, outcome, reason);
            }
            if end.called_off {
                tally.call_off(&end.host, end.message.clone().unwrap_or_default());
            } else if end.result == TaskResult::Skipped && self.context.stop.is_requested() {
                tally.skip(&end.host, end.message.clone().unwrap_or_default());
            }
        }
        if end.outcome.is_some() && !ignored {
            if task.any_errors_fatal || !everyone.is_empty() {
                self.budget.any_errors_fatal = true;
            }
            if self.context.is_plan() && end.result == TaskResult::Unreachable {
                self.view.unreachable += 1;
                self.view.unknown.insert(format!("{}: unreachable", end.host));
            }
        }
        self.register(task, end, sharing);
    }

    /// Remembers where hosts failed; `true`: a `rescue` catches it.
    fn fails(
        &mut self,
        end: &TaskEnd,
        outcome: Outcome,
        sharing: &[HostName],
        path: &BlockPath,
    ) -> bool {
        if matches!(outcome, Outcome::Unreachable | Outcome::Unknown(_)) {
            self.blocks.forget(&end.host);
            return false;
        }
        let mut caught = false;
        for host in sharing {
            caught |= self.blocks.fails(host, path);
        }
        caught
    }

    /// The host goes on with the block's `rescue`, which sees what failed.
    fn rescued(
        &mut self,
        chosen: &ChosenTask<'_>,
        end: &TaskEnd,
        outcome: Outcome,
        sharing: &[HostName],
    ) {
        let task = &*chosen.task;
        self.context.ledger().tally.rescued(&end.host, outcome);
        let title = self.vars.title(task);
        // As Ansible: nothing where the author gave no name, and never the role's.
        let role =
            task.around.role.as_ref().map_or(String::new(), |role| format!("{} : ", role.name));
        let name = match &task.name {
            Some(_) => title.strip_prefix(&role).unwrap_or(&title),
            None => "",
        };
        let failed = json!({"name": name, "action": task.kind.name()});
        for host in sharing {
            let variables = &self.context.inputs.variables;
            variables.set(host, "ansible_failed_task", node(&failed));
            variables.set(host, "ansible_failed_result", node(&end.value));
        }
        self.context.emitter.info(Some(&end.host), "the failure is caught by the block's `rescue`");
        self.register(task, end, sharing);
    }

    fn register(&mut self, task: &Task, end: &TaskEnd, sharing: &[HostName]) {
        let variables = &self.context.inputs.variables;
        if end.unknown {
            for host in sharing {
                for name in task.sets() {
                    variables.forget(host, name);
                }
            }
            let title = self.vars.title(task);
            if self.context.is_plan() {
                let why = end.message.clone().unwrap_or_default();
                self.unknown(format!("{}: task '{title}': {why}", end.host));
            }
            return;
        }
        for host in sharing {
            for (name, value) in &end.facts {
                variables.set(host, name, value.clone());
            }
            if let Some(name) = &task.register {
                variables.set(host, name, node(&end.value));
            }
        }
    }

    /// Something that stays unknown until `apply`.
    pub(crate) fn unknown(&mut self, line: String) {
        self.view.unknown.insert(line);
    }

    /// Tells what is about to be done on a host, old and new, as a plan would.
    pub(crate) fn tell_plan(&self, host: &HostName, task: PlannedTask) {
        let (play, batch) = (self.at.play.name.clone(), self.number);
        let kind = Kind::PlanHost { play, batch, task: Box::new(task) };
        self.context.emitter.host(host, kind);
    }

    /// The same in a dry run, and keeps what is done for the batch's sums.
    pub(crate) fn plan(&mut self, host: &HostName, mut task: PlannedTask) {
        let guarantee = task.guarantee;
        if let (true, Some(row)) = (guarantee != Guarantee::HostUndoes, task.rows.first_mut()) {
            row.notes.push(format!("without a confirmation {}", guarantee.describe()));
        }
        if task.rows.iter().any(|row| row.action.is_pending()) {
            self.context.ledger().mark_pending(host);
        }
        self.view.acts.extend(task.rows.iter().map(|row| (host.clone(), row.action.clone())));
        self.tell_plan(host, task);
    }
}

/// Emits how a task ended on a host, which sees `vars`.
pub(crate) fn tell(
    context: &Context,
    vars: &PlayScope,
    task: &Task,
    end: &TaskEnd,
    begun: Instant,
) {
    let ignored = is_ignored(context, vars, task, end);
    if let Some(failure) = end.failure.as_ref().filter(|_| !ignored && !end.told) {
        let failure = Failure { place: task.written(), ..Failure::clone(failure) };
        context.emitter.failure(&end.host, failure);
    }
    let kind = Kind::TaskEnd {
        task: vars.title(task),
        place: task.place(),
        result: if ignored { TaskResult::Ignored } else { end.result },
        message: end.message.clone(),
        output: end.output.clone(),
        millis: emit::millis(
            end.ended.unwrap_or_else(Instant::now).saturating_duration_since(begun),
        ),
    };
    context.emitter.host(&end.host, kind);
}

/// `ignore_errors` is true for this failure. Unreachable and unknown hosts are never ignored.
fn is_ignored(context: &Context, vars: &PlayScope, task: &Task, end: &TaskEnd) -> bool {
    let Some(condition) = &task.ignore_errors else { return false };
    if end.result != TaskResult::Failed || matches!(end.outcome, Some(Outcome::Unknown(_))) {
        return false;
    }
    let scope = context.inputs.variables.task_scope(vars, &end.host, task);
    let scope = scope.map(|scope| match &task.register {
        Some(name) => scope.with(name.as_str(), node(&end.value)),
        None => scope,
    });
    scope.is_ok_and(|scope| scope.condition(condition).unwrap_or(false))
}

/// The end of a host that a batch left alone.
pub(crate) fn called_off(host: &HostName, why: &str) -> TaskEnd {
    TaskEnd { called_off: true, ..TaskEnd::skipped(host, format!("{UNTOUCHED}{why}")) }
}
