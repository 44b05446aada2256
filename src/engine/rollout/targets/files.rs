//! Files on a host behind SSH, switched in one transaction: the host undoes by itself what is not confirmed.

use super::observe::{held, observe, recover, status};
use super::proof;
use crate::engine::connection::HostConnection;
use crate::engine::failure::{self, HostFailure};
use crate::engine::rollout::target::{
    Asked, Job, NotBegun, Observed, Recovery, Revived, Staged, Target,
};
use crate::engine::verification::Dialers;
use crate::event::Failure;
use crate::host::{
    self, Committed, HostFacts, RolledBack, StateDirs, StepFailure, Validation, ValidationWay,
};
use crate::model::text::plural;
use crate::model::{Guarantee, Step};
use crate::plan::container;
use crate::plan::desired::DesiredState;
use crate::plan::evidence::{Evidence, Seen};
use crate::plan::host_plan::{Decision, HostPlan};
use crate::plan::inspection::HostView;
use crate::plan::transaction as request;
use crate::remote::{RemoteError, Shell, Transaction};
use futures::future::BoxFuture;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The target of tasks whose certificates are files on a host.
pub(super) fn files(connection: HostConnection, dirs: Option<StateDirs>) -> Arc<dyn Target> {
    Arc::new(Files { connection, dirs, shell: Mutex::default() })
}

/// The files of a certificate task on one host.
struct Files {
    connection: HostConnection,
    /// Where it keeps journals, if not at the usual place.
    dirs: Option<StateDirs>,
    /// The one that read the host, while it waits for the transaction.
    shell: Mutex<Option<Shell>>,
}

impl Target for Files {
    fn guarantee(&self) -> Guarantee {
        Guarantee::HostUndoes
    }

    fn machine(&self) -> Option<String> {
        Some(self.connection.machine())
    }

    fn status<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<HostView, HostFailure>> {
        Box::pin(status(job, &self.connection, self.dirs.as_ref()))
    }

    fn held<'a>(&'a self, asked: &'a Asked<'a>) -> BoxFuture<'a, Result<HostFacts, HostFailure>> {
        Box::pin(held(asked, &self.connection, self.dirs.as_ref()))
    }

    fn observe<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Observed, HostFailure>> {
        Box::pin(async move {
            let (observed, shell) =
                observe(job, &self.connection, self.dirs.as_ref(), !job.plan_only).await?;
            let begins = matches!(observed.plan.decision, Decision::Change | Decision::ReloadOnly);
            match shell {
                Some(shell) if begins && !job.plan_only => *self.shell() = Some(shell),
                Some(shell) if job.goes_on => self.connection.keep(shell).await,
                Some(shell) => shell.end().await,
                None => {}
            }
            Ok(observed)
        })
    }

    fn recover<'a>(
        &'a self,
        recovery: &'a Recovery<'a>,
    ) -> BoxFuture<'a, Result<Vec<String>, NotBegun>> {
        Box::pin(async move {
            let waiting = self.shell().take();
            if let Some(shell) = waiting {
                shell.end().await;
            }
            recover(recovery, &self.connection, self.dirs.as_ref()).await
        })
    }

    fn begin<'a>(
        &'a self,
        job: &'a Job,
        observed: &'a Arc<Observed>,
    ) -> BoxFuture<'a, Result<Box<dyn Staged>, NotBegun>> {
        Box::pin(async move {
            let staged = self.stage(job, observed).await?;
            Ok(Box::new(staged) as Box<dyn Staged>)
        })
    }

    fn revive<'a>(
        &'a self,
        job: &'a Job,
        observed: &'a Observed,
        services: &'a [String],
    ) -> BoxFuture<'a, Result<Option<Revived>, String>> {
        Box::pin(self.start_anew(job, observed, services))
    }

    fn evidence(&self, asked: Vec<Evidence>) -> BoxFuture<'_, Result<Vec<Option<Seen>>, String>> {
        Box::pin(async move { proof::evidence(&self.connection, &asked).await })
    }

    fn dialers(&self) -> Dialers {
        self.connection.dialers()
    }

    fn connection(&self) -> Option<&HostConnection> {
        Some(&self.connection)
    }

    fn lost(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.connection.died())
    }
}

impl Files {
    fn shell(&self) -> MutexGuard<'_, Option<Shell>> {
        self.shell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn stage(&self, job: &Job, observed: &Arc<Observed>) -> Result<StagedFiles, NotBegun> {
        let Observed { view, plan } = &**observed;
        let desired = view.desired();
        let moment = crate::clock::since_epoch();
        let mut request = request::transaction(view, plan, &job.identity.holder, moment);
        request.limits.lock = job.lock_wait;
        request.dirs.clone_from(&self.dirs);
        let waiting = self.shell().take();
        let shell = match waiting {
            Some(shell) => shell,
            None => {
                let process = self.connection.sh().await;
                process.map_err(|error| NotBegun::Failed(error.ended(job.task())))?.into()
            }
        };
        let mut running = Some(job.emitter.step(job.host(), Step::Lock));
        let mut entered = |step: Step| {
            if let Some(before) = running.take() {
                before.end(if step == Step::Stage { "locked" } else { "staged" });
            }
            running = Some(match step {
                Step::Validate => job.emitter.step(job.host(), Step::Validate),
                _ => job.emitter.step(job.host(), Step::Stage),
            });
        };
        let begun = Transaction::begin_telling(shell, request, &mut entered).await;
        let (transaction, staged) = begun.map_err(|error| not_begun(desired, error))?;
        let detail = stage_detail(desired, &staged);
        if let Some(running) = running.take() {
            running.end(detail);
        }
        let goes_on = job.goes_on.then(|| self.connection.clone());
        Ok(StagedFiles { observed: Arc::clone(observed), transaction, goes_on })
    }
}

impl Files {
    /// A transaction without files, so under the host's lock, whose reloads are what starts the services.
    async fn start_anew(
        &self,
        job: &Job,
        observed: &Observed,
        services: &[String],
    ) -> Result<Option<Revived>, String> {
        let moment = crate::clock::since_epoch();
        let request = request::revival(&observed.view, services, &job.identity.holder, moment);
        let Some(mut request) = request else { return Ok(None) };
        request.dirs.clone_from(&self.dirs);
        let tried: Vec<String> = request.services.iter().map(|one| one.name.clone()).collect();
        let commands: Vec<String> = request
            .services
            .iter()
            .filter_map(|one| Some(format!("`{}`", one.reload.as_ref()?.command.brief())))
            .collect();
        let process = self.connection.sh().await.map_err(|error| error.to_string())?;
        let begun = Transaction::begin_telling(process, request, &mut |_| {}).await;
        let (mut transaction, _) = begun.map_err(|error| error.to_string())?;
        let committed = transaction.commit().await.map_err(|error| error.to_string())?;
        transaction.confirm().await.map_err(|error| error.to_string())?;
        let down = committed.reloads.iter().filter(|one| one.up == Some(false));
        let still_down = down.filter_map(|one| tried.get(one.service).cloned()).collect();
        let words = format!("{} was restarted by {}", tried.join(" and "), commands.join(" and "));
        Ok(Some(Revived { words, tried, still_down }))
    }
}

/// Files that are staged beside their destinations, or switched and not confirmed.
struct StagedFiles {
    observed: Arc<Observed>,
    transaction: Transaction,
    /// Where the shell is kept for the next task, if there is one.
    goes_on: Option<HostConnection>,
}

impl Staged for StagedFiles {
    fn keep_alive(&mut self, every: Duration) {
        self.transaction.keep_alive(every);
    }

    fn commit<'a>(
        &'a mut self,
        reloading: &'a mut (dyn FnMut(String) + Send),
    ) -> BoxFuture<'a, Result<String, HostFailure>> {
        Box::pin(async move {
            let observed = Arc::clone(&self.observed);
            let Observed { view, plan } = &*observed;
            let desired = view.desired();
            let switched = plural(written(plan), "file");
            let mut is_told = false;
            let mut entered = |_| {
                reloading(switched.clone());
                is_told = true;
            };
            let committed = self.transaction.commit_telling(&mut entered).await;
            let committed = committed.map_err(|error| remote_failure(desired, &error))?;
            let done = commit_detail(desired, plan, &committed);
            let switched = Some(switched).filter(|_| !is_told && written(plan) > 0);
            Ok(switched.into_iter().chain(done).collect::<Vec<_>>().join(", "))
        })
    }

    fn confirm(self: Box<Self>) -> BoxFuture<'static, Result<(), HostFailure>> {
        Box::pin(async move {
            let Self { observed, transaction, goes_on } = *self;
            let confirmed = match goes_on {
                None => transaction.confirm().await,
                Some(connection) => match transaction.confirm_and_go_on().await {
                    Ok(shell) => {
                        connection.keep(shell).await;
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
            };
            confirmed.map_err(|error| remote_failure(observed.view.desired(), &error))
        })
    }

    fn roll_back(self: Box<Self>, cause: StepFailure) -> BoxFuture<'static, HostFailure> {
        Box::pin(async move {
            let Self { observed, transaction, .. } = *self;
            match transaction.rollback().await {
                Ok(rollback) => undone(observed.view.desired(), cause, rollback),
                Err(error) => {
                    let mut failure = remote_failure(observed.view.desired(), &error);
                    let message = &mut failure.failure.message;
                    *message = format!("{cause}; rollback not confirmed: {message}");
                    failure
                }
            }
        })
    }

    fn abort(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            // Whatever the host answers, it changed nothing: the end of the link discards too.
            let _ = self.transaction.abort().await;
        })
    }
}

fn not_begun(desired: &DesiredState, error: RemoteError) -> NotBegun {
    let failure = remote_failure(desired, &error);
    match error {
        RemoteError::Busy { holder, .. } => NotBegun::Busy { holder, failure },
        RemoteError::Stale { .. } => NotBegun::Stale(failure),
        _ => NotBegun::Failed(failure),
    }
}

fn remote_failure(desired: &DesiredState, error: &RemoteError) -> HostFailure {
    let command = match error {
        RemoteError::Failed(inner) | RemoteError::RolledBack { failure: inner, .. } => {
            request::command_of(desired, inner)
        }
        _ => None,
    };
    let mut failure = failure::remote(&desired.task, &desired.host, error, command);
    if let RemoteError::Failed(inner) | RemoteError::RolledBack { failure: inner, .. } = error {
        of_containers(desired, inner, &mut failure);
    }
    if let RemoteError::RolledBack { rollback, .. } = error
        && !rollback.is_complete()
    {
        of_themselves(desired, &mut failure);
    }
    failure
}

/// Files that are neither the new nor the old ones, of a service that is known to replace what it dislikes.
fn of_themselves(desired: &DesiredState, failure: &mut HostFailure) {
    for words in desired.services.iter().filter_map(|service| service.overwrites.as_ref()) {
        let Failure { state, message, advice, .. } = &mut failure.failure;
        *state = state.replace(failure::MODIFIED, &format!("which was left alone: {words}"));
        *message = message.replace(failure::CHANGED, words);
        advice.retain(|one| one != failure::INSPECT);
        advice.push("`certroll rollback` puts the earlier files back".to_owned());
    }
}

/// What a failure means where the service runs in a container.
fn of_containers(desired: &DesiredState, inner: &StepFailure, failure: &mut HostFailure) {
    let mut services = desired.services.iter();
    let service = services.find(|service| Some(&service.name) == inner.service.as_ref());
    if let Some(service) = service
        && let Some(meaning) = container::meaning(service, inner)
    {
        failure.failure.message = format!("{}: {meaning}", service.name);
        // Its own words say what to do, and the service refused nothing.
        if matches!(inner.rc, Some(120..=123 | 126 | 127)) {
            failure.failure.advice.clear();
        }
    }
    if inner.step == Step::Verify {
        for name in container::compared(desired) {
            failure.failure.advice.push(format!(
                "the container {name} saw the new files, that was compared at the reload: its service goes on serving \
                 another certificate, so read its log"
            ));
        }
    }
}

fn undone(desired: &DesiredState, failure: StepFailure, rollback: RolledBack) -> HostFailure {
    remote_failure(desired, &RemoteError::RolledBack { failure, rollback })
}

fn stage_detail(desired: &DesiredState, staged: &host::Staged) -> String {
    let checks = validations(desired, &staged.validations, "comes after the switch");
    if checks.is_empty() {
        "staged; no check on the host, only the controller's own".to_owned()
    } else {
        format!("staged; {}", checks.join(", "))
    }
}

/// The checks and how each went. `live`: what is to be said of those that look at live files.
fn validations(desired: &DesiredState, list: &[Validation], live: &str) -> Vec<String> {
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

/// How many files the plan writes.
fn written(plan: &HostPlan) -> usize {
    plan.files.iter().filter(|file| !file.action.keeps_file()).count()
}

/// What was done after the files were in place.
fn commit_detail(desired: &DesiredState, plan: &HostPlan, committed: &Committed) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(validations(desired, &committed.validations, "ok after the switch"));
    for reload in &committed.reloads {
        if let (Some(service), Some(_)) = (desired.services.get(reload.service), reload.rc)
            && let Some(command) = &service.reload
        {
            parts.push(format!("`{}`", command.command.brief()));
        }
    }
    if !committed.guarded && written(plan) > 0 {
        parts.push("no guard could be started on the host".to_owned());
    }
    parts
}
