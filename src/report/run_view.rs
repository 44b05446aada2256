//! The story of a run, folded from its events: the one place where they are put together.
//!
//! Tables, bars, metrics and reports read a [`RunView`]; none keeps a story of its own.

use super::failure::Groups;
use super::host_run::HostRun;
use super::in_flight::InFlight;
use crate::event::planned::{PlanCounts, PlanRow, SharedBrief};
use crate::event::{Event, HostSummary, Kind, NoteLevel, RunStart, StopReason, Summary};
use crate::model::{Fingerprint, HostName, Outcome, Timestamp};
use indexmap::{IndexMap, IndexSet};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// A run as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct RunView {
    /// Who does what.
    pub start: RunStart,
    /// When it began.
    pub began: Option<Timestamp>,
    /// When the last event happened.
    pub moment: Option<Timestamp>,
    /// Since the run began, at the last event.
    pub elapsed: Duration,
    /// Its plays that have begun, in order.
    pub plays: Vec<PlayRun>,
    /// Every host that an event was about, in the order of the first.
    pub hosts: IndexMap<HostName, HostRun>,
    /// What failed, alike ones together.
    pub failures: Groups,
    /// What was worth knowing.
    pub notes: Vec<NoteRun>,
    /// Why it stops early, and since when.
    pub stopping: Option<(StopReason, Duration)>,
    /// It takes back what it has confirmed.
    pub taking_back: bool,
    /// What it came to; none: it has not ended, or was killed.
    pub summary: Option<Summary>,
    /// What is going on.
    pub now: Now,
    /// The certificates of its rows: most hosts of a fleet have the same.
    briefs: HashMap<Fingerprint, SharedBrief>,
}

/// A play.
#[derive(Debug, Default)]
pub(crate) struct PlayRun {
    /// Its name.
    pub name: String,
    /// How many hosts it has.
    pub hosts: usize,
    /// Their names, in the order in which they are worked on.
    pub names: Vec<HostName>,
    /// Its batches that have begun.
    pub batches: Vec<BatchRun>,
}

/// A batch of a play.
#[derive(Debug, Default)]
pub(crate) struct BatchRun {
    /// Place of the play in [`RunView::plays`].
    pub play: usize,
    /// From 1.
    pub number: usize,
    /// How many batches the play has.
    pub of: usize,
    /// Its hosts in order.
    pub hosts: Vec<HostName>,
    /// When it began, since the run did.
    pub began: Duration,
    /// When it ended.
    pub ended: Option<Duration>,
    /// Hosts that failed or were unreachable in it.
    pub failed: usize,
    /// What it comes to, in a plan.
    pub counts: Option<PlanCounts>,
    /// What stays unknown until `apply`.
    pub unknown: Vec<String>,
    /// What is good to know whatever the host.
    pub known: Vec<String>,
}

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoteRun {
    /// The host it is about, if one.
    pub host: Option<HostName>,
    /// How grave.
    pub level: NoteLevel,
    /// One line.
    pub message: String,
}

/// What is going on in the current batch.
#[derive(Debug, Default)]
pub(crate) struct Now {
    /// The task under way.
    pub task: Option<String>,
    /// Hosts of the batch that have ended the task.
    pub ended: IndexSet<HostName>,
    /// Hosts that take no further part in the run.
    pub out: IndexSet<HostName>,
    /// Hosts at work, those longest in their step first.
    pub in_flight: InFlight,
}

impl RunView {
    /// Takes the next event, in order.
    pub(crate) fn take(&mut self, event: &Event) {
        self.began.get_or_insert(event.moment);
        self.moment = Some(event.moment);
        self.elapsed = event.elapsed;
        if let Some(host) = &event.host {
            let place = self.batch().map(|batch| (batch.play, batch.number));
            let run = self.hosts.entry(host.clone()).or_insert_with(|| HostRun::new(event.elapsed));
            run.take(event, place);
            if let Kind::PlanHost { task, .. } = &event.kind {
                let new = run.rows.iter_mut().rev().take(task.rows.len());
                let briefs = new.flat_map(|(_, row)| row.now.iter_mut().chain(&mut row.wanted));
                briefs.for_each(|brief| share(&mut self.briefs, brief));
            }
            if let (true, Kind::CertificateEnd { outcome, .. }) = (self.taking_back, &event.kind) {
                run.taken_back = matches!(outcome, Outcome::Changed | Outcome::Unchanged);
            }
            if let Kind::Failure(failure) = &event.kind {
                self.failures.add(host, failure);
            }
        }
        match &event.kind {
            Kind::RunStart(start) => self.start = (**start).clone(),
            Kind::PlayStart { play, hosts, names, .. } => self.plays.push(PlayRun {
                name: play.clone(),
                hosts: *hosts,
                names: names.clone(),
                batches: Vec::new(),
            }),
            Kind::BatchStart { batch, batches, hosts } => {
                self.begin_batch(*batch, *batches, hosts, event.elapsed);
            }
            Kind::PlanBatch { counts, unknown, .. } => {
                if let Some(batch) = self.batch_mut() {
                    batch.counts = Some(*counts);
                    batch.unknown.clone_from(unknown);
                }
            }
            Kind::BatchEnd { failed, .. } => {
                if let Some(batch) = self.batch_mut() {
                    batch.failed = *failed;
                    batch.ended = Some(event.elapsed);
                }
            }
            Kind::Note { level, message } => self.note(event.host.as_ref(), *level, message),
            Kind::Stopping { reason } => self.stopping = Some((*reason, event.elapsed)),
            Kind::TakingBack { .. } => self.taking_back = true,
            Kind::Summary(summary) => self.summary = Some(summary.clone()),
            _ => {}
        }
        self.look_on(event);
    }

    /// The batch under way, or the last one.
    pub(crate) fn batch(&self) -> Option<&BatchRun> {
        self.plays.last()?.batches.last()
    }

    /// The rows of a batch's plan, hosts in the batch's order.
    pub(crate) fn rows<'a>(&'a self, batch: &'a BatchRun) -> impl Iterator<Item = &'a PlanRow> {
        let hosts = batch.hosts.iter().filter_map(|host| self.hosts.get(host));
        hosts.flat_map(move |run| run.rows_in((batch.play, batch.number)))
    }

    /// Whether the run only looks: `plan`, or `--check`.
    pub(crate) fn is_plan(&self) -> bool {
        self.start.check || self.start.command == "plan"
    }

    /// What the run came to; of one that was cut off, what is known of its hosts.
    pub(crate) fn summary_so_far(&self) -> Summary {
        if let Some(summary) = &self.summary {
            return summary.clone();
        }
        let under_way = self.under_way();
        let names: IndexSet<&HostName> =
            self.plays.iter().flat_map(|play| &play.names).chain(self.hosts.keys()).collect();
        let hosts = names.into_iter().map(|host| {
            let summary = match self.hosts.get(host) {
                Some(run) => run.summary_so_far(!under_way.contains(host)),
                None => HostSummary {
                    reason: Some("not begun: the run was cut off".to_owned()),
                    ..HostSummary::default()
                },
            };
            (host.clone(), summary)
        });
        let stopped = self.stopping.map(|(reason, _)| reason);
        Summary { hosts: hosts.collect(), stopped, ..Summary::default() }
    }

    /// The hosts that are not done, in order: those that failed, those that were not begun, and of a run that
    /// was cut off those of the batch that was under way.
    pub(crate) fn left(&self) -> Vec<HostName> {
        let hosts = self.summary_so_far().hosts.into_iter();
        let under_way = self.under_way();
        let left = hosts.filter(|(host, counts)| {
            let good = matches!(counts.outcome, Outcome::Changed | Outcome::Unchanged);
            !good || self.summary.is_none() && under_way.contains(host)
        });
        left.map(|(host, _)| host).collect()
    }

    /// The hosts that could not be reached, in order.
    pub(crate) fn unreachable(&self) -> Vec<HostName> {
        self.that(|outcome| outcome == Outcome::Unreachable)
    }

    /// The hosts that were changed, in order.
    pub(crate) fn changed(&self) -> Vec<HostName> {
        self.that(|outcome| outcome == Outcome::Changed)
    }

    fn that(&self, is_one: impl Fn(Outcome) -> bool) -> Vec<HostName> {
        let hosts = self.summary_so_far().hosts.into_iter();
        hosts.filter(|(_, counts)| is_one(counts.outcome)).map(|(host, _)| host).collect()
    }

    /// The hosts of batches that have not ended.
    fn under_way(&self) -> HashSet<&HostName> {
        let batches = self.plays.iter().flat_map(|play| &play.batches);
        batches.filter(|batch| batch.ended.is_none()).flat_map(|batch| &batch.hosts).collect()
    }

    fn batch_mut(&mut self) -> Option<&mut BatchRun> {
        self.plays.last_mut()?.batches.last_mut()
    }

    fn begin_batch(&mut self, number: usize, of: usize, hosts: &[HostName], began: Duration) {
        let play = self.plays.len().saturating_sub(1);
        if self.plays.is_empty() {
            self.plays.push(PlayRun::default());
        }
        let hosts = hosts.to_vec();
        let batch = BatchRun { play, number, of, hosts, began, ..BatchRun::default() };
        self.plays[play].batches.push(batch);
    }

    fn note(&mut self, host: Option<&HostName>, level: NoteLevel, message: &str) {
        if let (NoteLevel::Info, None, Some(batch)) = (level, host, self.batch_mut()) {
            batch.known.push(message.to_owned());
        }
        self.notes.push(NoteRun { host: host.cloned(), level, message: message.to_owned() });
    }

    /// Keeps [`Now`].
    fn look_on(&mut self, event: &Event) {
        let is_plan = self.is_plan();
        match (&event.kind, &event.host) {
            (Kind::BatchStart { .. }, _) => {
                let out = std::mem::take(&mut self.now.out);
                self.now = Now { out, ..Now::default() };
            }
            (Kind::TaskStart { task, .. }, _) => {
                let hosts = self.batch().map(|batch| batch.hosts.as_slice()).unwrap_or_default();
                let out = |host: &&HostName| self.now.out.contains(*host);
                let ended = hosts.iter().filter(out).cloned().collect();
                self.now.task = Some(task.clone());
                self.now.ended = ended;
                self.now.in_flight.clear();
            }
            (Kind::StepStart { step }, Some(host)) => {
                // A host whose failure was ignored goes on.
                self.now.out.swap_remove(host);
                self.now.ended.swap_remove(host);
                self.now.in_flight.begin(host, *step, event.elapsed);
            }
            (
                Kind::TaskEnd { .. } | Kind::CertificateEnd { .. } | Kind::HostStatus { .. },
                Some(host),
            ) => self.now.end(host),
            (Kind::PlanHost { .. }, Some(host)) if is_plan => self.now.end(host),
            (Kind::Failure(_) | Kind::HostEnd { .. }, Some(host)) => {
                self.now.out.insert(host.clone());
                self.now.end(host);
            }
            (Kind::BatchEnd { .. } | Kind::PlanBatch { .. } | Kind::Summary(_), _) => {
                self.now.task = None;
            }
            _ => {}
        }
    }
}

/// The same certificate in the same words is kept once.
fn share(known: &mut HashMap<Fingerprint, SharedBrief>, brief: &mut SharedBrief) {
    let same = known.entry(brief.fingerprint).or_insert_with(|| brief.clone());
    if *same == *brief {
        brief.clone_from(same);
    }
}

impl Now {
    fn end(&mut self, host: &HostName) {
        self.in_flight.end(host);
        self.ended.insert(host.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::super::host_run::StepState;
    use super::super::samples::{apply, many, plan};
    use super::*;
    use crate::model::Step;

    fn view(events: &[Event]) -> RunView {
        let mut view = RunView::default();
        events.iter().for_each(|event| view.take(event));
        view
    }

    #[test]
    fn a_run_is_told_whole() {
        let view = view(&apply());
        assert_eq!((view.plays.len(), view.plays[0].batches.len()), (1, 1));
        let batch = view.batch().unwrap();
        assert_eq!((batch.number, batch.of, batch.failed, batch.hosts.len()), (1, 2, 5, 7));
        assert!(batch.ended.is_some() && view.stopping.is_some() && view.summary.is_some());
        assert_eq!(view.hosts["edge5"].end.as_ref().unwrap().0, Outcome::RolledBack(Step::Verify));
        let verify = view.hosts["edge5"].steps.iter().find(|run| run.step == Step::Verify).unwrap();
        assert_eq!((verify.state, verify.attempts), (StepState::Failed, 3));
        assert_eq!(view.failures.iter().count(), 4);
        assert_eq!(view.rows(batch).count(), 2 * 3, "apply says old and new too");
    }

    #[test]
    fn the_rows_of_a_batch_have_its_order() {
        let view = view(&plan());
        let hosts: Vec<&str> =
            view.rows(view.batch().unwrap()).map(|row| row.host.as_str()).collect();
        assert_eq!(hosts[0], "edge2");
        assert!(hosts.is_sorted() && view.is_plan());
    }

    #[test]
    fn a_run_that_was_cut_off_says_what_it_knows() {
        let events = apply();
        let is_commit = |event: &Event| {
            matches!(event.kind, Kind::StepStart { step: Step::Commit })
                && event.host.as_ref().is_some_and(|host| host.as_str() == "edge5")
        };
        let cut = events.iter().position(is_commit).unwrap();
        let view = view(&events[..=cut]);
        let hosts = view.summary_so_far().hosts;
        let outcome = |host: &str| hosts[host].outcome;
        assert_eq!(outcome("edge1"), Outcome::Changed);
        assert_eq!(outcome("edge2"), Outcome::Unchanged);
        assert_eq!(outcome("edge3"), Outcome::Failed(Step::Validate));
        assert_eq!(outcome("edge5"), Outcome::Unknown(Step::Commit));
        assert_eq!(outcome("edge6"), Outcome::Skipped, "staged, and nothing live changed");
        assert_eq!(outcome("edge7"), Outcome::Unreachable);
        assert_eq!(outcome("edge8"), Outcome::Skipped, "never begun");
        // Its batch has not ended: a later task may be missing on each of its hosts.
        assert_eq!(view.left().len(), 8);
    }

    #[test]
    fn what_is_left_never_leaves_out_a_host_that_was_not_begun() {
        let left = view(&apply()).left();
        let left: Vec<&str> = left.iter().map(HostName::as_str).collect();
        assert_eq!(left, ["edge3", "edge4", "edge5", "edge6", "edge7", "edge8"]);
    }

    #[test]
    fn hosts_are_in_flight_until_their_task_ends() {
        let events = many(20);
        let end = events.iter().position(|event| {
            matches!(event.kind, Kind::CertificateEnd { .. })
                && event.host.as_ref().is_some_and(|host| host.as_str() == "edge003")
        });
        let view = view(&events[..=end.unwrap()]);
        assert_eq!((view.now.ended.len(), view.now.in_flight.len()), (3, 17));
    }
}
