//! What all parts of a run share: inputs, connections, events, the stop switch, the ledger.

use super::emit::Emitter;
use super::ledger::Ledger;
use super::links::Links;
use super::stop::Stop;
use crate::inputs::Inputs;
use crate::inputs::project::Project;
use crate::model::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Asks the person who runs certroll. Blocks; called off the runtime's threads.
pub trait Operator: Send + Sync {
    /// Whether there is somebody to ask.
    fn is_there(&self) -> bool;
    /// Yes or no; without a terminal no.
    fn confirm(&self, question: &str) -> bool;
    /// Shows a text and waits for the return key.
    fn wait_for_return(&self, text: &str) -> std::io::Result<String>;
}

/// Who runs it, and when.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Random name of the run.
    pub run: String,
    /// Written into each host's lock: since when, who, from where.
    pub holder: String,
    /// The moment of the run, for dates.
    pub now: Timestamp,
}

/// What all parts of a run share. It drives nothing.
pub struct Context {
    /// What was read, what hosts know, certificates and keys.
    pub inputs: Inputs,
    /// Connections.
    pub links: Links,
    /// Where events go.
    pub emitter: Emitter,
    /// The stop switch.
    pub stop: Stop,
    /// The moment of the run, for dates.
    pub now: Timestamp,
    /// Random name of the run.
    pub run: String,
    /// Written into each host's lock: since when, who, from where.
    pub holder: String,
    /// At most so many hosts at work.
    pub permits: Semaphore,
    /// Who confirms.
    pub operator: Arc<dyn Operator>,
    ledger: Mutex<Ledger>,
}

impl Context {
    /// The context of a run of `project` that has not begun.
    pub fn new(
        project: Arc<Project>,
        links: Links,
        emitter: Emitter,
        stop: Stop,
        identity: Identity,
        operator: Arc<dyn Operator>,
    ) -> Self {
        let Identity { run, holder, now } = identity;
        let permits = Semaphore::new(project.options.forks.max(1));
        let inputs = Inputs::new(project, now);
        let ledger = Mutex::default();
        Self { inputs, links, emitter, stop, now, run, holder, permits, operator, ledger }
    }

    /// What became of the hosts so far.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells something about the run, once however many hosts it is true of.
    pub fn tell_once(&self, message: String) {
        if self.ledger().is_news(&message) {
            self.emitter.info(None, message);
        }
    }

    /// Whether nothing may be changed.
    pub fn is_plan(&self) -> bool {
        self.inputs.project.options.is_plan()
    }
}
