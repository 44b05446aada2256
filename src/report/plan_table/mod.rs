//! The planning table: what `apply` would do, batch by batch, and what stays unknown.
//!
//! On a terminal each host is named once; in a pipe every line stands alone, for `grep`.

use super::run_view::{BatchRun, RunView};
use super::table::{self, Share, Text, plain};
use super::theme::{self, Theme, line};
use super::{Reporter, rerun, words};
use crate::event::planned::{CertBrief, PlanAction, PlanCounts, PlanRow};
use crate::event::{Event, Kind};
use crate::model::text::plural;
use crate::model::{HostName, Step};
use anstyle::Style;
use indexmap::{IndexMap, IndexSet};
use std::io::{self, Write};

/// Terminals of so many columns get the commands in the table, others below it.
const WIDE: u16 = 170;

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
    text.push_str(&batch.table(theme));
    if !shows_commands(theme) {
        text.push_str(&batch.commands(theme));
    }
    text.push_str(&batch.notes(theme));
    if diff {
        text.push_str(&batch.diff(theme));
    }
    text.push_str(&format!("{place}: {}\n", sums(counts)));
    for unknown in &run.unknown {
        text.push_str(&theme.hang("  unknown until apply: ", Style::new(), &line(unknown)));
    }
    for known in &run.known {
        text.push_str(&theme.hang("  note: ", Style::new(), &line(known)));
    }
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
    let verb = if view.start.command == "rollback" { "rollback" } else { "apply" };
    let text = format!("{verb} would {would}{rest}");
    let mut text = format!("\n{}\n", theme.paint(theme::STRONG, text));
    if totals.pending() > 0 {
        text.push_str(&format!("to do it: certroll {}\n", rerun::for_real(&view.start)));
    }
    text
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

fn shows_commands(theme: &Theme) -> bool {
    theme.width.is_none_or(|width| width >= WIDE)
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

    fn table(&self, theme: &Theme) -> String {
        // Paths are hard to read when wrapped; words are not.
        let path = theme.width.map_or(u16::MAX - 2, |width| (width / 2).saturating_sub(10));
        let mut header = vec![
            ("host", Share::Whole(28)),
            ("service", Share::Whole(12)),
            ("file", Share::Whole(path)),
            ("action", Share::Whole(11)),
            ("now → wanted", Share::Rest(8)),
        ];
        if shows_commands(theme) {
            header.extend(["validate", "reload", "verify"].map(|name| (name, Share::Rest(8))));
        }
        let columns = header.len();
        let mut rows = Vec::new();
        let mut last: Option<&PlanRow> = None;
        for row in &self.rows {
            let above = last.filter(|last| theme.width.is_some() && last.host == row.host);
            rows.push(self.row(row, above, columns));
            last = Some(row);
        }
        for (host, word, why) in &self.failed {
            let mut cells = vec![
                (line(host.as_str()), theme::STRONG),
                plain("-"),
                plain("-"),
                ((*word).to_owned(), theme::BAD),
                plain(line(why)),
            ];
            cells.resize_with(columns, || plain(""));
            rows.push(cells);
        }
        table::render(theme, &header, rows)
    }

    /// `above`: the row of the same host above this one, whose words need no repeating.
    fn row(&self, row: &PlanRow, above: Option<&PlanRow>, columns: usize) -> Vec<Text> {
        let same_service = above.is_some_and(|above| above.service == row.service);
        let mut cells = vec![
            unless(above.is_some(), line(row.host.as_str()), theme::STRONG),
            unless(same_service, line(&row.service), Style::new()),
            plain(line(&row.file)),
            (row.action.name().replace('_', " "), style(&row.action)),
            plain(change(row, above)),
        ];
        if columns > cells.len() {
            let commands = [&row.validate, &row.reload, &row.verify];
            let silent = !self.is_pending(&row.host);
            let repeated = above.is_some_and(|above| {
                same_service && [&above.validate, &above.reload, &above.verify] == commands
            });
            cells.extend(commands.map(|text| unless(silent || repeated, line(text), Style::new())));
        }
        cells
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
            text.push_str(&format!("{} on {}\n", line(service), words::hosts(hosts, 4)));
            text.push_str(&theme.hang("  validate  ", Style::new(), &line(validate)));
            text.push_str(&theme.hang("  reload    ", Style::new(), &line(reload)));
            let more = endpoints.len().saturating_sub(4);
            let shown: Vec<String> = endpoints.iter().take(4).map(|text| line(text)).collect();
            let mut places = shown.join("; ");
            if more > 0 {
                places.push_str(&format!("; and {more} more"));
            }
            text.push_str(&theme.hang("  verify    ", Style::new(), &places));
        }
        text
    }

    fn notes(&self, theme: &Theme) -> String {
        let mut groups: IndexMap<&str, IndexSet<&HostName>> = IndexMap::new();
        for row in &self.rows {
            for note in &row.notes {
                groups.entry(note).or_default().insert(&row.host);
            }
        }
        let lines = groups.into_iter().map(|(note, hosts)| {
            let text = format!("{}: {}", words::hosts(hosts, 4), line(note));
            theme.hang("  note: ", Style::new(), &text)
        });
        lines.collect()
    }

    /// Old and new certificates, field by field, once for all hosts that share them.
    fn diff(&self, theme: &Theme) -> String {
        type Change<'a> = (&'a str, &'a str, Option<&'a CertBrief>, &'a CertBrief);
        let mut groups: Vec<(Change<'_>, IndexSet<&HostName>)> = Vec::new();
        for row in &self.rows {
            let Some(wanted) = row.wanted.as_ref() else { continue };
            if row.now.as_ref() == Some(wanted) || !row.action.is_pending() {
                continue;
            }
            let change: Change<'_> = (&row.service, &row.file, row.now.as_ref(), wanted);
            match groups.iter_mut().find(|(known, _)| *known == change) {
                Some((_, hosts)) => _ = hosts.insert(&row.host),
                None => groups.push((change, IndexSet::from([&row.host]))),
            }
        }
        let mut text = String::new();
        for ((service, file, now, wanted), hosts) in groups {
            let place = format!("{} {} on {}", line(service), line(file), words::hosts(hosts, 4));
            text.push_str(&format!("{}\n", theme.paint(theme::STRONG, place)));
            text.push_str(&fields(theme, now, wanted));
        }
        text
    }
}

fn unless(hidden: bool, text: String, style: Style) -> Text {
    if hidden { plain("") } else { (text, style) }
}

fn style(action: &PlanAction) -> Style {
    match action {
        PlanAction::Create | PlanAction::Replace | PlanAction::RepairMode => theme::CHANGED,
        PlanAction::ReloadOnly => theme::WARNING,
        PlanAction::Unchanged => theme::GOOD,
        PlanAction::Blocked(_) => theme::BAD,
    }
}

fn change(row: &PlanRow, above: Option<&PlanRow>) -> String {
    if let PlanAction::Blocked(why) = &row.action {
        let told = above.is_some_and(|above| above.action == row.action);
        return if told { String::new() } else { line(why) };
    }
    let now = row.now.as_ref().map(words::certificate);
    let wanted = row.wanted.as_ref().map(words::certificate);
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
    const FIELDS: [Field; 7] = [
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
        let line = format!("  {sign} {name:<10}  {}", line(value));
        text.push_str(&theme.paint(style, line));
        text.push('\n');
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
