//! One host's way through a certificate task.
//!
//! Two halves with the batch's barrier between them: [`prepare`] observes, plans, stages and
//! validates, and changes nothing live; [`finish`] commits, reloads, verifies and confirms, or
//! rolls back. Every failure is an [`Ended`], never an early return out of the run.

use super::failure::{self, Ended};
use super::request;
use crate::engine::emit::Emitter;
use crate::engine::link::Link;
use crate::engine::stop::Stop;
use crate::engine::verification::{self, Dialers, Unverified};
use crate::model::{Fingerprint, HostName, Outcome, Step, Timestamp};
use crate::plan::build::{Decision, HostPlan, SeenBefore, build};
use crate::plan::desired::Desired;
use crate::plan::facts::HostFacts;
use crate::remote::{
    self, Committed, RemoteError, Staged, StepFailure, Transaction, Validation, ValidationWay,
};
use std::sync::Arc;

/// What a host showed, and what follows.
#[derive(Debug)]
pub struct Observed {
    /// What is wanted.
    pub desired: Arc<Desired>,
    /// What the host said.
    pub facts: HostFacts,
    /// What each probe showed before any change.
    pub seen: Vec<SeenBefore>,
    /// What will be done.
    pub plan: HostPlan,
}

/// How the first half ended.
pub enum Prepared {
    /// Nothing to do.
    Unchanged(Observed),
    /// Staged and validated, waiting for the batch.
    Staged(Box<StagedHost>),
    /// It failed; nothing live has changed.
    Ended(Ended),
}

/// A host that holds its stage, waiting for the word to commit.
pub struct StagedHost {
    observed: Observed,
    transaction: Transaction,
    link: Arc<Link>,
}

/// A host whose new certificate is verified, waiting to be confirmed.
pub struct VerifiedHost {
    desired: Arc<Desired>,
    transaction: Transaction,
}

/// What all hosts of a run share.
#[derive(Clone)]
pub struct Shared {
    /// Where events go.
    pub emitter: Emitter,
    /// The stop switch.
    pub stop: Stop,
    /// The moment of the run, for dates.
    pub now: Timestamp,
    /// Written into each host's lock: since when, who, from where.
    pub holder: String,
}

/// Reads the host and looks at what is served, at the same time. Changes nothing.
///
/// # Errors
/// The host is unreachable or does not answer sensibly.
pub async fn observe(desired: Arc<Desired>, link: &Link, shared: &Shared) -> Result<Observed, Ended> {
    let task = desired.task.clone();
    let host = desired.host.clone();
    let request = request::inspect(&desired, None)
        .map_err(|error| failure::before_commit(&task, Step::Check, error.to_string()))?;
    let running = shared.emitter.step(&host, Step::Connect);
    let process = link.sh().await.map_err(|error| error.ended(&task))?;
    running.end(link.describe());
    let running = shared.emitter.step(&host, Step::Inspect);
    let dialers = link.dialers();
    let (facts, looks) =
        tokio::join!(remote::inspect(process, request), verification::look(&desired.probes, &dialers));
    let facts = facts.map_err(|error| failure::remote(&task, &host, &error, None))?;
    let seen: Vec<SeenBefore> = looks
        .into_iter()
        .map(|look| match look {
            Ok(served) => SeenBefore::Leaf(served.leaf),
            Err(why) => SeenBefore::Nothing(why.to_string()),
        })
        .collect();
    let plan = build(&desired, &facts, &seen);
    running.end(describe(&plan));
    Ok(Observed { desired, facts, seen, plan })
}

fn describe(plan: &HostPlan) -> String {
    match &plan.decision {
        Decision::Unchanged => "nothing to do".to_owned(),
        Decision::ReloadOnly => "files right, service serves another: reload only".to_owned(),
        Decision::Change => "files will be written".to_owned(),
        Decision::Blocked { why, .. } => format!("blocked: {why}"),
    }
}

/// Observes, plans, stages and validates. Nothing live changes.
pub async fn prepare(desired: Arc<Desired>, link: Arc<Link>, shared: &Shared) -> Prepared {
    match try_prepare(desired, link, shared).await {
        Ok(prepared) => prepared,
        Err(ended) => Prepared::Ended(ended),
    }
}

async fn try_prepare(desired: Arc<Desired>, link: Arc<Link>, shared: &Shared) -> Result<Prepared, Ended> {
    let task = desired.task.clone();
    let host = desired.host.clone();
    let mut observed = observe(Arc::clone(&desired), &link, shared).await?;
    if !observed.facts.journals.is_empty() && observed.facts.lock.is_none() {
        recover(&host, &task, &link, shared).await?;
        observed = observe(desired, &link, shared).await?;
    }
    for note in observed.plan.notes.iter().chain(&observed.desired.notes) {
        shared.emitter.warn(Some(&host), note.clone());
    }
    match &observed.plan.decision {
        Decision::Unchanged => return Ok(Prepared::Unchanged(observed)),
        Decision::Blocked { step, why } => {
            let mut ended = failure::before_commit(&task, *step, why.clone());
            ended.failure.command = request::command_of(&observed.desired, *step, None);
            return Err(ended);
        }
        Decision::Change | Decision::ReloadOnly => {}
    }
    let request =
        request::transaction(&observed.desired, &observed.plan, &observed.facts, &shared.holder, shared.now)
            .map_err(|error| failure::before_commit(&task, Step::Check, error.to_string()))?;
    let running = shared.emitter.step(&host, Step::Stage);
    let process = link.sh().await.map_err(|error| error.ended(&task))?;
    let staged = match Transaction::begin(process, request).await {
        Ok(mut transaction) => transaction.staged().await.map(|staged| (transaction, staged)),
        Err(error) => Err(error),
    };
    let (transaction, staged) =
        staged.map_err(|error| remote_failure(&observed.desired, &error))?;
    running.end(stage_detail(&observed.desired, &staged));
    Ok(Prepared::Staged(Box::new(StagedHost { observed, transaction, link })))
}

/// Settles what an earlier run left on a host.
///
/// # Errors
/// The host is unreachable, busy, or does not answer sensibly.
pub async fn recover(host: &HostName, task: &str, link: &Link, shared: &Shared) -> Result<(), Ended> {
    let running = shared.emitter.step(host, Step::Recover);
    let process = link.sh().await.map_err(|error| error.ended(task))?;
    let settled = remote::recover(process, &shared.holder)
        .await
        .map_err(|error| failure::remote(task, host, &error, None))?;
    let described: Vec<String> = settled.iter().map(ToString::to_string).collect();
    running.end(if described.is_empty() { "nothing to settle".to_owned() } else { described.join("; ") });
    Ok(())
}

fn remote_failure(desired: &Desired, error: &RemoteError) -> Ended {
    let command = match error {
        RemoteError::Failed(inner) | RemoteError::RolledBack { failure: inner, .. } => {
            request::command_of(desired, inner.step, inner.service.as_deref())
        }
        _ => None,
    };
    failure::remote(&desired.task, &desired.host, error, command)
}

fn stage_detail(desired: &Desired, staged: &Staged) -> String {
    let checks: Vec<String> = validations(desired, &staged.validations);
    if checks.is_empty() {
        "staged; no check on the host, only the controller's own".to_owned()
    } else {
        format!("staged; {}", checks.join(", "))
    }
}

fn validations(desired: &Desired, list: &[Validation]) -> Vec<String> {
    list.iter()
        .filter_map(|validation| {
            let service = desired.services.get(validation.service)?;
            let step = service.validate.get(validation.step)?;
            let way = match validation.way {
                ValidationWay::Live => "comes after the switch".to_owned(),
                way => format!("ok {}", way.name()),
            };
            Some(format!("`{}` {way}", step.command))
        })
        .collect()
}

impl StagedHost {
    /// Discards the stage; the host is as before.
    pub async fn discard(self) {
        // Whatever the host answers, it changed nothing: the end of the link discards too.
        let _ = self.transaction.abort().await;
    }

    /// The host.
    pub fn host(&self) -> &HostName {
        &self.observed.desired.host
    }

    /// Whether a person must look before it is confirmed.
    pub fn wants_person(&self) -> bool {
        self.observed.desired.confirm_by_person
    }
}

/// Commits, reloads, verifies and runs the operator's checks.
///
/// # Errors
/// A step failed; the host was rolled back, or its state is unknown, as [`Ended`] says.
pub async fn finish(staged: StagedHost, shared: &Shared) -> Result<VerifiedHost, Ended> {
    let StagedHost { observed, mut transaction, link } = staged;
    let desired = Arc::clone(&observed.desired);
    let host = &desired.host;
    let running = shared.emitter.step(host, Step::Commit);
    let committed = transaction.commit().await.map_err(|error| remote_failure(&desired, &error))?;
    running.end(commit_detail(&desired, &observed.plan, &committed));

    let dialers = link.dialers();
    let old = old_leaves(&observed.seen);
    if let Err(unverified) = verify(&desired, &old, &dialers, shared).await {
        let failed = StepFailure {
            step: Step::Verify,
            why: unverified.words.clone(),
            service: None,
            rc: None,
            output: String::new(),
        };
        let mut ended = roll_back(transaction, failed, &desired, &observed.seen, &dialers, shared).await;
        ended.failure.advice.splice(0..0, unverified.advice);
        return Err(ended);
    }
    if let Err(failed) = super::checks::run(&desired, &link, shared).await {
        return Err(roll_back(transaction, failed, &desired, &observed.seen, &dialers, shared).await);
    }
    Ok(VerifiedHost { desired, transaction })
}

async fn verify(
    desired: &Desired,
    old: &[Option<Fingerprint>],
    dialers: &Dialers,
    shared: &Shared,
) -> Result<(), Unverified> {
    if desired.probes.is_empty() {
        let message = "verify is off: nobody looked whether the new certificate is served";
        shared.emitter.warn(Some(&desired.host), message);
        return Ok(());
    }
    let running = shared.emitter.step(&desired.host, Step::Verify);
    // The first interrupt lets hosts in flight end: only the second cancels.
    let cancel = shared.stop.hard();
    let verified = verification::verify_all(
        &desired.host,
        &desired.probes,
        old,
        dialers,
        shared.now,
        cancel,
        &shared.emitter,
    )
    .await?;
    for note in verified.notes {
        shared.emitter.warn(Some(&desired.host), note);
    }
    running.end(verified.detail);
    Ok(())
}

fn old_leaves(seen: &[SeenBefore]) -> Vec<Option<Fingerprint>> {
    seen.iter()
        .map(|seen| match seen {
            SeenBefore::Leaf(leaf) => Some(*leaf),
            SeenBefore::Nothing(_) => None,
        })
        .collect()
}

fn commit_detail(desired: &Desired, plan: &HostPlan, committed: &Committed) -> String {
    use crate::plan::build::FileAction;
    let count = plan.files.iter().filter(|file| file.action != FileAction::Keep).count();
    let mut parts = vec![crate::model::text::plural(count, "file")];
    parts.extend(validations(desired, &committed.validations));
    for reload in &committed.reloads {
        if let (Some(service), Some(_)) = (desired.services.get(reload.service), reload.rc)
            && let Some(command) = &service.reload
        {
            parts.push(format!("`{}`", command.command));
        }
    }
    if !committed.guarded {
        parts.push("no guard could be started on the host".to_owned());
    }
    parts.join(", ")
}

/// Tells the host to go back, and looks whether the old certificate is served again.
async fn roll_back(
    transaction: Transaction,
    failed: StepFailure,
    desired: &Desired,
    seen: &[SeenBefore],
    dialers: &Dialers,
    shared: &Shared,
) -> Ended {
    let running = shared.emitter.step(&desired.host, Step::Rollback);
    let error = transaction.rollback(failed).await;
    let mut ended = remote_failure(desired, &error);
    if matches!(ended.outcome, Outcome::RolledBack(_)) {
        let words = old_is_served(desired, seen, dialers, shared).await;
        ended.failure.state.push_str(&format!("; {words}"));
        running.end(words);
    }
    ended
}

/// Whether each endpoint shows again what it showed before the change, in words.
async fn old_is_served(
    desired: &Desired,
    seen: &[SeenBefore],
    dialers: &Dialers,
    shared: &Shared,
) -> String {
    let mut probes = Vec::new();
    for (probe, seen) in desired.probes.iter().zip(seen) {
        if let SeenBefore::Leaf(old) = seen {
            let mut probe = probe.clone();
            probe.leaf = *old;
            probe.chain = None;
            probe.trust = None;
            probe.names.clear();
            probes.push(probe);
        }
    }
    if probes.is_empty() {
        return "nothing was served before the change, so there is nothing to compare".to_owned();
    }
    let cancel = shared.stop.hard();
    let looked = verification::verify_all(
        &desired.host,
        &probes,
        &[],
        dialers,
        shared.now,
        cancel,
        &shared.emitter,
    )
    .await;
    match looked {
        Ok(_) => "the old certificate is served again".to_owned(),
        Err(unverified) => format!("BUT the old certificate is not seen: {}", unverified.words),
    }
}

impl VerifiedHost {
    /// The host.
    pub fn host(&self) -> &HostName {
        &self.desired.host
    }

    /// Tells the host that the change stays.
    ///
    /// # Errors
    /// The word was not acknowledged; the outcome says what is known.
    pub async fn confirm(self, shared: &Shared) -> Result<(), Ended> {
        let running = shared.emitter.step(&self.desired.host, Step::Confirm);
        self.transaction
            .confirm()
            .await
            .map_err(|error| remote_failure(&self.desired, &error))?;
        running.end("the change stays");
        Ok(())
    }

    /// Goes back because a person said no.
    pub async fn refuse(self) -> Ended {
        let failed = StepFailure {
            step: Step::Confirm,
            why: "not confirmed by the operator".to_owned(),
            service: None,
            rc: None,
            output: String::new(),
        };
        let error = self.transaction.rollback(failed).await;
        remote_failure(&self.desired, &error)
    }
}
