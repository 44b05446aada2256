//! The change itself: one patch of both values that holds only while the secret is the one that was looked at, and the
//! way back.

use super::asking::{CERTIFICATE, KEY, is_same, read, writers};
use super::kept::{self, Begun};
use super::place::{Kubernetes, Looked};
use super::trial::{New, identity, is_other, refused, send, wanted};
use crate::engine::failure::{self, HostFailure};
use crate::engine::rollout::target::{Job, NotBegun, Observed, Staged};
use crate::host::{StepFailure, TransactionId};
use crate::kubernetes::{Answer, Cluster, Failed, SecretName, Sent, Status, TlsSecret, patch};
use crate::model::text::printable;
use crate::model::{Outcome, Secret, Step};
use crate::plan::host_plan::Decision;
use futures::future::BoxFuture;
use http::Method;
use std::sync::Arc;
use std::time::Duration;

/// How often a change is tried anew because something else in the secret was changed meanwhile.
const TRIES: usize = 5;
/// How often an unclear end is looked up, and how long is waited in between.
const LOOK_UPS: usize = 6;
const BETWEEN: Duration = Duration::from_secs(2);

/// Has the change checked by the server. Nothing live changes.
pub(super) async fn begin(
    target: &Kubernetes,
    job: &Job,
    observed: &Arc<Observed>,
) -> Result<StagedSecret, NotBegun> {
    let task = job.task();
    let fail = |step, why: String| NotBegun::Failed(failure::before_commit(task, step, why));
    let looked = target.last_look();
    let looked = looked.ok_or_else(|| fail(Step::Stage, "it was not looked at".to_owned()))?;
    let left = looked.previous.as_ref().and_then(|previous| previous.unconfirmed.as_ref());
    if let Some(other) = left.filter(|left| left.is_under_way() && left.by != job.identity.holder) {
        let why = format!("another run is changing secret {} ({})", target.name, other.by);
        let failure = failure::before_commit(task, Step::Lock, why);
        tokio::time::sleep(BETWEEN).await;
        return Err(NotBegun::Busy { holder: other.by.clone(), failure });
    }
    let changes = observed.plan.decision == Decision::Change;
    let running = job.emitter.step(job.host(), Step::Validate);
    let new = wanted(&looked, &observed.plan).map_err(|why| fail(Step::Stage, why))?;
    if changes {
        let answer = send(&looked.cluster, &target.name, identity(&looked), &new, true).await;
        match answer {
            Ok(answer) => {
                if let Some(text) = answer.warnings.iter().find(|text| text.starts_with("tls:")) {
                    return Err(fail(Step::Validate, format!("the API server warns: {text}")));
                }
            }
            Err(failed) => {
                let why = refused(&target.name, &failed);
                return Err(match is_stale(&failed) {
                    true => NotBegun::Stale(failure::before_commit(task, Step::Validate, why)),
                    false => fail(Step::Validate, why),
                });
            }
        }
        running.end("the API server accepts the change (dry run)");
    } else {
        running.end("nothing to write");
    }
    let within = observed.view.desired().confirm_timeout;
    Ok(StagedSecret {
        name: target.name.clone(),
        keeps: target.wanted.keep_previous,
        looked,
        task: task.to_owned(),
        holder: job.identity.holder.clone(),
        id: TransactionId::new(crate::clock::since_epoch()),
        within,
        new,
        changes,
        committed: None,
    })
}

/// The secret is no longer as it was looked at.
fn is_stale(failed: &Failed) -> bool {
    failed.status().is_some_and(|status| status.code == 409 || is_other(status))
}

/// A change that the server would accept, or has made.
pub(super) struct StagedSecret {
    name: SecretName,
    looked: Arc<Looked>,
    task: String,
    holder: String,
    id: TransactionId,
    /// How long the run may take from the commit to the confirmation.
    within: Duration,
    new: New,
    /// The old pair is kept in a second secret.
    keeps: bool,
    /// The secret holds other values than are wanted.
    changes: bool,
    /// uid and resource version after the commit.
    committed: Option<(String, String)>,
}

/// What a secret holds, seen from a change.
enum Holds {
    New,
    Old,
    /// Somebody else's values; who wrote them, as far as that is told.
    Other(String),
}

impl StagedSecret {
    fn cluster(&self) -> &Cluster {
        &self.looked.cluster
    }

    fn old(&self, key: &str) -> Option<&Secret<Vec<u8>>> {
        self.looked.present.as_ref()?.value(key)
    }

    /// Both values as they are after the change: one that is not changed stays.
    fn after(&self, key: &str) -> Option<&Secret<Vec<u8>>> {
        let new = self.new.iter().find(|(known, _)| *known == key);
        new.map(|(_, value)| &**value).or_else(|| self.old(key))
    }

    fn holds(&self, present: Option<&TlsSecret>) -> Holds {
        let value = |key: &str| present.and_then(|secret| secret.value(key));
        let all =
            |wanted: &dyn Fn(&'static str) -> bool| [CERTIFICATE, KEY].into_iter().all(wanted);
        if all(&|key| is_same(value(key), self.after(key))) {
            return Holds::New;
        }
        if all(&|key| is_same(value(key), self.old(key))) {
            return Holds::Old;
        }
        Holds::Other(present.map_or("somebody deleted it".to_owned(), |secret| {
            format!("{} wrote it", writers(&secret.metadata))
        }))
    }

    /// What the secret holds now, asked until there is an answer.
    async fn look_up(&self) -> Result<(Option<TlsSecret>, Holds), Failed> {
        let mut tries = LOOK_UPS;
        loop {
            match read(self.cluster(), &self.name).await {
                Ok(present) => {
                    let holds = self.holds(present.as_ref());
                    return Ok((present, holds));
                }
                Err(failed) => {
                    tries -= 1;
                    let is_no = failed.status().is_some_and(Status::is_final);
                    if tries == 0 || is_no {
                        return Err(failed);
                    }
                    tokio::time::sleep(BETWEEN).await;
                }
            }
        }
    }

    async fn make(&mut self) -> Result<String, HostFailure> {
        if !self.changes {
            return Ok("the secret holds the new pair already".to_owned());
        }
        let untouched = |why: String| failure::before_commit(&self.task, Step::Commit, why);
        if self.keeps {
            let new = kept::digest(self.after(CERTIFICATE), self.after(KEY));
            let begun = Begun { id: &self.id, by: &self.holder, within: self.within, new };
            let kept = kept::keep(self.cluster(), &self.name, self.looked.present.as_ref(), &begun);
            kept.await.map_err(|failed| {
                let name = kept::name_of(&self.name);
                untouched(format!("the old pair could not be kept in the secret {name}: {failed}"))
            })?;
        }
        let mut of = identity(&self.looked).map(|(uid, rv)| (uid.to_owned(), rv.to_owned()));
        for _ in 0..TRIES {
            let sent_for = of.as_ref().map(|(uid, rv)| (uid.as_str(), rv.as_str()));
            let failed = match send(self.cluster(), &self.name, sent_for, &self.new, false).await {
                Ok(answer) => {
                    let now = TlsSecret::read(&answer.body).unwrap_or_default().metadata;
                    let words = done(
                        &self.name,
                        of.as_ref().map(|(_, rv)| rv.as_str()),
                        &now.resource_version,
                    );
                    self.committed = Some((now.uid, now.resource_version));
                    return Ok(words);
                }
                Err(failed) => failed,
            };
            let is_conflict = failed.status().is_some_and(|status| status.code == 409);
            if failed.status().is_some_and(Status::is_final) && !is_conflict {
                self.nothing_happened().await;
                return Err(untouched(refused(&self.name, &failed)));
            }
            // A conflict may be with our own change, the answer to which was lost; and it may be only a label's.
            match self.look_up().await {
                Ok((Some(now), Holds::New)) => {
                    let words = done(
                        &self.name,
                        of.as_ref().map(|(_, rv)| rv.as_str()),
                        &now.metadata.resource_version,
                    );
                    self.committed = Some((now.metadata.uid, now.metadata.resource_version));
                    return Ok(words);
                }
                Ok((now, Holds::Old)) => {
                    let was = of.as_ref().map(|(uid, _)| uid.clone());
                    of = now.map(|now| (now.metadata.uid, now.metadata.resource_version));
                    if of.as_ref().map(|(uid, _)| uid.clone()) != was {
                        self.nothing_happened().await;
                        let why =
                            format!("secret {} was deleted and created again meanwhile", self.name);
                        return Err(untouched(why));
                    }
                }
                Ok((_, Holds::New)) => return Err(self.unknown(Step::Commit, "the secret is gone")),
                Ok((_, Holds::Other(who))) => {
                    self.nothing_happened().await;
                    let why = format!("secret {} was changed meanwhile: {who}", self.name);
                    return Err(untouched(why));
                }
                Err(lost) => {
                    let why = format!("the change was sent, and then there was no answer: {lost}");
                    return Err(self.unknown(Step::Commit, &why));
                }
            }
        }
        self.nothing_happened().await;
        let why = format!("secret {} is changed too often by others to be written", self.name);
        Err(untouched(why))
    }

    /// Somebody else's pair is there now: what is kept is the one that ours replaced.
    async fn no_longer_ours(&self) {
        if self.keeps && self.changes {
            let _ = kept::settle(self.cluster(), &self.name).await;
        }
    }

    /// The second secret must not say that a change is left to undo, and holds the earlier pair again.
    async fn nothing_happened(&self) {
        if !self.keeps || !self.changes {
            return;
        }
        let cluster = self.cluster();
        // Where this fails too, `recover` finds out later that nothing is to be done.
        let _ = match &self.looked.previous {
            Some(earlier) => kept::restore(cluster, &self.name, earlier).await,
            None => kept::settle(cluster, &self.name).await,
        };
    }

    fn unknown(&self, step: Step, why: &str) -> HostFailure {
        let mut ended = failure::before_commit(&self.task, step, why);
        ended.outcome = Outcome::Unknown(step);
        ended.failure.state = match self.keeps {
            true => "UNKNOWN: the secret may hold the new pair; the old one is kept in the cluster"
                .to_owned(),
            false => "UNKNOWN: the secret may hold the new pair, and nothing undoes it".to_owned(),
        };
        let next = match self.keeps {
            true => {
                "`certroll recover` puts the old pair back where the change was never confirmed"
            }
            false => "`certroll status` shows what the secret holds once the API server answers",
        };
        ended.failure.advice.push(next.to_owned());
        ended
    }

    /// Puts the old pair back where the new one is still there.
    async fn undo(&self) -> Result<String, Undone> {
        let Some((uid, version)) = &self.committed else {
            return Ok("the secret was not changed".to_owned());
        };
        let (uid, mut version) = (uid.as_str(), version.clone());
        for _ in 0..TRIES {
            let failed = match self.send_back(uid, &version).await {
                Ok(_) => return Ok(self.back_words()),
                Err(failed) => failed,
            };
            match self.look_up().await {
                Ok((_, Holds::Old)) => return Ok(self.back_words()),
                Ok((Some(now), Holds::New)) if now.metadata.uid == uid => {
                    if failed.status().is_some_and(|status| status.is_final() && status.code != 409)
                    {
                        return Err(Undone::Failed(refused(&self.name, &failed)));
                    }
                    version = now.metadata.resource_version;
                }
                Ok((_, Holds::Other(who))) => return Err(Undone::LeftAlone(who)),
                Ok((_, Holds::New)) => {
                    return Err(Undone::LeftAlone("it was deleted and created again".to_owned()));
                }
                Err(lost) => return Err(Undone::Failed(lost.to_string())),
            }
        }
        Err(Undone::Failed("the secret is changed too often by others".to_owned()))
    }

    async fn send_back(&self, uid: &str, version: &str) -> Result<Answer, Failed> {
        let cluster = self.cluster();
        if self.looked.present.is_none() {
            let body = Sent::Json(patch::deletion(uid, version));
            return cluster.write(Method::DELETE, &self.name.path(), body).await;
        }
        let values: Vec<_> = self.new.iter().map(|(key, _)| (*key, self.old(key))).collect();
        let path = format!("{}?fieldManager={}", self.name.path(), patch::MANAGER);
        cluster
            .write(Method::PATCH, &path, Sent::MergePatch(patch::values(uid, version, &values)))
            .await
    }

    fn back_words(&self) -> String {
        match self.looked.present {
            Some(_) => "rolled back: the secret holds the old pair again".to_owned(),
            None => "rolled back: the secret that was created is deleted again".to_owned(),
        }
    }
}

fn done(name: &SecretName, before: Option<&str>, after: &str) -> String {
    // The server's own words, like all of its answers.
    let shown = |version: &str| printable(version.as_bytes(), 40);
    let (before, after) = (before.map(shown), shown(after));
    match before {
        Some(before) => format!("secret {name} patched (resource version {before} → {after})"),
        None => format!("secret {name} created (resource version {after})"),
    }
}

/// Why the old pair is not back.
enum Undone {
    /// Somebody else changed the secret since.
    LeftAlone(String),
    Failed(String),
}

impl Staged for StagedSecret {
    fn keep_alive(&mut self, _: Duration) {
        // A dry run holds nothing that would have to be kept.
    }

    fn commit<'a>(
        &'a mut self,
        _: &'a mut (dyn FnMut(String) + Send),
    ) -> BoxFuture<'a, Result<String, HostFailure>> {
        // Whoever reads the secret is told by the cluster.
        Box::pin(self.make())
    }

    fn confirm(self: Box<Self>) -> BoxFuture<'static, Result<(), HostFailure>> {
        Box::pin(async move {
            if self.committed.is_none() {
                return Ok(());
            }
            // A controller that owns the secret puts its own pair back within seconds.
            if let Ok((_, holds)) = self.look_up().await
                && let Holds::Old | Holds::Other(_) = holds
            {
                let who = match holds {
                    Holds::Other(who) => who,
                    _ => "it holds the old pair again".to_owned(),
                };
                let why = format!("secret {} was changed again after the change: {who}", self.name);
                let mut ended = self.unknown(Step::Confirm, &why);
                "the secret holds what somebody else wrote after the change"
                    .clone_into(&mut ended.failure.state);
                ended.failure.advice =
                    vec!["find out what writes the secret, and change it there".to_owned()];
                self.no_longer_ours().await;
                return Err(ended);
            }
            if self.keeps {
                let settled = kept::settle(self.cluster(), &self.name).await;
                settled.map_err(|failed| {
                    let why = format!("the confirmation could not be written: {failed}");
                    self.unknown(Step::Confirm, &why)
                })?;
            }
            Ok(())
        })
    }

    fn roll_back(self: Box<Self>, cause: StepFailure) -> BoxFuture<'static, HostFailure> {
        Box::pin(async move {
            let mut ended = failure::before_commit(&self.task, cause.step, cause.why.clone());
            ended.failure.exit_code = cause.rc;
            ended.failure.output = failure::last_lines(&cause.output);
            match self.undo().await {
                Ok(words) => {
                    self.nothing_happened().await;
                    if self.committed.is_some() {
                        ended.outcome = Outcome::RolledBack(cause.step);
                        ended.failure.rolled_back = Some(true);
                    }
                    ended.failure.state = words;
                }
                Err(Undone::LeftAlone(who)) => {
                    self.no_longer_ours().await;
                    ended.outcome = Outcome::Unknown(cause.step);
                    ended.failure.state =
                        format!("the secret was left alone, as it was changed meanwhile: {who}");
                    ended.failure.rolled_back = Some(false);
                }
                Err(Undone::Failed(why)) => {
                    let mut unknown = self.unknown(cause.step, &cause.why);
                    unknown.failure.message = format!("{}; not rolled back: {why}", cause.why);
                    return unknown;
                }
            }
            if cause.step == Step::Verify {
                ended.failure.advice.extend(WHAT_ELSE.map(str::to_owned));
            }
            ended
        })
    }

    fn abort(self: Box<Self>) -> BoxFuture<'static, ()> {
        // Nothing was stored.
        Box::pin(async {})
    }
}

/// What keeps a new pair from being served although the secret holds it.
const WHAT_ELSE: [&str; 2] = [
    "the controller's own default certificate: it refused the pair, and its log says why",
    "the old certificate: another secret has the same names and wins, the Ingress names another secret, or the pods \
     read it from a subPath or the environment",
];
