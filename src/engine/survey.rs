//! Looking at hosts outside a rollout: `verify`, `status`, `recover`, `ping`.

use super::certificate::failure::{self, Ended};
use super::certificate::observe::{Job, observe, recover};
use super::certificate::status::host_status;
use super::link::Link;
use super::play;
use super::run::Run;
use super::selection;
use super::task::{self, TaskEnd, rounds};
use super::variables::PlayScope;
use super::verification::{look, verify_all};
use super::wants;
use crate::event::{Kind, TaskResult};
use crate::host::{Inspection, StateDirs};
use crate::model::{HostName, RemotePath, Step};
use crate::plan::probes::probes;
use crate::playbook::TaskKind;
use crate::playbook::certificate::RenderError;
use crate::remote::{self};
use crate::source::Diagnostics;
use crate::template::TemplateError;
use indexmap::{IndexMap, IndexSet};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Every certificate task of every host, rendered; hosts in the order of the plays.
fn jobs(run: &Run) -> Result<IndexMap<HostName, Vec<Job>>, Diagnostics> {
    let mut all: IndexMap<HostName, Vec<Job>> = IndexMap::new();
    let mut found = Diagnostics::default();
    for (index, book) in run.project.books.iter().enumerate() {
        for (number, parsed) in book.playbook.plays.iter().enumerate() {
            let hosts = play::hosts(run, index, number).unwrap_or_default();
            let vars = PlayScope::new(book, parsed, &hosts);
            for host in &hosts {
                let mine = all.entry(host.clone()).or_default();
                let mut later = HashSet::new();
                for task in selection::tasks(&run.project, index, number) {
                    let task = &parsed.tasks[task];
                    later.extend(task.register.clone());
                    let TaskKind::Certificate(spec) = &task.kind else {
                        if let TaskKind::SetFact(facts) = &task.kind {
                            later.extend(facts.keys().cloned());
                        }
                        continue;
                    };
                    let scope = run.variables.task_scope(&vars, host, task)?;
                    let scope = scope.mark_unknown(later.clone());
                    let unknown = |name: &str| {
                        let title = task.title();
                        let words = format!(
                            "task '{title}' is left out: '{name}' is not known outside a run"
                        );
                        run.shared.emitter.warn(Some(host), words);
                    };
                    let list = match rounds(task.looping.as_ref(), &scope) {
                        Ok(list) => list,
                        Err(TemplateError::NotYetKnown(name)) => {
                            unknown(&name);
                            continue;
                        }
                        Err(TemplateError::Wrong(problem)) => {
                            found.push(*problem);
                            continue;
                        }
                    };
                    for (scope, _) in list {
                        // What only the run would decide is looked at all the same.
                        if let Ok(false) = task::holds(&task.when, &scope) {
                            continue;
                        }
                        match wants::want(run, book, task, spec, host, &scope) {
                            Ok(want) => {
                                let link =
                                    run.links.of_task(run, parsed, &vars, task, host, &scope)?;
                                let dirs = run.links.state_dirs(&scope)?;
                                mine.push(Job { wanted: want.wanted, link, dirs, earlier: None });
                            }
                            Err(RenderError::NotYetKnown(name)) => unknown(&name),
                            Err(RenderError::Wrong(problems)) => found.extend(problems),
                        }
                    }
                }
            }
        }
    }
    if found.has_errors() { Err(found) } else { Ok(all) }
}

/// One piece of work per host, forks at a time; books and tells what became of it.
async fn over<T, F>(run: &Arc<Run>, hosts: IndexMap<HostName, T>, work: impl Fn(HostName, T) -> F)
where
    F: Future<Output = Vec<(String, TaskEnd)>>,
{
    for host in hosts.keys() {
        run.tally().enter(host);
    }
    let each = hosts.into_iter().map(|(host, item)| {
        let work = &work;
        async move {
            let _permit = run.permits.acquire().await;
            if run.shared.stop.is_interrupt() {
                run.tally().skip(&host, "the run was interrupted");
                return;
            }
            let begun = Instant::now();
            for (title, end) in work(host, item).await {
                tell(run, &title, end, begun);
            }
        }
    });
    futures::future::join_all(each).await;
}

fn tell(run: &Run, title: &str, end: TaskEnd, begun: Instant) {
    let emitter = &run.shared.emitter;
    if let Some(failure) = &end.failure {
        emitter.failure(&end.host, failure.clone());
    }
    let mut tally = run.tally();
    tally.task(&end.host, end.result);
    if let Some(outcome) = end.outcome {
        tally.fail(&end.host, outcome, end.message.clone().unwrap_or_default());
    }
    drop(tally);
    let kind = Kind::TaskEnd {
        task: title.to_owned(),
        result: end.result,
        message: end.message,
        output: end.output,
        millis: super::emit::millis(begun.elapsed()),
    };
    emitter.host(&end.host, kind);
}

fn ok(host: &HostName, message: impl Into<String>) -> TaskEnd {
    TaskEnd { message: Some(message.into()), ..TaskEnd::blank(host, json!({})) }
}

/// Makes the handshakes of every certificate task; no program runs on a host, and no SSH connection is
/// made unless `via:` asks for one.
///
/// # Errors
/// What is wrong with the playbook's values.
pub async fn verify(run: &Arc<Run>) -> Result<(), Diagnostics> {
    over(run, jobs(run)?, |host, jobs| async move {
        let mut ends = Vec::new();
        for job in jobs {
            let end = match verify_job(run, &job).await {
                Ok(words) => ok(&host, words),
                Err(ended) => TaskEnd::failed(&host, ended),
            };
            ends.push((job.task().to_owned(), end));
        }
        ends
    })
    .await;
    Ok(())
}

async fn verify_job(run: &Run, job: &Job) -> Result<String, Ended> {
    let wrong = |why: String| failure::before_commit(job.task(), Step::Verify, why);
    let mut places = probes(&job.wanted).map_err(wrong)?;
    // Nothing was reloaded that would need its time.
    places.iter_mut().for_each(|place| place.settle = Duration::ZERO);
    if places.is_empty() {
        return Ok("verify is off for this task: nothing was looked at".to_owned());
    }
    let shared = &run.shared;
    let running = shared.emitter.step(job.host(), Step::Verify);
    let verified = verify_all(
        job.host(),
        &places,
        &[],
        &job.link.dialers(),
        shared.now,
        shared.stop.soft(),
        &shared.emitter,
    )
    .await
    .map_err(|unverified| {
        let mut ended = wrong(unverified.words);
        "only looked at: nothing was changed".clone_into(&mut ended.failure.state);
        ended.failure.advice = unverified.advice;
        ended
    })?;
    for note in verified.notes {
        shared.emitter.warn(Some(job.host()), note);
    }
    running.end(verified.detail.clone());
    Ok(verified.detail)
}

/// Asks every host what it holds of each certificate task.
///
/// # Errors
/// What is wrong with the playbook's values.
pub async fn status(run: &Arc<Run>) -> Result<(), Diagnostics> {
    over(run, jobs(run)?, |host, jobs| async move {
        let mut ends = Vec::new();
        for job in jobs {
            let title = job.task().to_owned();
            match status_job(run, &job).await {
                Ok(end) => ends.push((title, end)),
                Err(ended) => {
                    ends.push((title, TaskEnd::failed(&host, ended)));
                    break;
                }
            }
        }
        ends
    })
    .await;
    Ok(())
}

async fn status_job(run: &Run, job: &Job) -> Result<TaskEnd, Ended> {
    let observed = observe(job, &run.shared).await?;
    let places =
        probes(&job.wanted).map_err(|why| failure::before_commit(job.task(), Step::Verify, why))?;
    let looks = look(&places, &job.link.dialers()).await;
    let status = host_status(&observed, &places, &looks, run.shared.now);
    let words = match status.is_unfinished() {
        true => "an interrupted transaction is unfinished: `certroll recover` settles it",
        false => "asked",
    };
    let kind = Kind::HostStatus { task: job.task().to_owned(), status: Box::new(status) };
    run.shared.emitter.host(job.host(), kind);
    Ok(ok(job.host(), words))
}

/// Settles what interrupted runs left on every host; nothing else.
///
/// # Errors
/// What is wrong with the playbook's values.
pub async fn settle(run: &Arc<Run>) -> Result<(), Diagnostics> {
    over(run, jobs(run)?, |host, jobs| async move {
        let Some(first) = jobs.first() else { return Vec::new() };
        let title = "recover".to_owned();
        let end = match settle_host(run, &jobs, first).await {
            Ok(words) if words.is_empty() => ok(&host, "nothing to settle"),
            Ok(words) => TaskEnd { result: TaskResult::Changed, ..ok(&host, words.join("; ")) },
            Err(ended) => TaskEnd::failed(&host, ended),
        };
        vec![(title, end)]
    })
    .await;
    Ok(())
}

async fn settle_host(run: &Run, jobs: &[Job], first: &Job) -> Result<Vec<String>, Ended> {
    let mut files: IndexSet<RemotePath> = IndexSet::new();
    for job in jobs {
        let observed = observe(job, &run.shared).await?;
        files.extend(observed.facts.files.iter().map(|file| file.path.clone()));
    }
    let files: Vec<RemotePath> = files.into_iter().collect();
    let (host, dirs) = (first.host(), first.dirs.as_ref());
    recover(host, "recover", &first.link, &files, dirs, &run.shared).await
}

/// Connects to every host, logs in, becomes the account, and tells who that is.
///
/// # Errors
/// What is wrong with variables.
pub async fn ping(run: &Arc<Run>) -> Result<(), Diagnostics> {
    let mut hosts: IndexMap<HostName, (Link, Option<StateDirs>)> = IndexMap::new();
    let book = &run.project.books[0];
    let parsed = &book.playbook.plays[0];
    let names = play::hosts(run, 0, 0).map_err(|problem| Diagnostics(vec![problem]))?;
    let vars = PlayScope::new(book, parsed, &names);
    for host in names {
        let scope = run.variables.scope(&vars, &host)?;
        let link = run.links.of_host(&run.variables, &vars, &host)?;
        hosts.insert(host, (link, run.links.state_dirs(&scope)?));
    }
    over(run, hosts, |host, (link, dirs)| async move {
        let end = match ping_host(run, &host, &link, dirs).await {
            Ok(words) => ok(&host, words),
            Err(ended) => TaskEnd::failed(&host, ended),
        };
        vec![("ping".to_owned(), end)]
    })
    .await;
    Ok(())
}

async fn ping_host(
    run: &Run,
    host: &HostName,
    link: &Link,
    dirs: Option<StateDirs>,
) -> Result<String, Ended> {
    let running = run.shared.emitter.step(host, Step::Connect);
    let process = link.sh().await.map_err(|error| error.ended("ping"))?;
    let request = Inspection { dirs, ..Inspection::default() };
    let facts = remote::inspect(process, &request)
        .await
        .map_err(|error| failure::remote("ping", host, &error, None))?;
    running.end(link.describe());
    let system = if facts.os_id.is_empty() { "unknown system" } else { facts.os_id.as_str() };
    let mut words = format!("{}: {} on {system}", link.describe(), facts.user);
    let missing = facts.missing_tools();
    if !missing.is_empty() {
        words.push_str(&format!("; no transaction is possible: no {}", missing.join(", no ")));
    }
    Ok(words)
}
