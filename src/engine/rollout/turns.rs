//! Hosts that are one machine take turns: the machine has one lock, held from the stage to the confirmation.
//!
//! Inventory names that lead to the same address and port, and hosts that delegate their task to the same machine, are
//! known before. Others show once they are connected, by host key and machine id, or when the machine is found locked
//! by this very run: they come again in a later turn.
//!
//! So do hosts that another run is at work on, once they were waited for a while: two runs of the same hosts, each with
//! some of them staged at its barrier, would otherwise wait for each other until both give up.

use super::target::{Job, Observed};
use crate::model::HostName;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The jobs of a rollout that have not had their turn.
pub(super) struct Turns {
    waiting: Vec<Job>,
    /// The last turn came to nothing: the next has one host only.
    single: bool,
    machines: Arc<Machines>,
}

/// Which machines hosts have turned out to be.
#[derive(Default)]
pub(crate) struct Machines(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// What has shown once a host was connected.
    shown: HashMap<HostName, String>,
    /// Who works on a machine in this turn.
    taken: HashMap<String, HostName>,
}

impl Machines {
    /// Whether the host may begin on its machine in this turn: not when another host of the turn, which it now turns out to
    /// be the same as, has begun there.
    pub(super) fn may_begin(&self, job: &Job, observed: &Observed) -> bool {
        let host_key = job.target.connection().and_then(|connection| connection.host_key());
        let (Some(host_key), Some(id)) = (host_key, &observed.view.facts().machine) else {
            return true;
        };
        let machine = format!("{host_key} {id}");
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.shown.insert(job.host().clone(), machine.clone());
        known.taken.entry(machine).or_insert_with(|| job.host().clone()) == job.host()
    }

    fn next_turn(&self) -> HashMap<HostName, String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.taken.clear();
        known.shown.clone()
    }
}

impl Turns {
    /// Nobody has had a turn.
    pub(super) fn of(jobs: Vec<Job>) -> Self {
        Self { waiting: jobs, single: false, machines: Arc::default() }
    }

    /// The machines that show in this turn.
    pub(super) fn machines(&self) -> Arc<Machines> {
        Arc::clone(&self.machines)
    }

    /// The next turn: of each machine the first job, in the order of the jobs. `None`: all are done.
    pub(super) fn next(&mut self) -> Option<Vec<Job>> {
        let shown = self.machines.next_turn();
        let mut machines = HashSet::new();
        let single = self.single;
        let (turn, waiting): (Vec<Job>, Vec<Job>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|job| {
                let full = single && !machines.is_empty();
                let shown = shown.get(job.host()).cloned();
                let machine = shown.or_else(|| job.target.machine());
                !full && machines.insert(machine.unwrap_or_else(|| job.host().to_string()))
            });
        self.waiting = waiting;
        Some(turn).filter(|turn| !turn.is_empty())
    }

    /// These have to come again. `nothing`: nobody else of their turn got anything done. Then whoever found a host of
    /// this very run at work comes alone; those that wait for another run hold nothing and can wait together.
    pub(super) fn add(&mut self, later: Vec<Job>, nothing: bool) {
        self.single = nothing && later.iter().any(|job| job.patience.is_none());
        self.waiting.splice(0..0, later);
    }
}
