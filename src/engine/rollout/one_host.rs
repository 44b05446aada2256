//! One host's way through a certificate task.
//!
//! Two halves with the batch's barrier between them: [`prepare`] observes, plans, stages and
//! validates, and changes nothing live; [`finish`] commits, reloads, verifies and confirms, or
//! rolls back. Every failure is a [`HostFailure`], never an early return out of the run.

use super::checks;
use super::evidence::{self, NotShown};
use super::target::{Job, NotBegun, Observed, Recovery, Staged};
use super::turns::Machines;
use super::way_back::looked_back;

use crate::engine::context::Context;
use crate::engine::emit::Running;
use crate::engine::failure::{self, HostFailure};
use crate::engine::patience::{Patience, is_ours};
use crate::engine::verification::{self, Dialers, Sought, Unverified};
use crate::host::StepFailure;
use crate::model::{Guarantee, Outcome, Step, Timestamp};
use crate::plan::deviation::deviation;
use crate::plan::discovery;
use crate::plan::host_plan::{Decision, HostPlan};
use crate::plan::planned::planned;
use crate::plan::transaction::SIGN_OF_LIFE;
use std::sync::Arc;
use tokio::time::Instant;

/// How often what was planned may turn out to be out of date before the host is left alone.
const STALE: usize = 3;

/// How the first half ended.
pub(crate) enum Prepared {
    /// Nothing to do.
    Unchanged(Arc<Observed>),
    /// Staged and validated, waiting for the batch.
    Staged(Box<StagedHost>),
    /// Another host of this run is at work on the same machine: this one comes in a later turn.
    Later,
    /// Another run is at work on it. The others of its turn hold locks that this other run may be waiting for: they go
    /// on without it, and it waits the rest of its time in a later turn.
    LetsPass(Instant),
    /// It failed; nothing live has changed. What was observed, if anything.
    Failed(Box<HostFailure>, Option<Arc<Observed>>),
}

impl Prepared {
    /// What was observed of the host, if it came so far.
    pub(crate) fn observed(&self) -> Option<&Observed> {
        match self {
            Self::Unchanged(observed) => Some(observed),
            Self::Staged(host) => Some(host.observed()),
            Self::Later | Self::LetsPass(_) => None,
            Self::Failed(_, observed) => observed.as_deref(),
        }
    }
}

/// A host that holds its stage, waiting for the word to commit.
pub(crate) struct StagedHost {
    job: Job,
    observed: Arc<Observed>,
    staged: Box<dyn Staged>,
    waiting: Running,
}

/// A host whose new certificate is verified, waiting to be confirmed.
pub(crate) struct VerifiedHost {
    job: Job,
    observed: Arc<Observed>,
    staged: Box<dyn Staged>,
    /// When it was committed.
    since: Timestamp,
    /// Why that is not proven to be this change, if nothing proves it.
    unproven: Vec<String>,
}

/// Observes, plans, stages and validates. Nothing live changes. `alone`: no other host of this run is at work, so
/// that there is nobody to let pass.
pub(crate) async fn prepare(
    mut job: Job,
    alone: bool,
    machines: &Machines,
    context: &Context,
) -> Prepared {
    let patience = match job.patience {
        Some(ends) => Patience { ends },
        None => Patience::begin(job.wanted.certificate.lock_timeout, context),
    };
    let mut stale = 0;
    loop {
        job.lock_wait = patience.slice();
        // Whatever was waited for may have changed what is there: it is looked at again.
        let (observed, not_begun) = match attempt(&job, machines, context).await {
            Attempt::Prepared(prepared) => return prepared,
            Attempt::NotBegun(observed, not_begun) => (observed, *not_begun),
        };
        let again = match &not_begun {
            NotBegun::Busy { holder, .. } if is_ours(holder, context) && !alone => {
                return Prepared::Later;
            }
            NotBegun::Busy { .. } => !patience.is_over(),
            NotBegun::Stale(_) => {
                stale += 1;
                stale < STALE
            }
            NotBegun::Failed(_) => false,
        };
        if !again || context.stop.is_interrupt() {
            return Prepared::Failed(Box::new(not_begun.into_failure()), observed);
        }
        if let (NotBegun::Busy { holder, .. }, false) = (&not_begun, alone) {
            let words = format!(
                "the host is locked by {holder}: the others of its batch do not wait for it any longer, it follows them"
            );
            if job.patience.is_none() {
                job.emitter.info(Some(job.host()), words);
            }
            return Prepared::LetsPass(patience.ends);
        }
    }
}

enum Attempt {
    Prepared(Prepared),
    NotBegun(Option<Arc<Observed>>, Box<NotBegun>),
}

async fn attempt(job: &Job, machines: &Machines, context: &Context) -> Attempt {
    let mut observed = recover_and_observe(job, context).await;
    // The service is looked at while the files are read: another run may have switched and reloaded in between.
    if matches!(&observed, Ok(observed) if matches!(observed.plan.decision, Decision::ReloadOnly)) {
        observed = recover_and_observe(job, context).await;
    }
    let observed = match observed {
        Ok(observed) => Arc::new(observed),
        Err(not_begun) => return Attempt::NotBegun(None, Box::new(not_begun)),
    };
    match &observed.plan.decision {
        Decision::Unchanged => {
            tell_notes(job, &observed);
            return Attempt::Prepared(Prepared::Unchanged(observed));
        }
        Decision::Blocked { step, why, check } => {
            tell_notes(job, &observed);
            let failure = failure::blocked(job.task(), *step, why, check.as_ref());
            return Attempt::Prepared(Prepared::Failed(Box::new(failure), Some(observed)));
        }
        Decision::Change | Decision::ReloadOnly => {}
    }
    if let Some(why) = not_as_reviewed(job, &observed) {
        let failure = failure::stale(job.task(), &why);
        return Attempt::Prepared(Prepared::Failed(Box::new(failure), Some(observed)));
    }
    if !machines.may_begin(job, &observed) {
        return Attempt::Prepared(Prepared::Later);
    }
    match job.target.begin(job, &observed).await {
        Ok(mut staged) => {
            tell_notes(job, &observed);
            staged.keep_alive(SIGN_OF_LIFE);
            // No handshake will tell whether the service reads these files.
            if !observed.plan.unproven.is_empty() {
                for note in unnamed_files(job, &observed).await {
                    job.emitter.warn(Some(job.host()), note);
                }
            }
            let waiting = job.emitter.step(job.host(), Step::Barrier);
            let job = job.clone();
            let staged = StagedHost { job, observed, staged, waiting };
            Attempt::Prepared(Prepared::Staged(Box::new(staged)))
        }
        Err(not_begun) => {
            let not_begun = whose_fault(job, &observed, not_begun).await;
            Attempt::NotBegun(Some(observed), Box::new(not_begun))
        }
    }
}

/// A check that refused the new files may refuse the configuration without them as well, and then says nothing about
/// them. A rollout does not ask that before, as it costs each host a run of the service's program.
async fn whose_fault(job: &Job, observed: &Observed, not_begun: NotBegun) -> NotBegun {
    let refused = matches!(&not_begun, NotBegun::Failed(failure) if failure.outcome == Outcome::Failed(Step::Validate));
    let mut services = observed.view.desired().services.iter();
    if !refused || !services.any(|service| service.prechecks.iter().any(|check| check.staged_tells))
    {
        return not_begun;
    }
    match looked_at_as_for_a_plan(job).await.map(|seen| seen.plan.decision) {
        Some(Decision::Blocked { step: Step::Validate, why, check }) => {
            NotBegun::Failed(failure::blocked(job.task(), Step::Validate, &why, check.as_ref()))
        }
        _ => not_begun,
    }
}

/// With all that a plan asks and a rollout does not.
async fn looked_at_as_for_a_plan(job: &Job) -> Option<Observed> {
    let job = Job { plan_only: true, ..job.clone() };
    job.target.observe(&job).await.ok()
}

/// Why what would be done is not what was reviewed, where a plan is carried out.
fn not_as_reviewed(job: &Job, observed: &Observed) -> Option<String> {
    let reviewed = job.reviewed.as_ref()?;
    let Observed { view, plan } = observed;
    let (place, guarantee) = (reviewed.place.clone(), job.target.guarantee());
    deviation(reviewed, &planned(view, plan, place, guarantee, job.identity.now))
}

fn tell_notes(job: &Job, observed: &Observed) {
    for note in &observed.plan.notes {
        job.emitter.warn(Some(job.host()), note.clone());
    }
    for note in &observed.view.desired().notes {
        job.emitter.info(Some(job.host()), note.clone());
    }
}

/// Observes; settles first what an earlier run left, and waits for one that is at work: a plan made before that is
/// settled, or on what may yet be rolled back, would be wrong.
async fn recover_and_observe(job: &Job, context: &Context) -> Result<Observed, NotBegun> {
    let observed = job.target.observe(job).await.map_err(NotBegun::Failed)?;
    if observed.view.facts().journals.is_empty() && observed.view.facts().lock.is_none() {
        return Ok(observed);
    }
    if let Some(lock) =
        observed.view.facts().lock.as_ref().filter(|lock| is_ours(&lock.note, context))
    {
        let holder = lock.note.clone();
        let why = "another host of this run is using the same machine";
        let failure = failure::before_commit(job.task(), Step::Lock, why);
        return Err(NotBegun::Busy { holder, failure });
    }
    let files: Vec<_> = observed.view.facts().files.iter().map(|file| file.path.clone()).collect();
    let recovery = Recovery {
        host: job.host(),
        task: job.task(),
        holder: &context.identity.holder,
        files: &files,
        lock_wait: job.lock_wait,
        emitter: &job.emitter,
    };
    for line in job.target.recover(&recovery).await? {
        job.emitter.warn(Some(job.host()), line);
    }
    job.target.observe(job).await.map_err(NotBegun::Failed)
}

impl StagedHost {
    /// Discards the stage; the host is as before.
    pub(crate) async fn discard(self) {
        self.staged.abort().await;
    }

    /// Whether a person must look before it is confirmed.
    pub(crate) fn wants_person(&self) -> bool {
        self.observed.view.desired().confirm_by_person
    }

    /// What was observed.
    pub(crate) fn observed(&self) -> &Arc<Observed> {
        &self.observed
    }

    /// What undoes its change if that is not confirmed.
    pub(crate) fn guarantee(&self) -> Guarantee {
        self.job.target.guarantee()
    }
}

/// Commits, reloads, verifies and runs the operator's checks.
///
/// # Errors
/// A step failed; the host was rolled back, or its state is unknown, as [`HostFailure`] says.
pub(crate) async fn finish(
    host: StagedHost,
    context: &Context,
) -> Result<VerifiedHost, HostFailure> {
    let StagedHost { job, observed, mut staged, waiting } = host;
    waiting.end("all hosts of the batch are ready");
    let desired = observed.view.desired();
    let mut running = Some(context.emitter.step(&desired.host, Step::Commit));
    let dialers = job.target.dialers();
    let shown = evidence::before(&job, &observed).await;
    let since = crate::clock::now();
    let mut reloading = |switched: String| {
        if let Some(commit) = running.take() {
            commit.end(switched);
        }
        running = Some(context.emitter.step(&desired.host, Step::Reload));
    };
    let committed = staged.commit(&mut reloading).await;
    match committed {
        Ok(done) => drop(running.map(|running| running.end(done))),
        Err(failure) => {
            context.ledger().mark_loaded();
            return Err(looked_back(failure, &job, &observed, since, context).await);
        }
    }
    let looking = async {
        match verify(&job, &observed, &shown, &dialers, context).await {
            Ok(unproven) => {
                let checked = checks::run(desired, job.target.connection(), context).await;
                checked.map(|()| unproven).map_err(|failed| (failed, Vec::new()))
            }
            Err(unverified) => {
                let advice = unverified.advice.clone();
                Err((failed_step(Step::Verify, unverified.words), advice))
            }
        }
    };
    // What undoes by itself once it is cut off: what it serves meanwhile proves nothing.
    let looked = tokio::select! {
        looked = looking => looked,
        () = job.target.lost() => {
            let why = "the connection to the host was lost".to_owned();
            Err((failed_step(Step::Verify, why), Vec::new()))
        }
    };
    let unproven = match looked {
        Ok(unproven) => {
            context.ledger().mark_loaded();
            unproven
        }
        Err((cause, advice)) => {
            let mut failure = staged.roll_back(cause).await;
            context.ledger().mark_loaded();
            failure.explain_silence(context.emitter.silence(), since, desired.confirm_timeout);
            let mut failure = looked_back(failure, &job, &observed, since, context).await;
            let mounted = plan_mounts(&observed.plan);
            let unverified = failure.failure.step == Step::Verify;
            let named = if unverified { unnamed_files(&job, &observed).await } else { Vec::new() };
            failure.failure.advice.splice(0..0, mounted.chain(named).chain(advice));
            return Err(failure);
        }
    };
    Ok(VerifiedHost { job, observed, staged, since, unproven })
}

/// The likeliest cause where files are mounted into containers one by one.
fn plan_mounts(plan: &HostPlan) -> impl Iterator<Item = String> {
    plan.mounted_alone()
        .map(|note| format!("likely the cause: {note}"))
        .collect::<Vec<_>>()
        .into_iter()
}

/// What the service's configuration says about the files, where no handshake tells that the service reads them: a
/// rollout does not ask that before.
async fn unnamed_files(job: &Job, observed: &Observed) -> Vec<String> {
    let mut asked = observed.view.desired().services.iter().filter_map(|one| one.discover.as_ref());
    if !asked.any(|discover| discover.handshake_tells) {
        return Vec::new();
    }
    let seen = looked_at_as_for_a_plan(job).await;
    seen.map(|seen| discovery::unnamed(&seen.view, &seen.plan.files)).unwrap_or_default()
}

fn failed_step(step: Step, why: String) -> StepFailure {
    StepFailure { step, why, service: None, check: None, rc: None, output: String::new() }
}

/// Every handshake shows the new leaf; why that is not proven to be this change, if nothing proves it.
async fn verify(
    job: &Job,
    observed: &Observed,
    shown: &evidence::Before,
    dialers: &Dialers,
    context: &Context,
) -> Result<Vec<String>, Unverified> {
    let Observed { view, plan } = observed;
    let desired = view.desired();
    if plan.places.is_empty() {
        let message = "verify is off: not verified that the new certificate is served";
        context.emitter.warn(Some(&desired.host), message);
        return Ok(Vec::new());
    }
    let running = context.emitter.step(&desired.host, Step::Verify);
    let sought: Vec<Sought> = plan
        .places
        .iter()
        .map(|place| Sought {
            probe: place.probe.clone(),
            old: place.before.leaf(),
            old_kind: plan.replaced_kind(place),
        })
        .collect();
    let verified = verification::verify_all(
        &desired.host,
        &sought,
        dialers,
        context.identity.now,
        // The first interrupt lets hosts in flight end: only the second cancels.
        context.stop.hard(),
        &context.emitter,
    )
    .await?;
    for note in verified.notes {
        context.emitter.warn(Some(&desired.host), note);
    }
    let mut unproven = plan.unproven.clone();
    if verified.all_gone {
        unproven.push("no place is left that would show the certificate".to_owned());
    }
    let mut detail = verified.detail;
    let (seen, missing) = evidence::proven(job, observed, shown).await;
    for words in seen {
        detail.push_str("; ");
        detail.push_str(&words);
    }
    for NotShown { proof, why } in missing {
        let words = format!("{}, and {}: {why}", proof.why, proof.by.subject());
        if proof.required {
            return Err(Unverified::not_proven(format!("{}: {words}", proof.service)));
        }
        unproven.push(words);
    }
    running.end(match unproven.as_slice() {
        [] => detail,
        // The plan's notes, told before, say why and what to do.
        _ => format!("{detail}, but that is NOT PROVEN to be this change"),
    });
    Ok(unproven)
}

impl VerifiedHost {
    /// What undoes its change if that is not confirmed.
    pub(crate) fn guarantee(&self) -> Guarantee {
        self.job.target.guarantee()
    }

    /// Tells the host that the change stays. Why it is not proven, if nothing proves it.
    ///
    /// # Errors
    /// The word was not acknowledged; the outcome says what is known.
    pub(crate) async fn confirm(self, context: &Context) -> Result<Vec<String>, HostFailure> {
        let running = context.emitter.step(self.job.host(), Step::Confirm);
        let limit = self.observed.view.desired().confirm_timeout;
        self.staged.confirm().await.map_err(|mut failure| {
            failure.explain_silence(context.emitter.silence(), self.since, limit);
            failure
        })?;
        running.end("the change is kept");
        Ok(self.unproven)
    }

    /// Rolls back because a person said no.
    pub(crate) async fn refuse(self, context: &Context) -> HostFailure {
        let cause = failed_step(Step::Confirm, "not confirmed by the operator".to_owned());
        let failure = self.staged.roll_back(cause).await;
        looked_back(failure, &self.job, &self.observed, self.since, context).await
    }
}
