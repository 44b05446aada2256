//! The list of past runs.

use super::run_view::RunView;
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
            State::Ended if self.summary.exit_code == 0 => ("exit 0".to_owned(), Style::new()),
            State::Ended => (format!("exit {}", self.summary.exit_code), theme::BAD),
        }
    }
}

/// A block per run: its name, how it stands or its exit code, and the rest. Where there is no terminal, each is one
/// line.
pub(crate) fn blocks(theme: &Theme, rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no run is recorded\n".to_owned();
    }
    let blocks = rows.iter().map(|row| {
        let counts = row.hosts();
        let counts: Vec<String> = counts
            .iter()
            .map(|(name, count)| format!("{count} {}", name.replace('_', " ")))
            .collect();
        let counts = if counts.is_empty() { "no host".to_owned() } else { counts.join(", ") };
        let words = format!(
            "{} {} {} by {}: {counts} in {}",
            row.began,
            line(&row.start.command),
            line(&row.start.playbooks.join(" ")),
            line(&row.start.by),
            seconds(row.took)
        );
        let run: String = line(&row.start.run).chars().take(8).collect();
        let (end, style) = row.end();
        let block = theme.hang(&format!("{run:<8}  {end:<7}  "), Style::new(), &words);
        let block = block.replacen(&run, &theme.paint(theme::STRONG, &run), 1);
        match block.split_once("  ") {
            Some((run, rest)) => {
                format!("{run}  {}", rest.replacen(&end, &theme.paint(style, &end), 1))
            }
            None => block,
        }
    });
    theme.fit(&blocks.collect::<String>())
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

    fn shown(width: Option<u16>) -> String {
        let rows = [Row::of(&apply()[..60], State::Killed), Row::of(&many(3), State::Ended)];
        blocks(&Theme { color: false, width, ascii: width.is_none() }, &rows)
    }

    #[test]
    fn on_60_columns() {
        insta::assert_snapshot!(shown(Some(60)));
    }

    #[test]
    fn on_80_columns() {
        insta::assert_snapshot!(shown(Some(80)));
    }

    #[test]
    fn on_200_columns() {
        insta::assert_snapshot!(shown(Some(200)));
    }

    #[test]
    fn runs_in_a_line_each() {
        insta::assert_snapshot!(shown(None));
        let (ended, cut) = (many(3), apply());
        let rows = [Row::of(&cut[..60], State::Killed), Row::of(&ended, State::Ended)];
        let killed = object(&rows[0]);
        assert_eq!((&killed["state"], &killed["exit_code"]), (&json!("killed"), &Value::Null));
        assert_eq!(object(&rows[1])["hosts"], json!({"changed": 3}));
        assert_eq!(blocks(&Theme::PLAIN, &[]), "no run is recorded\n");
    }
}
