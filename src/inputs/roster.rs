//! Who takes part in a run that follows an earlier one, play by play: in what a reviewed plan says, in a run that is
//! resumed, in one that is taken back.

use crate::event::planned::PlannedTask;
use crate::model::HostName;
use crate::model::text::plural;
use indexmap::{IndexMap, IndexSet};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The hosts of a run as they were settled earlier.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// What settled them, as `the plan` or `run 5d1f0a4c`.
    pub origin: String,
    /// One for each play of the project, in order.
    pub plays: Vec<RosterPlay>,
    /// A play beyond the last is as the playbook says; else it has no host.
    pub open: bool,
    /// Hosts that are not in it were left out on purpose now (`--limit`), and are not spoken of.
    pub narrowed: bool,
    /// What was reviewed; none: whatever the playbook says is done.
    pub reviewed: Option<Reviewed>,
    /// What is taken back; none: nothing.
    pub undo: Option<Undo>,
}

/// A play's hosts.
#[derive(Debug, Default)]
pub(crate) struct RosterPlay {
    /// All of them, in the order in which they are worked on.
    pub names: Vec<HostName>,
    /// The batches that were settled. Hosts that are in none of them are divided as the play says.
    pub batches: Vec<Vec<HostName>>,
    /// Those that take no part, and why.
    pub apart: IndexMap<HostName, String>,
    /// Those that came to the end of the play: they are only looked at, and go through it again where something is
    /// not as it was left.
    pub done: HashSet<HostName>,
    /// Those in the middle of it when the run ended: they are asked what is true before anything else.
    pub in_flight: HashSet<HostName>,
}

/// What a run has changed on each host, in the order in which it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Undo {
    /// The run takes back its own changes, and nobody is asked.
    pub by_itself: bool,
    tasks: IndexMap<HostName, Arc<Vec<PlannedTask>>>,
}

impl Undo {
    /// Nothing yet, of a run that takes back its own changes.
    pub(crate) fn by_itself() -> Self {
        Self { by_itself: true, ..Self::default() }
    }

    /// Adds a task that has changed, or may have changed, a host.
    pub(crate) fn add(&mut self, host: &HostName, task: PlannedTask) {
        let tasks = self.tasks.entry(host.clone()).or_default();
        Arc::make_mut(tasks).push(task);
    }

    /// What was done on a host.
    pub(crate) fn of(&self, host: &HostName) -> Arc<Vec<PlannedTask>> {
        self.tasks.get(host).cloned().unwrap_or_default()
    }

    /// The hosts on which something was done.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.tasks.keys()
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

/// Every certificate task of a reviewed plan.
#[derive(Debug, Default)]
pub(crate) struct Reviewed {
    tasks: HashMap<(HostName, Option<String>), Vec<Arc<PlannedTask>>>,
    /// How many of them the run has come to.
    begun: Mutex<HashMap<(HostName, Option<String>), usize>>,
}

impl Reviewed {
    /// Adds a task of a host; those of one place in the order in which they are done.
    pub(crate) fn add(&mut self, host: &HostName, task: PlannedTask) {
        let key = (host.clone(), task.place.clone());
        self.tasks.entry(key).or_default().push(Arc::new(task));
    }

    /// What was reviewed of the task at `place`, the `index`th time that it is done on a host.
    pub(crate) fn get(
        &self,
        host: &HostName,
        place: Option<String>,
        index: usize,
    ) -> Option<&PlannedTask> {
        self.tasks.get(&(host.clone(), place))?.get(index).map(AsRef::as_ref)
    }

    /// What was reviewed of the task at `place` that begins on a host now.
    pub(crate) fn next(&self, host: &HostName, place: Option<String>) -> Option<Arc<PlannedTask>> {
        let key = (host.clone(), place);
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let index = begun.entry(key.clone()).or_default();
        let task = self.tasks.get(&key)?.get(*index).cloned();
        *index += 1;
        task
    }
}

impl Roster {
    /// A play of it, by its number among those of the project.
    pub(crate) fn play(&self, number: usize) -> Option<&RosterPlay> {
        self.plays.get(number)
    }

    /// Of the hosts that a play has now, those that take part, in the order in which they are worked on.
    pub(crate) fn taking_part(&self, number: usize, now: Vec<HostName>) -> Vec<HostName> {
        let Some(play) = self.play(number) else {
            return if self.open { now } else { Vec::new() };
        };
        let now: IndexSet<HostName> = now.into_iter().collect();
        let batched = play.batches.iter().flatten();
        let names: IndexSet<&HostName> = batched.chain(&play.names).collect();
        let takes_part = |host: &&HostName| now.contains(*host) && !play.apart.contains_key(*host);
        names.into_iter().filter(takes_part).cloned().collect()
    }

    /// What is odd about the hosts that a play has now: those that joined, and those that left.
    pub(crate) fn differences(&self, number: usize, now: &[HostName]) -> Vec<String> {
        let mut words = Vec::new();
        if self.narrowed || self.open && self.play(number).is_none() {
            return words;
        }
        let none = RosterPlay::default();
        let play = self.play(number).unwrap_or(&none);
        let known: IndexSet<&HostName> = play.names.iter().collect();
        let now: IndexSet<&HostName> = now.iter().collect();
        let joined: Vec<&HostName> =
            now.iter().copied().filter(|host| !known.contains(host)).collect();
        let left = self.left(number, &now);
        let origin = &self.origin;
        // Of a run that is taken back only the hosts that it changed are in it.
        if !joined.is_empty() && self.undo.is_none() {
            let (count, names) = (plural(joined.len(), "host"), shown(&joined));
            words.push(format!("{count} joined since {origin} and will not be touched: {names}"));
        }
        if !left.is_empty() {
            let (count, names) = (plural(left.len(), "host"), shown(&left));
            words.push(format!(
                "{count} of {origin} left the play since and will not be touched: {names}"
            ));
        }
        words
    }

    /// The hosts that a play does not have any more.
    pub(crate) fn left<'a>(
        &'a self,
        number: usize,
        now: &IndexSet<&HostName>,
    ) -> Vec<&'a HostName> {
        let names = self.play(number).map(|play| play.names.as_slice()).unwrap_or_default();
        names.iter().filter(|host| !now.contains(host)).collect()
    }

    /// The hosts that take part divided into batches: as they were, then as `sizes` says for so many hosts. Each
    /// with its number; batches without a host are passed over.
    pub(crate) fn batches(
        &self,
        number: usize,
        hosts: &[HostName],
        sizes: impl Fn(usize) -> Vec<usize>,
    ) -> Vec<Vec<HostName>> {
        let Some(play) = self.play(number) else { return Vec::new() };
        let settled: IndexSet<&HostName> = play.batches.iter().flatten().collect();
        let rest: Vec<&HostName> =
            play.names.iter().filter(|host| !settled.contains(host)).collect();
        let mut batches: Vec<Vec<&HostName>> =
            play.batches.iter().map(|batch| batch.iter().collect()).collect();
        // As many batches as have begun are passed over, where the play still divides alike.
        let all = sizes(play.names.len());
        let alike = play.batches.iter().map(Vec::len).eq(all.iter().take(batches.len()).copied());
        let sizes = match alike {
            true => all[batches.len()..].to_vec(),
            false => sizes(rest.len()),
        };
        let mut rest = rest.as_slice();
        for size in sizes {
            let (now, later) = rest.split_at(size.min(rest.len()));
            batches.push(now.to_vec());
            rest = later;
        }
        let takes_part: IndexSet<&HostName> = hosts.iter().collect();
        let of_those = |batch: Vec<&HostName>| -> Vec<HostName> {
            batch.into_iter().filter(|host| takes_part.contains(host)).cloned().collect()
        };
        batches.into_iter().map(of_those).filter(|batch| !batch.is_empty()).collect()
    }
}

/// At most ten names.
pub(super) fn shown(hosts: &[&HostName]) -> String {
    const MOST: usize = 10;
    let names: Vec<&str> = hosts.iter().take(MOST).map(|host| host.as_str()).collect();
    let more = hosts.len().saturating_sub(MOST);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<HostName> {
        text.split_whitespace().map(HostName::new).collect()
    }

    fn roster(play: RosterPlay) -> Roster {
        Roster { origin: "the plan".into(), plays: vec![play], ..Roster::default() }
    }

    #[test]
    fn hosts_that_joined_or_left_are_said_and_not_touched() {
        let apart = IndexMap::from([(HostName::new("c"), "it was unreachable".to_owned())]);
        let roster = roster(RosterPlay { names: names("a b c d"), apart, ..RosterPlay::default() });
        assert_eq!(roster.taking_part(0, names("e d c a")), names("a d"));
        assert_eq!(roster.taking_part(1, names("a")), names(""));
        let said = roster.differences(0, &names("e d c a"));
        assert_eq!(
            said,
            [
                "1 host joined since the plan and will not be touched: e",
                "1 host of the plan left the play since and will not be touched: b"
            ]
        );
        assert!(Roster { narrowed: true, ..roster }.differences(0, &names("a")).is_empty());
    }

    #[test]
    fn batches_stay_as_they_were_and_the_rest_follows() {
        let twos = |hosts: usize| vec![2; hosts.div_ceil(2)];
        let play = RosterPlay {
            names: names("a b c d e f"),
            batches: vec![names("a b"), names("c d")],
            ..RosterPlay::default()
        };
        let roster = roster(play);
        let batches = |hosts: &str| roster.batches(0, &names(hosts), twos);
        assert_eq!(batches("a b c d e f"), [names("a b"), names("c d"), names("e f")]);
        assert_eq!(batches("b e f"), [names("b"), names("e f")]);
        // The play divides otherwise now: what was begun stays, the rest is divided anew.
        let threes = |hosts: usize| vec![3; hosts.div_ceil(3)];
        assert_eq!(
            roster.batches(0, &names("a b c d e f"), threes),
            [names("a b"), names("c d"), names("e f")]
        );
    }

    #[test]
    fn each_task_of_a_place_is_reviewed_once() {
        let mut reviewed = Reviewed::default();
        let host = HostName::new("a");
        let task = |task: &str| PlannedTask { task: task.into(), ..PlannedTask::default() };
        reviewed.add(&host, task("one"));
        reviewed.add(&host, task("two"));
        assert_eq!(reviewed.get(&host, None, 1).unwrap().task, "two");
        let begun: Vec<String> = std::iter::from_fn(|| reviewed.next(&host, None))
            .map(|task| task.task.clone())
            .collect();
        assert_eq!(begun, ["one", "two"]);
    }
}
