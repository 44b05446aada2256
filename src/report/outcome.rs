//! The end of a run: what needs a person first, then what became of every host, then the recap.

use super::again::Again;
use super::failure::{self, Groups};
use super::lines::{heading, stop_words};
use super::look::{self, Look, line, seconds};
use super::table::{self, Share, plain};
use super::words::{self, Verified};
use super::{Reporter, status};
use crate::event::planned::ServiceEnd;
use crate::event::{Event, HostSummary, Kind, Summary};
use crate::model::text::plural;
use crate::model::{HostName, Step};
use anstyle::Style;
use indexmap::IndexMap;
use std::io::{self, Write};
use std::time::Duration;

/// From so many hosts on, those that ended well and alike share a row of the table.
const CROWD: usize = 40;

/// How the end of a run is shown.
#[derive(Clone, Debug)]
pub struct End {
    /// Colours and width.
    pub look: Look,
    /// What to repeat after `certroll VERB`; without words, the playbooks are named.
    pub again: Again,
    /// The failures were already shown in full to the same eyes.
    pub failures_shown: bool,
}

/// Collects what happened and prints it at the end.
pub struct Outcomes<W> {
    out: W,
    end: End,
    command: String,
    hosts: IndexMap<HostName, Record>,
    failures: Groups,
    /// Whether a table of outcomes makes sense: in a plan only the failures are shown.
    planned: bool,
    status: Vec<(HostName, String, crate::event::status::HostStatus)>,
}

#[derive(Default)]
struct Record {
    began: Duration,
    ended: Duration,
    services: Vec<ServiceEnd>,
    verified: Verified,
}

impl<W: Write> Outcomes<W> {
    /// Outcomes on `out`.
    pub fn new(out: W, end: End) -> Self {
        Self {
            out,
            end,
            command: "apply".to_owned(),
            hosts: IndexMap::new(),
            failures: Groups::default(),
            planned: false,
            status: Vec::new(),
        }
    }

    fn note(&mut self, host: &HostName, event: &Event) {
        let record = self
            .hosts
            .entry(host.clone())
            .or_insert_with(|| Record { began: event.elapsed, ..Record::default() });
        record.ended = event.elapsed;
        match &event.kind {
            Kind::StepEnd { step: Step::Verify, detail, .. } => {
                record.verified.handshake = Some(detail.clone());
            }
            Kind::StepEnd { step: Step::Rollback, detail, .. } => {
                record.verified.rollback = Some(detail.clone());
            }
            Kind::CertificateEnd { services, outcome, .. } => {
                for service in services {
                    record.services.retain(|known| known.service != service.service);
                    record.services.push(service.clone());
                }
                // A later task's good end does not hide an earlier one's failure.
                let told = record.verified.certificate.is_some_and(|known| known.is_failure());
                if !told {
                    record.verified.certificate = Some(*outcome);
                }
            }
            Kind::Failure(failure) => _ = self.failures.add(host, failure),
            Kind::HostStatus { task, status } => {
                self.status.push((host.clone(), task.clone(), (**status).clone()));
            }
            _ => {}
        }
    }

    fn summary(&mut self, summary: &Summary, elapsed: Duration) -> io::Result<()> {
        let look = self.end.look;
        let mut text = String::new();
        let mut held = std::mem::take(&mut self.status);
        held.sort_by_key(|(host, ..)| summary.hosts.get_index_of(host));
        for (host, task, status) in held {
            text.push_str(&status::table(&look, &host, &task, &status));
        }
        text.push_str(&self.unknown(summary));
        if !self.end.failures_shown || self.failures.iter().any(|group| group.hosts.len() > 1) {
            text.push_str(&self.failures());
        }
        if !self.planned && !summary.hosts.is_empty() {
            // What a host holds was just told in full.
            if self.command != "status" {
                text.push('\n');
                text.push_str(&self.table(summary));
                text.push_str(&self.recap(summary));
            }
            text.push_str(&format!("\n{} in {}\n", self.totals(summary), seconds(elapsed)));
        }
        if let Some(reason) = summary.stopped {
            text.push_str(&format!("stopped early: {}\n", stop_words(reason)));
        }
        text.push_str(&self.way_on(summary));
        self.out.write_all(look.fit(&text).as_bytes())?;
        self.out.flush()
    }

    fn unknown(&self, summary: &Summary) -> String {
        let hosts: Vec<_> = of_outcome(summary, &["unknown"]);
        if hosts.is_empty() {
            return String::new();
        }
        let head = format!("UNKNOWN: {}", words::hosts(hosts.iter().copied(), 20));
        format!(
            "\n{}\n    the link died before the host acknowledged the verdict; without a \
             confirmation it goes back by itself\n",
            self.end.look.paint(look::LOUD, head)
        )
    }

    fn failures(&self) -> String {
        let look = &self.end.look;
        let shown = self.end.failures_shown;
        let groups = self.failures.iter().filter(|group| !shown || group.hosts.len() > 1);
        groups.map(|group| format!("\n{}", failure::block(look, group))).collect()
    }

    fn table(&self, summary: &Summary) -> String {
        let look = &self.end.look;
        let mut hosts: Vec<(&HostName, &HostSummary)> = summary.hosts.iter().collect();
        hosts.sort_by_key(|(_, counts)| words::rank(&counts.outcome));
        // Rows that are the same but for the host and the time.
        let mut rows: IndexMap<(Option<&HostName>, [String; 4]), Vec<&HostName>> = IndexMap::new();
        for (host, counts) in &hosts {
            let crowd = hosts.len() >= CROWD && words::rank(&counts.outcome) > 3;
            let record = self.hosts.get(*host);
            let services = record.into_iter().flat_map(|record| &record.services);
            let serves: Vec<_> = services.map(|end| words::service(end, !crowd)).collect();
            let verified = record.map(|record| record.verified.words(!crowd)).unwrap_or_default();
            let cells = [
                self.outcome_words(counts),
                serves.join(", "),
                seen_or_why(counts, &line(&verified)),
                counts.outcome.clone(),
            ];
            rows.entry(((!crowd).then_some(*host), cells)).or_default().push(host);
        }
        let header = [
            ("host", Share::Whole(28)),
            ("outcome", Share::Whole(22)),
            ("serves", Share::Rest(12)),
            ("seen, or why", Share::Rest(16)),
            ("took", Share::Whole(8)),
        ];
        let rows = rows.into_iter().map(|((_, [outcome, serves, why, name]), hosts)| {
            let took = hosts
                .iter()
                .filter_map(|host| self.hosts.get(*host))
                .map(|record| record.ended.saturating_sub(record.began))
                .max();
            vec![
                (words::hosts(hosts.iter().copied(), 2), look::STRONG),
                (outcome, words::style(&name)),
                plain(serves),
                plain(why),
                plain(took.map(seconds).unwrap_or_default()),
            ]
        });
        table::render(look, &header, rows.collect())
    }

    fn recap(&self, summary: &Summary) -> String {
        let look = &self.end.look;
        let mut text = format!("\n{}\n", look.paint(look::STRONG, heading("PLAY RECAP", "")));
        let widest = summary.hosts.keys().map(|host| line(host.as_str()).chars().count()).max();
        for (host, counts) in &summary.hosts {
            text.push_str(&recap(look, host, counts, widest.unwrap_or(0).max(26)));
        }
        text
    }

    /// What to do next, as a command to copy.
    fn way_on(&self, summary: &Summary) -> String {
        let unknown = of_outcome(summary, &["unknown"]);
        let failed = of_outcome(summary, &["failed", "rolled_back", "unreachable", "unknown"]);
        let changed = of_outcome(summary, &["changed"]);
        let command = self.command.as_str();
        let mut text = String::new();
        if !unknown.is_empty() {
            let arguments = self.end.again.only(&unknown);
            text.push_str(&format!("run `certroll status {arguments}` to see what they hold, "));
            text.push_str(&format!("`certroll recover {arguments}` to settle them\n"));
        } else if !failed.is_empty() && !self.planned {
            let arguments = self.end.again.only(&failed);
            text.push_str("when the causes are mended, ");
            text.push_str(&format!("run `certroll {command} {arguments}` again"));
            if command == "apply" {
                text.push_str("; hosts that are done stay untouched");
            }
            text.push('\n');
        } else if summary.stopped.is_some() && !self.planned {
            text.push_str(&format!("run `certroll {command} {}` to go on\n", self.end.again.all()));
        } else if command == "apply" && !changed.is_empty() {
            text.push_str(&format!(
                "look again at any time: certroll verify {}\n",
                self.end.again.all()
            ));
        }
        text
    }

    /// `unchanged` says little of a verb that never changes anything.
    fn word(&self, outcome: &str) -> String {
        let looks = matches!(self.command.as_str(), "verify" | "ping" | "status");
        match outcome {
            "unchanged" if looks => "ok".to_owned(),
            other => other.replace('_', " "),
        }
    }

    /// `rolled back (verify)`; what nobody knows is written large, for logs without colours.
    fn outcome_words(&self, counts: &HostSummary) -> String {
        let word = match counts.outcome.as_str() {
            "unknown" => "UNKNOWN".to_owned(),
            other => self.word(other),
        };
        match counts.step {
            Some(step) => format!("{word} ({step})"),
            None => word,
        }
    }

    /// `8 hosts: 1 unknown, 1 rolled back, 6 changed`.
    fn totals(&self, summary: &Summary) -> String {
        let mut counts: IndexMap<&str, usize> = IndexMap::new();
        for host in summary.hosts.values() {
            *counts.entry(&host.outcome).or_default() += 1;
        }
        counts.sort_by_key(|outcome, _| words::rank(outcome));
        let parts: Vec<String> = counts
            .into_iter()
            .map(|(outcome, count)| format!("{count} {}", self.word(outcome)))
            .collect();
        format!("{}: {}", plural(summary.hosts.len(), "host"), parts.join(", "))
    }
}

impl<W: Write> Reporter for Outcomes<W> {
    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        if let Some(host) = &event.host {
            self.note(host, event);
        }
        match &event.kind {
            Kind::RunStart { command, playbooks, .. } => {
                self.command = line(command);
                if self.end.again.words.is_empty() {
                    self.end.again.words = playbooks.join(" ");
                }
            }
            Kind::PlanBatch { .. } => self.planned = true,
            Kind::Summary(summary) => self.summary(summary, event.elapsed)?,
            _ => {}
        }
        Ok(())
    }
}

fn of_outcome<'a>(summary: &'a Summary, outcomes: &[&str]) -> Vec<&'a HostName> {
    let hosts = summary.hosts.iter();
    hosts
        .filter(|(_, counts)| outcomes.contains(&counts.outcome.as_str()))
        .map(|(host, _)| host)
        .collect()
}

/// What is known to be served, after the reason where there is one.
fn seen_or_why(counts: &HostSummary, verified: &str) -> String {
    let reason = counts.reason.as_deref().map(line).unwrap_or_default();
    match (reason.is_empty(), counts.outcome == "rolled_back") {
        (true, _) => verified.to_owned(),
        (false, true) if !verified.is_empty() => format!("{reason}; then {verified}"),
        (false, _) => reason,
    }
}

/// A line of Ansible's recap; what only certroll counts stands behind it where there is any.
fn recap(look: &Look, host: &HostName, counts: &HostSummary, width: usize) -> String {
    let count = |name: &str, value: u32, style: Style| {
        let text = format!("{name}={value:<4}");
        if value == 0 { text } else { look.paint(style, text) }
    };
    let name = format!("{:<width$}", line(host.as_str()));
    // Tasks cannot be rescued here, but scripts that read recaps look for the word.
    let cells = [
        count("ok", counts.ok, look::GOOD),
        count("changed", counts.changed, look::CHANGED),
        count("unreachable", counts.unreachable, look::BAD),
        count("failed", counts.failed, look::BAD),
        count("skipped", counts.skipped, look::QUIET),
        count("rescued", 0, look::GOOD),
        count("ignored", counts.ignored, look::WARNING),
    ];
    let ours = [
        ("unchanged", counts.unchanged, look::GOOD),
        ("rolled_back", counts.rolled_back, look::BAD),
    ];
    let ours = ours.into_iter().filter(|(_, value, _)| *value > 0);
    let cells: Vec<String> = cells
        .into_iter()
        .chain(ours.map(|(name, value, style)| count(name, value, style)))
        .collect();
    let row = format!("{} : {}", look.paint(words::style(&counts.outcome), name), cells.join(" "));
    row.trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests;
