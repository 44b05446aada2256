//! What became of every host so far: counts, pending changes, and what was told once.

use super::tally::Tally;
use crate::model::HostName;
use indexmap::IndexSet;
use std::collections::HashSet;

/// The run's book of its hosts. One lock guards it all.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Counts and outcomes.
    pub tally: Tally,
    pending: IndexSet<HostName>,
    told: HashSet<String>,
}

impl Ledger {
    /// In `plan`: a host where `apply` would do something.
    pub(crate) fn mark_pending(&mut self, host: &HostName) {
        self.pending.insert(host.clone());
    }

    /// How many hosts `apply` would change.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// `true` the first time that it is asked about a message.
    pub(crate) fn is_news(&mut self, message: &str) -> bool {
        self.told.insert(message.to_owned())
    }
}
