//! The contract for targets: what a rollout needs of whatever takes certificates.
//!
//! The engine asks a [`Target`] what it holds, has it stage the new certificates, and then speaks the two-phase
//! dialogue of [`Staged`] with it: commit, then confirm or roll back. Files on a host behind SSH are the first
//! implementation (`targets/files.rs`). `docs/adding-a-target.md` walks through another.

use crate::engine::connection::HostConnection;
use crate::engine::emit::Emitter;
use crate::engine::failure::{self, HostFailure};
use crate::engine::identity::Identity;
use crate::engine::verification::Dialers;
use crate::event::planned::PlannedTask;
use crate::host::{HostFacts, Inspection, StateDirs, StepFailure};
use crate::model::{Guarantee, HostName, RemotePath, Step};
use crate::plan::earlier::Earlier;
use crate::plan::evidence::{Evidence, Seen};
use crate::plan::host_plan::HostPlan;
use crate::plan::inspection::HostView;
use crate::plan::left_open::is_left_open;
use crate::plan::request::CertificateRequest;
use crate::plan::variants::Variants;
use crate::playbook::certificate::Store;
use crate::template::Opened;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Something that takes certificates for one host of the inventory. It does nothing until it is asked.
pub(crate) trait Target: Send + Sync {
    /// What undoes a change that is not confirmed.
    fn guarantee(&self) -> Guarantee;

    /// What machine it is, as far as that is known without asking it: two targets of the same machine take turns.
    fn machine(&self) -> Option<String>;

    /// Asks what is there and looks at what is served; no more than `certroll status` tells. Changes nothing.
    ///
    /// Fails as [`observe`](Self::observe) does.
    fn status<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<HostView, HostFailure>>;

    /// Asks what is there for a task whose certificates are not at hand. Changes nothing. Without an answer of its own a
    /// target cannot be asked so.
    ///
    /// Fails as [`observe`](Self::observe) does.
    fn held<'a>(&'a self, asked: &'a Asked<'a>) -> BoxFuture<'a, Result<HostFacts, HostFailure>> {
        let why = "this kind of target cannot be asked without the certificates";
        Box::pin(async move { Err(failure::before_commit(asked.task, Step::Inspect, why)) })
    }

    /// Asks what is there, looks at what is served, and plans. Changes nothing.
    ///
    /// Fails when the target cannot be reached or does not answer sensibly.
    fn observe<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Observed, HostFailure>>;

    /// Settles what interrupted runs left. What was settled, one line each. Needs neither a certificate nor a plan: a
    /// task that could not be applied now does not keep its hosts from being repaired.
    ///
    /// Fails when the target cannot be reached, or is busy with another run.
    fn recover<'a>(
        &'a self,
        recovery: &'a Recovery<'a>,
    ) -> BoxFuture<'a, Result<Vec<String>, NotBegun>>;

    /// Stages what the plan says and has it checked as far as the target can. Nothing live changes; what is staged
    /// is discarded when the answer is dropped.
    fn begin<'a>(
        &'a self,
        job: &'a Job,
        observed: &'a Arc<Observed>,
    ) -> BoxFuture<'a, Result<Box<dyn Staged>, NotBegun>>;

    /// Starts `services` anew that do not serve their old files after a roll back, those of them that ran before: by their
    /// `recover` command, else by a restart of their unit. `None`, as for a target that runs no services: there is no way
    /// for any of them. Fails with why.
    fn revive<'a>(
        &'a self,
        job: &'a Job,
        observed: &'a Observed,
        services: &'a [String],
    ) -> BoxFuture<'a, Result<Option<Revived>, String>> {
        let _ = (job, observed, services);
        Box::pin(async { Ok(None) })
    }

    /// What shows now where `asked` says to look, in that order; `None` where nothing does. For a proof that handshakes
    /// cannot give.
    ///
    /// Fails with why nobody knows.
    fn evidence(&self, asked: Vec<Evidence>) -> BoxFuture<'_, Result<Vec<Option<Seen>>, String>> {
        Box::pin(async move { Ok(vec![None; asked.len()]) })
    }

    /// The ways to look at what it serves, beside the controller's own.
    fn dialers(&self) -> Dialers {
        Dialers { host: None, bastion: None }
    }

    /// Where the operator's own checks `on: host` run, if such a place is there.
    fn connection(&self) -> Option<&HostConnection> {
        None
    }

    /// Ends when the way to the target is lost, after which a change is undone as [`guarantee`](Self::guarantee) says;
    /// never, where nothing has to last.
    fn lost(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

/// A target that holds a stage, and after the commit a change that is not confirmed yet. Dropped, it is as if the
/// controller had died: the stage is discarded, the change undone as far as the target guarantees.
pub(crate) trait Staged: Send {
    /// Keeps the stage alive while the other hosts of the batch are waited for.
    fn keep_alive(&mut self, every: Duration);

    /// Makes the new certificates live. What was done, one line. A target that first writes and then has services
    /// load what it wrote says so to `reloading` in between, with one line on what was written.
    ///
    /// Fails with the state in which the target is then: rolled back, or unknown.
    fn commit<'a>(
        &'a mut self,
        reloading: &'a mut (dyn FnMut(String) + Send),
    ) -> BoxFuture<'a, Result<String, HostFailure>>;

    /// The change stays.
    ///
    /// Fails when that was not acknowledged; the outcome says what is known.
    fn confirm(self: Box<Self>) -> BoxFuture<'static, Result<(), HostFailure>>;

    /// Goes back to the old certificates because of `cause`; how that ended.
    fn roll_back(self: Box<Self>, cause: StepFailure) -> BoxFuture<'static, HostFailure>;

    /// Discards the stage before any commit.
    fn abort(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Services that were restarted.
pub(crate) struct Revived {
    /// What was done, one line.
    pub words: String,
    /// Which services had a way to do it.
    pub tried: Vec<String>,
    /// Which of them do not run now.
    pub still_down: Vec<String>,
}

/// Why a target did not stage. Nothing live has changed.
pub(crate) enum NotBegun {
    /// Another transaction is under way there; who holds it, in the holder's own words.
    Busy {
        /// As [`Identity::holder`] of that run.
        holder: String,
        /// What to say if it is not waited for.
        failure: HostFailure,
    },
    /// Something has changed since it was observed.
    Stale(HostFailure),
    /// It failed.
    Failed(HostFailure),
}

impl NotBegun {
    /// The failure, whatever the reason.
    pub(crate) fn into_failure(self) -> HostFailure {
        match self {
            Self::Busy { failure, .. } | Self::Stale(failure) | Self::Failed(failure) => failure,
        }
    }
}

/// What is asked for a task whose certificates are not at hand.
pub(crate) struct Asked<'a> {
    /// The host.
    pub host: &'a HostName,
    /// The task.
    pub task: &'a str,
    /// Its destinations.
    pub request: &'a Inspection,
    /// Where its steps are told.
    pub emitter: &'a Emitter,
}

/// Whose leftovers are settled.
pub(crate) struct Recovery<'a> {
    /// The host.
    pub host: &'a HostName,
    /// The task, or the verb.
    pub task: &'a str,
    /// As [`Identity::holder`] of this run.
    pub holder: &'a str,
    /// Beside these, staging directories without a journal are removed.
    pub files: &'a [RemotePath],
    /// How long somebody else's lock is waited for.
    pub lock_wait: Duration,
    /// Where its steps are told.
    pub emitter: &'a Emitter,
}

/// Makes the targets of a run.
pub(crate) trait Targets: Send + Sync {
    /// The target of certificate tasks on one host: its files, or the store that takes the pair in their place.
    fn target(
        &self,
        host: &HostName,
        connection: HostConnection,
        dirs: Option<StateDirs>,
        store: Option<&Store>,
    ) -> Arc<dyn Target>;
}

/// One host's part of a certificate task.
#[derive(Clone)]
pub(crate) struct Job {
    /// What is wanted.
    pub wanted: Arc<CertificateRequest>,
    /// The same, made concrete for each kind of host.
    pub variants: Arc<Variants>,
    /// An earlier generation is wanted instead of the task's files.
    pub earlier: Option<Earlier>,
    /// Nothing will be applied: what costs the host more is asked as well.
    pub plan_only: bool,
    /// How long the next try waits on the host for somebody else's lock.
    pub lock_wait: Duration,
    /// Another certificate task follows in the play: what it can go on with is kept for it.
    pub goes_on: bool,
    /// When the wait for that lock is over, where it has begun in an earlier turn.
    pub patience: Option<Instant>,
    /// The lines of configuration files that would change are shown, without these values.
    pub diff: Option<Arc<Opened>>,
    /// What was reviewed, where a plan is carried out: nothing else is done.
    pub reviewed: Option<Arc<PlannedTask>>,
    /// What takes it.
    pub target: Arc<dyn Target>,
    /// Which run it is.
    pub identity: Arc<Identity>,
    /// Where its steps are told.
    pub emitter: Emitter,
}

impl Job {
    /// The host.
    pub(crate) fn host(&self) -> &HostName {
        &self.wanted.host
    }

    /// Whether checks are tried with garbage: in a plan, and again where a reviewed one is carried out to the letter.
    pub(crate) fn tries_garbage(&self) -> bool {
        self.plan_only || self.reviewed.is_some()
    }

    /// Whether it is about anything: of what a run did that is taken back, something was done to one of its files, as far as
    /// it is known before the host is asked which ones these are.
    pub(crate) fn is_concerned(&self) -> bool {
        let concerns = |earlier: &Earlier| earlier.concerns(&self.variants);
        self.earlier.as_ref().is_none_or(concerns) || is_left_open(&self.wanted)
    }

    /// The task's title.
    pub(crate) fn task(&self) -> &str {
        &self.wanted.task
    }
}

/// What a target showed, and what follows.
#[derive(Debug)]
pub(crate) struct Observed {
    /// What is wanted of a host of this kind, and what it showed.
    pub view: HostView,
    /// What will be done.
    pub plan: HostPlan,
}
