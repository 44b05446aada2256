//! Reading records, whole or only their ends.

use crate::event::{Event, Kind, RunStart, json};
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

/// How a recorded run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It goes on.
    Running,
    /// It has ended and said so.
    Ended,
    /// Its process is gone and has not said how it ended.
    Killed,
}

/// A record, as far as a list shows it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Where it is.
    pub path: PathBuf,
    /// Its first event.
    pub start: RunStart,
    /// The first event with its moment.
    pub first: Event,
    /// Its last whole event.
    pub last: Event,
    /// How the run stands.
    pub state: State,
}

/// A record read whole.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// Its events in order.
    pub events: Vec<Event>,
    /// Lines that are no events; more than a torn last one is damage.
    pub unreadable: usize,
}

/// Lines of more than this are damage: the summary of 100,000 hosts is shorter.
const LONGEST: u64 = 256 * 1024 * 1024;

/// Reads the ends of a record; none: it has no first line yet, or is no record.
pub(super) fn ends(path: PathBuf) -> io::Result<Option<Listed>> {
    let mut file = File::open(&path)?;
    let is_locked = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    let mut line = Vec::new();
    BufReader::new(&file).take(LONGEST).read_until(b'\n', &mut line)?;
    let Some(first) = event(&line) else { return Ok(None) };
    let Kind::RunStart(start) = &first.kind else { return Ok(None) };
    let start = (**start).clone();
    let last = last(&mut file)?.unwrap_or_else(|| first.clone());
    let state = match (&last.kind, is_locked) {
        (Kind::Summary(_), _) => State::Ended,
        (_, true) => State::Running,
        (_, false) => State::Killed,
    };
    Ok(Some(Listed { path, start, first, last, state }))
}

/// The last whole event, read from the end in growing steps.
fn last(file: &mut File) -> io::Result<Option<Event>> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut step = 64 * 1024;
    loop {
        let from = length.saturating_sub(step);
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        file.take(length - from).read_to_end(&mut tail)?;
        // Without the start of the file the first piece may be half a line.
        let whole = usize::from(from > 0);
        let lines: Vec<&[u8]> = tail.split(|byte| *byte == b'\n').collect();
        if let Some(event) =
            lines[whole.min(lines.len())..].iter().rev().find_map(|line| event(line))
        {
            return Ok(Some(event));
        }
        if from == 0 || step >= LONGEST {
            return Ok(None);
        }
        step *= 4;
    }
}

/// Reads every event of a record.
pub(crate) fn whole(path: &std::path::Path) -> io::Result<Reading> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut reading = Reading { events: Vec::new(), unreadable: 0 };
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut reader).take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(reading);
        }
        match event(&line) {
            Some(event) => reading.events.push(event),
            None => reading.unreadable += 1,
        }
    }
}

fn event(line: &[u8]) -> Option<Event> {
    json::from_object(serde_json::from_slice(line).ok()?).ok()
}
