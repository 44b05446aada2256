//! The hosts at work, those longest in their step first.
//!
//! Ten thousand of them may wait at a barrier, and each leaves and comes back several times: neither costs more for it.

use crate::model::{HostName, Step};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Who is in which step, and since when.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    hosts: BTreeMap<u64, (HostName, Step, Duration)>,
    places: HashMap<HostName, u64>,
    next: u64,
}

impl InFlight {
    /// A host begins a step; whatever step it was in is over.
    pub(super) fn begin(&mut self, host: &HostName, step: Step, now: Duration) {
        self.end(host);
        self.places.insert(host.clone(), self.next);
        self.hosts.insert(self.next, (host.clone(), step, now));
        self.next += 1;
    }

    /// A host is not at work any more.
    pub(super) fn end(&mut self, host: &HostName) {
        if let Some(place) = self.places.remove(host) {
            self.hosts.remove(&place);
        }
    }

    /// Nobody is.
    pub(super) fn clear(&mut self) {
        self.hosts.clear();
        self.places.clear();
    }

    /// Hosts with their step and when it began.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&HostName, Step, Duration)> {
        self.hosts.values().map(|(host, step, began)| (host, *step, *began))
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether nobody is.
    pub(super) fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_begins_a_step_is_last_and_who_ends_is_gone() {
        let mut flying = InFlight::default();
        let names = ["a", "b", "c"].map(HostName::new);
        let at = Duration::from_secs;
        names.iter().zip(0..).for_each(|(host, now)| flying.begin(host, Step::Stage, at(now)));
        flying.begin(&names[0], Step::Barrier, at(3));
        flying.end(&names[1]);
        flying.end(&names[1]);
        let all: Vec<_> = flying.iter().collect();
        assert_eq!(all, [(&names[2], Step::Stage, at(2)), (&names[0], Step::Barrier, at(3))]);
        flying.clear();
        assert!(flying.is_empty() && flying.iter().next().is_none());
    }
}
