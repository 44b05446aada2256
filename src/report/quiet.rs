//! `-q`: what is printed at the end of a run where something was to do or is not well, and nothing otherwise.

use super::{End, Outcomes, PlanTable, Reporter, RunView};
use crate::event::{Event, Kind, Summary};
use crate::model::Outcome;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Holds back what other reporters say until the run has ended.
pub(super) struct Quiet<W> {
    out: W,
    held: Held,
    outcomes: Outcomes<Held>,
    plan: PlanTable<Held>,
}

impl<W: Write> Quiet<W> {
    /// For `out`.
    pub(super) fn new(out: W, end: End, diff: bool) -> Self {
        let held = Held::default();
        let outcomes = Outcomes::new(held.clone(), end);
        let plan = PlanTable::new(held.clone(), end.theme, diff);
        Self { out, held, outcomes, plan }
    }
}

impl<W: Write> Reporter for Quiet<W> {
    fn on_event(&mut self, event: &Event, view: &RunView) -> io::Result<()> {
        self.outcomes.on_event(event, view)?;
        self.plan.on_event(event, view)?;
        let Kind::Summary(summary) = &event.kind else { return Ok(()) };
        if is_all_quiet(view, summary) {
            return Ok(());
        }
        let text = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.out.write_all(&text)?;
        self.out.flush()
    }
}

/// Whether nothing was to do, and nothing deserves a look.
fn is_all_quiet(view: &RunView, summary: &Summary) -> bool {
    let as_it_was = |outcome: &Outcome| matches!(outcome, Outcome::Unchanged | Outcome::Skipped);
    let batches = || view.plays.iter().flat_map(|play| &play.batches);
    let planned = batches().any(|batch| batch.counts.is_some_and(|counts| counts.pending() > 0));
    let states = view.hosts.values().flat_map(|host| &host.status);
    // A plan's host is `changed` where something would be done.
    summary.exit_code == 0
        && summary.stopped.is_none()
        && summary.hosts.values().all(|host| as_it_was(&host.outcome))
        && !planned
        && !states.clone().any(|(_, status)| status.deviates())
}

/// Text that waits.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<Vec<u8>>>);

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Theme;
    use super::super::samples::{apply, many, plan, report};
    use super::*;

    fn shown(events: &[Event]) -> String {
        let end = End { theme: Theme::PLAIN, failures_shown: false };
        report(events, |out| Quiet::new(out, end, false))
    }

    #[test]
    fn what_changed_or_failed_is_said_whole() {
        assert!(shown(&apply()).contains("PLAY RECAP"));
        assert!(shown(&plan()).contains("to do it: "));
    }

    #[test]
    fn nothing_is_said_where_nothing_was_to_do() {
        let mut events = many(3);
        assert_ne!(shown(&events), "");
        for event in &mut events {
            if let Kind::Summary(summary) = &mut event.kind {
                summary.hosts.values_mut().for_each(|host| host.outcome = Outcome::Unchanged);
            }
        }
        assert_eq!(shown(&events), "");
    }
}
