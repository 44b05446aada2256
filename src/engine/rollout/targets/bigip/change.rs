//! The change itself: objects beside the old ones, the entry pointed to them in one command, and the way back.

use super::line::Line;
use super::looked::{Looked, now};
use super::observe::{entry, material};
use super::place::BigIp;
use crate::bigip::{Answers, Dated, Entry, Orders, PROGRAM, Profile, is_name};
use crate::engine::emit::Emitter;
use crate::engine::failure::{self, HostFailure};
use crate::engine::rollout::target::{Job, NotBegun, Observed, Staged};
use crate::host::{StepFailure, TransactionId};
use crate::model::text::printable;
use crate::model::{Outcome, Step};
use crate::plan::host_plan::Decision;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// How long a stage lasts on the device without a word from here.
const LEASE: Duration = Duration::from_secs(600);
/// Before a device that is busy is asked again.
const BETWEEN: Duration = Duration::from_secs(2);

/// Installs what the plan wants and has the device try it in a profile that nobody uses. Nothing live changes.
pub(super) async fn begin(
    target: &BigIp,
    job: &Job,
    observed: &Arc<Observed>,
) -> Result<StagedEntry, NotBegun> {
    let fail = |step, why: String| NotBegun::Failed(failure::before_commit(job.task(), step, why));
    let looked = target.last_look();
    let looked = looked.ok_or_else(|| fail(Step::Stage, "it was not looked at".to_owned()))?;
    let line = Line::new(target, job.host(), job.task());
    let id = TransactionId::new(crate::clock::since_epoch());
    let mut staged = StagedEntry {
        line,
        id: id.to_string(),
        profile: target.wanted.profile.clone(),
        emitter: job.emitter.clone(),
        kept_alive: None,
        changes: observed.plan.decision == Decision::Change,
        committed: false,
    };
    if !staged.changes {
        return Ok(staged);
    }
    let running = job.emitter.step(job.host(), Step::Stage);
    let orders = orders(target, job, observed, &looked, &staged);
    let orders = orders.map_err(|why| fail(Step::Stage, why))?;
    let answers = match staged.line.ask(orders).await {
        Ok(answers) => answers,
        Err(lost) => {
            // Whatever of it is there is discarded, so that the next run need not wait until the device does that.
            let _ = staged.surely("undo").await;
            return Err(NotBegun::Failed(lost));
        }
    };
    match answers.end() {
        ("well", names) => {
            running.end(format!("installed {}", printable(names.trim().as_bytes(), 400)));
            staged.keep_alive(LEASE / 4);
            Ok(staged)
        }
        ("busy", _) => {
            let holder = answers.find("now").map(now).map_or_else(String::new, |now| now.holder);
            let why = format!("another run is changing this device ({holder})");
            tokio::time::sleep(BETWEEN).await;
            Err(NotBegun::Busy {
                holder,
                failure: failure::before_commit(job.task(), Step::Lock, why),
            })
        }
        ("stale", text) => {
            let why = Undone::read(text).why;
            Err(NotBegun::Stale(failure::before_commit(job.task(), Step::Stage, why)))
        }
        ("gone", _) => Err(fail(Step::Stage, "somebody discarded the stage meanwhile".to_owned())),
        (_, text) => Err(fail(Step::Validate, Undone::read(text).why)),
    }
}

/// What the device is told to stage.
fn orders(
    target: &BigIp,
    job: &Job,
    observed: &Observed,
    looked: &Looked,
    staged: &StagedEntry,
) -> Result<Orders, String> {
    let material = material(job)?;
    let old = entry(target, looked, Some(material))?;
    let within = observed.view.desired().confirm_timeout.as_secs().to_string();
    let orders = staged
        .line
        .orders("begin")
        .and("id", &staged.id)
        .and("holder", &job.identity.holder)
        .and("partition", target.wanted.partition())
        .and("profile", &target.wanted.profile)
        .and("entry", &old.name)
        .and("others", &others(looked, old))
        .and("oldcert", &old.cert)
        .and("oldkey", &old.key)
        .and("oldchain", &old.chain)
        .and("lease", &LEASE.as_secs().to_string())
        .and("within", &within)
        .and("backups", &observed.view.desired().backups.to_string());
    let group = target.wanted.sync_group.as_deref().filter(|_| looked.in_sync);
    let orders = orders.and("group", group.unwrap_or_default());
    let generation = observed.plan.files.iter().find_map(|file| file.want.generation.as_ref());
    let orders = match generation {
        Some(id) => {
            let before = looked.earlier.iter().find(|before| before.id == *id);
            let before = before.ok_or_else(|| format!("nothing is kept of {id}"))?;
            let Entry { cert, key, chain, .. } = &before.entry;
            orders.and("newcert", cert).and("newkey", key).and("newchain", chain)
        }
        None => {
            let bundle = &material.bundle;
            let key = bundle.key_pem().ok_or("there is no key for it")?;
            let dated = Dated::of(&target.wanted.profile, crate::clock::now());
            let chain = bundle.chain_pem();
            let named = if chain.is_empty() { "none" } else { dated.chain.as_str() };
            orders
                .and("newcert", &dated.cert)
                .and("newkey", &dated.key)
                .and("newchain", named)
                .bytes("key", key.expose())
                .bytes("cert", &bundle.leaf_pem())
                .bytes("chain", &chain)
        }
    };
    Ok(orders.bytes("program", PROGRAM.as_bytes()))
}

/// The profile's other entries, as the trial needs them beside the new one; `skip` where they cannot be given back.
fn others(looked: &Looked, changed: &Entry) -> String {
    let entries = looked.profile.as_ref().map(|Profile { entries, .. }| entries.as_slice());
    let others: Vec<&Entry> =
        entries.unwrap_or_default().iter().filter(|entry| entry.name != changed.name).collect();
    let plain = |entry: &&Entry| {
        let names = [&entry.name, &entry.cert, &entry.key, &entry.chain];
        !entry.passphrase && names.into_iter().all(|name| is_name(name))
    };
    if !others.iter().all(plain) {
        return "skip".to_owned();
    }
    let one = |entry: &&Entry| {
        format!("{} {{ cert {} key {} chain {} }}", entry.name, entry.cert, entry.key, entry.chain)
    };
    others.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// What the device said when it undid: `old`, `foreign` or `stuck`, then which command, then tmsh's words.
struct Undone {
    state: String,
    why: String,
}

impl Undone {
    fn read(text: &str) -> Self {
        let (state, rest) = text.split_once('\n').unwrap_or(("", text));
        let known = matches!(state, "old" | "foreign" | "stuck");
        let (state, rest) = if known { (state, rest) } else { ("old", text) };
        let lines: Vec<&str> =
            rest.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Self { state: state.to_owned(), why: printable(lines.join(": ").as_bytes(), 700) }
    }
}

/// New objects on the device, to which the entry may point already.
pub(super) struct StagedEntry {
    line: Line,
    id: String,
    profile: String,
    emitter: Emitter,
    kept_alive: Option<AbortHandle>,
    /// The entry does not point to what is wanted.
    changes: bool,
    committed: bool,
}

impl Drop for StagedEntry {
    fn drop(&mut self) {
        if let Some(task) = self.kept_alive.take() {
            task.abort();
        }
    }
}

impl StagedEntry {
    fn orders(&self, verb: &str) -> Orders {
        self.line.orders(verb).and("id", &self.id)
    }

    async fn surely(&self, verb: &str) -> Result<Answers, HostFailure> {
        self.line.surely(|| self.orders(verb)).await
    }

    fn unknown(&self, step: Step, why: &str) -> HostFailure {
        let mut ended = failure::before_commit(&self.line.task, step, why);
        ended.outcome = Outcome::Unknown(step);
        "UNKNOWN: the device goes back to the old objects by itself unless it was told that the change stays"
            .clone_into(&mut ended.failure.state);
        let next =
            "`certroll status` shows what the entry points to once the device can be reached";
        ended.failure.advice.push(next.to_owned());
        ended
    }

    /// What became of the entry, told after something had failed.
    fn after(&self, step: Step, why: String, undone: &Undone) -> HostFailure {
        let mut ended = failure::before_commit(&self.line.task, step, why);
        match undone.state.as_str() {
            "old" if self.committed => {
                ended.outcome = Outcome::RolledBack(step);
                ended.failure.rolled_back = Some(true);
                "rolled back: the entry points to the old objects again, and the new ones are deleted"
                    .clone_into(&mut ended.failure.state);
            }
            "old" => {
                "untouched: the entry points to the old objects"
                    .clone_into(&mut ended.failure.state);
            }
            "foreign" => {
                ended.outcome = Outcome::Unknown(step);
                ended.failure.rolled_back = Some(false);
                "the entry was left alone, as somebody else has pointed it to something else meanwhile"
                    .clone_into(&mut ended.failure.state);
            }
            _ => {
                ended.outcome = Outcome::Unknown(step);
                ended.failure.rolled_back = Some(false);
                "UNKNOWN: the device could not point the entry back yet, and a job there goes on trying"
                    .clone_into(&mut ended.failure.state);
            }
        }
        ended
    }

    async fn make(&mut self) -> Result<String, HostFailure> {
        if !self.changes {
            return Ok("the entry points to the wanted objects already".to_owned());
        }
        if let Some(task) = self.kept_alive.take() {
            task.abort();
        }
        let answers = match self.surely("commit").await {
            Ok(answers) => answers,
            Err(lost) => return Err(self.unknown(Step::Commit, &lost.failure.message)),
        };
        match answers.end() {
            ("well", _) => {
                self.committed = true;
                Ok(format!("{} points to the new objects", self.profile))
            }
            ("failed" | "stale", text) => {
                let undone = Undone::read(text);
                let why = undone.why.clone();
                Err(self.after(Step::Commit, why, &undone))
            }
            ("gone", _) => {
                let why =
                    "the device had discarded the stage already, as it heard nothing for too long";
                Err(failure::before_commit(&self.line.task, Step::Commit, why))
            }
            (kind, _) => {
                Err(self.unknown(Step::Commit, &format!("'{kind}' is not an answer to it")))
            }
        }
    }

    async fn keep(&mut self) -> Result<(), HostFailure> {
        let answers = match self.surely("confirm").await {
            Ok(answers) => answers,
            Err(lost) => return Err(self.unknown(Step::Confirm, &lost.failure.message)),
        };
        for warning in answers.all("warn") {
            let words = printable(warning.trim().as_bytes(), 400);
            self.emitter.warn(Some(&self.line.host), format!("after the confirmation: {words}"));
        }
        match answers.end() {
            ("well", _) => Ok(()),
            // An answer before this one was lost.
            ("gone", text) if text.starts_with(&self.id) => Ok(()),
            ("gone", _) => {
                let old = Undone { state: "old".to_owned(), why: String::new() };
                let why =
                    "no confirmation came in time, so the device went back by itself".to_owned();
                let mut ended = self.after(Step::Confirm, why, &old);
                ended.deserted = true;
                Err(ended)
            }
            ("foreign", text) => {
                let at = printable(text.trim().as_bytes(), 300);
                let why =
                    format!("the entry was changed again after the change: it points to {at}");
                let foreign = Undone { state: "foreign".to_owned(), why: String::new() };
                Err(self.after(Step::Confirm, why, &foreign))
            }
            ("failed", text) => {
                let undone = Undone::read(text);
                let why = undone.why.clone();
                Err(self.after(Step::Confirm, why, &undone))
            }
            (kind, _) => {
                Err(self.unknown(Step::Confirm, &format!("'{kind}' is not an answer to it")))
            }
        }
    }

    async fn undo(&self, cause: StepFailure) -> HostFailure {
        let answers = match self.surely("undo").await {
            Ok(answers) => answers,
            Err(lost) => {
                let why = format!("{}; and then: {}", cause.why, lost.failure.message);
                return self.unknown(cause.step, &why);
            }
        };
        let undone = match answers.end() {
            ("undone", text) => Undone::read(text),
            ("gone", text) if text == "confirmed" || text.starts_with(&self.id) => {
                return self
                    .unknown(cause.step, &format!("{}; the device had confirmed it", cause.why));
            }
            // The job on the device came first.
            ("gone", _) => Undone { state: "old".to_owned(), why: String::new() },
            (kind, _) => {
                return self
                    .unknown(cause.step, &format!("{}; and '{kind}' is not an answer", cause.why));
            }
        };
        let mut ended = self.after(cause.step, cause.why, &undone);
        ended.failure.exit_code = cause.rc;
        ended.failure.output = failure::last_lines(&cause.output);
        ended
    }
}

impl Staged for StagedEntry {
    fn keep_alive(&mut self, every: Duration) {
        if !self.changes || self.committed {
            return;
        }
        if let Some(task) = self.kept_alive.take() {
            task.abort();
        }
        let (line, id) = (self.line.clone(), self.id.clone());
        let every = every.clamp(Duration::from_secs(20), LEASE / 4);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                // A lost word is nothing: the next one comes long before the lease is over.
                let _ = line.ask(line.orders("extend").and("id", &id)).await;
            }
        });
        self.kept_alive = Some(task.abort_handle());
    }

    fn commit<'a>(
        &'a mut self,
        _: &'a mut (dyn FnMut(String) + Send),
    ) -> BoxFuture<'a, Result<String, HostFailure>> {
        Box::pin(self.make())
    }

    fn confirm(mut self: Box<Self>) -> BoxFuture<'static, Result<(), HostFailure>> {
        Box::pin(async move {
            if !self.committed {
                return Ok(());
            }
            self.keep().await
        })
    }

    fn roll_back(self: Box<Self>, cause: StepFailure) -> BoxFuture<'static, HostFailure> {
        Box::pin(async move {
            if !self.changes {
                return failure::before_commit(&self.line.task, cause.step, cause.why);
            }
            self.undo(cause).await
        })
    }

    fn abort(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if self.changes {
                // Where this does not arrive, the device discards the stage by itself.
                let _ = self.line.ask(self.orders("undo")).await;
            }
        })
    }
}
