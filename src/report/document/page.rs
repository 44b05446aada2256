//! What a document shows, as plain texts and numbers for its template.

use super::certificates::{Certificate, certificates};
use crate::event::planned::{CertBrief, PlanRow};
use crate::event::{HostSummary, StopReason, Summary};
use crate::model::text::plural;
use crate::model::{FileAction, HostName, Outcome};
use crate::report::failure;
use crate::report::host_run::{HostRun, StepState};
use crate::report::lines::stop_words;
use crate::report::run_view::RunView;
use crate::report::theme::{line, seconds};
use crate::report::words;
use indexmap::IndexMap;
use serde::Serialize;
use std::time::Duration;

/// What is said of a run or a saved plan besides its events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heading {
    /// What it is called instead of `run 5d1f0a4c`.
    pub title: Option<String>,
    /// What is odd about it, one line.
    pub remark: Option<String>,
}

/// A whole document.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    title: String,
    remark: Option<String>,
    /// Facts of the run: name and value.
    facts: Vec<(&'static str, String)>,
    is_plan: bool,
    /// `3 hosts`, or what a plan would do.
    total: String,
    /// Hosts by outcome.
    totals: Vec<Total>,
    stopped: Option<&'static str>,
    batches: Vec<Batch>,
    failures: Vec<Failed>,
    hosts: Vec<Host>,
    /// What `discover` found.
    certificates: Vec<Certificate>,
    notes: Vec<String>,
    pub(super) junit: Junit,
}

/// The sums of JUnit's form.
#[derive(Debug, Serialize)]
pub(super) struct Junit {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    time: String,
    timestamp: String,
}

#[derive(Debug, Serialize)]
struct Total {
    count: usize,
    word: String,
    class: &'static str,
}

#[derive(Debug, Serialize)]
struct Batch {
    name: String,
    hosts: usize,
    failed: usize,
    began: String,
    took: String,
    /// On the line of time, in percent.
    left: String,
    width: String,
    sums: Option<String>,
    unknown: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Failed {
    step: String,
    hosts: String,
    task: String,
    message: String,
    command: Option<String>,
    exit_code: Option<i32>,
    output: Vec<String>,
    state: String,
    advice: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Host {
    name: String,
    outcome: String,
    class: &'static str,
    reason: String,
    took: String,
    seconds: String,
    serves: String,
    seen: String,
    steps: Vec<Step>,
    files: Vec<File>,
    commands: Vec<String>,
    tasks: Vec<String>,
    failures: Vec<Failed>,
}

#[derive(Debug, Serialize)]
struct Step {
    step: &'static str,
    state: &'static str,
    began: String,
    took: String,
    detail: String,
}

#[derive(Debug, Serialize)]
struct File {
    service: String,
    file: String,
    action: String,
    class: &'static str,
    why: String,
    before: String,
    after: String,
    detail: String,
    notes: Vec<String>,
}

impl Page {
    /// Of a run as far as it has come.
    pub(super) fn of(view: &RunView, heading: &Heading) -> Self {
        let summary = view.summary_so_far();
        let start = &view.start;
        let run: String = line(&start.run).chars().take(8).collect();
        let verb = line(&start.command);
        let title = heading.title.clone().unwrap_or_else(|| format!("{verb}, run {run}"));
        let hosts: Vec<Host> = words::loudest_first(&summary.hosts)
            .map(|(name, counts)| host(view, name, counts, view.hosts.get(name)))
            .collect();
        let is_plan = view.is_plan();
        Self {
            title,
            remark: heading.remark.clone(),
            facts: facts(view, &summary),
            is_plan,
            total: plural(summary.hosts.len(), "host"),
            totals: totals(view, &summary),
            stopped: summary.stopped.map(|reason: StopReason| stop_words(reason)),
            batches: batches(view),
            failures: view
                .failures
                .iter()
                .map(|group| failed(&group.failure, group.hosts.iter()))
                .collect(),
            certificates: certificates(view),
            notes: notes(view),
            junit: sums(view, &summary),
            hosts,
        }
    }
}

fn facts(view: &RunView, summary: &Summary) -> Vec<(&'static str, String)> {
    let start = &view.start;
    let mut facts = vec![("run", line(&start.run)), ("verb", line(&start.command))];
    facts.push(("playbooks", line(&start.playbooks.join(" "))));
    if let Some(limit) = &start.rerun.limit {
        facts.push(("limit", line(limit)));
    }
    if let Some(plan) = &start.plan {
        facts.push(("saved plan", plan.to_string()));
    }
    if let Some(run) = &start.follows {
        facts.push(("follows run", line(run)));
    }
    facts.push(("by", line(&start.by)));
    facts.push(("directory", line(&start.directory)));
    if let Some(began) = view.began {
        facts.push(("began", began.to_string()));
    }
    // A saved plan keeps no times.
    if !view.elapsed.is_zero() {
        facts.push(("took", seconds(view.elapsed)));
    }
    match view.summary.is_some() {
        true => facts.push(("exit code", summary.exit_code.to_string())),
        false => facts.push(("end", "it has not said how it ended".to_owned())),
    }
    facts.push(("certroll", line(&start.version)));
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

fn totals(view: &RunView, summary: &Summary) -> Vec<Total> {
    let mut counts: IndexMap<String, (u8, &'static str, usize)> = IndexMap::new();
    for (name, host) in &summary.hosts {
        let (word, class) = judged(view, name, host.outcome);
        counts.entry(word).or_insert((words::rank(host.outcome), class, 0)).2 += 1;
    }
    counts.sort_by_key(|_, (rank, ..)| *rank);
    let total = |(word, (_, class, count))| Total { count, word, class };
    counts.into_iter().map(total).collect()
}

/// The word for a host and the class of its colour. In a plan it is what would become of it.
fn judged(view: &RunView, name: &HostName, outcome: Outcome) -> (String, &'static str) {
    let pending = |run: &HostRun| run.rows.iter().any(|(_, row)| row.action.is_pending());
    if view.is_plan() && !outcome.is_failure() {
        return match view.hosts.get(name).is_some_and(pending) {
            true => ("would change".to_owned(), "changed"),
            false => ("unchanged".to_owned(), "good"),
        };
    }
    let looks = matches!(view.start.command.as_str(), "verify" | "ping" | "status" | "discover");
    let word = match outcome {
        Outcome::Unchanged if looks => "ok".to_owned(),
        other => other.name().replace('_', " "),
    };
    (word, class(outcome))
}

fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unknown(_) | Outcome::NotRestored(_) => "loud",
        Outcome::Failed(_) | Outcome::RolledBack(_) | Outcome::Unreachable => "bad",
        Outcome::Changed => "changed",
        Outcome::Unchanged => "good",
        Outcome::Skipped => "quiet",
    }
}

fn batches(view: &RunView) -> Vec<Batch> {
    let whole = view.elapsed.as_secs_f64().max(0.001);
    let share = |time: Duration| time.as_secs_f64() / whole * 100.0;
    let mut all = Vec::new();
    for play in &view.plays {
        for batch in &play.batches {
            let end = batch.ended.unwrap_or(view.elapsed);
            let took = end.saturating_sub(batch.began);
            all.push(Batch {
                name: format!("{}, batch {} of {}", line(&play.name), batch.number, batch.of),
                hosts: batch.hosts.len(),
                failed: batch.failed,
                began: seconds(batch.began),
                took: seconds(took),
                left: format!("{:.2}", share(batch.began).min(99.5)),
                width: format!("{:.2}", share(took).clamp(0.5, 100.0)),
                sums: batch.counts.as_ref().map(crate::report::plan_table::sums),
                unknown: batch.unknown.iter().map(|text| line(text)).collect(),
            });
        }
    }
    all
}

fn failed<'a>(
    failure: &crate::event::Failure,
    hosts: impl Iterator<Item = &'a HostName>,
) -> Failed {
    Failed {
        step: failure.step.name().to_owned(),
        hosts: words::hosts(hosts, 20),
        task: line(&failure.task),
        message: failure::headline(failure),
        command: failure.command.as_deref().map(line),
        exit_code: failure.exit_code,
        output: failure.output.iter().map(|text| line(text)).collect(),
        state: line(&failure.state),
        advice: failure.advice.iter().map(|text| line(text)).collect(),
    }
}

fn host(view: &RunView, name: &HostName, counts: &HostSummary, run: Option<&HostRun>) -> Host {
    let (mut outcome, class) = judged(view, name, counts.outcome);
    if let Some(step) = counts.outcome.step() {
        outcome = format!("{outcome} ({step})");
    }
    let reason = counts.reason.as_deref().map(line).unwrap_or_default();
    let none = HostRun::default();
    let known = run.unwrap_or(&none);
    let services: Vec<String> =
        known.services.iter().map(|end| words::service(end, true)).collect();
    let took = known.took();
    Host {
        name: line(name.as_str()),
        outcome,
        class,
        reason,
        took: run.map(|_| seconds(took)).unwrap_or_default(),
        seconds: format!("{:.3}", took.as_secs_f64()),
        serves: services.join(", "),
        seen: line(&words::verified(&known.verified, true)),
        steps: known.steps.iter().map(step).collect(),
        files: known.rows.iter().map(|(_, row)| file(row)).collect(),
        commands: commands(known),
        tasks: known.tasks.iter().map(task).collect(),
        failures: known
            .failures
            .iter()
            .map(|(_, failure)| failed(failure, std::iter::once(name)))
            .collect(),
    }
}

fn step(run: &crate::report::host_run::StepRun) -> Step {
    Step {
        step: run.step.name(),
        state: match run.state {
            StepState::Running => "not ended",
            StepState::Done => "ok",
            StepState::Failed => "FAILED",
        },
        began: seconds(run.began),
        took: run.took.map(seconds).unwrap_or_default(),
        detail: match run.attempts {
            0 | 1 => line(&run.detail),
            many => format!("{} ({many} attempts)", line(&run.detail)).trim_start().to_owned(),
        },
    }
}

fn file(row: &PlanRow) -> File {
    let certificate = |brief: &CertBrief| {
        let last = brief.validity.not_after.date();
        line(&format!("{} until {last}, {}", words::certificate(brief), brief.subject))
    };
    let (class, why) = match &row.action {
        FileAction::Blocked(why) => ("bad", line(why)),
        FileAction::Unchanged => ("good", String::new()),
        _ => ("changed", String::new()),
    };
    File {
        service: line(&row.service),
        file: line(&row.file),
        action: row.action.name().replace('_', " "),
        class,
        why,
        before: row.now.as_deref().map(certificate).unwrap_or_default(),
        after: row.wanted.as_deref().map(certificate).unwrap_or_default(),
        detail: line(&row.detail),
        notes: row.notes.iter().map(|note| line(note)).collect(),
    }
}

/// What is run and looked at, each once.
fn commands(run: &HostRun) -> Vec<String> {
    let mut all = Vec::new();
    for (_, row) in &run.rows {
        for (word, text) in
            [("validate", &row.validate), ("reload", &row.reload), ("verify", &row.verify)]
        {
            let text = format!("{word}: {}", line(text));
            if !text.ends_with(": ") && !all.contains(&text) {
                all.push(text);
            }
        }
    }
    all
}

fn task(run: &crate::report::host_run::TaskRun) -> String {
    let result = serde_json::to_value(run.result).unwrap_or_default();
    let result = result.as_str().unwrap_or_default().to_owned();
    let message = run.message.as_deref().map(line).unwrap_or_default();
    let separator = if message.is_empty() { "" } else { ": " };
    format!("{}: {result}{separator}{message}, {}", line(&run.task), seconds(run.took))
}

/// Notes, those that differ by the host's name alone together.
fn notes(view: &RunView) -> Vec<String> {
    let mut groups: IndexMap<String, Vec<&HostName>> = IndexMap::new();
    for note in &view.notes {
        let hosts = groups.entry(line(&note.message)).or_default();
        hosts.extend(note.host.as_ref());
    }
    let text = |(message, hosts): (String, Vec<&HostName>)| match hosts.is_empty() {
        true => message,
        false => format!("{}: {message}", words::hosts(hosts, 4)),
    };
    groups.into_iter().map(text).collect()
}

fn sums(view: &RunView, summary: &Summary) -> Junit {
    let count = |is_one: fn(Outcome) -> bool| {
        summary.hosts.values().filter(|host| is_one(host.outcome)).count()
    };
    let is_error = |outcome| matches!(outcome, Outcome::Unreachable | Outcome::Unknown(_));
    let errors = count(is_error);
    Junit {
        tests: summary.hosts.len(),
        failures: count(Outcome::is_failure) - errors,
        errors,
        skipped: count(|outcome| outcome == Outcome::Skipped),
        time: format!("{:.3}", view.elapsed.as_secs_f64()),
        timestamp: view.began.map(|moment| moment.to_string()).unwrap_or_default(),
    }
}
