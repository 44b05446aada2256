//! The planning table: what `apply` would do, batch by batch, and what stays unknown.
//!
//! On a terminal each host is named once; in a pipe every line stands alone, for `grep`.

use super::again::Again;
use super::look::{self, Look, line};
use super::table::{self, Share, Text, plain};
use super::{Reporter, words};
use crate::event::planned::{CertBrief, PlanAction, PlanCounts, PlanRow};
use crate::event::{Event, Kind, NoteLevel};
use crate::model::text::plural;
use crate::model::{HostName, Outcome, Step};
use anstyle::Style;
use indexmap::{IndexMap, IndexSet};
use std::io::{self, Write};

/// Terminals of so many columns get the commands in the table, others below it.
const WIDE: u16 = 170;

/// Prints the plan of each batch as it comes, and at the end what `apply` would do.
pub struct PlanTable<W> {
    out: W,
    look: Look,
    diff: bool,
    /// What to repeat after `certroll apply`.
    again: Again,
    batch: Batch,
    totals: Option<PlanCounts>,
}

#[derive(Default)]
struct Batch {
    hosts: Vec<HostName>,
    rows: Vec<PlanRow>,
    /// Hosts that could not be planned: what they are called in the table, and why.
    failed: IndexMap<HostName, (&'static str, String)>,
    /// What is good to know about services, whatever the host.
    known: Vec<String>,
}

impl<W: Write> PlanTable<W> {
    /// A table on `out`. `again` is what to repeat after `certroll apply`; without words, the
    /// playbooks are named.
    pub fn new(out: W, look: Look, diff: bool, again: Again) -> Self {
        Self { out, look, diff, again, batch: Batch::default(), totals: None }
    }

    fn batch_end(
        &mut self,
        play: &str,
        place: (usize, usize),
        counts: &PlanCounts,
        unknown: &[String],
    ) -> io::Result<()> {
        let look = self.look;
        let mut batch = std::mem::take(&mut self.batch);
        batch.sort();
        let (number, of) = place;
        let heading = format!("PLAN [{}] batch {number} of {of}", line(play));
        let mut text = format!("\n{}\n", look.paint(look::STRONG, look.fit(&heading)));
        text.push_str(&batch.table(&look));
        if !shows_commands(&look) {
            text.push_str(&batch.commands(&look));
        }
        text.push_str(&batch.notes(&look));
        if self.diff {
            text.push_str(&batch.diff(&look));
        }
        text.push_str(&format!("batch {number} of {of}: {}\n", sums(counts)));
        for unknown in unknown {
            text.push_str(&look.hang("  unknown until apply: ", Style::new(), &line(unknown)));
        }
        for known in &batch.known {
            text.push_str(&look.hang("  note: ", Style::new(), &line(known)));
        }
        add(self.totals.get_or_insert_default(), counts);
        self.out.write_all(look.fit(&text).as_bytes())?;
        self.out.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(totals) = self.totals.take() else { return Ok(()) };
        let mut would = Vec::new();
        if totals.change > 0 {
            would.push(format!("change {}", plural(totals.change, "host")));
        }
        if totals.reload_only > 0 {
            would.push(format!("only reload {}", plural(totals.reload_only, "host")));
        }
        let would =
            if would.is_empty() { "change nothing".to_owned() } else { would.join(" and ") };
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
        let text = format!("apply would {would}{rest}");
        writeln!(self.out, "\n{}", self.look.paint(look::STRONG, text))?;
        if totals.pending() > 0 {
            writeln!(self.out, "to do it: certroll apply {}", self.again.all())?;
        }
        self.out.flush()
    }
}

impl<W: Write> Reporter for PlanTable<W> {
    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        let host = event.host.as_ref();
        match (&event.kind, host) {
            (Kind::RunStart { playbooks, .. }, _) if self.again.words.is_empty() => {
                self.again.words = playbooks.join(" ");
            }
            (Kind::BatchStart { hosts, .. }, _) => {
                self.batch = Batch { hosts: hosts.clone(), ..Batch::default() };
            }
            (Kind::PlanHost { rows, .. }, _) => self.batch.rows.extend(rows.iter().cloned()),
            (Kind::Note { level: NoteLevel::Info, message }, None) => {
                self.batch.known.push(message.clone());
            }
            (Kind::Failure(failure), Some(host)) => {
                let word = match failure.step {
                    Step::Connect => "unreachable",
                    _ => "failed",
                };
                self.batch.failed.insert(host.clone(), (word, failure.message.clone()));
            }
            (Kind::HostEnd { outcome: Outcome::Unreachable, reason, .. }, Some(host)) => {
                let why = || ("unreachable", reason.clone().unwrap_or_default());
                self.batch.failed.entry(host.clone()).or_insert_with(why);
            }
            (Kind::PlanBatch { play, batch, batches, counts, unknown }, _) => {
                self.batch_end(play, (*batch, *batches), counts, unknown)?;
            }
            (Kind::Summary(_), _) => self.end()?,
            _ => {}
        }
        Ok(())
    }
}

fn shows_commands(look: &Look) -> bool {
    look.width.is_none_or(|width| width >= WIDE)
}

fn sums(counts: &PlanCounts) -> String {
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

impl Batch {
    /// Rows arrive as hosts answer; the table has the batch's order.
    fn sort(&mut self) {
        let order: IndexSet<&HostName> = self.hosts.iter().collect();
        self.rows.sort_by_key(|row| order.get_index_of(&row.host).unwrap_or(usize::MAX));
        self.failed.retain(|host, _| !self.rows.iter().any(|row| row.host == *host));
        self.failed.sort_by_key(|host, _| order.get_index_of(host).unwrap_or(usize::MAX));
    }

    fn is_pending(&self, host: &HostName) -> bool {
        self.rows.iter().any(|row| row.host == *host && row.action.is_pending())
    }

    fn table(&self, look: &Look) -> String {
        // Paths are hard to read when wrapped; words are not.
        let path = look.width.map_or(u16::MAX - 2, |width| (width / 2).saturating_sub(10));
        let mut header = vec![
            ("host", Share::Whole(28)),
            ("service", Share::Whole(12)),
            ("file", Share::Whole(path)),
            ("action", Share::Whole(11)),
            ("now → wanted", Share::Rest(8)),
        ];
        if shows_commands(look) {
            header.extend(["validate", "reload", "verify"].map(|name| (name, Share::Rest(8))));
        }
        let columns = header.len();
        let mut rows = Vec::new();
        let mut last: Option<&PlanRow> = None;
        for row in &self.rows {
            let above = last.filter(|last| look.width.is_some() && last.host == row.host);
            rows.push(self.row(row, above, columns));
            last = Some(row);
        }
        for (host, (word, why)) in &self.failed {
            let mut cells = vec![
                (line(host.as_str()), look::STRONG),
                plain("-"),
                plain("-"),
                ((*word).to_owned(), look::BAD),
                plain(line(why)),
            ];
            cells.resize_with(columns, || plain(""));
            rows.push(cells);
        }
        table::render(look, &header, rows)
    }

    /// `above`: the row of the same host above this one, whose words need no repeating.
    fn row(&self, row: &PlanRow, above: Option<&PlanRow>, columns: usize) -> Vec<Text> {
        let same_service = above.is_some_and(|above| above.service == row.service);
        let mut cells = vec![
            unless(above.is_some(), line(row.host.as_str()), look::STRONG),
            unless(same_service, line(&row.service), Style::new()),
            plain(line(&row.file)),
            (row.action.words().to_owned(), style(&row.action)),
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
    fn commands(&self, look: &Look) -> String {
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
            text.push_str(&look.hang("  validate  ", Style::new(), &line(validate)));
            text.push_str(&look.hang("  reload    ", Style::new(), &line(reload)));
            let more = endpoints.len().saturating_sub(4);
            let shown: Vec<String> = endpoints.iter().take(4).map(|text| line(text)).collect();
            let mut places = shown.join("; ");
            if more > 0 {
                places.push_str(&format!("; and {more} more"));
            }
            text.push_str(&look.hang("  verify    ", Style::new(), &places));
        }
        text
    }

    fn notes(&self, look: &Look) -> String {
        let mut groups: IndexMap<&str, IndexSet<&HostName>> = IndexMap::new();
        for row in &self.rows {
            for note in &row.notes {
                groups.entry(note).or_default().insert(&row.host);
            }
        }
        let lines = groups.into_iter().map(|(note, hosts)| {
            let text = format!("{}: {}", words::hosts(hosts, 4), line(note));
            look.hang("  note: ", Style::new(), &text)
        });
        lines.collect()
    }

    /// Old and new certificates, field by field, once for all hosts that share them.
    fn diff(&self, look: &Look) -> String {
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
            text.push_str(&format!("{}\n", look.paint(look::STRONG, place)));
            text.push_str(&fields(look, now, wanted));
        }
        text
    }
}

fn unless(hidden: bool, text: String, style: Style) -> Text {
    if hidden { plain("") } else { (text, style) }
}

fn style(action: &PlanAction) -> Style {
    match action {
        PlanAction::Create | PlanAction::Replace | PlanAction::RepairMode => look::CHANGED,
        PlanAction::ReloadOnly => look::WARNING,
        PlanAction::Unchanged => look::GOOD,
        PlanAction::Blocked(_) => look::BAD,
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
fn fields(look: &Look, now: Option<&CertBrief>, wanted: &CertBrief) -> String {
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
        text.push_str(&look.paint(style, line));
        text.push('\n');
    };
    for (name, value) in FIELDS {
        let new = value(wanted);
        match now.map(value) {
            Some(old) if old == new => push(' ', name, &new, Style::new()),
            Some(old) => {
                push('-', name, &old, look::BAD);
                push('+', name, &new, look::GOOD);
            }
            None => push('+', name, &new, look::GOOD),
        }
    }
    text
}

#[cfg(test)]
mod tests;
