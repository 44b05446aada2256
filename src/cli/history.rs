//! `certroll history`: past runs, and the recording of this one.

use super::args::{Format, HistoryArgs, HistoryCommand, Output, OutputArgs, RecordArgs};
use super::failure::Failure;
use super::{console, show};
use crate::event::{Event, RunStart};
use crate::journal::{FindError, Listed, Record, State, Store};
use crate::model::Timestamp;
use crate::report::document::Heading;
use crate::report::history::{Row, blocks, object};
use crate::report::{Reporter, RunView};
use crate::source::Diagnostic;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// The records of whoever runs certroll.
///
/// # Errors
/// Neither `XDG_STATE_HOME` nor `HOME` is set.
pub(super) fn store() -> Result<Store, Diagnostic> {
    Store::usual(|name| std::env::var_os(name)).ok_or_else(|| {
        Diagnostic::error("there is no place for the records of runs: HOME is not set")
            .help("set XDG_STATE_HOME, or use --no-record")
    })
}

/// Begins the record of this run and removes old ones. What goes wrong is a text for a warning: it never stops
/// a rollout.
pub(super) fn begin(
    flags: &RecordArgs,
    start: &RunStart,
    now: Timestamp,
) -> Result<Recorder, String> {
    let store = store().map_err(|problem| problem.to_string())?;
    let place = store.directory().display();
    let record = store
        .begin(start, crate::clock::since_epoch())
        .map_err(|error| format!("this run is not recorded: {place}: {error}"))?;
    let oldest = Timestamp::from_unix(now.unix() - i64::from(flags.keep_days) * 86_400);
    let keep = usize::try_from(flags.keep_runs).unwrap_or(usize::MAX);
    let trouble = Trouble::default();
    if let Err(error) = store.prune(keep, oldest) {
        trouble.tell(format!("old records of runs are not removed: {place}: {error}"));
    }
    Ok(Recorder { record: Some(record), trouble })
}

/// Writes the record as events come.
pub(super) struct Recorder {
    record: Option<Record>,
    /// What went wrong with it.
    pub(super) trouble: Trouble,
}

/// What went wrong with a record, for a warning when the run has ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    fn tell(&self, words: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(words);
    }

    /// The first thing that went wrong.
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Reporter for Recorder {
    fn on_event(&mut self, event: &Event, _: &RunView) -> io::Result<()> {
        if let Some(record) = &mut self.record
            && let Err(error) = record.take(event)
        {
            self.trouble.tell(format!("the record of this run is incomplete: {error}"));
            self.record = None;
        }
        Ok(())
    }
}

/// Lists past runs, or shows one.
///
/// # Errors
/// The records cannot be read; no run has that name.
pub(super) fn run(args: &HistoryArgs) -> Result<Vec<u8>, Failure> {
    let store = store()?;
    match &args.what {
        None => list(&store, &args.output),
        Some(HistoryCommand::Show { run, diff, format, output }) => {
            let listed = find(&store, run, |_| true)?;
            show(&store, &listed, *diff, *format, output)
        }
    }
}

/// The run of a name.
///
/// # Errors
/// As [`Store::find`], with a remedy.
pub(super) fn find(
    store: &Store,
    run: &str,
    fits: impl Fn(&RunStart) -> bool,
) -> Result<Listed, Failure> {
    store.find(run, fits).map_err(|error| match error {
        FindError::Name(error) => {
            Diagnostic::error(error.to_string()).help("`certroll history` lists the runs").into()
        }
        FindError::Io(error) => {
            let place = store.directory().display();
            Diagnostic::error(format!("{place}: the records cannot be read: {error}")).into()
        }
    })
}

fn list(store: &Store, output: &OutputArgs) -> Result<Vec<u8>, Failure> {
    let mut rows = Vec::new();
    for listed in store.list()? {
        // The ends tell everything of a run that has ended; of another every event counts.
        let row = match listed.state {
            State::Ended => Row::of([&listed.first, &listed.last], listed.state),
            State::Running | State::Killed => Row::of(&store.read(&listed)?.events, listed.state),
        };
        rows.push(row);
    }
    let text = match output.output {
        Output::Json => rows.iter().map(|row| format!("{}\n", object(row))).collect(),
        Output::Table => blocks(&console::options(output, false).stdout, &rows),
    };
    Ok(text.into_bytes())
}

fn show(
    store: &Store,
    listed: &Listed,
    diff: bool,
    format: Format,
    output: &OutputArgs,
) -> Result<Vec<u8>, Failure> {
    let reading = store.read(listed)?;
    let mut view = RunView::default();
    reading.events.iter().for_each(|event| view.take(event));
    if let Some(form) = format.form() {
        let remark = match listed.state {
            State::Ended => None,
            State::Running => Some(GOES_ON.to_owned()),
            State::Killed => Some(KILLED.to_owned()),
        };
        let heading = Heading { title: None, remark };
        return Ok(show::documented(&reading.events, form, &heading)?);
    }
    let mut options = console::options(output, diff);
    options.watching = crate::report::console::Watching::None;
    // One that has not said how it ended: what is known of its hosts is shown in place of that.
    let cut_off =
        (output.output == Output::Table && view.summary.is_none()).then(|| view.summary_so_far());
    let shown = show::replayed(&reading.events, &options, cut_off)?;
    let mut text = Vec::new();
    if output.output == Output::Table {
        text.extend(heading(listed, reading.unreadable).into_bytes());
    }
    text.extend(shown);
    Ok(text)
}

/// What is said of a run that goes on.
const GOES_ON: &str = "still running; this is what it has done so far";
/// What is said of one whose process is gone.
const KILLED: &str =
    "KILLED, or not recorded to its end: there is no summary; this is what was recorded until then";

fn heading(listed: &Listed, unreadable: usize) -> String {
    let RunStart { run, command, by, playbooks, .. } = &listed.start;
    let line = crate::report::theme::line;
    let playbooks = line(&playbooks.join(" "));
    let (run, command, by) = (line(run), line(command), line(by));
    let mut text = format!("run {run}: {command} {playbooks} by {by} at {}\n", listed.first.moment);
    match listed.state {
        State::Ended => {}
        State::Running => text.push_str(&format!("{GOES_ON}\n")),
        State::Killed => text.push_str(&format!("{KILLED}\n")),
    }
    if unreadable > usize::from(listed.state != State::Ended) {
        text.push_str(&format!("the record is damaged: {unreadable} lines cannot be read\n"));
    }
    text
}
