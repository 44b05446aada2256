//! What `apply` would do, batch by batch, and what stays unknown: blocks that hold in every width.
//!
//! Hosts for which the same would be done share a block; in a crowd also those that differ in their certificates.

use super::host_run::HostRun;
use super::run_view::{BatchRun, RunView};
use super::theme::{self, Theme, cut, line};
use super::{Reporter, alike, rerun, words};
use crate::event::planned::{CertBrief, PlanCounts, PlanRow};
use crate::event::{Event, Kind, TaskResult};
use crate::model::text::plural;
use crate::model::{FileAction, Fingerprint, HostName, Step};
use anstyle::Style;
use indexmap::{IndexMap, IndexSet};
use std::io::{self, Write};

/// From so many hosts on, those that differ in nothing but their certificates share a block.
const CROWD: usize = 40;
/// Columns of a reason that is told in full elsewhere.
const TOLD: usize = 90;
/// Columns of an action.
const ACTION: usize = 11;

/// Prints the plan of each batch as it comes, and at the end what `apply` would do.
pub(crate) struct PlanTable<W> {
    out: W,
    theme: Theme,
    diff: bool,
}

impl<W: Write> PlanTable<W> {
    /// A table on `out`; `diff`: with old and new certificates field by field.
    pub(crate) fn new(out: W, theme: Theme, diff: bool) -> Self {
        Self { out, theme, diff }
    }
}

impl<W: Write> Reporter for PlanTable<W> {
    fn on_event(&mut self, event: &Event, view: &RunView) -> io::Result<()> {
        let text = match (&event.kind, view.batch()) {
            (Kind::PlanBatch { .. }, Some(batch)) => {
                self::batch(view, batch, &self.theme, self.diff)
            }
            (Kind::Summary(_), _) => end(view, &self.theme),
            _ => return Ok(()),
        };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// The plan of a batch: its table, commands, notes, sums.
pub(crate) fn batch(view: &RunView, run: &BatchRun, theme: &Theme, diff: bool) -> String {
    let Some(counts) = &run.counts else { return String::new() };
    let batch = Batch { rows: view.rows(run).collect(), failed: failed(view, run) };
    let name = view.plays.get(run.play).map(|play| line(&play.name)).unwrap_or_default();
    let place = format!("batch {} of {}", run.number, run.of);
    let heading = format!("PLAN [{name}] {place}");
    let mut text = format!("\n{}\n", theme.paint(theme::STRONG, theme.fit(&heading)));
    text.push_str(&batch.blocks(theme));
    if batch.rows.is_empty() && batch.failed.is_empty() {
        text.push_str("  nothing is planned: no certificate task is for these hosts\n");
    }
    text.push_str(&batch.commands(theme));
    text.push_str(&batch.notes(theme));
    if diff {
        text.push_str(&batch.diff(theme));
    }
    text.push_str(&format!("{place}: {}\n", sums(counts)));
    text.push_str(&unknown(theme, &run.unknown));
    theme.fit(&text)
}

/// What `apply` would do, over all batches; nothing where no batch was planned.
pub(crate) fn end(view: &RunView, theme: &Theme) -> String {
    let batches = view.plays.iter().flat_map(|play| &play.batches);
    let mut totals: Option<PlanCounts> = None;
    for counts in batches.filter_map(|batch| batch.counts.as_ref()) {
        add(totals.get_or_insert_default(), counts);
    }
    let Some(totals) = totals else { return String::new() };
    let mut would = Vec::new();
    if totals.change > 0 {
        would.push(format!("change {}", plural(totals.change, "host")));
    }
    if totals.reload_only > 0 {
        would.push(format!("only reload {}", plural(totals.reload_only, "host")));
    }
    let by_tasks = changed_by_tasks(view);
    if by_tasks > 0 {
        would.push(format!("change {} by other tasks alone", plural(by_tasks, "host")));
    }
    let would = if would.is_empty() { "change nothing".to_owned() } else { would.join(" and ") };
    let mut rest = Vec::new();
    for (count, word) in [
        (totals.unchanged, "unchanged"),
        (totals.blocked, "blocked"),
        (totals.unreachable, "unreachable"),
    ] {
        if count > 0 {
            rest.push(format!("{count} {word}"));
        }
    }
    let rest = if rest.is_empty() { rest.concat() } else { format!("; {}", rest.join(", ")) };
    let known: IndexSet<&String> =
        view.plays.iter().flat_map(|play| &play.batches).flat_map(|batch| &batch.known).collect();
    let mut text = String::new();
    for (index, known) in known.into_iter().enumerate() {
        text.push_str(if index == 0 { "\n" } else { "" });
        text.push_str(&theme.block("note: ", Style::new(), &line(known)));
    }
    let verb = if view.start.command == "rollback" { "rollback" } else { "apply" };
    let would = format!("{verb} would {would}{rest}");
    text.push_str(&format!("\n{}\n", theme.paint(theme::STRONG, would)));
    if totals.pending() > 0 || by_tasks > 0 {
        text.push_str(&format!("to do it: certroll {}\n", rerun::for_real(&view.start)));
    }
    text
}

/// Hosts on which no certificate is pending, and what other tasks do is.
fn changed_by_tasks(view: &RunView) -> usize {
    let changed = |host: &&HostRun| {
        host.tasks.iter().any(|task| task.result == TaskResult::Changed)
            && !host.rows.iter().any(|(_, row)| row.action.is_pending())
    };
    view.hosts.values().filter(changed).count()
}

/// Hosts that could not be planned: what they are called in the table, and why.
fn failed<'a>(view: &'a RunView, run: &'a BatchRun) -> Vec<(&'a HostName, &'static str, &'a str)> {
    let place = (run.play, run.number);
    let hosts = run.hosts.iter().filter_map(|host| Some((host, view.hosts.get(host)?)));
    hosts
        .filter(|(_, host)| host.rows_in(place).next().is_none())
        .filter_map(|(name, host)| {
            let mut mine = host.failures.iter().filter(|(own, _)| *own == Some(place));
            let (_, failure) = mine.next_back()?;
            let word = match failure.step {
                Step::Connect => "unreachable",
                _ => "failed",
            };
            Some((name, word, failure.message.as_str()))
        })
        .collect()
}

/// What the table of a batch is made of.
struct Batch<'a> {
    rows: Vec<&'a PlanRow>,
    failed: Vec<(&'a HostName, &'static str, &'a str)>,
}

pub(super) fn sums(counts: &PlanCounts) -> String {
    format!(
        "{}: {} change, {} reload only, {} unchanged, {} blocked, {} unreachable",
        plural(counts.hosts, "host"),
        counts.change,
        counts.reload_only,
        counts.unchanged,
        counts.blocked,
        counts.unreachable
    )
}

fn add(totals: &mut PlanCounts, counts: &PlanCounts) {
    totals.hosts += counts.hosts;
    totals.change += counts.change;
    totals.reload_only += counts.reload_only;
    totals.unchanged += counts.unchanged;
    totals.blocked += counts.blocked;
    totals.unreachable += counts.unreachable;
}

impl Batch<'_> {
    fn is_pending(&self, host: &HostName) -> bool {
        self.rows.iter().any(|row| row.host == *host && row.action.is_pending())
    }

    /// What would be done, a block for all hosts where it is the same.
    fn blocks(&self, theme: &Theme) -> String {
        let mut hosts: IndexMap<&HostName, Vec<&PlanRow>> = IndexMap::new();
        for row in &self.rows {
            hosts.entry(&row.host).or_default().push(row);
        }
        let crowd = hosts.len() + self.failed.len() >= CROWD;
        let mut groups: IndexMap<String, Vec<&HostName>> = IndexMap::new();
        for (host, rows) in &hosts {
            let words: Vec<String> = rows.iter().map(|row| words_of(row)).collect();
            let words = words.join("\n");
            let key = match crowd {
                true => alike::without_certificate(&words, host),
                false => alike::without_host(&words, host),
            };
            groups.entry(key).or_default().push(*host);
        }
        let mut text = String::new();
        for group in groups.values() {
            let rows = &hosts[group[0]];
            let same = group.iter().all(|host| leaves(&hosts[host]) == leaves(rows));
            let services: IndexSet<&str> = rows.iter().map(|row| row.service.as_str()).collect();
            let mut head = words::hosts(group.iter().copied(), 8);
            if !same {
                head.push_str(&format!(
                    ", each with its own certificate; {} has",
                    line(group[0].as_str())
                ));
            }
            let service = match services.len() {
                1 => services.first().map(|name| format!(": {}", line(name))),
                _ => None,
            };
            head.push_str(&service.unwrap_or_default());
            text.push_str(&theme.block("", theme::STRONG, &head));
            let mut above: Option<&PlanRow> = None;
            for row in rows {
                if services.len() > 1 && above.is_none_or(|above| above.service != row.service) {
                    text.push_str(&format!("  {}\n", line(&row.service)));
                }
                text.push_str(&action(theme, row, above));
                above = Some(row);
            }
        }
        let mut failed: IndexMap<(&str, String), Vec<&HostName>> = IndexMap::new();
        for (host, word, why) in &self.failed {
            failed.entry((*word, alike::without_host(why, host))).or_default().push(host);
        }
        for ((word, alike), hosts) in failed {
            text.push_str(&theme.block("", theme::STRONG, &words::hosts(hosts.iter().copied(), 8)));
            let why =
                self.failed.iter().find(|(host, ..)| *host == hosts[0]).map(|(_, _, why)| *why);
            // In full it is told where the run ends.
            let why = cut(&line(why.unwrap_or(&alike)), TOLD, theme);
            let words = theme.block(&prefix(word), Style::new(), &why);
            text.push_str(&words.replacen(word, &theme.paint(theme::BAD, word), 1));
        }
        text
    }

    /// What will be run, once for all hosts that share it.
    fn commands(&self, theme: &Theme) -> String {
        let mut groups: IndexMap<[&str; 3], (IndexSet<&HostName>, IndexSet<&str>)> =
            IndexMap::new();
        for row in self.rows.iter().filter(|row| self.is_pending(&row.host)) {
            let (hosts, endpoints) =
                groups.entry([&row.service, &row.validate, &row.reload]).or_default();
            hosts.insert(&row.host);
            endpoints.insert(&row.verify);
        }
        let mut text = String::new();
        for ([service, validate, reload], (hosts, endpoints)) in groups {
            let head = format!("{} on {}", line(service), words::hosts(hosts, 4));
            text.push_str(&theme.block("", Style::new(), &head));
            text.push_str(&theme.block("  validate  ", Style::new(), &line(validate)));
            text.push_str(&theme.block("  reload    ", Style::new(), &line(reload)));
            let more = endpoints.len().saturating_sub(4);
            let shown: Vec<String> = endpoints.iter().take(4).map(|text| line(text)).collect();
            let mut places = shown.join("; ");
            if more > 0 {
                places.push_str(&format!("; and {more} more"));
            }
            text.push_str(&theme.block("  verify    ", Style::new(), &places));
        }
        text
    }

    /// Notes; those that differ in the host alone are told once, as the first of them has it.
    fn notes(&self, theme: &Theme) -> String {
        let mut groups: IndexMap<String, (&str, IndexSet<&HostName>)> = IndexMap::new();
        for row in &self.rows {
            for note in &row.notes {
                let alike = alike::without_certificate(note, &row.host);
                groups.entry(alike).or_insert((note, IndexSet::new())).1.insert(&row.host);
            }
        }
        let lines = groups.into_iter().map(|(alike, (note, hosts))| {
            let text = match hosts.first() {
                // As it stands it is true of all of them.
                Some(_) if alike == note => {
                    format!("{}: {}", words::hosts(hosts, 4), line(note))
                }
                Some(first) if hosts.len() > 1 => {
                    let others = words::hosts(hosts.iter().skip(1).copied(), 4);
                    format!("{}: {}; likewise on {others}", line(first.as_str()), line(note))
                }
                _ => format!("{}: {}", words::hosts(hosts, 1), line(note)),
            };
            theme.block("  note: ", Style::new(), &text)
        });
        lines.collect()
    }

    /// Old and new certificates, field by field, once for all hosts that share them.
    fn diff(&self, theme: &Theme) -> String {
        type Change<'a> = (&'a str, &'a str, Option<Fingerprint>, Fingerprint);
        let mut groups: IndexMap<Change<'_>, (&PlanRow, IndexSet<&HostName>)> = IndexMap::new();
        for row in &self.rows {
            let Some(wanted) = row.wanted.as_ref() else { continue };
            if row.now.as_ref() == Some(wanted) || !row.action.is_pending() {
                continue;
            }
            let now = row.now.as_ref().map(|now| now.fingerprint);
            let change: Change<'_> = (&row.service, &row.file, now, wanted.fingerprint);
            let (_, hosts) = groups.entry(change).or_insert_with(|| (row, IndexSet::new()));
            hosts.insert(&row.host);
        }
        let mut text = String::new();
        for ((service, file, ..), (row, hosts)) in groups {
            let Some(wanted) = &row.wanted else { continue };
            let place = format!("{} {} on {}", line(service), line(file), words::hosts(hosts, 4));
            text.push_str(&theme.block("", theme::STRONG, &place));
            text.push_str(&fields(theme, row.now.as_deref(), wanted));
        }
        text.push_str(&self.lines(theme));
        text
    }

    /// The lines of configuration files that change, once for all hosts that share them.
    fn lines(&self, theme: &Theme) -> String {
        let mut groups: IndexMap<(&str, &str, &str), IndexSet<&HostName>> = IndexMap::new();
        for row in self.rows.iter().filter(|row| row.action.is_pending()) {
            let Some(lines) = &row.difference else { continue };
            groups.entry((&row.service, &row.file, lines)).or_default().insert(&row.host);
        }
        let mut text = String::new();
        for ((service, file, lines), hosts) in groups {
            let place = format!("{} {} on {}", line(service), line(file), words::hosts(hosts, 4));
            text.push_str(&theme.block("", theme::STRONG, &place));
            for changed in lines.lines() {
                let style = match changed.as_bytes().first() {
                    Some(b'-') => theme::BAD,
                    Some(b'+') => theme::GOOD,
                    _ => Style::new(),
                };
                text.push_str(&format!("  {}\n", theme.paint(style, line(changed))));
            }
        }
        text
    }
}

/// What stays unknown until `apply`; hosts of which the same is unknown together.
fn unknown(theme: &Theme, lines: &[String]) -> String {
    let mut groups: IndexMap<&str, Vec<HostName>> = IndexMap::new();
    let mut text = String::new();
    for unknown in lines {
        match unknown.split_once(": ") {
            Some((host, what)) => groups.entry(what).or_default().push(HostName::new(host)),
            None => {
                text.push_str(&theme.block("  unknown until apply: ", Style::new(), &line(unknown)))
            }
        }
    }
    for (what, hosts) in groups {
        let words = format!("{}: {}", words::hosts(&hosts, 4), line(what));
        text.push_str(&theme.block("  unknown until apply: ", Style::new(), &words));
    }
    text
}

/// The leaves that a host has and gets.
fn leaves(rows: &[&PlanRow]) -> Vec<(Option<Fingerprint>, Option<Fingerprint>)> {
    let leaf = |brief: Option<&CertBrief>| brief.map(|brief| brief.fingerprint);
    let leaves = |row: &&PlanRow| (leaf(row.now.as_deref()), leaf(row.wanted.as_deref()));
    rows.iter().map(leaves).collect()
}

/// All that a row says, whatever its host.
fn words_of(row: &PlanRow) -> String {
    format!("{}\t{}\t{}\t{}", row.service, row.action.name(), row.file, change(row, None))
}

fn prefix(word: &str) -> String {
    format!("  {word:<ACTION$}  ")
}

/// `  replace      /etc/nginx/cert.pem: 83c6fff3 (7 d) → a2a91826 (46 d)`; `above`: the row of the same host above
/// this one, whose words need no repeating.
fn action(theme: &Theme, row: &PlanRow, above: Option<&PlanRow>) -> String {
    let word = row.action.name().replace('_', " ");
    let change = change(row, above);
    let words = match (row.file.as_str(), change.as_str()) {
        ("", change) => change.to_owned(),
        (file, "") => line(file),
        (file, change) => format!("{}: {change}", line(file)),
    };
    let text = theme.block(&prefix(&word), Style::new(), &words);
    text.replacen(&word, &theme.paint(style(&row.action), &word), 1)
}

fn style(action: &FileAction) -> Style {
    match action {
        FileAction::Create | FileAction::Replace | FileAction::Remove | FileAction::RepairMode => {
            theme::CHANGED
        }
        FileAction::ReloadOnly => theme::WARNING,
        FileAction::Unchanged => theme::GOOD,
        FileAction::Blocked(_) => theme::BAD,
    }
}

fn change(row: &PlanRow, above: Option<&PlanRow>) -> String {
    if let FileAction::Blocked(why) = &row.action {
        let told = above.is_some_and(|above| above.action == row.action);
        return if told { String::new() } else { line(why) };
    }
    let now = row.now.as_deref().map(words::certificate);
    let wanted = row.wanted.as_deref().map(words::certificate);
    let mut parts = Vec::new();
    match (now, wanted) {
        (Some(now), Some(wanted)) if now == wanted => parts.push(now),
        (Some(now), Some(wanted)) => parts.push(format!("{now} → {wanted}")),
        (None, Some(wanted)) => parts.push(format!("none → {wanted}")),
        (Some(now), None) => parts.push(now),
        (None, None) => {}
    }
    if !row.detail.is_empty() {
        parts.push(line(&row.detail));
    }
    parts.join("; ")
}

/// The public facts of two certificates; never key bytes, which are not even here.
fn fields(theme: &Theme, now: Option<&CertBrief>, wanted: &CertBrief) -> String {
    type Field = (&'static str, fn(&CertBrief) -> String);
    const FIELDS: [Field; 8] = [
        ("serial", |brief| brief.serial.clone()),
        ("subject", |brief| brief.subject.clone()),
        ("names", |brief| brief.names.join(", ")),
        ("issuer", |brief| brief.issuer.clone()),
        ("not before", |brief| brief.validity.not_before.to_string()),
        ("not after", |brief| brief.validity.not_after.to_string()),
        ("key", |brief| brief.key.clone()),
        ("sha256", |brief| brief.fingerprint.to_string()),
    ];
    let mut text = String::new();
    let mut push = |sign: char, name: &str, value: &str, style: Style| {
        if value.is_empty() {
            return;
        }
        text.push_str(&theme.block(&format!("  {sign} {name:<10}  "), style, &line(value)));
    };
    for (name, value) in FIELDS {
        let new = value(wanted);
        match now.map(value) {
            Some(old) if old == new => push(' ', name, &new, Style::new()),
            Some(old) => {
                push('-', name, &old, theme::BAD);
                push('+', name, &new, theme::GOOD);
            }
            None => push('+', name, &new, theme::GOOD),
        }
    }
    text
}

#[cfg(test)]
mod tests;
