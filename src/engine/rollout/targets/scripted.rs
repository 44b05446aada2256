//! A target for tests: a store in memory that plays a script. `docs/adding-a-target.md` walks through it.

use super::store;
use crate::engine::connection::HostConnection;
use crate::engine::failure::{self, HostFailure};
use crate::engine::rollout::target::{Job, NotBegun, Observed, Recovery, Staged, Target, Targets};
use crate::host::{FileFacts, FileState, StateDirs, StepFailure};
use crate::model::{Fingerprint, Guarantee, HostName, Outcome, Step};
use crate::plan::build::build;
use crate::plan::inspection::HostView;
use crate::playbook::certificate;
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens when a target is asked for something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// It fails.
    Fail,
    /// It never answers.
    Hang,
    /// It answers after a while.
    After(Duration),
    /// certroll itself fails.
    Panic,
    /// Something has changed since it was observed.
    Stale,
}

/// The stores of all hosts, what happens to them, and what was done.
#[derive(Clone, Default)]
pub(crate) struct Script {
    /// By host and step; each happens once.
    acts: Arc<Mutex<HashMap<(String, Step), Act>>>,
    /// The digests of a store's files: what is live.
    live: Arc<Mutex<HashMap<String, Vec<Fingerprint>>>>,
    /// Who holds a machine's lock.
    locks: Arc<Mutex<HashMap<String, String>>>,
    /// `HOST WORD`, in the order in which it was done.
    log: Arc<Mutex<Vec<String>>>,
    /// Nobody will ask for the log.
    forgets: bool,
    /// Hosts by the machine that they are; told before only where `known`.
    machines: Arc<Mutex<HashMap<String, (String, bool)>>>,
}

impl Script {
    pub(crate) fn act(self, host: &str, step: Step, act: Act) -> Self {
        self.acts.lock().unwrap().insert((host.to_owned(), step), act);
        self
    }

    /// `host` is this machine; `known`: the controller can tell without asking.
    pub(crate) fn machine(self, host: &str, machine: &str, known: bool) -> Self {
        self.machines.lock().unwrap().insert(host.to_owned(), (machine.to_owned(), known));
        self
    }

    /// Without a log.
    pub(crate) fn forgetting(self) -> Self {
        Self { forgets: true, ..self }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Somebody else locks a machine.
    pub(crate) fn hold(&self, machine: &str, holder: &str) {
        self.locks.lock().unwrap().insert(machine.to_owned(), holder.to_owned());
    }

    /// Its lock is given back.
    pub(crate) fn release(&self, machine: &str) {
        self.locks.lock().unwrap().remove(machine);
    }

    fn done(&self, host: &str, word: &str) {
        if !self.forgets {
            self.log.lock().unwrap().push(format!("{host} {word}"));
        }
    }

    /// What the script says of a step: `false` when it is to fail.
    async fn play(&self, host: &str, step: Step) -> Result<(), Act> {
        let act = self.acts.lock().unwrap().remove(&(host.to_owned(), step));
        match act {
            None => Ok(()),
            Some(Act::Hang) => std::future::pending().await,
            Some(Act::After(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Some(Act::Panic) => panic!("as the script says"),
            Some(act) => Err(act),
        }
    }
}

impl Targets for Script {
    fn target(
        &self,
        host: &HostName,
        _: HostConnection,
        _: Option<StateDirs>,
        _: Option<&certificate::Store>,
    ) -> Arc<dyn Target> {
        let host = host.to_string();
        let machines = self.machines.lock().unwrap();
        let (machine, known) = machines.get(&host).cloned().unwrap_or((host.clone(), true));
        Arc::new(Store { script: self.clone(), host, machine, known })
    }
}

struct Store {
    script: Script,
    host: String,
    machine: String,
    known: bool,
}

impl Target for Store {
    fn guarantee(&self) -> Guarantee {
        Guarantee::ControllerUndoes
    }

    fn machine(&self) -> Option<String> {
        self.known.then(|| self.machine.clone())
    }

    fn status<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<HostView, HostFailure>> {
        Box::pin(async move {
            let refuse = |why: &str| failure::before_commit(job.task(), Step::Inspect, why);
            let acted = self.script.play(&self.host, Step::Inspect).await;
            acted.map_err(|_| failure::unreachable(job.task(), "as the script says"))?;
            let live = self.script.live.lock().unwrap().get(&self.host).cloned();
            let mut facts = store::a_store();
            let desired = job.variants.desired(&facts).map_err(|why| refuse(&why.to_string()))?;
            facts.files = desired
                .files
                .iter()
                .enumerate()
                .map(|(index, want)| FileFacts {
                    state: match live.as_ref().and_then(|live| live.get(index)) {
                        Some(digest) => {
                            FileState::File(Box::new(store::a_file(*digest, want.fallback.mode)))
                        }
                        None => FileState::Absent,
                    },
                    ..store::an_absent_file(&want.path)
                })
                .collect();
            let view = HostView::read(desired, facts, Vec::new());
            view.map_err(|why| refuse(&why.to_string()))
        })
    }

    fn observe<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Observed, HostFailure>> {
        Box::pin(async move {
            let view = self.status(job).await?;
            let plan = build(&view, job.identity.now);
            self.script.done(&self.host, "observed");
            Ok(Observed { view, plan })
        })
    }

    fn recover<'a>(&'a self, _: &'a Recovery<'a>) -> BoxFuture<'a, Result<Vec<String>, NotBegun>> {
        // Its changes are undone by the controller, which is gone with them: nothing is left to settle.
        Box::pin(async {
            self.script.done(&self.host, "recovered");
            Ok(Vec::new())
        })
    }

    fn begin<'a>(
        &'a self,
        job: &'a Job,
        observed: &'a Arc<Observed>,
    ) -> BoxFuture<'a, Result<Box<dyn Staged>, NotBegun>> {
        Box::pin(async move {
            let refuse = |why: &str| failure::before_commit(job.task(), Step::Stage, why);
            let held = {
                let mut locks = self.script.locks.lock().unwrap();
                let held = locks.get(&self.machine).cloned();
                locks.entry(self.machine.clone()).or_insert_with(|| job.identity.holder.clone());
                held
            };
            if let Some(holder) = held {
                tokio::time::sleep(job.lock_wait).await;
                return Err(NotBegun::Busy { holder, failure: refuse("locked") });
            }
            let lock = Lock { script: self.script.clone(), machine: self.machine.clone() };
            match self.script.play(&self.host, Step::Stage).await {
                Ok(()) => {}
                Err(Act::Stale) => return Err(NotBegun::Stale(refuse("stale"))),
                Err(_) => return Err(NotBegun::Failed(refuse("as the script says"))),
            }
            self.script.done(&self.host, "staged");
            let new = observed.plan.files.iter().filter_map(|file| file.want.digest).collect();
            let (script, host, task) =
                (self.script.clone(), self.host.clone(), job.task().to_owned());
            Ok(Box::new(StagedStore { script, host, task, new, old: None, _lock: lock })
                as Box<dyn Staged>)
        })
    }
}

/// A machine's lock, given back when dropped.
struct Lock {
    script: Script,
    machine: String,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.script.locks.lock().unwrap().remove(&self.machine);
    }
}

struct StagedStore {
    script: Script,
    host: String,
    task: String,
    new: Vec<Fingerprint>,
    /// What was live before the commit, `Some` from then on.
    old: Option<Option<Vec<Fingerprint>>>,
    _lock: Lock,
}

impl StagedStore {
    fn restore(&mut self) {
        let mut live = self.script.live.lock().unwrap();
        match self.old.take() {
            Some(Some(old)) => live.insert(self.host.clone(), old),
            Some(None) => live.remove(&self.host),
            None => None,
        };
    }

    fn rolled_back(&mut self, step: Step, why: &str) -> HostFailure {
        self.restore();
        self.script.done(&self.host, "rolled back");
        let mut failure = failure::before_commit(&self.task, step, why);
        failure.outcome = Outcome::RolledBack(step);
        failure.failure.state = "rolled back: the store holds what it held before".to_owned();
        failure.failure.rolled_back = Some(true);
        failure
    }
}

impl Staged for StagedStore {
    fn keep_alive(&mut self, _: Duration) {
        self.script.done(&self.host, "kept alive");
    }

    fn commit<'a>(
        &'a mut self,
        reloading: &'a mut (dyn FnMut(String) + Send),
    ) -> BoxFuture<'a, Result<String, HostFailure>> {
        Box::pin(async move {
            let new = self.new.clone();
            self.old = Some(self.script.live.lock().unwrap().insert(self.host.clone(), new));
            self.script.done(&self.host, "committed");
            reloading("switched".to_owned());
            let acted = self.script.play(&self.host.clone(), Step::Commit).await;
            match acted {
                Ok(()) => Ok("reloaded".to_owned()),
                Err(_) => Err(self.rolled_back(Step::Commit, "as the script says")),
            }
        })
    }

    fn confirm(self: Box<Self>) -> BoxFuture<'static, Result<(), HostFailure>> {
        Box::pin(async move {
            let acted = self.script.play(&self.host, Step::Confirm).await;
            acted.map_err(|_| failure::cut_off(&self.task, Guarantee::ControllerUndoes))?;
            self.script.done(&self.host, "confirmed");
            Ok(())
        })
    }

    fn roll_back(mut self: Box<Self>, cause: StepFailure) -> BoxFuture<'static, HostFailure> {
        Box::pin(async move { self.rolled_back(cause.step, &cause.why) })
    }

    fn abort(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move { self.script.done(&self.host, "discarded") })
    }
}
