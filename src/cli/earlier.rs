//! What a run needs to know of the earlier one that it follows: how far its hosts had come, and what it changed.

use super::failure::Failure;
use super::history;
use crate::event::planned::PlannedTask;
use crate::event::{Event, Kind, RunInputs, RunStart, Summary};
use crate::inputs::roster::{RosterPlay, Undo};
use crate::journal::{State, Store};
use crate::model::{HostName, Outcome, Step};
use crate::source::Diagnostic;
use indexmap::{IndexMap, IndexSet};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// A run of the past.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// Who did what.
    pub(super) start: RunStart,
    /// What it was given, where that was recorded.
    pub(super) inputs: Option<RunInputs>,
    plays: Vec<EarlierPlay>,
    /// Certificate tasks of hosts, in the order in which they were begun.
    changes: Vec<Change>,
    /// The last of them on each host.
    last: HashMap<HostName, usize>,
    summary: Option<Summary>,
    /// It takes back what it had confirmed: its plays are over.
    taking_back: bool,
    /// It had been told to stop: what came then was no more the whole of a batch.
    stopping: bool,
}

/// A play that has begun.
#[derive(Debug, Default)]
struct EarlierPlay {
    names: Vec<HostName>,
    batches: Vec<EarlierBatch>,
    failed: HashSet<HostName>,
    /// It had something to do with certificates.
    certificates: bool,
}

#[derive(Debug, Default)]
struct EarlierBatch {
    hosts: Vec<HostName>,
    ended: bool,
    /// It has come to its end with all its tasks.
    complete: bool,
}

/// A certificate task on a host.
#[derive(Debug)]
struct Change {
    host: HostName,
    play: usize,
    task: PlannedTask,
    committed: bool,
    end: Option<Outcome>,
}

impl Change {
    /// Files were switched and, as far as is known, have stayed so.
    fn has_stayed(&self) -> bool {
        let other = self.task.rows.iter().any(|row| row.before != row.after);
        other
            && match self.end {
                Some(Outcome::Changed | Outcome::Unknown(_)) => true,
                Some(_) => false,
                None => self.committed,
            }
    }
}

impl Earlier {
    /// The run `run`, or the `last` one of these playbooks; of any where none are given.
    ///
    /// # Errors
    /// There is none, it goes on, it was about other playbooks, or did something else than `verbs` say; its record
    /// cannot be read.
    pub(super) fn find(run: &str, playbooks: &[PathBuf], verbs: &[&str]) -> Result<Self, Failure> {
        let store = history::store()?;
        let fits = |start: &RunStart| start.command == verbs[0] && is_of(start, playbooks);
        let listed = history::find(&store, run, fits)?;
        let name = &listed.start.run;
        let command = &listed.start.command;
        if !verbs.contains(&command.as_str()) {
            let problem =
                format!("run {name} was `certroll {command}`, not {}", verbs.join(" or "));
            return Err(Diagnostic::error(problem)
                .help("`certroll history` lists the runs")
                .into());
        }
        if !is_of(&listed.start, playbooks) {
            let its = listed.start.playbooks.join(" ");
            let problem = format!("run {name} was about other playbooks: {its}");
            return Err(Diagnostic::error(problem).help("name the run alone").into());
        }
        if listed.state == State::Running {
            let problem = format!("run {name} is still running");
            return Err(Diagnostic::error(problem).help("wait for its end, or stop it").into());
        }
        Self::read(&store, name)
    }

    fn read(store: &Store, run: &str) -> Result<Self, Failure> {
        let listed = history::find(store, run, |_| true)?;
        let reading = store.read(&listed).map_err(|error| {
            Diagnostic::error(format!(
                "{}: the record cannot be read: {error}",
                listed.path.display()
            ))
        })?;
        Ok(Self::of(&reading.events))
    }

    fn of(events: &[Event]) -> Self {
        let mut earlier = Self::default();
        for event in events {
            earlier.take(event);
        }
        earlier
    }

    fn take(&mut self, event: &Event) {
        let play = self.plays.len().saturating_sub(1);
        match (&event.kind, &event.host) {
            (Kind::Summary(summary), _) => self.summary = Some(summary.clone()),
            (Kind::TakingBack { .. }, _) => self.taking_back = true,
            _ if self.taking_back => {}
            (Kind::RunStart(start), _) => self.start = (**start).clone(),
            (Kind::Inputs(inputs), _) => self.inputs = Some((**inputs).clone()),
            (Kind::PlayStart { names, .. }, _) => {
                self.plays.push(EarlierPlay { names: names.clone(), ..EarlierPlay::default() });
            }
            (Kind::BatchStart { hosts, .. }, _) => {
                if let Some(play) = self.plays.last_mut() {
                    let batch = EarlierBatch { hosts: hosts.clone(), ..EarlierBatch::default() };
                    play.batches.push(batch);
                }
            }
            (Kind::BatchEnd { .. }, _) => {
                let complete = !self.stopping;
                if let Some(batch) = self.plays.last_mut().and_then(|play| play.batches.last_mut())
                {
                    (batch.ended, batch.complete) = (true, complete);
                }
            }
            (Kind::Stopping { .. }, _) => self.stopping = true,
            (Kind::Failure(_), Some(host)) => {
                if let Some(play) = self.plays.last_mut() {
                    play.failed.insert(host.clone());
                }
            }
            (Kind::PlanHost { task, .. }, Some(host)) => {
                self.last.insert(host.clone(), self.changes.len());
                let (host, task) = (host.clone(), (**task).clone());
                self.changes.push(Change { host, play, task, committed: false, end: None });
                if let Some(play) = self.plays.last_mut() {
                    play.certificates = true;
                }
            }
            (Kind::StepStart { step: Step::Commit }, Some(host)) => {
                if let Some(change) = self.under_way(host) {
                    change.committed = true;
                }
            }
            (Kind::CertificateEnd { outcome, .. }, Some(host)) => {
                if let Some(change) = self.under_way(host) {
                    change.end = Some(*outcome);
                }
            }
            _ => {}
        }
    }

    fn under_way(&mut self, host: &HostName) -> Option<&mut Change> {
        let last = self.changes.get_mut(*self.last.get(host)?)?;
        last.end.is_none().then_some(last)
    }

    fn outcome(&self, host: &HostName) -> Option<Outcome> {
        Some(self.summary.as_ref()?.hosts.get(host)?.outcome)
    }

    /// Where its hosts had come to, play by play. A run that itself went on where another had ended knows of the hosts
    /// that it did not come to what that one says.
    ///
    /// # Errors
    /// The record of that one cannot be read.
    pub(super) fn where_it_was(&self) -> Result<Vec<RosterPlay>, Failure> {
        let mut plays: Vec<RosterPlay> =
            self.plays.iter().map(|play| self.as_it_was(play)).collect();
        if let Some(followed) = &self.start.follows {
            let store = history::store()?;
            // One that was pruned meanwhile is done without: its hosts go through their plays again.
            if let Ok(before) = Self::read(&store, followed) {
                for (number, play) in before.where_it_was()?.into_iter().enumerate() {
                    match plays.get_mut(number) {
                        Some(known) => add(known, play),
                        None => plays.push(play),
                    }
                }
            }
        }
        let all = self.inputs.iter().flat_map(|inputs| &inputs.plays);
        for (play, everyone) in plays.iter_mut().zip(all) {
            // Hosts that had failed in an earlier play were not in this one.
            let known: IndexSet<HostName> = play.names.iter().cloned().collect();
            play.names.extend(everyone.iter().filter(|host| !known.contains(*host)).cloned());
        }
        Ok(plays)
    }

    fn as_it_was(&self, play: &EarlierPlay) -> RosterPlay {
        let good = |host: &&HostName| {
            let ended_well =
                matches!(self.outcome(host), Some(Outcome::Changed | Outcome::Unchanged));
            ended_well || !play.failed.contains(*host)
        };
        let of = |is_one: fn(&&EarlierBatch) -> bool| {
            play.batches.iter().filter(is_one).flat_map(|batch| &batch.hosts)
        };
        let is_unknown = |host: &&HostName| matches!(self.outcome(host), Some(Outcome::Unknown(_)));
        let unknown = play.names.iter().filter(is_unknown);
        RosterPlay {
            names: play.names.clone(),
            batches: play.batches.iter().map(|batch| batch.hosts.clone()).collect(),
            done: of(|batch| batch.complete).filter(good).cloned().collect(),
            in_flight: of(|batch| !batch.ended).chain(unknown).cloned().collect(),
            apart: IndexMap::new(),
        }
    }

    /// What it has changed, and the plays in which it did, batches in reverse order. Plays that are not about
    /// certificates have the hosts that they had.
    pub(super) fn to_undo(&self) -> (Undo, Vec<RosterPlay>) {
        let mut undo = Undo::default();
        let changes: Vec<&Change> =
            self.changes.iter().filter(|change| change.has_stayed()).collect();
        for change in &changes {
            undo.add(&change.host, change.task.clone());
        }
        let plays = self.plays.iter().enumerate().map(|(number, play)| {
            let changed: HashSet<&HostName> = changes
                .iter()
                .filter(|change| change.play == number)
                .map(|change| &change.host)
                .collect();
            let takes_part = |host: &&HostName| !play.certificates || changed.contains(*host);
            let batches = play.batches.iter().rev().map(|batch| {
                batch.hosts.iter().filter(takes_part).cloned().collect::<Vec<HostName>>()
            });
            let batches: Vec<Vec<HostName>> = batches.filter(|batch| !batch.is_empty()).collect();
            let names = batches.concat();
            RosterPlay { names, batches, ..RosterPlay::default() }
        });
        let plays = plays.collect();
        (undo, plays)
    }
}

/// Adds to a play what an earlier run says of the hosts that the later one did not come to.
fn add(play: &mut RosterPlay, before: RosterPlay) {
    let begun: HashSet<HostName> = play.batches.iter().flatten().cloned().collect();
    let known: HashSet<HostName> = play.names.iter().cloned().collect();
    let not_begun = |host: &HostName| !begun.contains(host);
    let batches = before
        .batches
        .into_iter()
        .map(|batch| batch.into_iter().filter(|host| not_begun(host)).collect::<Vec<HostName>>());
    play.batches.extend(batches.filter(|batch| !batch.is_empty()));
    play.done.extend(before.done.into_iter().filter(|host| not_begun(host)));
    play.in_flight.extend(before.in_flight.into_iter().filter(|host| not_begun(host)));
    play.names.extend(before.names.into_iter().filter(|host| !known.contains(host)));
}

/// Whether a run was about these playbooks, or about any where none are named.
fn is_of(start: &RunStart, playbooks: &[PathBuf]) -> bool {
    let here = std::env::current_dir().unwrap_or_default();
    let mine = playbooks.iter().map(|name| here.join(name));
    let its = start.playbooks.iter().map(|name| Path::new(&start.directory).join(name));
    playbooks.is_empty() || mine.eq(its)
}
