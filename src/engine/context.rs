//! What all parts of a run share: inputs, connections, events, the stop switch, the ledger.

use super::connections::Connections;
use super::emit::Emitter;
use super::identity::Identity;
use super::ledger::Ledger;
use super::rollout::target::Targets;
use super::stop::Stop;
use crate::event::Kind;
use crate::inputs::Inputs;
use crate::inputs::project::Project;
use crate::inputs::verb::Verb;
use crate::model::{HostName, Outcome};
use crate::playbook::OnFailure;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Asks the person who runs certroll. Blocks; called off the runtime's threads.
pub(crate) trait Operator: Send + Sync {
    /// Whether there is somebody to ask.
    fn is_there(&self) -> bool;
    /// Yes or no; without a terminal no.
    fn confirm(&self, question: &str) -> bool;
    /// Shows a text and waits for the return key.
    fn wait_for_return(&self, text: &str) -> std::io::Result<String>;
}

/// What all parts of a run share. It drives nothing.
pub(crate) struct Context {
    /// What was read, what hosts know, certificates and keys.
    pub inputs: Inputs,
    /// Connections.
    pub connections: Arc<Connections>,
    /// Where events go.
    pub emitter: Emitter,
    /// The stop switch.
    pub stop: Stop,
    /// Which run it is.
    pub identity: Arc<Identity>,
    /// Makes what takes certificates.
    pub targets: Arc<dyn Targets>,
    /// At most so many hosts at work.
    pub permits: Semaphore,
    /// Who confirms.
    pub operator: Arc<dyn Operator>,
    ledger: Mutex<Ledger>,
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Context {
    /// The context of a run of `project` that has not begun.
    pub(crate) fn new(
        project: Arc<Project>,
        connections: impl Into<Arc<Connections>>,
        emitter: Emitter,
        stop: Stop,
        identity: Identity,
        targets: Arc<dyn Targets>,
        operator: Arc<dyn Operator>,
    ) -> Self {
        let permits = Semaphore::new(project.options.forks.max(1));
        let inputs = Inputs::new(project, identity.now);
        let (identity, ledger, turns) = (Arc::new(identity), Mutex::default(), Mutex::default());
        let connections = connections.into();
        Self {
            inputs,
            connections,
            emitter,
            stop,
            identity,
            targets,
            permits,
            operator,
            ledger,
            turns,
        }
    }

    /// What became of the hosts so far.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held by the host that settles what is left on a machine: its other names wait.
    pub(crate) fn turn(&self, machine: String) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(machine).or_default())
    }

    /// Tells something about the run, once however many hosts it is true of.
    pub(crate) fn tell_once(&self, message: String) {
        if self.ledger().is_news(&message) {
            self.emitter.info(None, message);
        }
    }

    /// Tells that a host is done with the run, as the ledger has it.
    pub(crate) fn tell_end(&self, host: &HostName) {
        let (outcome, reason) = self.ledger().tally.end(host);
        self.tell_end_as(host, outcome, reason);
    }

    /// Tells how a host ended; once, unless it comes to another end after all.
    pub(crate) fn tell_end_as(&self, host: &HostName, outcome: Outcome, reason: Option<String>) {
        if self.ledger().ends(host, outcome) {
            self.emitter.host(host, Kind::HostEnd { outcome, reason });
        }
    }

    /// Whether it is certain how a host ended when nothing more is done on it: a dry run ends for all hosts at once,
    /// and what may be taken back is open until the end.
    pub(crate) fn hosts_end_apart(&self) -> bool {
        !self.is_plan() && !self.may_take_back() && !self.is_taking_back()
    }

    /// Whether nothing may be changed.
    pub(crate) fn is_plan(&self) -> bool {
        self.inputs.project.options.is_plan()
    }

    /// Whether the run takes back what it has confirmed itself.
    pub(crate) fn is_taking_back(&self) -> bool {
        let roster = self.inputs.project.options.roster.as_ref();
        roster.and_then(|roster| roster.undo.as_ref()).is_some_and(|undo| undo.by_itself)
    }

    /// Whether what is confirmed may have to go back.
    pub(crate) fn may_take_back(&self) -> bool {
        let mut plays = self.inputs.project.plays();
        let is_apply = self.inputs.project.options.verb == Verb::Apply;
        is_apply && plays.any(|at| at.play.on_failure == OnFailure::RollbackRun)
    }

    /// Waits between two items of a loop, not in a plan; `false`: the run was stopped in the meantime. `closing`: it
    /// had been stopped before, and only a second interrupt counts.
    pub(crate) async fn pauses(&self, pause: Duration, closing: bool) -> bool {
        if pause.is_zero() || self.is_plan() {
            return true;
        }
        let stopped = if closing { self.stop.hard() } else { self.stop.soft() };
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = stopped.cancelled() => false,
        }
    }
}
