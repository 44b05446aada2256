//! A play: its batches one after another, the tasks of each in order, its handlers.

use super::handlers::{Notified, wanted};
use super::on_host::on_host;
use crate::engine::batch::{Batch, stop_words, tell};
use crate::engine::context::Context;
use crate::engine::end::TaskEnd;
use crate::engine::failure;
use crate::engine::fan_out;
use crate::engine::rollout;
use crate::event::{Kind, NoteLevel, StopReason, TaskResult};
use crate::inputs::iteration::all_true;
use crate::inputs::selection::{ChosenTask, PlayAt};
use crate::inputs::variables::PlayScope;
use crate::model::{HostName, Step};
use crate::playbook::{Meta, Order, RunsOn, TaskKind};
use crate::source::Diagnostics;
use indexmap::IndexSet;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::Instant;

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

/// Runs one play. What goes wrong is in the ledger, and in the stop switch when it ends the run.
pub(crate) async fn run(context: &Arc<Context>, at: PlayAt<'_>) {
    run_batches(context, at).await;
    for chosen in at.tasks().chain(at.handlers()) {
        context.inputs.bundles.done_with(chosen.place);
    }
}

async fn run_batches(context: &Arc<Context>, at: PlayAt<'_>) {
    let chosen: Vec<ChosenTask<'_>> = at.tasks().collect();
    let hosts = at.hosts(&context.inputs.variables).unwrap_or_default();
    let seed = context.inputs.project.options.seed;
    let hosts = match context.inputs.project.options.roster {
        // They are in their order already.
        Some(_) => hosts,
        None => arrange(hosts, at.play.order, seed),
    };
    leave_apart(context, at);
    let hosts: Vec<HostName> = {
        let tally = &mut context.ledger().tally;
        let hosts: Vec<HostName> =
            hosts.into_iter().filter(|host| !tally.has_failed(host)).collect();
        hosts.iter().for_each(|host| tally.enter(host));
        hosts
    };
    let seed = (at.play.order == Order::Shuffle).then_some(seed);
    let (play, names) = (at.play.name.clone(), hosts.clone());
    let kind = Kind::PlayStart { play, hosts: hosts.len(), names, seed };
    context.emitter.run(kind);
    if chosen.is_empty() || hosts.is_empty() {
        return;
    }
    let vars = PlayScope::new(at.book, at.play, &hosts);
    let batches = batches(context, at, &hosts);
    let of = batches.len();
    for (index, now) in batches.iter().enumerate() {
        let vars = vars.with_hosts(&hosts, now);
        let batch = Batch::new(context, at, vars, (index + 1, of), now);
        let ended = Driver { batch, notified: Notified::default() }.run(&chosen).await;
        if context.stop.is_requested() {
            let reason = context.stop.reason().unwrap_or(StopReason::BatchFailed);
            let tally = &mut context.ledger().tally;
            for host in batches[index + 1..].iter().flatten() {
                tally.skip(host, format!("not begun: {}", stop_words(reason)));
            }
            return;
        }
        if ended {
            return;
        }
    }
}

/// The hosts of a play in batches.
fn batches(context: &Context, at: PlayAt<'_>, hosts: &[HostName]) -> Vec<Vec<HostName>> {
    if let Some(roster) = &context.inputs.project.options.roster {
        return roster.batches(at.number(), hosts, |count| at.play.batches(count));
    }
    let mut rest = hosts;
    let cut = |size: usize| {
        let (now, later) = rest.split_at(size.min(rest.len()));
        rest = later;
        now.to_vec()
    };
    at.play.batches(hosts.len()).into_iter().map(cut).collect()
}

/// Hosts that take no part in a run that follows another are in its summary, with the reason.
fn leave_apart(context: &Context, at: PlayAt<'_>) {
    let Some(roster) = &context.inputs.project.options.roster else { return };
    let Some(play) = roster.play(at.number()) else { return };
    let selected = at.selected(&context.inputs.variables).unwrap_or_default();
    let now: IndexSet<&HostName> = selected.iter().collect();
    let tally = &mut context.ledger().tally;
    for (host, why) in &play.apart {
        if !roster.narrowed || now.contains(host) {
            tally.enter(host);
            tally.skip(host, why.as_str());
        }
    }
    for host in roster.left(at.number(), &now) {
        if !roster.narrowed && !play.apart.contains_key(host) {
            tally.enter(host);
            tally.skip(host, format!("it left the play since {}", roster.origin));
        }
    }
}

/// Drives a batch through the tasks of its play.
struct Driver<'a> {
    batch: Batch<'a>,
    notified: Notified,
}

impl<'a> Driver<'a> {
    /// Runs the chosen tasks and the notified handlers; `true`: a task ended the play.
    async fn run(mut self, chosen: &[ChosenTask<'a>]) -> bool {
        let Batch { context, at, number, of, .. } = self.batch;
        let hosts = self.batch.hosts.clone();
        context.emitter.run(Kind::BatchStart { batch: number, batches: of, hosts });
        let mut end_play = false;
        for task in chosen {
            end_play = self.task(task).await;
            if number == of {
                context.inputs.bundles.done_with(task.place);
            }
            if end_play || self.batch.must_stop() {
                break;
            }
        }
        let stopped = self.batch.must_stop();
        let forced = at.play.force_handlers || context.inputs.project.options.force_handlers;
        if !end_play && (!stopped || forced) {
            self.handlers(forced).await;
            self.batch.must_stop();
        }
        self.batch.finish();
        end_play
    }

    /// One task for the active hosts; `true`: it ended the play.
    async fn task(&mut self, chosen: &ChosenTask<'a>) -> bool {
        let active = self.batch.active();
        if active.is_empty() {
            return false;
        }
        if let TaskKind::Meta(meta) = chosen.task.kind {
            return self.meta(chosen, meta, &active).await;
        }
        self.work(chosen, &active).await;
        false
    }

    /// Runs a task or handler for `active` and records what became of it.
    async fn work(&mut self, chosen: &ChosenTask<'a>, active: &[HostName]) {
        let task = chosen.task;
        self.batch.begin(task, &active[0]);
        let title = self.batch.vars.title(task);
        let kind = Kind::TaskStart { task: title, place: task.place() };
        self.batch.context.emitter.run(kind);
        let once = task.run_once || task.kind.runs_on() == RunsOn::FirstHost;
        let hosts = if once { &active[..1] } else { active };
        let mut handlers = HashMap::new();
        let mut ready = Vec::with_capacity(hosts.len());
        for host in hosts {
            match wanted(&self.batch, task, host) {
                Ok(places) => {
                    handlers.insert(host.clone(), places);
                    ready.push(host.clone());
                }
                Err(problems) => {
                    let everyone = if once { active } else { &[] };
                    self.refuse(chosen, host, &problems, everyone);
                }
            }
        }
        let hosts = ready.as_slice();
        let ends = match &task.kind {
            TaskKind::Certificate(spec) => {
                rollout::task::run(&mut self.batch, chosen, spec, hosts).await
            }
            _ => self.on_hosts(chosen, hosts).await,
        };
        for end in ends {
            let everyone = if once { active } else { &[] };
            self.batch.record(chosen, &end, everyone);
            if end.result == TaskResult::Changed {
                let sharing = if once { active } else { std::slice::from_ref(&end.host) };
                let notified = handlers.get(&end.host).map_or(&[][..], Vec::as_slice);
                self.notified.notify(notified, sharing);
            }
        }
    }

    /// A task that cannot be begun on a host. `everyone`: the hosts that would have shared its result.
    fn refuse(
        &mut self,
        chosen: &ChosenTask<'a>,
        host: &HostName,
        problems: &Diagnostics,
        everyone: &[HostName],
    ) {
        let title = self.batch.vars.title(chosen.task);
        let end = TaskEnd::wrongs(host, &title, problems);
        tell(self.batch.context, &self.batch.vars, chosen.task, &end, Instant::now());
        self.batch.record(chosen, &end, everyone);
    }

    async fn on_hosts(&self, chosen: &ChosenTask<'a>, hosts: &[HostName]) -> Vec<TaskEnd> {
        let (place, vars) = (chosen.place, Arc::new(self.batch.vars.clone()));
        let items = hosts.iter().map(|host| (host.clone(), Arc::clone(&vars))).collect();
        let work = move |context: Arc<Context>, host: HostName, vars: Arc<PlayScope>| async move {
            if context.stop.is_interrupt() {
                return TaskEnd::skipped(&host, "the run was interrupted");
            }
            let begun = Instant::now();
            let project = Arc::clone(&context.inputs.project);
            let chosen = project.task_at(place);
            let end = on_host(&context, &chosen, &vars, &host).await;
            tell(&context, &vars, chosen.task, &end, begun);
            end
        };
        let (begun, context) = (Instant::now(), self.batch.context);
        let lost = |host: HostName, why: String| {
            let title = vars.title(chosen.task);
            let end = TaskEnd::failed(&host, failure::lost(&title, Step::Task, &why));
            tell(context, &vars, chosen.task, &end, begun);
            end
        };
        fan_out::each(context, items, work, lost).await
    }

    /// Runs the notified handlers in the order in which they are defined; handlers may notify others. `forced`: also
    /// for hosts that have failed since.
    async fn handlers(&mut self, forced: bool) {
        // A handler that notifies an earlier one makes another pass. One that changes something each time could go on
        // without end: as many passes as there are handlers serve any chain.
        let passes = self.batch.at.handlers().count();
        for _ in 0..=passes {
            let mut any = false;
            for handler in self.batch.at.handlers() {
                let hosts = self.notified.take(&self.batch, handler.place, forced);
                if hosts.is_empty() || self.batch.context.stop.is_interrupt() {
                    continue;
                }
                any = true;
                self.work(&handler, &hosts).await;
            }
            if !any {
                return;
            }
        }
        let message = "handlers notify each other without end: they are not run again".to_owned();
        self.batch.context.emitter.warn(None, message);
    }

    async fn meta(&mut self, chosen: &ChosenTask<'a>, meta: Meta, active: &[HostName]) -> bool {
        let mut ended = Vec::new();
        for host in active {
            let variables = &self.batch.context.inputs.variables;
            let scope = variables.task_scope(&self.batch.vars, host, chosen.task);
            if scope.is_ok_and(|scope| all_true(&chosen.task.when, &scope).unwrap_or(false)) {
                ended.push(host);
            }
        }
        match meta {
            Meta::Noop => false,
            Meta::FlushHandlers => {
                self.handlers(false).await;
                false
            }
            Meta::EndHost => {
                for host in ended {
                    self.batch.leave(host);
                    let message = "the play ends here for this host".to_owned();
                    let kind = Kind::Note { level: NoteLevel::Info, message };
                    self.batch.context.emitter.host(host, kind);
                }
                false
            }
            Meta::EndPlay => !ended.is_empty(),
        }
    }
}
