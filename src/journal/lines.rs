//! Records and saved plans of a run that is there as lines: what the benchmark of both writes and reads, by the same
//! functions as a run.

use super::read;
use super::saved_plan::{FORMAT, Header, SavedPlan};
use super::store::Store;
use crate::event::{Event, Kind, RunStart, json};
use crate::model::Timestamp;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The events of a run, out of what `-o json` has printed.
#[derive(Debug)]
pub struct Lines {
    events: Vec<Event>,
}

impl Lines {
    /// Reads them.
    ///
    /// # Errors
    /// A line is no event.
    pub fn parse(text: &str) -> io::Result<Self> {
        let event = |line| Ok(json::from_object(serde_json::from_str(line)?)?);
        Ok(Self { events: text.lines().map(event).collect::<io::Result<_>>()? })
    }

    /// Writes them as the record of a run, with its flushes, into a directory of records.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_record(&self, directory: &Path) -> io::Result<PathBuf> {
        let started = self.events.iter().find_map(|event| match &event.kind {
            Kind::RunStart(start) => Some(&**start),
            _ => None,
        });
        let start: &RunStart = started.ok_or(io::ErrorKind::InvalidData)?;
        let store = Store::at(directory);
        let mut record = store.begin(start, Duration::ZERO)?;
        self.events.iter().try_for_each(|event| record.take(event))?;
        drop(record);
        let listed = store.find(&start.run, |_| true).map_err(io::Error::other)?;
        Ok(listed.path)
    }

    /// Reads a record; how many events it has.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_record(path: &Path) -> io::Result<usize> {
        Ok(read::whole(path)?.events.len())
    }

    /// Writes them as a saved plan.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_plan(&self, path: &Path) -> io::Result<()> {
        let made = self.events.first().map_or(Timestamp::from_unix(0), |event| event.moment);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let header = Header { certroll_plan: FORMAT, made, version, sources: Vec::new() };
        SavedPlan::write(path, &header, &self.events).map(drop)
    }

    /// Reads a saved plan and checks its digest; how many events it has.
    ///
    /// # Errors
    /// It cannot be read, or is not as it was written.
    pub fn read_plan(path: &Path) -> io::Result<usize> {
        let plan = SavedPlan::read(path).map_err(io::Error::other)?;
        Ok(plan.events.len())
    }
}
