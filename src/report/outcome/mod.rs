//! The end of a run: what needs a person first, then what became of every host, then the recap.

use super::host_run::HostRun;
use super::lines::{heading, stop_words};
use super::run_view::RunView;
use super::theme::{self, Theme, cut_at_a_word, line, seconds};
use super::{Reporter, alike, failure, found, rerun, status, words};
use crate::event::{Event, HostSummary, Kind, StopReason, Summary};
use crate::model::text::plural;
use crate::model::{HostName, Outcome};
use anstyle::Style;
use indexmap::IndexMap;
use std::io::{self, Write};

/// From so many hosts on, those that ended alike share a line, whatever their certificates.
const CROWD: usize = 40;
/// From so many hosts on, those with the same counts share a line of the recap.
const MULTITUDE: usize = 200;
/// Columns of a reason that was told in full above.
const TOLD: usize = 90;

/// How the end of a run is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    /// Colours and width.
    pub theme: Theme,
    /// The failures were already shown in full to the same eyes.
    pub failures_shown: bool,
}

/// Prints what became of a run when it has ended.
pub(crate) struct Outcomes<W> {
    out: W,
    end: End,
}

impl<W: Write> Outcomes<W> {
    /// Outcomes on `out`.
    pub(crate) fn new(out: W, end: End) -> Self {
        Self { out, end }
    }
}

impl<W: Write> Reporter for Outcomes<W> {
    fn on_event(&mut self, event: &Event, view: &RunView) -> io::Result<()> {
        if let Kind::Summary(summary) = &event.kind {
            self.out.write_all(text(view, summary, self.end).as_bytes())?;
            self.out.flush()?;
        }
        Ok(())
    }
}

/// The end of a run: needs, failures, outcomes, recap, what to do next.
pub(crate) fn text(view: &RunView, summary: &Summary, end: End) -> String {
    Page { view, summary, end }.text()
}

struct Page<'a> {
    view: &'a RunView,
    summary: &'a Summary,
    end: End,
}

impl Page<'_> {
    fn text(&self) -> String {
        let Self { view, summary, end } = self;
        let theme = end.theme;
        let mut text = self.held();
        text.push_str(&self.found());
        text.push_str(&self.unknown());
        if !end.failures_shown || view.failures.iter().any(|group| group.hosts.len() > 1) {
            text.push_str(&self.failures());
        }
        // In a plan only the failures are shown.
        if !view.is_plan() && !summary.hosts.is_empty() {
            // What a host holds was just told in full.
            if !["status", "discover"].contains(&view.start.command.as_str()) {
                text.push_str(&self.outcomes());
                text.push_str(&self.recap());
            }
            text.push_str(&format!("\n{} in {}\n", self.totals(), seconds(view.elapsed)));
        }
        if let Some(reason) = summary.stopped {
            text.push_str(&self.stopped(reason));
        }
        text.push_str(&self.way_on());
        theme.fit(&text)
    }

    /// What `status` found, in the summary's order.
    fn held(&self) -> String {
        let theme = &self.end.theme;
        let hosts = self.summary.hosts.keys();
        let held = hosts.filter_map(|host| Some((host, self.view.hosts.get(host)?)));
        held.flat_map(|(host, run)| {
            run.status.iter().map(move |(task, status)| status::block(theme, host, task, status))
        })
        .collect()
    }

    /// What `discover` found on all hosts, the fewest days left first.
    fn found(&self) -> String {
        let hosts = self.view.hosts.iter();
        let found =
            hosts.flat_map(|(host, run)| run.found.iter().map(move |one| (Some(host), one)));
        found::blocks(&self.end.theme, found.collect())
    }

    fn of_outcome(&self, is_one: impl Fn(Outcome) -> bool) -> Vec<&HostName> {
        let hosts = self.summary.hosts.iter();
        hosts.filter(|(_, counts)| is_one(counts.outcome)).map(|(host, _)| host).collect()
    }

    fn unknown(&self) -> String {
        let hosts = self.of_outcome(is_unknown);
        if hosts.is_empty() {
            return String::new();
        }
        let head = format!("UNKNOWN: {}", words::hosts(hosts.iter().copied(), 20));
        let why = "the connection was lost before the host acknowledged the verdict; without a \
                   confirmation it rolls back by itself";
        let theme = self.end.theme;
        format!(
            "\n{}{}",
            theme.block("", theme::LOUD, &head),
            theme.block("    ", Style::new(), why)
        )
    }

    fn failures(&self) -> String {
        let theme = &self.end.theme;
        let shown = self.end.failures_shown;
        let groups = self.view.failures.iter().filter(|group| !shown || group.hosts.len() > 1);
        groups
            .map(|group| {
                let went_on = group.hosts.iter().all(|host| self.went_on(host));
                let after = if went_on {
                    "    outcome  rescued or ignored: the play went on\n"
                } else {
                    ""
                };
                format!("\n{}{after}", failure::block(theme, group))
            })
            .collect()
    }

    /// Whether a host has failed in nothing that counts.
    fn went_on(&self, host: &HostName) -> bool {
        let end = self.summary.hosts.get(host).map(|counts| counts.outcome);
        matches!(end, Some(Outcome::Changed | Outcome::Unchanged))
    }

    /// Host by host, those that need a person first; those that ended alike share a line.
    fn outcomes(&self) -> String {
        let theme = &self.end.theme;
        let crowd = self.summary.hosts.len() >= CROWD;
        let mut outcomes: IndexMap<Outcome, IndexMap<String, Vec<&HostName>>> = IndexMap::new();
        for (host, counts) in &self.summary.hosts {
            let words = self.end_words(host, counts, false);
            let alike = match (crowd, counts.outcome.is_failure()) {
                (true, _) => alike::without_certificate(&words, host),
                (false, true) => alike::without_host(&words, host),
                (false, false) => words,
            };
            let lines = outcomes.entry(counts.outcome).or_default();
            lines.entry(alike).or_default().push(host);
        }
        outcomes.sort_by_key(|outcome, _| words::rank(*outcome));
        let widest = outcomes.values().flat_map(IndexMap::values).map(|hosts| names(hosts).len());
        let widest = widest.max().unwrap_or(0).min(28);
        let mut text = String::new();
        for (outcome, lines) in &outcomes {
            let head = theme.paint(words::style(*outcome), self.outcome_words(*outcome));
            text.push_str(&format!("\n{head}\n"));
            for hosts in lines.values() {
                text.push_str(&self.line(hosts, widest));
            }
        }
        text
    }

    /// One line for hosts that ended alike.
    fn line(&self, hosts: &[&HostName], widest: usize) -> String {
        let Some((host, counts)) =
            hosts.first().and_then(|host| self.summary.hosts.get_key_value(*host))
        else {
            return String::new();
        };
        let mut words = self.end_words(host, counts, hosts.len() > 1);
        let runs = hosts.iter().filter_map(|host| self.view.hosts.get(*host));
        if let Some(took) = runs.map(HostRun::took).max().filter(|took| !took.is_zero()) {
            let up_to = if hosts.len() > 1 { "up to " } else { "" };
            let after = if words.is_empty() { "" } else { "; " };
            words.push_str(&format!("{after}{up_to}{}", seconds(took)));
        }
        let prefix = format!("    {:<widest$}  ", names(hosts));
        self.end.theme.block(&prefix, Style::new(), &words)
    }

    /// Why, what is served, what was seen. Not `exact` for several hosts: without what differs from host to host.
    fn end_words(&self, host: &HostName, counts: &HostSummary, several: bool) -> String {
        let Some(run) = self.view.hosts.get(host) else {
            return counts.reason.as_deref().map(line).unwrap_or_default();
        };
        let failed = counts.outcome.is_failure();
        let seen = words::verified(&run.verified, !several);
        let mut why = seen_or_why(counts, &line(&seen));
        if failed && !run.failures.is_empty() {
            // The failure itself is told in full above.
            why = cut_at_a_word(&why, TOLD, &self.end.theme);
        }
        let serves = serves(run, counts.outcome, !several);
        let parts = if failed { [why, serves] } else { [serves, why] };
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("; ")
    }

    /// Ansible's recap; hosts of a multitude share the lines that are the same.
    fn recap(&self) -> String {
        let Self { summary, .. } = self;
        let theme = &self.end.theme;
        let mut text = format!("\n{}\n", theme.paint(theme::STRONG, heading("PLAY RECAP", "")));
        let mut rows: IndexMap<(String, Outcome), Vec<&HostName>> = IndexMap::new();
        for (index, (host, counts)) in words::loudest_first(&summary.hosts).enumerate() {
            // Numbered, every host has a line of its own.
            let number =
                if summary.hosts.len() < MULTITUDE { index.to_string() } else { String::new() };
            let key = (number + &recap_counts(theme, counts), counts.outcome);
            rows.entry(key).or_default().push(host);
        }
        let widest = rows.values().map(|hosts| names(hosts).chars().count()).max();
        let widest = widest.unwrap_or(0).max(26);
        for hosts in rows.values() {
            let counts = &summary.hosts[hosts[0]];
            let name = format!("{:<widest$}", names(hosts));
            let name = theme.paint(words::style(counts.outcome), name);
            let row = format!("{name} : {}", recap_counts(theme, counts));
            text.push_str(row.trim_end());
            text.push('\n');
        }
        text
    }

    /// Why the run ended early, and how many hosts that has kept from it.
    fn stopped(&self, reason: StopReason) -> String {
        let not_begun = self.of_outcome(|outcome| outcome == Outcome::Skipped).len();
        let rest = match not_begun {
            0 => String::new(),
            1 => "; 1 host was not begun".to_owned(),
            more => format!("; {more} hosts were not begun"),
        };
        self.end.theme.block(
            "",
            Style::new(),
            &format!("stopped early: {}{rest}", stop_words(reason)),
        )
    }

    /// What to do next, as a command to copy. It never leaves out a host that is not done, begun or not.
    fn way_on(&self) -> String {
        let unknown = self.of_outcome(is_unknown);
        let left =
            self.of_outcome(|outcome| !matches!(outcome, Outcome::Changed | Outcome::Unchanged));
        let failed = left.iter().any(|host| self.summary.hosts[*host].outcome.is_failure());
        // One that was cut off has not said of every host how it ended.
        let ended =
            |host: &HostName| self.view.hosts.get(host).is_some_and(|run| run.end.is_some());
        let cut_off = !self.summary.hosts.keys().all(ended);
        let stopped = self.summary.stopped.is_some() || cut_off;
        let (start, is_plan) = (&self.view.start, self.view.is_plan());
        let command = start.command.as_str();
        let again = || {
            let also = rerun::left_out(start);
            format!("`certroll {}`{also}", rerun::again(start, &left))
        };
        // A resumed run does the same as the one before; whoever has to change something for it begins anew.
        let otherwise = || {
            let also = rerun::left_out(start);
            let arguments = rerun::left(start, &left);
            format!(
                "if the playbook, the inventory or a certificate has to change for that, run `certroll apply \
                 {arguments}`{also} instead\n"
            )
        };
        let mut text = String::new();
        if !unknown.is_empty() {
            let arguments = rerun::only(start, &unknown);
            text.push_str(&format!("run `certroll status {arguments}` to see what they hold, "));
            text.push_str(&format!("`certroll recover {arguments}` to recover them"));
            if command == "apply" {
                text.push_str(&format!(", then {} for all that is left", again()));
            }
            text.push('\n');
        } else if failed && !is_plan {
            text.push_str(&format!("once fixed, run {}", again()));
            if self.is_stale() {
                let plan = "; what is `stale` needs a new plan: `certroll plan --out FILE`, and its review";
                text.push_str(plan);
            } else if command == "apply" {
                text.push_str("; hosts that are done stay untouched");
            }
            text.push('\n');
            if command == "apply" && start.recorded {
                text.push_str(&otherwise());
            }
        } else if stopped && !is_plan && (cut_off || !left.is_empty()) {
            text.push_str(&format!("run {} to continue\n", again()));
        } else if command == "apply" && !stopped && self.summary.hosts.len() > left.len() {
            let arguments = rerun::all(start);
            text.push_str(&format!("to check again at any time: certroll verify {arguments}\n"));
        }
        text
    }

    /// A reviewed plan no longer fits some host: to carry it out again would end alike.
    fn is_stale(&self) -> bool {
        let stale = |counts: &HostSummary| {
            counts.reason.as_deref().is_some_and(|reason| reason.starts_with("stale: "))
        };
        self.view.start.plan.is_some() && self.summary.hosts.values().any(stale)
    }

    /// `unchanged` says little of a verb that never changes anything.
    fn word(&self, outcome: Outcome) -> String {
        let looks =
            matches!(self.view.start.command.as_str(), "verify" | "ping" | "status" | "discover");
        match outcome {
            Outcome::Unchanged if looks => "ok".to_owned(),
            other => other.name().replace('_', " "),
        }
    }

    /// `rolled back (verify)`; what nobody knows is written large, for logs without colours.
    fn outcome_words(&self, outcome: Outcome) -> String {
        let word = match outcome {
            Outcome::Unknown(_) => "UNKNOWN".to_owned(),
            Outcome::NotRestored(_) => "NOT RESTORED".to_owned(),
            other => self.word(other),
        };
        match outcome.step() {
            Some(step) => format!("{word} ({step})"),
            None => word,
        }
    }

    /// `8 hosts: 1 unknown, 1 rolled back, 6 changed`.
    fn totals(&self) -> String {
        let mut counts: IndexMap<String, (u8, usize)> = IndexMap::new();
        for host in self.summary.hosts.values() {
            let first = (words::rank(host.outcome), 0);
            counts.entry(self.word(host.outcome)).or_insert(first).1 += 1;
        }
        counts.sort_by_key(|_, (rank, _)| *rank);
        let parts: Vec<String> =
            counts.into_iter().map(|(word, (_, count))| format!("{count} {word}")).collect();
        format!("{}: {}", plural(self.summary.hosts.len(), "host"), parts.join(", "))
    }
}

fn is_unknown(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Unknown(_))
}

/// What a host's services serve. Of a host whose end is not known the last look counts, and a look from before
/// the change is called that.
fn serves(run: &HostRun, outcome: Outcome, exact: bool) -> String {
    let services: Vec<_> = run.services.iter().map(|end| words::service(end, exact)).collect();
    let services = services.join(", ");
    match (is_unknown(outcome), &run.verified.handshake) {
        (false, _) => services,
        (true, None) if services.is_empty() => services,
        (true, Some(seen)) => format!("last seen: {}", line(seen)),
        (true, None) => format!("before: {services}"),
    }
}

/// What is known to be served, after the reason where there is one.
fn seen_or_why(counts: &HostSummary, verified: &str) -> String {
    let reason = counts.reason.as_deref().map(line).unwrap_or_default();
    match (reason.is_empty(), matches!(counts.outcome, Outcome::RolledBack(_))) {
        (true, _) => verified.to_owned(),
        (false, true) if !verified.is_empty() => format!("{reason}; then {verified}"),
        (false, _) => reason,
    }
}

/// `edge1, edge2 and 58 more hosts`.
fn names(hosts: &[&HostName]) -> String {
    words::hosts(hosts.iter().copied(), 2)
}

/// The counts of Ansible's recap; what only certroll counts stands behind them where there is any.
fn recap_counts(theme: &Theme, counts: &HostSummary) -> String {
    let count = |name: &str, value: u32, style: Style| {
        let text = format!("{name}={value:<4}");
        if value == 0 { text } else { theme.paint(style, text) }
    };
    let cells = [
        count("ok", counts.ok, theme::GOOD),
        count("changed", counts.changed, theme::CHANGED),
        count("unreachable", counts.unreachable, theme::BAD),
        count("failed", counts.failed, theme::BAD),
        count("skipped", counts.skipped, theme::QUIET),
        count("rescued", counts.rescued, theme::WARNING),
        count("ignored", counts.ignored, theme::WARNING),
    ];
    let ours = [
        ("unchanged", counts.unchanged, theme::GOOD),
        ("rolled_back", counts.rolled_back, theme::BAD),
        ("not_restored", u32::from(matches!(counts.outcome, Outcome::NotRestored(_))), theme::LOUD),
        ("unknown", u32::from(is_unknown(counts.outcome)), theme::LOUD),
    ];
    let ours = ours.into_iter().filter(|(_, value, _)| *value > 0);
    let cells: Vec<String> = cells
        .into_iter()
        .chain(ours.map(|(name, value, style)| count(name, value, style)))
        .collect();
    cells.join(" ")
}

#[cfg(test)]
mod tests;
