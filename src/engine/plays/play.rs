//! A play: its batches one after another, the tasks of each in order, its handlers.

use super::handlers::{Notified, wanted};
use super::includes::{Step, include};
use super::on_host::on_host;
use super::resume;
use crate::engine::batch::{Batch, stop_words, tell};
use crate::engine::context::Context;
use crate::engine::end::TaskEnd;
use crate::engine::failure;
use crate::engine::fan_out::{self, in_order};
use crate::engine::rollout;
use crate::event::{Kind, NoteLevel, StopReason, TaskResult};
use crate::inputs::iteration::all_true;
use crate::inputs::play_scope::PlayScope;
use crate::inputs::roster::RosterPlay;
use crate::inputs::selection::{ChosenTask, PlayAt, Section};
use crate::model::{HostName, Step as HostStep};
use crate::playbook::{BlockPath, Meta, Order, RunsOn, Task, TaskKind};
use crate::source::Diagnostics;
use indexmap::{IndexMap, IndexSet};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::collections::{HashMap, HashSet, VecDeque};
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
    for chosen in at.tasks().chain(at.handlers()).chain(at.all_added()) {
        context.inputs.bundles.done_with(chosen.place);
    }
}

async fn run_batches(context: &Arc<Context>, at: PlayAt<'_>) {
    let chosen: Vec<ChosenTask<'_>> = at.tasks().collect();
    let hosts = at.hosts(&context.inputs.variables).unwrap_or_default();
    let seed = context.inputs.project.options.seed;
    let hosts = match settled_play(context, at) {
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
    let later = later_hosts(context, at);
    for (index, now) in batches.iter().enumerate() {
        let vars = vars.with_hosts(&hosts, now);
        let batch = Batch::new(context, at, vars, (index + 1, of), now);
        let ended = Driver::new(batch, &later).run(&chosen).await;
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

/// The hosts of the plays after this one.
fn later_hosts(context: &Context, at: PlayAt<'_>) -> HashSet<HostName> {
    let later = context.inputs.project.plays().skip(at.number() + 1);
    later.flat_map(|at| at.hosts(&context.inputs.variables).unwrap_or_default()).collect()
}

/// The hosts of a play in batches.
fn batches(context: &Context, at: PlayAt<'_>, hosts: &[HostName]) -> Vec<Vec<HostName>> {
    if let (Some(roster), Some(_)) =
        (&context.inputs.project.options.roster, settled_play(context, at))
    {
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

/// Who takes part in a play, where that was settled before.
fn settled_play<'a>(context: &'a Context, at: PlayAt<'_>) -> Option<&'a RosterPlay> {
    context.inputs.project.options.roster.as_ref()?.play(at.number())
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
    /// The hosts of later plays.
    later: &'a HashSet<HostName>,
    notified: Notified,
    /// While handlers run: where the flush stands, whose blocks catch what fails.
    flush: Option<BlockPath>,
    /// The run ends: only what `always` says is still done.
    closing: bool,
    /// Of hosts that failed, the tasks that they did not get to.
    missed: IndexMap<HostName, Vec<String>>,
    /// Which of several equal entries of a role hosts have run.
    ran: HashMap<(Arc<str>, HostName), Arc<crate::playbook::Role>>,
}

impl<'a> Driver<'a> {
    fn new(batch: Batch<'a>, later: &'a HashSet<HostName>) -> Self {
        let (flush, closing) = (None, false);
        Self {
            batch,
            later,
            notified: Notified::default(),
            flush,
            closing,
            missed: IndexMap::new(),
            ran: HashMap::new(),
        }
    }

    /// Runs the chosen tasks and the notified handlers; `true`: a task ended the play.
    async fn run(mut self, chosen: &[ChosenTask<'a>]) -> bool {
        let Batch { context, at, number, of, .. } = self.batch;
        let hosts = self.batch.hosts.clone();
        context.emitter.run(Kind::BatchStart { batch: number, batches: of, hosts });
        for host in resume::done_before(&self.batch).await {
            self.batch.leave(&host);
        }
        let mut end_play = false;
        let mut ahead: VecDeque<Step<'a>> = chosen.iter().cloned().map(Step::of).collect();
        while let Some(step) = ahead.pop_front() {
            let added = match self.task(&step, ahead.is_empty()).await {
                Next::Goes(added) => added,
                Next::EndsPlay => {
                    end_play = true;
                    Vec::new()
                }
            };
            added.into_iter().rev().for_each(|step| ahead.push_front(step));
            if number == of {
                context.inputs.bundles.done_with(step.chosen.place);
            }
            if end_play {
                break;
            }
            if !self.closing && self.batch.must_stop() {
                self.closing = true;
                self.batch.close(&step.chosen.task.around.blocks);
            }
        }
        self.tell_missed();
        let stopped = self.batch.must_stop();
        let forced = at.play.force_handlers || context.inputs.project.options.force_handlers;
        if !end_play && (!stopped || forced) {
            let active = self.batch.active();
            self.handlers(forced, &active).await;
            self.batch.must_stop();
        }
        self.batch.finish(self.later);
        end_play
    }

    /// One task for the hosts that take part in it. `last`: none follows it.
    async fn task(&mut self, step: &Step<'a>, last: bool) -> Next<'a> {
        let chosen = &step.chosen;
        let path = &chosen.task.around.blocks;
        let mut active = step.among(self.batch.taking_part(path));
        active.retain(|host| !self.has_run(&chosen.task, host));
        if chosen.place.section == Section::Gathering && !self.batch.at.play.gathers {
            // Once is enough, where nobody asked for it by name.
            let variables = &self.batch.context.inputs.variables;
            active.retain(|host| !variables.has_facts(host));
        }
        if !matches!(chosen.task.kind, TaskKind::Meta(_)) && !is_rescue(path) {
            for host in step.among(self.batch.missing(path)) {
                self.missed.entry(host).or_default().push(chosen.task.title());
            }
        }
        if active.is_empty() || self.closing && self.batch.context.stop.hard().is_cancelled() {
            return Next::Goes(Vec::new());
        }
        if let TaskKind::Meta(meta) = chosen.task.kind {
            return match self.meta(chosen, meta, &active).await {
                true => Next::EndsPlay,
                false => Next::Goes(Vec::new()),
            };
        }
        let ends_play = last
            && chosen.task.notify.is_empty()
            && !chosen.task.run_once
            && !matches!(chosen.task.kind, TaskKind::Include(_));
        if ends_play {
            let stays =
                |host: &HostName| self.later.contains(host) || self.notified.waits_for(host);
            let leaving = active.iter().filter(|host| !stays(host)).cloned().collect();
            self.batch.set_leaving(leaving);
        }
        let added = self.work(chosen, &active).await;
        self.batch.set_leaving(HashSet::new());
        Next::Goes(added)
    }

    /// Whether a host has run another entry of the task's role that is the same.
    fn has_run(&self, task: &Task, host: &HostName) -> bool {
        let Some(role) = &task.around.role else { return false };
        let Some(once) = &role.once else { return false };
        let earlier = self.ran.get(&(Arc::clone(once), host.clone()));
        earlier.is_some_and(|earlier| !Arc::ptr_eq(earlier, role))
    }

    /// Names what was left undone where a host failed: someone has to know it.
    fn tell_missed(&mut self) {
        let mut alike: IndexMap<Vec<String>, Vec<HostName>> = IndexMap::new();
        for (host, titles) in std::mem::take(&mut self.missed) {
            alike.entry(titles).or_default().push(host);
        }
        if self.batch.context.is_plan() {
            return;
        }
        for (titles, hosts) in alike {
            let shown = |list: Vec<String>| {
                let more = list.len().saturating_sub(5);
                let first = list.into_iter().take(5).collect::<Vec<_>>().join(", ");
                if more > 0 { format!("{first} and {more} more") } else { first }
            };
            let titles = shown(titles.iter().map(|title| format!("'{title}'")).collect());
            let hosts = shown(hosts.iter().map(|host| host.as_str().to_owned()).collect());
            let message = format!("not run after the failure on {hosts}: {titles}");
            self.batch.context.emitter.info(None, message);
        }
    }

    /// Runs a task or handler for `active` and records what became of it; the tasks that it adds come back.
    async fn work(&mut self, chosen: &ChosenTask<'a>, active: &[HostName]) -> Vec<Step<'a>> {
        let task = &*chosen.task;
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
        let mut added = Vec::new();
        let ends = match &task.kind {
            TaskKind::Certificate(spec) => {
                rollout::task::run(&mut self.batch, chosen, spec, hosts).await
            }
            TaskKind::Include(included) => {
                let (ends, steps) = include(&self.batch, chosen, included, hosts);
                added = steps;
                ends
            }
            _ => self.on_hosts(chosen, hosts).await,
        };
        let path = self.flush.clone().unwrap_or_else(|| task.around.blocks.clone());
        for end in ends {
            let everyone = if once { active } else { &[] };
            self.batch.record(chosen, &end, everyone, &path);
            if let (Some(role), TaskResult::Ok | TaskResult::Changed) =
                (&task.around.role, end.result)
                && let Some(once) = &role.once
            {
                let key = (Arc::clone(once), end.host.clone());
                self.ran.entry(key).or_insert_with(|| Arc::clone(role));
            }
            if end.result == TaskResult::Changed {
                let sharing = if once { active } else { std::slice::from_ref(&end.host) };
                let notified = handlers.get(&end.host).map_or(&[][..], Vec::as_slice);
                self.notified.notify(notified, sharing);
            }
        }
        added
    }

    /// A task that cannot be begun on a host. `everyone`: the hosts that would have shared its result.
    fn refuse(
        &mut self,
        chosen: &ChosenTask<'a>,
        host: &HostName,
        problems: &Diagnostics,
        everyone: &[HostName],
    ) {
        let title = self.batch.vars.title(&chosen.task);
        let end = TaskEnd::wrongs(host, &title, problems);
        tell(self.batch.context, &self.batch.vars, &chosen.task, &end, Instant::now());
        let path = self.flush.clone().unwrap_or_else(|| chosen.task.around.blocks.clone());
        self.batch.record(chosen, &end, everyone, &path);
    }

    async fn on_hosts(&self, chosen: &ChosenTask<'a>, hosts: &[HostName]) -> Vec<TaskEnd> {
        let (place, vars) = (chosen.place, Arc::new(self.batch.vars.clone()));
        let work_of =
            |host: &HostName| (host.clone(), (Arc::clone(&chosen.task), Arc::clone(&vars)));
        let items = hosts.iter().map(work_of).collect();
        let closing = self.closing;
        let batch = &self.batch;
        type Work = (Arc<crate::playbook::Task>, Arc<PlayScope>);
        let work = move |context: Arc<Context>, host: HostName, (task, vars): Work| async move {
            if context.stop.is_interrupt() && !closing {
                return TaskEnd::skipped(&host, "the run was interrupted");
            }
            let begun = Instant::now();
            let project = Arc::clone(&context.inputs.project);
            let chosen = project.chosen(place, task);
            let end = on_host(&context, &chosen, &vars, &host, closing).await;
            tell(&context, &vars, &chosen.task, &end, begun);
            end
        };
        let (begun, context) = (Instant::now(), self.batch.context);
        let lost = |host: HostName, why: String| {
            let title = vars.title(&chosen.task);
            let end = TaskEnd::failed(&host, failure::lost(&title, HostStep::Task, &why));
            tell(context, &vars, &chosen.task, &end, begun);
            end
        };
        let mut ends = Vec::with_capacity(hosts.len());
        fan_out::each_as_it_ends(context, items, work, lost, |end| {
            batch.depart(&end.host);
            batch.tell_end_after(&chosen.task, &end);
            ends.push(end);
        })
        .await;
        in_order(hosts, ends)
    }

    /// Runs the notified handlers in the order in which they are defined; handlers may notify others. `forced`: also
    /// for hosts that have failed since.
    async fn handlers(&mut self, forced: bool, active: &[HostName]) {
        // A handler that notifies an earlier one makes another pass. One that changes something each time could go on
        // without end: as many passes as there are handlers serve any chain.
        let passes = self.batch.at.handlers().count();
        for _ in 0..=passes {
            let mut any = false;
            for handler in self.batch.at.handlers() {
                let still = self.batch.taking_part(&self.flush.clone().unwrap_or_default());
                let active: Vec<HostName> =
                    active.iter().filter(|host| still.contains(host)).cloned().collect();
                let hosts = self.notified.take(&self.batch, handler.place, &active, forced);
                if hosts.is_empty() || self.batch.context.stop.is_interrupt() {
                    continue;
                }
                any = true;
                let mut ahead = VecDeque::from(self.work(&handler, &hosts).await);
                while let Some(step) = ahead.pop_front() {
                    let hosts = step.among(hosts.clone());
                    let hosts =
                        hosts.into_iter().filter(|host| !self.has_failed(host)).collect::<Vec<_>>();
                    if !hosts.is_empty() {
                        let added = self.work(&step.chosen, &hosts).await;
                        added.into_iter().rev().for_each(|step| ahead.push_front(step));
                    }
                }
            }
            if !any {
                return;
            }
        }
        let message = "handlers notify each other without end: they are not run again".to_owned();
        self.batch.context.emitter.warn(None, message);
    }

    fn has_failed(&self, host: &HostName) -> bool {
        self.batch.context.ledger().tally.has_failed(host)
    }

    async fn meta(&mut self, chosen: &ChosenTask<'a>, meta: Meta, active: &[HostName]) -> bool {
        let mut ended = Vec::new();
        for host in active {
            let variables = &self.batch.context.inputs.variables;
            let scope = variables.task_scope(&self.batch.vars, host, &chosen.task);
            if scope.is_ok_and(|scope| all_true(&chosen.task.when, &scope).unwrap_or(false)) {
                ended.push(host);
            }
        }
        match meta {
            Meta::Noop => false,
            Meta::FlushHandlers | Meta::EndSection => {
                self.flush = Some(chosen.task.around.blocks.clone());
                self.handlers(false, active).await;
                self.flush = None;
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

/// What comes after a task.
enum Next<'a> {
    /// The next one, and these before it.
    Goes(Vec<Step<'a>>),
    /// Nothing: it ended the play.
    EndsPlay,
}

fn is_rescue(path: &BlockPath) -> bool {
    path.iter().any(|(_, part)| *part == crate::playbook::Part::Rescue)
}
