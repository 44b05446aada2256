//! What a person watches on a terminal: the [board], painted anew as events come and time goes by.
//!
//! Failures, notes and messages are printed above it and stay; the board goes away at the end.

use super::lines::{Detail, Writer};
use super::painter::Painter;
use super::run_view::RunView;
use super::theme::Theme;
use super::{Reporter, board};
use crate::event::{Event, Kind};
use std::io::{self, Write};
use std::time::Duration;

/// Events that come faster change the picture no more often.
const EVERY: Duration = Duration::from_millis(50);
/// A controller that stood still for so long was stopped, and others may have written to the terminal.
const STOPPED: Duration = Duration::from_secs(5);

/// A board on a terminal.
pub(crate) struct Progress {
    theme: Theme,
    /// Columns of the terminal at this moment.
    columns: fn() -> Option<u16>,
    painter: Painter,
    writer: Writer,
    /// When it was last painted, and when time last went by.
    painted: Duration,
    seen: Duration,
}

/// Takes the board away while somebody else writes to the terminal.
#[derive(Clone)]
pub(crate) struct Pause(Option<Painter>);

impl Pause {
    /// For runs without a board.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Runs `work` (asks the operator something) with the board out of the way.
    pub(crate) fn around<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(painter) => painter.around(work),
            None => work(),
        }
    }
}

impl Progress {
    /// On a terminal that has `columns` at the moment. `detail` says how much stays above the board.
    pub(crate) fn new(
        out: impl Write + Send + 'static,
        columns: fn() -> Option<u16>,
        theme: Theme,
        detail: Detail,
    ) -> Self {
        let (painter, writer) = (Painter::new(out), Writer::new(theme, detail));
        let (painted, seen) = (Duration::ZERO, Duration::ZERO);
        Self { theme, columns, painter, writer, painted, seen }
    }

    /// A handle that takes the board away for a while.
    pub(crate) fn pause(&self) -> Pause {
        Pause(Some(self.painter.clone()))
    }

    fn paint(&mut self, above: &str, now: Duration, view: &RunView) -> io::Result<()> {
        let width = (self.columns)().map_or_else(|| self.theme.columns(), usize::from);
        self.painted = now;
        self.painter.paint(above, &board::lines(view, now, width, &self.theme))
    }
}

impl Reporter for Progress {
    fn on_event(&mut self, event: &Event, view: &RunView) -> io::Result<()> {
        let above = self.writer.lines(event, view);
        // Tables follow these, on the same terminal.
        let ends =
            matches!(event.kind, Kind::PlanBatch { .. } | Kind::BatchEnd { .. } | Kind::Summary(_));
        if ends {
            return self.painter.paint(&above, &[]);
        }
        if above.is_empty() && event.elapsed.saturating_sub(self.painted) < EVERY {
            return Ok(());
        }
        self.paint(&above, event.elapsed, view)
    }

    fn on_tick(&mut self, now: Duration, view: &RunView) -> io::Result<()> {
        if now.saturating_sub(self.seen) >= STOPPED && self.seen > Duration::ZERO {
            self.painter.let_go();
        }
        self.seen = now;
        if view.summary.is_some() {
            return Ok(());
        }
        self.paint("", now, view)
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Shared, apply, plan};
    use super::*;

    const THEME: Theme = Theme { color: false, width: Some(80), ascii: true };

    fn watched(columns: fn() -> Option<u16>, detail: Detail) -> (Progress, Shared) {
        let out = Shared::default();
        (Progress::new(out.clone(), columns, THEME, detail), out)
    }

    /// What a terminal shows, with what has scrolled away.
    fn screen(written: &Shared, columns: u16) -> String {
        let mut terminal = vt100::Parser::new(60, columns, 0);
        terminal.process(written.text().replace('\n', "\r\n").as_bytes());
        let rows: Vec<String> = terminal.screen().rows(0, columns).collect();
        rows.join("\n").trim_end().to_owned()
    }

    #[test]
    fn failures_stay_and_the_board_goes_away() {
        let (mut progress, out) = watched(|| Some(80), Detail::Events);
        let mut view = RunView::default();
        let mut most = 0;
        for event in apply() {
            view.take(&event);
            progress.on_event(&event, &view).unwrap();
            progress.on_tick(event.elapsed, &view).unwrap();
            most = most.max(screen(&out, 80).matches("connecting").count());
        }
        assert!(most > 0, "hosts at work were never shown");
        insta::assert_snapshot!(screen(&out, 80));
    }

    #[test]
    fn a_table_on_the_same_terminal_finds_the_board_gone() {
        let (mut progress, out) = watched(|| Some(80), Detail::Events);
        let mut view = RunView::default();
        for event in plan() {
            view.take(&event);
            progress.on_event(&event, &view).unwrap();
            if matches!(event.kind, Kind::PlanBatch { .. }) {
                assert!(!screen(&out, 80).contains(" of "), "{}", screen(&out, 80));
            }
        }
    }

    #[test]
    fn a_terminal_that_became_narrow_is_not_exceeded() {
        let (mut progress, out) = watched(|| Some(40), Detail::Events);
        let mut view = RunView::default();
        for event in &apply()[..12] {
            view.take(event);
        }
        progress.on_tick(Duration::from_secs(3), &view).unwrap();
        let text = out.text();
        assert!(text.contains("reading"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() < 40), "{text}");
    }
}
