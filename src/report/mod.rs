//! Renders events and plans: lines, progress, tables, JSON, metrics.
//!
//! Each reporter writes to what it was given and calls nothing of the engine. Text from hosts is
//! made printable again here, whatever its sender promised.

mod again;
pub mod console;
mod failure;
pub mod json;
pub mod lines;
pub mod list;
pub mod look;
pub mod metrics;
pub mod outcome;
pub mod plan_table;
pub mod progress;
#[cfg(test)]
mod samples;
pub mod services;
pub mod status;
mod table;
mod words;

pub use again::Again;
pub use console::{Console, Options, Output};
pub use json::Json;
pub use lines::{Detail, Lines};
pub use look::Look;
pub use metrics::Metrics;
pub use outcome::{End, Outcomes};
pub use plan_table::PlanTable;
pub use progress::{Pause, Progress};

use crate::event::Event;
use std::io;

/// Shows a run to somebody.
pub trait Reporter {
    /// Takes the next event, in order. Never blocks longer than its writer does.
    ///
    /// # Errors
    /// The writer failed; the reporter should not be called again.
    fn on_event(&mut self, event: &Event) -> io::Result<()>;
}

impl<R: Reporter + ?Sized> Reporter for Box<R> {
    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        (**self).on_event(event)
    }
}

/// Several reporters as one. One that fails is left out from then on; the others go on.
#[derive(Default)]
pub struct Several<'a> {
    reporters: Vec<Box<dyn Reporter + Send + 'a>>,
    broken: Option<io::Error>,
}

impl<'a> Several<'a> {
    /// Adds one; they are called in the order of adding.
    pub fn add(&mut self, reporter: impl Reporter + Send + 'a) -> &mut Self {
        self.reporters.push(Box::new(reporter));
        self
    }

    /// The first error that a reporter ended with.
    ///
    /// # Errors
    /// That one.
    pub fn finish(self) -> io::Result<()> {
        self.broken.map_or(Ok(()), Err)
    }
}

impl Reporter for Several<'_> {
    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        let broken = &mut self.broken;
        self.reporters.retain_mut(|reporter| match reporter.on_event(event) {
            Ok(()) => true,
            Err(error) => {
                broken.get_or_insert(error);
                false
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Kind;
    use std::sync::Mutex;
    use std::time::Duration;

    struct Note<'a>(&'a Mutex<Vec<u64>>, u64);

    impl Reporter for Note<'_> {
        fn on_event(&mut self, event: &Event) -> io::Result<()> {
            if event.seq == self.1 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.0.lock().unwrap().push(event.seq);
            Ok(())
        }
    }

    #[test]
    fn a_broken_reporter_does_not_stop_the_others() {
        let (first, second) = (Mutex::default(), Mutex::default());
        let mut several = Several::default();
        several.add(Note(&first, 1)).add(Note(&second, 9));
        for seq in 0..3 {
            let kind = Kind::TaskStart { task: "t".into() };
            let event = Event { seq, elapsed: Duration::ZERO, host: None, kind };
            several.on_event(&event).unwrap();
        }
        let error = several.finish().map_err(|error| error.kind());
        assert_eq!(error, Err(io::ErrorKind::BrokenPipe));
        assert_eq!(
            (first.into_inner().unwrap(), second.into_inner().unwrap()),
            (vec![0], vec![0, 1, 2])
        );
    }
}
