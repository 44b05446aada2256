//! What all parts of a run share, and the run itself: playbooks, plays, the summary.

use super::bundles::Bundles;
use super::certificate::Shared;
use super::links::Links;
use super::project::Project;
use super::tally::Tally;
use super::variables::Variables;
use super::{exit, play};
use crate::event::{Kind, NoteLevel, Summary};
use crate::model::{HostName, Outcome};
use std::collections::HashSet;
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

/// A run under way.
pub struct Run {
    /// What was read.
    pub project: Arc<Project>,
    /// What hosts know.
    pub variables: Arc<Variables>,
    /// Certificates and keys.
    pub bundles: Bundles,
    /// Connections.
    pub links: Links,
    /// Events, stopping, time.
    pub shared: Shared,
    /// At most so many hosts at work.
    pub permits: Semaphore,
    /// Who confirms.
    pub operator: Arc<dyn Operator>,
    tally: Mutex<Tally>,
    pending: Mutex<Vec<HostName>>,
    told: Mutex<HashSet<String>>,
}

impl Run {
    /// Tells something about the run, once however many hosts it is true of.
    pub fn tell_once(&self, message: String) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(message.clone()) {
            self.shared.emitter.info(None, message);
        }
    }

    /// A run of `project` that has not begun.
    pub fn new(
        project: Arc<Project>,
        links: Links,
        shared: Shared,
        operator: Arc<dyn Operator>,
    ) -> Self {
        let variables = Arc::new(Variables::new(&project));
        let bundles = Bundles::new(shared.now, Arc::clone(&project.decrypt));
        let permits = Semaphore::new(project.options.forks.max(1));
        Self {
            project,
            variables,
            bundles,
            links,
            shared,
            permits,
            operator,
            tally: Mutex::default(),
            pending: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// Counts of every host.
    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In `plan`: a host where `apply` would do something.
    pub fn mark_pending(&self, host: &HostName) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if !pending.contains(host) {
            pending.push(host.clone());
        }
    }

    /// Whether nothing may be changed.
    pub fn is_plan(&self) -> bool {
        self.project.options.is_plan()
    }

    /// Runs every play of every playbook and tells how it ended. Warnings are those of the preflight.
    pub async fn run(self: &Arc<Self>, warnings: &[String]) -> Summary {
        for warning in warnings {
            let message = warning.clone();
            self.shared.emitter.run(Kind::Note { level: NoteLevel::Warning, message });
        }
        'books: for (index, book) in self.project.books.iter().enumerate() {
            for number in 0..book.playbook.plays.len() {
                play::run(self, index, number).await;
                if self.shared.stop.is_requested() {
                    break 'books;
                }
            }
        }
        self.enter_remaining();
        self.summary()
    }

    /// Hosts of plays that never began appear in the summary too, as skipped.
    fn enter_remaining(&self) {
        let Some(reason) = self.shared.stop.reason() else { return };
        for (index, book) in self.project.books.iter().enumerate() {
            for number in 0..book.playbook.plays.len() {
                let hosts = play::hosts(self, index, number).unwrap_or_default();
                let mut tally = self.tally();
                for host in hosts {
                    tally.enter(&host);
                    if tally.outcome(&host) == Outcome::Skipped {
                        tally.skip(&host, format!("not begun: {}", play::stop_words(reason)));
                    }
                }
            }
        }
    }

    /// Emits the end of every host and the summary, and returns it.
    pub fn summary(&self) -> Summary {
        let tally = self.tally();
        for host in tally.hosts() {
            let outcome = tally.outcome(host);
            let reason = match outcome {
                Outcome::Changed | Outcome::Unchanged => None,
                _ => tally.reason(host).map(str::to_owned),
            };
            let kind = Kind::HostEnd { outcome, reason };
            self.shared.emitter.host(host, kind);
        }
        let (failed, unreachable) = tally.failures();
        let stopped = self.shared.stop.reason();
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner).len();
        let exit_code = match exit::code(failed, unreachable, stopped) {
            exit::OK if pending > 0 && self.project.options.pending_exit_code => exit::PENDING,
            code => code,
        };
        let summary = Summary { hosts: tally.summary(), exit_code, stopped, pending };
        self.shared.emitter.run(Kind::Summary(summary.clone()));
        summary
    }
}
