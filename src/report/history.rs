//! The list of past runs.

use super::run_view::RunView;
use super::table::{Share, plain, render};
use super::theme::{self, Theme, line, seconds};
use super::words;
use crate::event::{Event, RunStart, Summary};
use crate::journal::State;
use crate::model::{Outcome, Timestamp};
use anstyle::Style;
use indexmap::IndexMap;
use serde_json::{Value, json};
use std::time::Duration;

/// A past run in one row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Who did what.
    pub start: RunStart,
    /// When it began.
    pub began: Timestamp,
    /// How long it took, or has taken so far.
    pub took: Duration,
    /// How it stands.
    pub state: State,
    /// What it came to, or has so far.
    pub summary: Summary,
}

impl Row {
    /// From the events of a run.
    pub(crate) fn of<'a>(events: impl IntoIterator<Item = &'a Event>, state: State) -> Self {
        let mut view = RunView::default();
        events.into_iter().for_each(|event| view.take(event));
        Self {
            began: view.began.unwrap_or(Timestamp::from_unix(0)),
            took: view.elapsed,
            state,
            summary: view.summary_so_far(),
            start: view.start,
        }
    }

    fn hosts(&self) -> IndexMap<&'static str, usize> {
        let mut outcomes: Vec<Outcome> =
            self.summary.hosts.values().map(|host| host.outcome).collect();
        outcomes.sort_by_key(|outcome| words::rank(*outcome));
        let mut counts = IndexMap::new();
        for outcome in outcomes {
            *counts.entry(outcome.name()).or_default() += 1;
        }
        counts
    }

    fn end(&self) -> (String, Style) {
        match self.state {
            State::Running => ("running".to_owned(), theme::QUIET),
            State::Killed => ("KILLED".to_owned(), theme::BAD),
            State::Ended if self.summary.exit_code == 0 => plain("0"),
            State::Ended => (self.summary.exit_code.to_string(), theme::BAD),
        }
    }
}

/// One line per run.
pub(crate) fn table(theme: &Theme, rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no run is recorded\n".to_owned();
    }
    let header = [
        ("run", Share::Whole(8)),
        ("began", Share::Whole(20)),
        ("by", Share::Rest(8)),
        ("verb", Share::Whole(8)),
        ("playbooks", Share::Rest(12)),
        ("hosts", Share::Rest(12)),
        ("took", Share::Whole(8)),
        ("exit", Share::Whole(7)),
    ];
    let rows = rows.iter().map(|row| {
        let hosts: Vec<String> = row
            .hosts()
            .iter()
            .map(|(name, count)| format!("{count} {}", name.replace('_', " ")))
            .collect();
        vec![
            (line(&row.start.run).chars().take(8).collect(), theme::STRONG),
            plain(row.began.to_string()),
            plain(line(&row.start.by)),
            plain(line(&row.start.command)),
            plain(line(&row.start.playbooks.join(" "))),
            plain(hosts.join(", ")),
            plain(seconds(row.took)),
            row.end(),
        ]
    });
    render(theme, &header, rows.collect())
}

/// One object per run.
pub(crate) fn object(row: &Row) -> Value {
    let state = match row.state {
        State::Running => "running",
        State::Ended => "ended",
        State::Killed => "killed",
    };
    json!({
        "run": row.start.run,
        "state": state,
        "began": row.began,
        "elapsed_ms": u64::try_from(row.took.as_millis()).unwrap_or(u64::MAX),
        "command": row.start.command,
        "playbooks": row.start.playbooks,
        "by": row.start.by,
        "directory": row.start.directory,
        "limit": row.start.rerun.limit,
        "hosts": row.hosts(),
        "exit_code": (row.state == State::Ended).then_some(row.summary.exit_code),
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{apply, many};
    use super::*;

    #[test]
    fn runs_in_a_row_each() {
        let (ended, cut) = (many(3), apply());
        let rows = [Row::of(&cut[..60], State::Killed), Row::of(&ended, State::Ended)];
        insta::assert_snapshot!(table(&Theme::PLAIN, &rows));
        let killed = object(&rows[0]);
        assert_eq!((&killed["state"], &killed["exit_code"]), (&json!("killed"), &Value::Null));
        assert_eq!(object(&rows[1])["hosts"], json!({"changed": 3}));
        assert_eq!(table(&Theme::PLAIN, &[]), "no run is recorded\n");
    }
}
