//! Counts per host: the recap, the summary and the exit code cannot disagree with the events.

use crate::event::{HostSummary, TaskResult};
use crate::model::{HostName, Outcome};
use indexmap::IndexMap;

/// What the reason of a task begins with that was called off on a host before it changed anything there.
pub(crate) const UNTOUCHED: &str = "untouched: ";

/// What became of every host of the run, in the order in which plays named them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    hosts: IndexMap<HostName, Entry>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    counts: HostSummary,
    /// The worst thing that happened, once one did.
    failure: Option<Outcome>,
    reason: Option<String>,
    attempted: bool,
    /// A certificate task was called off: whatever else was done, the host is not done.
    called_off: bool,
}

impl Tally {
    /// Makes sure that `host` appears in the summary.
    pub(crate) fn enter(&mut self, host: &HostName) {
        self.entry(host);
    }

    fn entry(&mut self, host: &HostName) -> &mut Entry {
        self.hosts.entry(host.clone()).or_default()
    }

    /// Counts the end of a task.
    pub(crate) fn task(&mut self, host: &HostName, result: TaskResult) {
        let entry = self.entry(host);
        entry.attempted |= !matches!(result, TaskResult::Skipped);
        let counts = &mut entry.counts;
        match result {
            TaskResult::Ok => counts.ok += 1,
            TaskResult::Changed => {
                counts.ok += 1;
                counts.changed += 1;
            }
            TaskResult::Skipped => counts.skipped += 1,
            TaskResult::Failed => counts.failed += 1,
            TaskResult::Ignored => {
                counts.ok += 1;
                counts.ignored += 1;
            }
            TaskResult::Unreachable => counts.unreachable = 1,
        }
    }

    /// Counts the change of a task whose failure is ignored (Ansible counts it in both columns).
    pub(crate) fn changed(&mut self, host: &HostName) {
        self.entry(host).counts.changed += 1;
    }

    /// Counts a failure that a `rescue` caught, and how it ended.
    pub(crate) fn rescued(&mut self, host: &HostName, outcome: Outcome) {
        let entry = self.entry(host);
        entry.attempted = true;
        entry.counts.rescued += 1;
        if matches!(outcome, Outcome::RolledBack(_)) {
            entry.counts.rolled_back += 1;
        }
    }

    /// Counts a certificate task that found nothing to do.
    pub(crate) fn unchanged(&mut self, host: &HostName) {
        self.entry(host).counts.unchanged += 1;
    }

    /// Records why a host left the run.
    pub(crate) fn fail(&mut self, host: &HostName, outcome: Outcome, reason: impl Into<String>) {
        let entry = self.entry(host);
        if matches!(outcome, Outcome::RolledBack(_)) {
            entry.counts.rolled_back += 1;
        }
        entry.failure = Some(outcome);
        entry.reason = Some(reason.into());
    }

    /// Records why a host was not worked on; a failure is not overwritten.
    pub(crate) fn skip(&mut self, host: &HostName, reason: impl Into<String>) {
        let entry = self.entry(host);
        entry.reason.get_or_insert_with(|| reason.into());
    }

    /// Records why a rollout left a host alone that other tasks may have worked on.
    pub(crate) fn call_off(&mut self, host: &HostName, reason: impl Into<String>) {
        self.entry(host).called_off = true;
        self.skip(host, reason);
    }

    /// Whether the host takes no further part.
    pub(crate) fn has_failed(&self, host: &HostName) -> bool {
        self.hosts.get(host).is_some_and(|entry| entry.failure.is_some())
    }

    /// How the host ended, as things stand.
    pub(crate) fn outcome(&self, host: &HostName) -> Outcome {
        let Some(entry) = self.hosts.get(host) else { return Outcome::Skipped };
        match entry.failure {
            Some(outcome) => outcome,
            None if entry.called_off => Outcome::Skipped,
            None if entry.counts.changed > 0 => Outcome::Changed,
            None if entry.attempted => Outcome::Unchanged,
            None => Outcome::Skipped,
        }
    }

    /// Why the host failed or was skipped.
    pub(crate) fn reason(&self, host: &HostName) -> Option<&str> {
        self.hosts.get(host)?.reason.as_deref()
    }

    /// How the host ended, and for other ends than good ones why.
    pub(crate) fn end(&self, host: &HostName) -> (Outcome, Option<String>) {
        let outcome = self.outcome(host);
        let changed = self.hosts.get(host).is_some_and(|entry| entry.counts.changed > 0);
        let reason = match outcome {
            Outcome::Changed | Outcome::Unchanged => None,
            Outcome::Skipped if changed => self.reason(host).map(|why| {
                let why = why.strip_prefix(UNTOUCHED).unwrap_or(why);
                format!("earlier tasks changed it, the next was called off: {why}")
            }),
            _ => self.reason(host).map(str::to_owned),
        };
        (outcome, reason)
    }

    /// The hosts in order.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.hosts.keys()
    }

    /// Hosts that failed, and hosts that were unreachable.
    pub(crate) fn failures(&self) -> (usize, usize) {
        let unreachable = |entry: &&Entry| entry.failure == Some(Outcome::Unreachable);
        let failed = self.hosts.values().filter(|entry| entry.failure.is_some()).count();
        let unreachable = self.hosts.values().filter(unreachable).count();
        (failed - unreachable, unreachable)
    }

    /// The summary's map.
    pub(crate) fn summary(&self) -> IndexMap<HostName, HostSummary> {
        self.hosts
            .iter()
            .map(|(host, entry)| {
                let (outcome, reason) = self.end(host);
                let summary = HostSummary { outcome, reason, ..entry.counts.clone() };
                (host.clone(), summary)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Step;

    #[test]
    fn outcomes_follow_from_the_counts() {
        let mut tally = Tally::default();
        let [a, b, c, d] = ["a", "b", "c", "d"].map(HostName::new);
        tally.task(&a, TaskResult::Ok);
        tally.task(&b, TaskResult::Changed);
        tally.skip(&c, "the run was stopped");
        let e = HostName::new("e");
        tally.task(&e, TaskResult::Changed);
        tally.call_off(&e, format!("{UNTOUCHED}its stage was discarded"));
        let why = "earlier tasks changed it, the next was called off: its stage was discarded";
        assert_eq!(tally.end(&e), (Outcome::Skipped, Some(why.to_owned())));
        let f = HostName::new("f");
        tally.call_off(&f, format!("{UNTOUCHED}its stage was discarded"));
        assert_eq!(
            tally.end(&f),
            (Outcome::Skipped, Some("untouched: its stage was discarded".to_owned()))
        );
        tally.task(&d, TaskResult::Failed);
        tally.fail(&d, Outcome::RolledBack(Step::Verify), "old certificate served");
        assert_eq!(tally.outcome(&a), Outcome::Unchanged);
        assert_eq!(tally.outcome(&b), Outcome::Changed);
        assert_eq!(tally.outcome(&c), Outcome::Skipped);
        let summary = tally.summary();
        assert_eq!(summary["d"].outcome, Outcome::RolledBack(Step::Verify));
        assert_eq!((summary["d"].failed, summary["d"].rolled_back), (1, 1));
        assert_eq!(summary["c"].reason.as_deref(), Some("the run was stopped"));
        assert_eq!(tally.failures(), (1, 0));
    }
}
