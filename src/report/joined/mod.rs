//! Several runs as one: the shards of a rollout, and the canary before them.

use super::run_view::RunView;
use super::theme::line;
use crate::event::{Event, HostSummary, Kind, NoteLevel, RunInputs, RunStart, Summary};
use crate::model::{Fingerprint, HostName, Outcome, Timestamp};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// One run, as its events tell.
#[derive(Debug)]
pub(crate) struct Part {
    /// Where they come from, for messages: a file.
    pub source: String,
    /// In order.
    pub events: Vec<Event>,
}

/// The runs together.
#[derive(Debug)]
pub(crate) struct Joined {
    /// One story: all that the runs told, one after another, without an end.
    pub events: Vec<Event>,
    /// What they came to; the exit code is for whoever knows the codes.
    pub summary: Summary,
    /// The shards of which there is no run, by their number.
    pub missing: Vec<u32>,
    /// Sources of the runs that were cut off, and that no later run of their shard made good.
    pub cut_off: Vec<String>,
    /// What is worth knowing of them; the story has these too.
    pub notes: Vec<String>,
    /// The exit codes of the runs that count.
    pub codes: Vec<u8>,
}

/// Why runs are not parts of one rollout.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JoinError {
    /// Nothing in it says how a run began.
    #[error("{0}: no run begins here: there is no event `run_start`")]
    NoRun(String),
    /// They did different things.
    #[error("{other}: this is `{that}`, and {one} is `{this}`: they are no parts of one rollout")]
    Different {
        /// The first source.
        one: String,
        /// What it did.
        this: String,
        /// The source that differs.
        other: String,
        /// What it did.
        that: String,
    },
}

struct Run {
    source: String,
    start: RunStart,
    began: Timestamp,
    events: Vec<Event>,
    view: RunView,
}

impl Run {
    fn of(Part { source, events }: Part) -> Result<Self, JoinError> {
        let first = events.iter().find_map(|event| match &event.kind {
            Kind::RunStart(start) => Some(((**start).clone(), event.moment)),
            _ => None,
        });
        let Some((start, began)) = first else { return Err(JoinError::NoRun(source)) };
        let mut view = RunView::default();
        events.iter().for_each(|event| view.take(event));
        Ok(Self { source, start, began, events, view })
    }

    /// What must be the same in all parts; `of` is the number of shards.
    fn work(&self, of: Option<u32>) -> String {
        let RunStart { command, playbooks, check, .. } = &self.start;
        let check = if *check { " --check" } else { "" };
        let of = of.map(|of| format!(" --shard K/{of}")).unwrap_or_default();
        line(&format!("{command}{check}{of} {}", playbooks.join(" ")))
    }

    fn shards(&self) -> Option<u32> {
        self.start.shard.map(|shard| shard.of())
    }

    fn inputs(&self) -> Option<&RunInputs> {
        self.events.iter().find_map(|event| match &event.kind {
            Kind::Inputs(inputs) => Some(&**inputs),
            _ => None,
        })
    }

    fn has_ended(&self) -> bool {
        self.view.summary.is_some()
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start.shard {
            Some(shard) => write!(f, "shard {shard}"),
            None => f.write_str(&line(&self.source)),
        }
    }
}

/// Joins runs of one rollout, whatever their order. A shard that was run again counts as its last run says, and what an
/// earlier run of it changed stays told as changed.
///
/// # Errors
/// One is no run; one did something else than the first.
pub(crate) fn join(parts: Vec<Part>) -> Result<Joined, JoinError> {
    let mut runs = parts.into_iter().map(Run::of).collect::<Result<Vec<_>, _>>()?;
    alike(&runs)?;
    runs.sort_by_key(|run| run.began);
    let missing = missing(&runs);
    let counts: Vec<bool> = (0..runs.len()).map(|at| !is_made_good(&runs, at)).collect();
    let counting = || runs.iter().zip(&counts).filter(|(_, counts)| **counts).map(|(run, _)| run);
    let cut_off: Vec<&Run> = counting().filter(|run| !run.has_ended()).collect();
    let codes = counting().filter_map(|run| Some(run.view.summary.as_ref()?.exit_code)).collect();

    let mut notes: Vec<String> = missing
        .iter()
        .map(|index| format!("shard {index} is missing: none of the files is a run of it"))
        .collect();
    notes.extend(cut_off.iter().map(|run| format!("{run} was cut off: it has no summary")));
    notes.extend(differing(&runs).map(|run| {
        format!("{run} was made of other playbooks or profiles: their text has changed between")
    }));
    let mut summary = Summary { hosts: hosts(&runs), ..Summary::default() };
    summary.stopped = counting().filter_map(|run| run.view.summary_so_far().stopped).max();
    summary.pending = counting().filter_map(|run| Some(run.view.summary.as_ref()?.pending)).sum();
    let cut_off = cut_off.iter().map(|run| run.source.clone()).collect();
    Ok(Joined { events: story(&runs, &notes), summary, missing, cut_off, notes, codes })
}

fn alike(runs: &[Run]) -> Result<(), JoinError> {
    let Some(first) = runs.iter().find(|run| run.start.shard.is_some()).or(runs.first()) else {
        return Ok(());
    };
    for run in runs {
        // A canary is a run of the same work without a shard.
        let of = run.shards().and(first.shards());
        let (this, that) = (first.work(of), run.work(run.shards()));
        if this != that {
            let (one, other) = (first.source.clone(), run.source.clone());
            return Err(JoinError::Different { one, this, other, that });
        }
    }
    Ok(())
}

fn missing(runs: &[Run]) -> Vec<u32> {
    let shards = || runs.iter().filter_map(|run| run.start.shard);
    let there: BTreeSet<u32> = shards().map(|shard| shard.index()).collect();
    let of = shards().map(|shard| shard.of()).max().unwrap_or(0);
    (1..=of).filter(|index| !there.contains(index)).collect()
}

/// Whether a later run of the same shard stands in for this one.
fn is_made_good(runs: &[Run], at: usize) -> bool {
    let shard = runs[at].start.shard;
    shard.is_some() && runs[at + 1..].iter().any(|later| later.start.shard == shard)
}

/// The runs whose playbooks or profiles have another text than in an earlier one. A run names the profiles of its own hosts
/// alone: a shard without hosts has none.
fn differing(runs: &[Run]) -> impl Iterator<Item = &Run> {
    let mut known: BTreeMap<&str, Fingerprint> = BTreeMap::new();
    runs.iter().filter(move |run| {
        let sources = run.inputs().into_iter().flat_map(|inputs| &inputs.sources);
        let others = sources
            .filter(|source| *known.entry(&source.file).or_insert(source.sha256) != source.sha256);
        others.count() > 0
    })
}

/// Every host with how it stands after the last run that dealt with it.
fn hosts(runs: &[Run]) -> IndexMap<HostName, HostSummary> {
    let mut hosts: IndexMap<HostName, HostSummary> = IndexMap::new();
    for run in runs {
        for (host, now) in run.view.summary_so_far().hosts {
            match hosts.get_mut(&host) {
                None => {
                    hosts.insert(host, now);
                }
                Some(before) if is_news(before.outcome, now.outcome) => *before = now,
                Some(_) => {}
            }
        }
    }
    hosts
}

/// Whether what a later run says of a host replaces what was known.
fn is_news(before: Outcome, now: Outcome) -> bool {
    match now {
        Outcome::Skipped => false,
        Outcome::Unchanged => before != Outcome::Changed,
        _ => true,
    }
}

fn story(runs: &[Run], notes: &[String]) -> Vec<Event> {
    let Some(first) = runs.first() else { return Vec::new() };
    // A canary's `--limit` is not that of the fleet.
    let whole = runs.iter().find(|run| run.start.shard.is_some()).unwrap_or(first);
    let mut events = vec![Event {
        seq: 0,
        moment: first.began,
        elapsed: Duration::ZERO,
        host: None,
        kind: Kind::RunStart(Box::new(start(&whole.start))),
    }];
    for run in runs {
        let later = u64::try_from(run.began.unix() - first.began.unix()).unwrap_or(0);
        for event in &run.events {
            let kind = match &event.kind {
                Kind::RunStart(_) | Kind::Summary(_) | Kind::Inputs(_) => continue,
                Kind::PlayStart { play, hosts, names, seed } => Kind::PlayStart {
                    play: format!("{play} ({run})"),
                    hosts: *hosts,
                    names: names.clone(),
                    seed: *seed,
                },
                other => other.clone(),
            };
            let elapsed = event.elapsed + Duration::from_secs(later);
            events.push(Event { elapsed, kind, ..event.clone() });
        }
    }
    let last = runs.iter().filter_map(|run| run.view.moment).max().unwrap_or(first.began);
    let elapsed = events.iter().map(|event| event.elapsed).max().unwrap_or_default();
    events.extend(notes.iter().map(|message| Event {
        seq: 0,
        moment: last,
        elapsed,
        host: None,
        kind: Kind::Note { level: NoteLevel::Warning, message: message.clone() },
    }));
    (0..).zip(&mut events).for_each(|(seq, event)| event.seq = seq);
    events
}

/// How all of it began: a shard's, for the whole fleet.
fn start(shard: &RunStart) -> RunStart {
    let mut start = RunStart { shard: None, recorded: false, ..shard.clone() };
    if let Some(at) = start.rerun.argv.iter().position(|word| word == "--shard") {
        start.rerun.argv.drain(at..(at + 2).min(start.rerun.argv.len()));
    }
    start
}

#[cfg(test)]
mod tests;
