//! What a person watches on a terminal: hosts done of all, those in flight with their step, the time.
//!
//! Failures, notes and messages are printed above the bars and stay; the bars go away at the end.

use super::Reporter;
use super::lines::{Detail, Writer};
use super::run_view::{BatchRun, RunView};
use super::theme::{Theme, cut, line};
use crate::event::{Event, Kind};
use crate::model::Step;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, Write};
use std::time::Duration;

/// So many hosts in flight are shown, the others counted.
const SHOWN: usize = 8;

/// Bars on a terminal.
pub(crate) struct Progress {
    theme: Theme,
    bars: MultiProgress,
    /// The same terminal as the bars', for what stays above them.
    above: Box<dyn Write + Send>,
    writer: Writer,
    /// Hosts of the batch that have ended the task, of all; only while a task runs.
    total: Option<ProgressBar>,
    /// One line per shown host, and one for the count of the others.
    slots: Vec<Slot>,
}

struct Slot {
    bar: ProgressBar,
    shows: String,
}

/// Stops the bars while somebody else writes to the terminal.
#[derive(Clone, Debug)]
pub(crate) struct Pause(Option<MultiProgress>);

impl Pause {
    /// For runs without bars.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Runs `work` (asks the operator something) with the bars out of the way.
    pub(crate) fn around<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bars) => bars.suspend(work),
            None => work(),
        }
    }
}

impl Progress {
    /// Bars on `target`, and on `above`, which is the same terminal, what stays. `detail` says how
    /// much that is.
    pub(crate) fn new(
        target: ProgressDrawTarget,
        above: impl Write + Send + 'static,
        theme: Theme,
        detail: Detail,
    ) -> Self {
        Self {
            theme,
            above: Box::new(above),
            bars: MultiProgress::with_draw_target(target),
            writer: Writer::new(theme, detail),
            total: None,
            slots: Vec::new(),
        }
    }

    /// A handle that stops the bars for a while.
    pub(crate) fn pause(&self) -> Pause {
        Pause(Some(self.bars.clone()))
    }

    fn draw(&mut self, view: &RunView) {
        let Some(head) = head(view) else { return self.clear() };
        let total = self.total.get_or_insert_with(|| {
            let bar = self.bars.insert(0, ProgressBar::new(0));
            bar.set_style(total_style(&self.theme));
            bar.set_elapsed(view.elapsed);
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        total.set_length(view.batch().map_or(0, |batch| batch.hosts.len() as u64));
        total.set_position(view.now.ended.len() as u64);
        total.set_message(cut(&head, self.theme.columns().saturating_sub(45), &self.theme));
        let lines = in_flight(view, self.theme.columns().saturating_sub(12), &self.theme);
        for slot in self.slots.drain(lines.len().min(self.slots.len())..) {
            slot.bar.finish_and_clear();
            self.bars.remove(&slot.bar);
        }
        for (index, (text, since)) in lines.into_iter().enumerate() {
            if index == self.slots.len() {
                let bar = self.bars.add(ProgressBar::new_spinner());
                bar.set_style(slot_style());
                self.slots.push(Slot { bar, shows: String::new() });
            }
            let slot = &mut self.slots[index];
            if slot.shows != text {
                slot.bar.set_elapsed(view.elapsed.saturating_sub(since));
                slot.bar.set_message(text.clone());
                slot.shows = text;
            }
        }
    }

    fn clear(&mut self) {
        for slot in self.slots.drain(..) {
            slot.bar.finish_and_clear();
            self.bars.remove(&slot.bar);
        }
        if let Some(total) = self.total.take() {
            total.finish_and_clear();
            self.bars.remove(&total);
        }
    }
}

impl Reporter for Progress {
    fn on_event(&mut self, event: &Event, view: &RunView) -> io::Result<()> {
        let text = self.writer.lines(event, view);
        if !text.is_empty() {
            // `MultiProgress::println` would leave the last line open when no bar follows it.
            let above = &mut self.above;
            self.bars.suspend(|| above.write_all(text.as_bytes()).and_then(|()| above.flush()))?;
        }
        if is_seen(&event.kind) {
            self.draw(view);
        }
        Ok(())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn total_style(theme: &Theme) -> ProgressStyle {
    let color = if theme.color { ".green" } else { "" };
    let template = format!("{{bar:20{color}}} {{pos}}/{{len}} {{msg}} {{elapsed}}");
    let style =
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars(if theme.ascii { "#>-" } else { "━╸─" })
}

fn slot_style() -> ProgressStyle {
    ProgressStyle::with_template("  {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Whether an event may change the picture.
fn is_seen(kind: &Kind) -> bool {
    !matches!(
        kind,
        Kind::RunStart(_)
            | Kind::StepEnd { .. }
            | Kind::VerifyAttempt { .. }
            | Kind::Note { .. }
            | Kind::Stopping { .. }
            | Kind::Unknown(_)
    )
}

/// The words of the first bar; none when there is nothing to watch.
fn head(view: &RunView) -> Option<String> {
    let task = line(view.now.task.as_deref()?);
    let hosts = view.plays.last()?.hosts;
    Some(match view.batch()? {
        BatchRun { number, of, .. } if *of > 1 => {
            format!("hosts of batch {number}/{of} ({hosts} in all): {task}")
        }
        _ => format!("hosts: {task}"),
    })
}

/// One line per host in flight, those longest in their step first, with the time it began.
fn in_flight(view: &RunView, width: usize, theme: &Theme) -> Vec<(String, Duration)> {
    let flying = &view.now.in_flight;
    let rest = flying.len().saturating_sub(SHOWN);
    let names = flying.iter().take(SHOWN).map(|(host, _)| host.as_str().len());
    let widest = names.max().unwrap_or(0).min(40);
    let mut lines: Vec<_> = flying
        .iter()
        .take(SHOWN)
        .map(|(host, (step, since))| {
            let text = format!("{:<widest$}  {}", line(host.as_str()), doing(*step));
            (cut(&text, width, theme), *since)
        })
        .collect();
    if rest > 0 {
        let oldest = lines.last().map_or(view.elapsed, |(_, since)| *since);
        lines.push((theme.fit(&format!("… and {rest} more in flight")), oldest));
    }
    lines
}

/// A step as something that goes on.
fn doing(step: Step) -> &'static str {
    match step {
        Step::Check => "checking the material",
        Step::Connect => "connecting",
        Step::Inspect => "reading",
        Step::Task => "running",
        Step::Lock => "waiting for the host's lock",
        Step::Recover => "recovering an interrupted run",
        Step::Stage => "staging",
        Step::Validate => "validating",
        Step::Barrier => "ready, waiting for the batch",
        Step::Commit => "switching and reloading",
        Step::Reload => "reloading",
        Step::Verify => "verifying",
        Step::Checks => "running the checks",
        Step::Confirm => "confirming",
        Step::Rollback => "ROLLING BACK",
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Script, Shared, apply, many, names};
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A terminal that keeps what was written, cursor movements left out.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<Vec<String>>>);

    impl indicatif::TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push(text.to_owned());
            Ok(())
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.write_line(text)
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    const THEME: Theme = Theme { color: false, width: Some(80), ascii: true };

    #[test]
    fn failures_stay_above_the_bars() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255);
        let above = Shared::default();
        let mut progress = Progress::new(target, above.clone(), THEME, Detail::Events);
        let mut view = RunView::default();
        for event in apply() {
            view.take(&event);
            progress.on_event(&event, &view).unwrap();
        }
        progress.pause().around(|| ());
        drop(progress);
        insta::assert_snapshot!(above.text());
        let written = screen.0.lock().unwrap();
        let count = |text: &str| written.iter().filter(|line| line.contains(text)).count();
        assert!(count("hosts of batch 1/2 (8 in all)") > 0, "{written:#?}");
        assert!(count("edge1  connecting") > 0, "{written:#?}");
        for line in written.iter() {
            assert!(line.trim_end().chars().count() <= 100, "{line}");
        }
    }

    fn board(events: &[Event]) -> (RunView, Vec<String>) {
        let mut view = RunView::default();
        events.iter().for_each(|event| view.take(event));
        let lines = in_flight(&view, 60, &THEME).into_iter().map(|(text, _)| text).collect();
        (view, lines)
    }

    #[test]
    fn the_longest_waiting_are_shown_and_the_others_counted() {
        let events = many(20);
        let end = events.iter().position(|event| {
            matches!(event.kind, Kind::CertificateEnd { .. })
                && event.host.as_ref().is_some_and(|host| host.as_str() == "edge003")
        });
        let (view, lines) = board(&events[..=end.unwrap()]);
        assert_eq!(view.now.ended.len(), 3);
        assert_eq!(head(&view).unwrap(), "hosts: nginx serves the renewed certificate");
        insta::assert_snapshot!(lines.join("\n"), @r"
        edge004  validating
        edge005  validating
        edge006  validating
        edge007  validating
        edge008  validating
        edge009  validating
        edge010  validating
        edge011  validating
        ... and 9 more in flight
        ");
    }

    #[test]
    fn a_host_that_is_out_counts_as_ended_in_later_tasks() {
        let mut script = Script::default();
        let hosts = names(&["a", "b"]);
        script.run(Kind::BatchStart { batch: 1, batches: 1, hosts });
        let mut events = script.end();
        events.extend(apply().into_iter().filter(|event| matches!(event.kind, Kind::Failure(_))));
        events.last_mut().unwrap().host = Some("a".into());
        let mut script = Script::default();
        script.run(Kind::TaskStart { task: "next".into(), place: None });
        events.extend(script.end());
        let (view, lines) = board(&events);
        assert_eq!((view.now.ended.len(), lines.len()), (1, 0));
    }
}
