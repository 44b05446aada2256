//! What became of every host so far: counts, pending changes, and what was told once.

use super::tally::Tally;
use crate::event::planned::PlannedTask;
use crate::model::{HostName, Outcome};
use indexmap::IndexSet;
use std::collections::{HashMap, HashSet};
use tokio::time::Instant;

/// The run's book of its hosts. One lock guards it all.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Counts and outcomes.
    pub tally: Tally,
    pending: IndexSet<HostName>,
    told: HashSet<String>,
    confirmed: Vec<Confirmed>,
    ended: HashMap<HostName, Outcome>,
    loaded: Option<Instant>,
}

/// A certificate task that is confirmed on a host.
#[derive(Clone, Debug)]
pub(crate) struct Confirmed {
    /// The play's number among those of the project.
    pub play: usize,
    /// The batch, from 1.
    pub batch: usize,
    /// The host.
    pub host: HostName,
    /// What was done.
    pub task: PlannedTask,
}

impl Ledger {
    /// A service has just been seen with other files than before.
    pub(crate) fn mark_loaded(&mut self) {
        self.loaded = Some(Instant::now());
    }

    /// When that was last.
    pub(crate) fn loaded(&self) -> Option<Instant> {
        self.loaded
    }

    /// In `plan`: a host where `apply` would do something.
    pub(crate) fn mark_pending(&mut self, host: &HostName) {
        self.pending.insert(host.clone());
    }

    /// How many hosts `apply` would change.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Keeps what is confirmed, in order: it may have to go back.
    pub(crate) fn confirm(&mut self, confirmed: Confirmed) {
        self.confirmed.push(confirmed);
    }

    /// What was confirmed so far.
    pub(crate) fn confirmed(&self) -> &[Confirmed] {
        &self.confirmed
    }

    /// `true` unless it was told before that the host is done with the run and ended like this.
    pub(crate) fn ends(&mut self, host: &HostName, outcome: Outcome) -> bool {
        self.ended.insert(host.clone(), outcome) != Some(outcome)
    }

    /// `true` the first time that it is asked about a message.
    pub(crate) fn is_news(&mut self, message: &str) -> bool {
        self.told.insert(message.to_owned())
    }
}
