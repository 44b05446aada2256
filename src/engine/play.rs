//! A play: its hosts in batches, its tasks in order, its handlers, its tolerance.

use super::budget::Budget;
use super::certificate;
use super::project::Book;
use super::run::Run;
use super::task::{self, TaskEnd};
use super::variables::{PlayScope, node};
use super::{emit, selection};
use crate::event::planned::{PlanCounts, PlanRow};
use crate::event::{Kind, NoteLevel, StopReason, TaskResult};
use crate::model::{HostName, Outcome};
use crate::playbook::{Meta, Order, Play, Task, TaskKind};
use crate::source::{Diagnostic, Node};
use indexmap::{IndexMap, IndexSet};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::sync::Arc;
use tokio::time::Instant;

/// A play's batch at work.
pub struct Batch<'a> {
    /// The run.
    pub run: &'a Arc<Run>,
    /// The playbook.
    pub book: &'a Book,
    /// The play.
    pub play: &'a Play,
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
    notified: IndexMap<usize, IndexSet<HostName>>,
    view: View,
}

/// What a plan says of a batch.
#[derive(Default)]
struct View {
    rows: Vec<PlanRow>,
    unreachable: usize,
    unknown: Vec<String>,
}

/// Why a run was ended early, for hosts that were not begun.
pub fn stop_words(reason: StopReason) -> &'static str {
    match reason {
        StopReason::BatchFailed => "every host of an earlier batch failed",
        StopReason::FailureBudget => "more hosts failed than the play tolerates",
        StopReason::Interrupt | StopReason::SecondInterrupt => "the run was interrupted",
    }
}

/// The hosts of a play in its order, within the limit.
///
/// # Errors
/// A pattern that is wrong or matches nothing.
pub fn hosts(run: &Run, book: usize, play: usize) -> Result<Vec<HostName>, Diagnostic> {
    super::preflight::hosts(&run.project, &run.variables, book, play)
}

/// Puts hosts into the order that a play asks for.
fn arrange(mut hosts: Vec<HostName>, order: Order, seed: u32) -> Vec<HostName> {
    match order {
        Order::Inventory => {}
        Order::ReverseInventory => hosts.reverse(),
        Order::Sorted => hosts.sort(),
        Order::ReverseSorted => {
            hosts.sort();
            hosts.reverse();
        }
        Order::Shuffle => hosts.shuffle(&mut StdRng::seed_from_u64(u64::from(seed))),
    }
    hosts
}

/// Runs one play. What goes wrong is in the tally, and in the stop switch when it ends the run.
pub async fn run(run: &Arc<Run>, book: usize, play: usize) {
    let loaded = &run.project.books[book];
    let parsed = &loaded.playbook.plays[play];
    let chosen = selection::tasks(&run.project, book, play);
    let hosts =
        arrange(hosts(run, book, play).unwrap_or_default(), parsed.order, run.project.options.seed);
    let hosts: Vec<HostName> =
        hosts.into_iter().filter(|host| !run.tally().has_failed(host)).collect();
    for host in &hosts {
        run.tally().enter(host);
    }
    let emitter = &run.shared.emitter;
    emitter.run(Kind::PlayStart {
        play: parsed.name.clone(),
        hosts: hosts.len(),
        seed: (parsed.order == Order::Shuffle).then_some(run.project.options.seed),
    });
    if chosen.is_empty() || hosts.is_empty() {
        return;
    }
    let vars = PlayScope::new(loaded, parsed, &hosts);
    let sizes = parsed.batches(hosts.len());
    let of = sizes.len();
    let mut rest = hosts.as_slice();
    for (index, size) in sizes.into_iter().enumerate() {
        let (now, later) = rest.split_at(size.min(rest.len()));
        rest = later;
        let mut batch = Batch {
            run,
            book: loaded,
            play: parsed,
            vars: vars.with_hosts(&hosts, now),
            number: index + 1,
            of,
            hosts: now.to_vec(),
            budget: Budget {
                any_errors_fatal: parsed.any_errors_fatal,
                max_fail_percentage: parsed.max_fail_percentage,
            },
            left: now.iter().cloned().collect(),
            notified: IndexMap::new(),
            view: View::default(),
        };
        let ended = batch.run(&chosen).await;
        if run.shared.stop.is_requested() {
            let reason = run.shared.stop.reason().unwrap_or(StopReason::BatchFailed);
            for host in rest {
                run.tally().skip(host, format!("not begun: {}", stop_words(reason)));
            }
            return;
        }
        if ended {
            return;
        }
    }
}

impl Batch<'_> {
    /// Runs the chosen tasks and handlers; `true`: a task ended the play.
    async fn run(&mut self, chosen: &[usize]) -> bool {
        let run = Arc::clone(self.run);
        let hosts = self.hosts.clone();
        let kind = Kind::BatchStart { batch: self.number, batches: self.of, hosts };
        run.shared.emitter.run(kind);
        let mut end_play = false;
        for index in chosen {
            let task = &self.play.tasks[*index];
            end_play = self.step(task).await;
            if end_play || self.must_stop() {
                break;
            }
        }
        if !end_play && !self.must_stop() {
            self.handlers().await;
            self.must_stop();
        }
        self.finish();
        end_play
    }

    fn finish(&mut self) {
        let emitter = &self.run.shared.emitter;
        if self.run.is_plan() {
            let view = std::mem::take(&mut self.view);
            emitter.run(Kind::PlanBatch {
                play: self.play.name.clone(),
                batch: self.number,
                batches: self.of,
                counts: PlanCounts::of(&view.rows, view.unreachable),
                unknown: view.unknown,
            });
        }
        emitter.run(Kind::BatchEnd { batch: self.number, failed: self.failed() });
    }

    /// Hosts of the batch that failed or were unreachable so far.
    pub fn failed(&self) -> usize {
        let tally = self.run.tally();
        self.hosts.iter().filter(|host| tally.has_failed(host)).count()
    }

    /// Whether the run ends here; asks the stop switch for it when the tolerance is exceeded. A dry run
    /// looks at every host whatever it finds.
    fn must_stop(&self) -> bool {
        let stop = &self.run.shared.stop;
        if stop.is_requested() {
            return true;
        }
        if self.run.is_plan() {
            return false;
        }
        match self.budget.exceeded(self.hosts.len(), self.failed()) {
            Some(reason) => {
                if stop.request(reason) {
                    self.run.shared.emitter.run(Kind::Stopping { reason });
                }
                true
            }
            None => false,
        }
    }

    fn active(&self) -> Vec<HostName> {
        let tally = self.run.tally();
        self.left.iter().filter(|host| !tally.has_failed(host)).cloned().collect()
    }

    /// One task for the active hosts; `true`: it ended the play.
    async fn step(&mut self, task: &Task) -> bool {
        let active = self.active();
        if active.is_empty() {
            return false;
        }
        if let TaskKind::Meta(meta) = task.kind {
            return self.meta(task, meta, &active).await;
        }
        self.run.shared.emitter.run(Kind::TaskStart { task: task.title(), place: task.place() });
        self.work(task, &active).await;
        false
    }

    /// Runs a task or handler for `active` and books what became of it.
    async fn work(&mut self, task: &Task, active: &[HostName]) {
        let once = task.run_once || matches!(task.kind, TaskKind::Pause { .. });
        let hosts = if once { &active[..1] } else { active };
        self.vars = self.vars.with_hosts(&self.active(), &self.hosts);
        let ends = match &task.kind {
            TaskKind::Certificate(spec) => certificate::batch::run(self, task, spec, hosts).await,
            _ => self.on_hosts(task, hosts).await,
        };
        for end in ends {
            self.book(task, end, if once { active } else { &[] });
        }
    }

    async fn on_hosts(&self, task: &Task, hosts: &[HostName]) -> Vec<TaskEnd> {
        let each = hosts.iter().map(|host| async move {
            let Ok(_permit) = self.run.permits.acquire().await else {
                return TaskEnd::skipped(host, "the run has ended");
            };
            if self.run.shared.stop.is_interrupt() {
                return TaskEnd::skipped(host, "the run was interrupted");
            }
            let begun = Instant::now();
            let end = task::on_host(self.run, self.play, &self.vars, task, host).await;
            self.tell(task, &end, begun);
            end
        });
        futures::future::join_all(each).await
    }

    /// Emits how a task ended on a host.
    pub fn tell(&self, task: &Task, end: &TaskEnd, begun: Instant) {
        let emitter = &self.run.shared.emitter;
        let ignored = self.is_ignored(task, end);
        if let Some(failure) = end.failure.as_ref().filter(|_| !ignored && !end.told) {
            emitter.failure(&end.host, failure.clone());
        }
        let kind = Kind::TaskEnd {
            task: task.title(),
            place: task.place(),
            result: if ignored { TaskResult::Ignored } else { end.result },
            message: end.message.clone(),
            output: end.output.clone(),
            millis: emit::millis(begun.elapsed()),
        };
        emitter.host(&end.host, kind);
    }

    /// `ignore_errors` holds for this failure. Unreachable and unknown hosts are never ignored.
    fn is_ignored(&self, task: &Task, end: &TaskEnd) -> bool {
        let Some(condition) = &task.ignore_errors else { return false };
        if end.result != TaskResult::Failed || matches!(end.outcome, Some(Outcome::Unknown(_))) {
            return false;
        }
        let scope = self.run.variables.task_scope(&self.vars, &end.host, task);
        let scope = scope.map(|scope| match &task.register {
            Some(name) => scope.with(name.as_str(), node(&end.value)),
            None => scope,
        });
        scope.is_ok_and(|scope| scope.condition(condition).unwrap_or(false))
    }

    /// Counts, registers and notifies. `everyone`: the hosts that share a result of `run_once`.
    fn book(&mut self, task: &Task, end: TaskEnd, everyone: &[HostName]) {
        let ignored = self.is_ignored(task, &end);
        let unchanged = matches!(task.kind, TaskKind::Certificate(_))
            && end.result == TaskResult::Ok
            && !end.unknown;
        {
            let mut tally = self.run.tally();
            tally.task(&end.host, if ignored { TaskResult::Ignored } else { end.result });
            if unchanged {
                tally.unchanged(&end.host);
            }
            if let Some(outcome) = end.outcome.filter(|_| !ignored) {
                let reason = end.message.clone().unwrap_or_default();
                tally.fail(&end.host, outcome, reason);
            }
            if end.result == TaskResult::Skipped && self.run.shared.stop.is_requested() {
                tally.skip(&end.host, end.message.clone().unwrap_or_default());
            }
        }
        if end.outcome.is_some() && !ignored {
            if task.any_errors_fatal || !everyone.is_empty() {
                self.budget.any_errors_fatal = true;
            }
            if self.run.is_plan() && end.result == TaskResult::Unreachable {
                self.view.unreachable += 1;
                let why = end.message.clone().unwrap_or_default();
                self.view.unknown.push(format!("{}: unreachable: {why}", end.host));
            }
        }
        let sharing = if everyone.is_empty() { std::slice::from_ref(&end.host) } else { everyone };
        self.register(task, &end, sharing);
        if end.result == TaskResult::Changed {
            self.notify(task, sharing);
        }
    }

    fn register(&mut self, task: &Task, end: &TaskEnd, sharing: &[HostName]) {
        let variables = &self.run.variables;
        if end.unknown {
            let facts: Vec<&String> = match &task.kind {
                TaskKind::SetFact(vars) => vars.keys().collect(),
                _ => Vec::new(),
            };
            for host in sharing {
                for name in task.register.iter().chain(facts.iter().copied()) {
                    variables.forget(host, name);
                }
            }
            let title = task.title();
            if self.run.is_plan() {
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
    pub fn unknown(&mut self, line: String) {
        if !self.view.unknown.contains(&line) {
            self.view.unknown.push(line);
        }
    }

    /// Tells the rows of one host, and keeps them for the batch's sums.
    pub fn plan_rows(&mut self, host: &HostName, rows: Vec<PlanRow>) {
        if rows.iter().any(|row| row.action.is_pending()) {
            self.run.mark_pending(host);
        }
        self.view.rows.extend(rows.iter().cloned());
        let kind = Kind::PlanHost { play: self.play.name.clone(), batch: self.number, rows };
        self.run.shared.emitter.host(host, kind);
    }

    fn notify(&mut self, task: &Task, hosts: &[HostName]) {
        for wanted in &task.notify {
            for host in hosts {
                let name = self.name_on(host, wanted);
                let found: Vec<usize> = self.answering(&name).collect();
                if found.is_empty() {
                    let message = format!("no handler is called '{name}'");
                    self.run.shared.emitter.warn(Some(host), message);
                }
                for handler in found {
                    self.notified.entry(handler).or_default().insert(host.clone());
                }
            }
        }
    }

    fn name_on(&self, host: &HostName, name: &Node) -> String {
        let scope = self.run.variables.scope(&self.vars, host).ok();
        let text = scope.and_then(|scope| scope.text(name).ok());
        text.unwrap_or_else(|| name.as_str().unwrap_or_default().to_owned())
    }

    fn answering<'b>(&'b self, name: &'b str) -> impl Iterator<Item = usize> + 'b {
        self.play.handlers.iter().enumerate().filter_map(move |(index, handler)| {
            let answers =
                handler.title() == name || handler.listen.iter().any(|topic| topic == name);
            answers.then_some(index)
        })
    }

    /// Runs the notified handlers in the order in which they are defined; handlers may notify others.
    async fn handlers(&mut self) {
        let play = self.play;
        for (index, handler) in play.handlers.iter().enumerate() {
            let Some(hosts) = self.notified.shift_remove(&index) else { continue };
            let active = self.active();
            let hosts: Vec<HostName> =
                active.into_iter().filter(|host| hosts.contains(host)).collect();
            if hosts.is_empty() || self.run.shared.stop.is_interrupt() {
                continue;
            }
            self.run
                .shared
                .emitter
                .run(Kind::TaskStart { task: handler.title(), place: handler.place() });
            self.work(handler, &hosts).await;
        }
    }

    async fn meta(&mut self, task: &Task, meta: Meta, active: &[HostName]) -> bool {
        let mut ended = Vec::new();
        for host in active {
            let scope = self.run.variables.task_scope(&self.vars, host, task);
            if scope.is_ok_and(|scope| task::holds(&task.when, &scope).unwrap_or(false)) {
                ended.push(host);
            }
        }
        match meta {
            Meta::Noop => false,
            Meta::FlushHandlers => {
                self.handlers().await;
                false
            }
            Meta::EndHost => {
                for host in ended {
                    self.left.shift_remove(host);
                    let message = "the play ends here for this host".to_owned();
                    let kind = Kind::Note { level: NoteLevel::Info, message };
                    self.run.shared.emitter.host(host, kind);
                }
                false
            }
            Meta::EndPlay => !ended.is_empty(),
        }
    }
}

/// The end of a host that a batch left alone.
pub fn called_off(host: &HostName, why: &str) -> TaskEnd {
    TaskEnd::skipped(host, format!("untouched: {why}"))
}
