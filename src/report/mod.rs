//! Renders events and plans: lines, progress, tables, JSON, documents, metrics.
//!
//! One fold of the events, [`RunView`], tells the story of the run; the reporters turn it into text. Each
//! writes to what it was given and calls nothing of the engine. Text from hosts is
//! made printable again here, whatever its sender promised.

mod alike;
mod board;
pub(crate) mod console;
pub(crate) mod document;
pub(crate) mod failure;
pub(crate) mod found;
pub(crate) mod history;
pub(crate) mod host_run;
mod in_flight;
pub(crate) mod joined;
pub(crate) mod json;
pub(crate) mod lines;
pub(crate) mod list;
pub(crate) mod metrics;
pub(crate) mod outcome;
mod painter;
pub(crate) mod plan_diff;
pub(crate) mod plan_table;
pub(crate) mod progress;
mod quiet;
mod rerun;
pub(crate) mod run_view;
#[cfg(test)]
mod samples;
pub(crate) mod services;
pub(crate) mod status;
pub(crate) mod theme;
mod words;

pub(crate) use json::Json;
pub(crate) use lines::{Detail, Lines};
pub(crate) use metrics::Metrics;
pub(crate) use outcome::{End, Outcomes};
pub(crate) use plan_table::PlanTable;
pub(crate) use progress::{Pause, Progress};
pub(crate) use run_view::RunView;
pub(crate) use theme::Theme;

use crate::event::Event;
use std::io;
use std::time::Duration;

/// Shows a run to somebody.
pub(crate) trait Reporter {
    /// Takes the next event, in order, and the story that ends with it. Never blocks longer than its
    /// writer does.
    ///
    /// # Errors
    /// The writer failed; the reporter should not be called again.
    fn on_event(&mut self, event: &Event, view: &RunView) -> io::Result<()>;

    /// Time goes on without an event: `now` is how long the run has lasted. Called a few times a second.
    ///
    /// # Errors
    /// As [`on_event`](Self::on_event).
    fn on_tick(&mut self, now: Duration, view: &RunView) -> io::Result<()> {
        let _ = (now, view);
        Ok(())
    }
}

/// Tells the story of a run to several reporters. One that fails is left out from then on; the others
/// go on.
#[derive(Default)]
pub(crate) struct Tee<'a> {
    view: RunView,
    reporters: Vec<Box<dyn Reporter + Send + 'a>>,
    broken: Option<io::Error>,
}

impl<'a> Tee<'a> {
    /// Adds one; they are called in the order of adding.
    pub(crate) fn add(&mut self, reporter: impl Reporter + Send + 'a) -> &mut Self {
        self.add_box(Box::new(reporter))
    }

    /// The same for one that is in a box already.
    pub(crate) fn add_box(&mut self, reporter: Box<dyn Reporter + Send + 'a>) -> &mut Self {
        self.reporters.push(reporter);
        self
    }

    /// Takes the next event, in order.
    pub(crate) fn on_event(&mut self, event: &Event) {
        self.view.take(event);
        self.each(|reporter, view| reporter.on_event(event, view));
    }

    /// Time goes on without an event.
    pub(crate) fn on_tick(&mut self, now: Duration) {
        self.each(|reporter, view| reporter.on_tick(now, view));
    }

    fn each(&mut self, tell: impl Fn(&mut dyn Reporter, &RunView) -> io::Result<()>) {
        let (view, broken) = (&self.view, &mut self.broken);
        self.reporters.retain_mut(|reporter| match tell(reporter.as_mut(), view) {
            Ok(()) => true,
            Err(error) => {
                broken.get_or_insert(error);
                false
            }
        });
    }

    /// The first error that a reporter ended with.
    ///
    /// # Errors
    /// That one.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.broken.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Note<'a>(&'a Mutex<Vec<u64>>, u64);

    impl Reporter for Note<'_> {
        fn on_event(&mut self, event: &Event, _: &RunView) -> io::Result<()> {
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
        let mut tee = Tee::default();
        tee.add(Note(&first, 1)).add(Note(&second, 9));
        samples::apply()[..3].iter().for_each(|event| tee.on_event(event));
        let error = tee.finish().map_err(|error| error.kind());
        assert_eq!(error, Err(io::ErrorKind::BrokenPipe));
        assert_eq!(
            (first.into_inner().unwrap(), second.into_inner().unwrap()),
            (vec![0], vec![0, 1, 2])
        );
    }
}
