//! One host's way through a certificate task.
//!
//! Two halves with the batch's barrier between them: [`prepare`] observes, plans, stages and
//! validates, and changes nothing live; [`finish`] commits, reloads, verifies and confirms, or
//! rolls back. Every failure is an [`HostFailure`], never an early return out of the run.

use super::checks;
use super::observe::{Job, Observed, observe, recover};
use crate::engine::context::Context;
use crate::engine::failure::{self, HostFailure};
use crate::engine::verification::{self, Dialers, Unverified};
use crate::host::{Committed, RolledBack, Staged, StepFailure, Validation, ValidationWay};
use crate::model::text::plural;
use crate::model::{Fingerprint, HostName, Outcome, Step};
use crate::plan::build::{Decision, FileAction, HostPlan, SeenBefore};
use crate::plan::desired::{Desired, ProbeWant};
use crate::plan::transaction as request;
use crate::remote::{RemoteError, Transaction};
use std::sync::Arc;

/// How the first half ended.
pub enum Prepared {
    /// Nothing to do.
    Unchanged(Box<Observed>),
    /// Staged and validated, waiting for the batch.
    Staged(Box<StagedHost>),
    /// It failed; nothing live has changed. What was observed, if anything.
    Failed(Box<HostFailure>, Option<Box<Observed>>),
}

impl Prepared {
    /// What was observed of the host, if it came so far.
    pub fn observed(&self) -> Option<&Observed> {
        match self {
            Self::Unchanged(observed) => Some(observed),
            Self::Staged(host) => Some(host.observed()),
            Self::Failed(_, observed) => observed.as_deref(),
        }
    }
}

/// A host that holds its stage, waiting for the word to commit.
pub struct StagedHost {
    job: Job,
    observed: Arc<Observed>,
    transaction: Transaction,
}

/// A host whose new certificate is verified, waiting to be confirmed.
pub struct VerifiedHost {
    job: Job,
    observed: Arc<Observed>,
    transaction: Transaction,
}

/// Observes, plans, stages and validates. Nothing live changes.
pub async fn prepare(job: Job, context: &Context) -> Prepared {
    let observed = match settled(&job, context).await {
        Ok(observed) => observed,
        Err(ended) => return Prepared::Failed(Box::new(ended), None),
    };
    for note in &observed.plan.notes {
        context.emitter.warn(Some(job.host()), note.clone());
    }
    for note in &observed.desired.notes {
        context.emitter.info(Some(job.host()), note.clone());
    }
    match &observed.plan.decision {
        Decision::Unchanged => return Prepared::Unchanged(Box::new(observed)),
        Decision::Blocked { step, why, check } => {
            let ended = failure::blocked(job.task(), *step, why, check.as_ref());
            return Prepared::Failed(Box::new(ended), Some(Box::new(observed)));
        }
        Decision::Change | Decision::ReloadOnly => {}
    }
    match stage(&job, &observed, context).await {
        Ok(transaction) => {
            let observed = Arc::new(observed);
            Prepared::Staged(Box::new(StagedHost { job, observed, transaction }))
        }
        Err(ended) => Prepared::Failed(Box::new(ended), Some(Box::new(observed))),
    }
}

/// Observes; settles first what an earlier run left, and waits for one that is at work: a plan made on
/// ruins, or on what may yet go back, would be wrong.
async fn settled(job: &Job, context: &Context) -> Result<Observed, HostFailure> {
    let observed = observe(job, context).await?;
    if observed.facts.journals.is_empty() && observed.facts.lock.is_none() {
        return Ok(observed);
    }
    let files: Vec<_> = observed.facts.files.iter().map(|file| file.path.clone()).collect();
    let words =
        recover(job.host(), job.task(), &job.link, &files, job.dirs.as_ref(), context).await?;
    for line in words {
        context.emitter.warn(Some(job.host()), line);
    }
    observe(job, context).await
}

async fn stage(
    job: &Job,
    observed: &Observed,
    context: &Context,
) -> Result<Transaction, HostFailure> {
    let Observed { desired, facts, plan } = observed;
    let moment = crate::clock::since_epoch();
    let mut request = request::transaction(desired, plan, facts, &context.holder, moment);
    request.dirs.clone_from(&job.dirs);
    let running = context.emitter.step(job.host(), Step::Stage);
    let process = job.link.sh().await.map_err(|error| error.ended(job.task()))?;
    let (mut transaction, staged) = Transaction::begin(process, request)
        .await
        .map_err(|error| remote_failure(desired, &error))?;
    transaction.keep_alive(request::SIGN_OF_LIFE);
    running.end(stage_detail(desired, &staged));
    Ok(transaction)
}

fn remote_failure(desired: &Desired, error: &RemoteError) -> HostFailure {
    let command = match error {
        RemoteError::Failed(inner) | RemoteError::RolledBack { failure: inner, .. } => {
            request::command_of(desired, inner)
        }
        _ => None,
    };
    failure::remote(&desired.task, &desired.host, error, command)
}

fn stage_detail(desired: &Desired, staged: &Staged) -> String {
    let checks = validations(desired, &staged.validations, "comes after the switch");
    if checks.is_empty() {
        "staged; no check on the host, only the controller's own".to_owned()
    } else {
        format!("staged; {}", checks.join(", "))
    }
}

/// The checks and how each went. `live`: what is to be said of those that look at live files.
fn validations(desired: &Desired, list: &[Validation], live: &str) -> Vec<String> {
    list.iter()
        .filter_map(|validation| {
            let service = desired.services.get(validation.service)?;
            let step = service.validate.get(validation.step)?;
            let way = match validation.way {
                ValidationWay::Live => live.to_owned(),
                way => format!("ok {}", way.name()),
            };
            Some(format!("`{}` {way}", step.label))
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
        self.job.host()
    }

    /// Whether a person must look before it is confirmed.
    pub fn wants_person(&self) -> bool {
        self.observed.desired.confirm_by_person
    }

    /// What was observed.
    pub fn observed(&self) -> &Arc<Observed> {
        &self.observed
    }
}

/// Commits, reloads, verifies and runs the operator's checks.
///
/// # Errors
/// A step failed; the host was rolled back, or its state is unknown, as [`HostFailure`] says.
pub async fn finish(staged: StagedHost, context: &Context) -> Result<VerifiedHost, HostFailure> {
    let StagedHost { job, observed, mut transaction } = staged;
    let Observed { desired, plan, .. } = &*observed;
    let running = context.emitter.step(&desired.host, Step::Commit);
    let dialers = job.link.dialers();
    let committed = match transaction.commit().await {
        Ok(committed) => committed,
        Err(error) => {
            let ended = remote_failure(desired, &error);
            return Err(looked_back(ended, &observed, &dialers, context).await);
        }
    };
    running.end(commit_detail(desired, plan, &committed));

    let looking = async {
        match verify(desired, plan, &dialers, context).await {
            Ok(()) => checks::run(desired, &job.link, context).await.err().map(|f| (f, Vec::new())),
            Err(unverified) => {
                let advice = unverified.advice.clone();
                Some((failed_step(Step::Verify, unverified.words), advice))
            }
        }
    };
    // A host whose link is gone goes back by itself: what it serves meanwhile proves nothing.
    let wrong = tokio::select! {
        wrong = looking => wrong,
        () = job.link.died() => {
            let why = "the connection to the host was lost".to_owned();
            Some((failed_step(Step::Verify, why), Vec::new()))
        }
    };
    if let Some((failed, advice)) = wrong {
        let mut ended = roll_back(transaction, failed, &observed, &dialers, context).await;
        ended.failure.advice.splice(0..0, advice);
        return Err(ended);
    }
    Ok(VerifiedHost { job, observed, transaction })
}

fn failed_step(step: Step, why: String) -> StepFailure {
    StepFailure { step, why, service: None, check: None, rc: None, output: String::new() }
}

async fn verify(
    desired: &Desired,
    plan: &HostPlan,
    dialers: &Dialers,
    context: &Context,
) -> Result<(), Unverified> {
    if plan.probes.is_empty() {
        let message = "verify is off: nobody looked whether the new certificate is served";
        context.emitter.warn(Some(&desired.host), message);
        return Ok(());
    }
    let running = context.emitter.step(&desired.host, Step::Verify);
    let old: Vec<_> = plan.before.iter().map(leaf_before).collect();
    let verified = verification::verify_all(
        &desired.host,
        &plan.probes,
        &old,
        dialers,
        context.now,
        // The first interrupt lets hosts in flight end: only the second cancels.
        context.stop.hard(),
        &context.emitter,
    )
    .await?;
    for note in verified.notes {
        context.emitter.warn(Some(&desired.host), note);
    }
    running.end(match plan.unproven.as_slice() {
        [] => verified.detail,
        // The plan's notes, told before, say why and what to do.
        _ => format!("{}, but that is NOT PROVEN to be this change", verified.detail),
    });
    Ok(())
}

fn leaf_before(seen: &SeenBefore) -> Option<Fingerprint> {
    match seen {
        SeenBefore::Leaf(leaf) => Some(*leaf),
        SeenBefore::Nothing(_) => None,
    }
}

fn commit_detail(desired: &Desired, plan: &HostPlan, committed: &Committed) -> String {
    let count = plan.files.iter().filter(|file| file.action != FileAction::Keep).count();
    let mut parts = Vec::new();
    if count > 0 {
        parts.push(plural(count, "file"));
    }
    parts.extend(validations(desired, &committed.validations, "ok after the switch"));
    for reload in &committed.reloads {
        if let (Some(service), Some(_)) = (desired.services.get(reload.service), reload.rc)
            && let Some(command) = &service.reload
        {
            parts.push(format!("`{}`", command.command.brief()));
        }
    }
    if !committed.guarded && count > 0 {
        parts.push("no guard could be started on the host".to_owned());
    }
    parts.join(", ")
}

/// Tells the host to go back, and looks whether the old certificate is served again.
async fn roll_back(
    transaction: Transaction,
    failed: StepFailure,
    observed: &Observed,
    dialers: &Dialers,
    context: &Context,
) -> HostFailure {
    let desired = &observed.desired;
    match transaction.rollback().await {
        Ok(rollback) => {
            looked_back(undone(desired, failed, rollback), observed, dialers, context).await
        }
        Err(error) => {
            let mut ended = remote_failure(desired, &error);
            let first = format!("{failed}; then the way back was not acknowledged");
            ended.failure.message = format!("{first}: {}", ended.failure.message);
            ended
        }
    }
}

/// Looks whether a host that went back serves its old certificate again, and says so.
async fn looked_back(
    mut ended: HostFailure,
    observed: &Observed,
    dialers: &Dialers,
    context: &Context,
) -> HostFailure {
    if matches!(ended.outcome, Outcome::RolledBack(_)) {
        let desired = &observed.desired;
        let running = context.emitter.step(&desired.host, Step::Rollback);
        let words = old_is_served(desired, &observed.plan, dialers, context).await;
        ended.failure.state.push_str(&format!("; {words}"));
        running.end(words);
    }
    ended
}

fn undone(desired: &Desired, failure: StepFailure, rollback: RolledBack) -> HostFailure {
    remote_failure(desired, &RemoteError::RolledBack { failure, rollback })
}

/// Whether each endpoint shows again what it showed before the change, in words.
async fn old_is_served(
    desired: &Desired,
    plan: &HostPlan,
    dialers: &Dialers,
    context: &Context,
) -> String {
    let probes: Vec<ProbeWant> = plan
        .probes
        .iter()
        .zip(&plan.before)
        .filter_map(|(probe, seen)| {
            let leaf = leaf_before(seen)?;
            // Asked as before the change, for the new leaf's kind of key: the same question has the same
            // answer.
            let probe = probe.clone();
            Some(ProbeWant { leaf, chain: None, trust: None, names: Vec::new(), ..probe })
        })
        .collect();
    if probes.is_empty() {
        return "nothing was served before the change, so there is nothing to compare".to_owned();
    }
    let looked = verification::verify_all(
        &desired.host,
        &probes,
        &[],
        dialers,
        context.now,
        context.stop.hard(),
        &context.emitter,
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
        self.job.host()
    }

    /// Tells the host that the change stays.
    ///
    /// # Errors
    /// The word was not acknowledged; the outcome says what is known.
    pub async fn confirm(self, context: &Context) -> Result<(), HostFailure> {
        let desired = &self.observed.desired;
        let running = context.emitter.step(&desired.host, Step::Confirm);
        self.transaction.confirm().await.map_err(|error| remote_failure(desired, &error))?;
        running.end("the change stays");
        Ok(())
    }

    /// Goes back because a person said no.
    pub async fn refuse(self, context: &Context) -> HostFailure {
        let failed = failed_step(Step::Confirm, "not confirmed by the operator".to_owned());
        let dialers = self.job.link.dialers();
        roll_back(self.transaction, failed, &self.observed, &dialers, context).await
    }
}
