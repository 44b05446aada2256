//! Hosts that are one machine take turns: the machine has one lock, held from the stage to the confirmation.
//!
//! Inventory names that lead to the same address and port, and hosts that delegate their task to the same machine, are
//! known before. Others show only when the machine is found locked by this very run: they come again in a later turn.

use super::target::Job;
use std::collections::HashSet;

/// The jobs of a rollout that have not had their turn.
pub(super) struct Turns {
    waiting: Vec<Job>,
    /// The last turn came to nothing: the next has one host only.
    single: bool,
}

impl Turns {
    /// Nobody has had a turn.
    pub(super) fn of(jobs: Vec<Job>) -> Self {
        Self { waiting: jobs, single: false }
    }

    /// The next turn: of each machine the first job, in the order of the jobs. `None`: all are done.
    pub(super) fn next(&mut self) -> Option<Vec<Job>> {
        let mut machines = HashSet::new();
        let single = self.single;
        let (turn, waiting): (Vec<Job>, Vec<Job>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|job| {
                let full = single && !machines.is_empty();
                let machine = job.target.machine().unwrap_or_else(|| job.host().to_string());
                !full && machines.insert(machine)
            });
        self.waiting = waiting;
        Some(turn).filter(|turn| !turn.is_empty())
    }

    /// These have to come again. `single`: nobody else of their turn got anything done.
    pub(super) fn add(&mut self, later: Vec<Job>, single: bool) {
        self.single = single;
        self.waiting.splice(0..0, later);
    }
}
