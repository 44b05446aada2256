//! Writing a record while the run goes on.

use crate::event::{Event, Kind, json};
use std::fs::File;
use std::io::{self, Write};

/// A record that is being written. As long as it lives it holds a lock on its file, which tells a run that
/// goes on from one that was killed.
#[derive(Debug)]
pub(crate) struct Record {
    file: File,
}

impl Record {
    pub(super) fn new(file: File) -> Self {
        Self { file }
    }

    /// Appends an event. The line has left this process when the call returns; at the ends of batches, and of
    /// the run, everything is on the disk.
    ///
    /// # Errors
    /// It cannot be written, as on a full disk; the last line may be torn then.
    pub(crate) fn take(&mut self, event: &Event) -> io::Result<()> {
        let mut line = json::to_object(event)?.to_string();
        line.push('\n');
        self.file.write_all(line.as_bytes())?;
        match event.kind {
            Kind::RunStart(_)
            | Kind::BatchEnd { .. }
            | Kind::Stopping { .. }
            | Kind::Summary(_) => self.file.sync_data(),
            _ => Ok(()),
        }
    }
}
