//! `certroll report`: the event files of several runs, the shards of a rollout, as one run.

use super::args::{Output, ReportArgs};
use super::failure::Failure;
use super::{console, show};
use crate::engine::exit;
use crate::event::{Event, Kind, Summary, json};
use crate::model::Outcome;
use crate::report::console::Watching;
use crate::report::document::{Document, Heading};
use crate::report::joined::{Joined, Part, join};
use crate::report::{Reporter, RunView};
use crate::source::Diagnostic;
use std::path::Path;

/// What is printed, and the exit code of all together.
///
/// # Errors
/// A file cannot be read or is no run; the runs are no parts of one rollout; a report cannot be written.
pub(super) fn run(args: &ReportArgs) -> Result<(Vec<u8>, u8), Failure> {
    let mut reports =
        args.reports.iter().map(|path| report_to(path)).collect::<Result<Vec<_>, _>>()?;
    let parts = args.files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    let joined = join(parts).map_err(|error| {
        Diagnostic::error(error.to_string()).help(
            "give the files that `certroll apply --shard K/N -o json` wrote, one of each shard",
        )
    })?;
    let exit_code = exit_code(&joined);
    let summary = Summary { exit_code, ..joined.summary };
    let mut events = joined.events;
    if let Some(last) = events.last().cloned() {
        let kind = Kind::Summary(summary);
        events.push(Event { seq: last.seq + 1, host: None, kind, ..last });
    }
    let mut view = RunView::default();
    for event in &events {
        view.take(event);
        for report in &mut reports {
            report.on_event(event, &view)?;
        }
    }
    let text = match (args.format.form(), args.output.output) {
        (Some(form), _) => show::documented(&events, form, &Heading::default())?,
        (None, Output::Json) => lines(&events)?,
        (None, Output::Table) => {
            let mut options = console::options(&args.output, false);
            options.watching = Watching::None;
            let notes = joined.notes.iter().map(|note| format!("warning: {note}\n"));
            [notes.collect::<String>().into_bytes(), show::replayed(&events, &options, None)?]
                .concat()
        }
    };
    Ok((text, exit_code))
}

fn read(file: &Path) -> Result<Part, Diagnostic> {
    let source = file.display().to_string();
    let reading = crate::journal::events(file)
        .map_err(|error| Diagnostic::error(format!("{source}: cannot be read: {error}")))?;
    // The last line of a run that was killed may be torn.
    if reading.unreadable > 1 {
        let problem = format!("{source}: {} lines are no events", reading.unreadable);
        return Err(Diagnostic::error(problem).help("`-o json` writes a file of events"));
    }
    Ok(Part { source, events: reading.events })
}

/// The code that one run with all these hosts would have; a shard of which nothing is known counts as failed.
fn exit_code(joined: &Joined) -> u8 {
    let ends = || joined.summary.hosts.values().map(|host| host.outcome);
    let unreachable = ends().filter(|end| *end == Outcome::Unreachable).count();
    let failed = ends().filter(|end| end.is_failure()).count() - unreachable;
    let unknown = joined.missing.len() + joined.cut_off.len();
    match exit::code(failed + unknown, unreachable, joined.summary.stopped) {
        exit::OK if joined.codes.contains(&exit::PENDING) => exit::PENDING,
        code => code,
    }
}

fn lines(events: &[Event]) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    for event in events {
        text.extend(json::to_object(event).map_err(std::io::Error::from)?.to_string().into_bytes());
        text.push(b'\n');
    }
    Ok(text)
}

/// What `--report FILE` asks for.
///
/// # Errors
/// The ending of its name is that of no report.
pub(super) fn report_to(path: &Path) -> Result<Document, Diagnostic> {
    Document::to(path).map_err(|error| {
        Diagnostic::error(format!("--report {error}"))
            .help("name it .html, .md (Markdown), .json, or .xml (JUnit)")
    })
}
