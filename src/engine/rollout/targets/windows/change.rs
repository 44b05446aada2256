//! The change itself: a second certificate beside the old one, a switch of what refers to it, and the way back.

use super::asking::{Silent, insist, refused, unanswered, untouched};
use super::judge::common_name;
use super::observe::bundle;
use super::place::{Windows, chain, issuers};
use crate::engine::failure::{self, HostFailure};
use crate::engine::rollout::target::{Job, NotBegun, Observed, Staged};
use crate::host::{StepFailure, TransactionId};
use crate::material::Bundle;
use crate::material::keystore::{write, write_for_old};
use crate::model::{HostName, Outcome, Step};
use crate::plan::host_plan::Decision;
use crate::windows::{Begun, Done, Program, Refused, Seen, Thumbprint, Undone};
use futures::future::BoxFuture;
use rand::Rng;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long a stage may wait for its commit before the machine discards it by itself.
const LEASE: Duration = Duration::from_secs(3600);

/// Imports the certificate, and arms what undoes. Nothing refers to it yet.
pub(super) async fn begin(
    target: &Windows,
    job: &Job,
    observed: &Arc<Observed>,
) -> Result<StagedChange, NotBegun> {
    let task = job.task();
    let fail = |why: &str| NotBegun::Failed(untouched(task, Step::Stage, why));
    let seen = target.last_look().ok_or_else(|| fail("it was not looked at"))?;
    let bundle = bundle(job).ok_or_else(|| fail("there is no certificate at hand"))?;
    let mut staged = StagedChange {
        target: Windows::new(target.connection.clone(), target.wanted.clone()),
        host: job.host().clone(),
        task: task.to_owned(),
        id: TransactionId::new(crate::clock::since_epoch()).to_string(),
        within: observed.view.desired().confirm_timeout,
        hostname: common_name(&bundle).unwrap_or_default().to_owned(),
        new: Thumbprint::of(&bundle.leaf.der),
        old: seen.used.as_ref().and_then(|used| used.thumbprint),
        question: target.question(Some(&bundle)),
        changes: observed.plan.decision == Decision::Change,
        committed: false,
    };
    if !staged.changes {
        return Ok(staged);
    }
    let running = job.emitter.step(job.host(), Step::Stage);
    let begun = import(target, &mut staged, &seen, &bundle, &job.identity.holder).await?;
    let made = if begun.made { "imported" } else { "it was there already" };
    let readers = match begun.readers.len() {
        0 => "the file of its key was not found".to_owned(),
        1 => "its key has one reader".to_owned(),
        n => format!("its key has {n} readers"),
    };
    running.end(format!(
        "{} in LocalMachine\\{}: {made}, {readers}; a task of SYSTEM undoes",
        staged.new.short(),
        target.wanted.store
    ));
    Ok(staged)
}

/// As a PFX by standard input. Old releases of Windows refuse what is sealed with AES, or take it without a key.
async fn import(
    target: &Windows,
    staged: &mut StagedChange,
    seen: &Seen,
    bundle: &Bundle,
    holder: &str,
) -> Result<Begun, NotBegun> {
    let alone = Bundle { chain: Vec::new(), ..bundle.clone() };
    let password = Zeroizing::new(format!("{:032x}", rand::rng().random::<u128>()));
    let used = seen.used.as_ref();
    let mut refusals = Vec::new();
    for write in [write, write_for_old] {
        let Some(pfx) = write(&alone, &password, "certroll") else {
            let why = "the key cannot be put into a PFX";
            return Err(NotBegun::Failed(untouched(&staged.task, Step::Stage, why)));
        };
        let request = json!({
            "id": staged.id, "by": holder, "lease": LEASE.as_secs() + staged.within.as_secs(),
            "use": target.reference(), "store": target.wanted.store, "new": staged.new,
            "chain": chain(bundle), "issuers": issuers(bundle), "password": password.as_str(),
            "old": {
                "thumbprint": staged.old.map(|old| old.to_string()).unwrap_or_default(),
                "rest": used.and_then(|used| used.rest.clone()).unwrap_or_default(),
            },
            "undo": Program::Undo.text(),
        });
        let answer = insist::<Begun>(&target.connection, Program::Begin, &request, pfx.expose());
        let why = match answer.await.map_err(|silent| staged.not_staged(silent))? {
            Ok(begun) => return Ok(begun),
            Err(why) => why,
        };
        let failure = refused(target, &staged.task, Step::Stage, &why);
        match why {
            Refused::Held(holder) => {
                tokio::time::sleep(Duration::from_secs(2)).await;
                return Err(NotBegun::Busy { holder, failure });
            }
            Refused::Stale => return Err(NotBegun::Stale(failure)),
            Refused::Pfx(why) => refusals.push(why),
            _ => return Err(NotBegun::Failed(failure)),
        }
    }
    let why = format!(
        "Windows build {} takes the certificate with a usable key neither from a PFX with AES ({}) nor with triple DES ({})",
        seen.build,
        refusals.first().map_or("", String::as_str),
        refusals.last().map_or("", String::as_str),
    );
    Err(NotBegun::Failed(untouched(&staged.task, Step::Stage, why)))
}

/// A certificate to which nothing refers, or after the commit one that is not confirmed.
pub(super) struct StagedChange {
    target: Windows,
    host: HostName,
    task: String,
    /// The change's name in the machine's journal.
    id: String,
    /// How long the machine waits for the confirmation.
    within: Duration,
    /// What a listener of WinRM is called by.
    hostname: String,
    new: Thumbprint,
    old: Option<Thumbprint>,
    /// Asks what is there.
    question: Value,
    /// The reference names another certificate than is wanted.
    changes: bool,
    committed: bool,
}

/// What the reference names, seen from a change.
enum Names {
    New,
    Old,
    Other,
}

impl StagedChange {
    async fn tell<T: DeserializeOwned>(
        &self,
        program: Program,
    ) -> Result<Result<T, Refused>, Silent> {
        let request = json!({
            "id": self.id, "within": self.within.as_secs(), "hostname": self.hostname,
        });
        insist(&self.target.connection, program, &request, &[]).await
    }

    fn not_staged(&self, silent: Silent) -> NotBegun {
        let mut ended = unanswered(&self.task, silent);
        let left =
            "what may have been imported is removed by the machine's own task within two hours";
        ended.failure.advice.push(left.to_owned());
        NotBegun::Failed(ended)
    }

    /// What the reference names now, and no change is under way any more.
    async fn look_up(&self) -> Result<Names, String> {
        let answer =
            insist::<Seen>(&self.target.connection, Program::Observe, &self.question, &[]).await;
        let seen = answer
            .map_err(|silent| silent.to_string())?
            .map_err(|why| refused(&self.target, "", Step::Inspect, &why).failure.message)?;
        let now = seen.used.and_then(|used| used.thumbprint);
        Ok(match now {
            now if now == Some(self.new) => Names::New,
            now if now == self.old => Names::Old,
            _ => Names::Other,
        })
    }

    async fn make(&mut self) -> Result<String, HostFailure> {
        if !self.changes {
            return Ok(format!("{} names the certificate already", self.target.describe()));
        }
        self.committed = true;
        let why = match self.tell::<Done>(Program::Commit).await {
            Ok(Ok(_)) => {
                let old = self.old.map_or("none".to_owned(), Thumbprint::short);
                let (what, new) = (self.target.describe(), self.new.short());
                return Ok(format!("{what}: certificate {old} → {new}"));
            }
            Ok(Err(why)) => why,
            Err(silent) => {
                let why = format!("the change was sent, and then there was no answer: {silent}");
                return Err(self.unknown(Step::Commit, &why));
            }
        };
        let mut ended = refused(&self.target, &self.task, Step::Commit, &why);
        match why {
            Refused::Undone(_) => self.all_old(&mut ended, Step::Commit),
            // Nothing was switched: what was imported is removed at once.
            Refused::Stale => drop(self.tell::<Undone>(Program::Undo).await),
            Refused::Gone => {}
            _ => return Err(self.unknown(Step::Commit, &ended.failure.message)),
        }
        Err(ended)
    }

    fn all_old(&self, ended: &mut HostFailure, step: Step) {
        ended.outcome = Outcome::RolledBack(step);
        ended.failure.rolled_back = Some(true);
        ended.failure.state =
            format!("rolled back: {} names the old certificate again", self.target.describe());
    }

    fn unknown(&self, step: Step, why: &str) -> HostFailure {
        let mut ended = untouched(&self.task, step, why);
        ended.outcome = Outcome::Unknown(step);
        ended.failure.state = format!(
            "UNKNOWN: {} may name the new certificate; without a confirmation the machine's own task undoes that",
            self.target.describe()
        );
        ended.failure.advice = vec![
            format!("`certroll status` shows what {} has once it answers", self.host),
            "`certroll recover` undoes what is left once the time for the confirmation is over"
                .to_owned(),
        ];
        ended
    }

    async fn keep(&self) -> Result<(), HostFailure> {
        let answer = self.tell::<Done>(Program::Confirm).await;
        let why = match answer {
            Ok(Ok(_)) => return Ok(()),
            // Confirmed by a question whose answer was lost, or undone by the machine: the reference tells.
            Ok(Err(Refused::Gone)) => match self.look_up().await {
                Ok(Names::New) => return Ok(()),
                Ok(Names::Old) => {
                    let why = "no confirmation came in time, so the machine went back by itself";
                    let mut ended = untouched(&self.task, Step::Confirm, why);
                    self.all_old(&mut ended, Step::Confirm);
                    ended.deserted = true;
                    return Err(ended);
                }
                Ok(Names::Other) => "the reference names yet another certificate".to_owned(),
                Err(why) => why,
            },
            Ok(Err(why)) => refused(&self.target, &self.task, Step::Confirm, &why).failure.message,
            Err(silent) => format!("the confirmation had no answer: {silent}"),
        };
        Err(self.unknown(Step::Confirm, &why))
    }

    async fn go_back(self, cause: StepFailure) -> HostFailure {
        let mut ended = untouched(&self.task, cause.step, cause.why.clone());
        ended.failure.exit_code = cause.rc;
        ended.failure.output = failure::last_lines(&cause.output);
        if !self.committed {
            return ended;
        }
        let why = match self.tell::<Undone>(Program::Undo).await {
            Ok(Ok(undone)) => match undone.words.as_str() {
                "back" | "never" => None,
                // It was undone before, by a question whose answer was lost or by the machine itself.
                "nothing" => match self.look_up().await {
                    Ok(Names::Old) => None,
                    Ok(_) => Some(
                        "nothing was left to undo, and the old certificate is not named".to_owned(),
                    ),
                    Err(why) => Some(why),
                },
                _ => {
                    ended.outcome = Outcome::Unknown(cause.step);
                    ended.failure.rolled_back = Some(false);
                    ended.failure.state = format!(
                        "{} was left alone: it names another certificate by now",
                        self.target.describe()
                    );
                    return ended;
                }
            },
            Ok(Err(why)) => {
                Some(refused(&self.target, &self.task, cause.step, &why).failure.message)
            }
            Err(silent) => Some(silent.to_string()),
        };
        match why {
            None => self.all_old(&mut ended, cause.step),
            Some(why) => {
                let mut unknown = self.unknown(cause.step, &cause.why);
                unknown.failure.message = format!("{}; not rolled back: {why}", cause.why);
                return unknown;
            }
        }
        if cause.step == Step::Verify {
            ended.failure.advice.extend(WHAT_ELSE.map(str::to_owned));
        }
        ended
    }
}

impl Staged for StagedChange {
    fn keep_alive(&mut self, _: Duration) {
        // The machine keeps a stage for an hour.
    }

    fn commit<'a>(
        &'a mut self,
        _: &'a mut (dyn FnMut(String) + Send),
    ) -> BoxFuture<'a, Result<String, HostFailure>> {
        // What reads the store is told by Windows.
        Box::pin(self.make())
    }

    fn confirm(self: Box<Self>) -> BoxFuture<'static, Result<(), HostFailure>> {
        Box::pin(async move { if self.committed { self.keep().await } else { Ok(()) } })
    }

    fn roll_back(self: Box<Self>, cause: StepFailure) -> BoxFuture<'static, HostFailure> {
        Box::pin(self.go_back(cause))
    }

    fn abort(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if self.changes {
                // Where this fails too, the machine's own task does it.
                let _ = self.tell::<Undone>(Program::Undo).await;
            }
        })
    }
}

/// What keeps a new certificate from being served although the reference names it.
const WHAT_ELSE: [&str; 2] = [
    "a handshake that is reset: whoever serves may not read the new key; compare the readers of both keys",
    "the old certificate: an entry of http.sys for the address overrules the binding (netsh http show sslcert)",
];
