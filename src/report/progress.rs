//! What a person watches on a terminal: hosts done of all, those in flight with their step, the time.
//!
//! Failures, notes and messages are printed above the bars and stay; the bars go away at the end.

use super::Reporter;
use super::lines::{Detail, Writer};
use super::look::{Look, cut, line};
use crate::event::{Event, Kind};
use crate::model::{HostName, Step};
use indexmap::{IndexMap, IndexSet};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, Write};
use std::time::Duration;

/// So many hosts in flight are shown, the others counted.
const SHOWN: usize = 8;

/// Bars on a terminal.
pub struct Progress {
    look: Look,
    bars: MultiProgress,
    /// The same terminal as the bars', for what stays above them.
    above: Box<dyn Write + Send>,
    writer: Writer,
    board: Board,
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
pub struct Pause(Option<MultiProgress>);

impl Pause {
    /// For runs without bars.
    pub fn none() -> Self {
        Self(None)
    }

    /// Runs `work` (asks the operator something) with the bars out of the way.
    pub fn around<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bars) => bars.suspend(work),
            None => work(),
        }
    }
}

impl Progress {
    /// Bars on `target`, and on `above`, which is the same terminal, what stays. `detail` says how
    /// much that is.
    pub fn new(
        target: ProgressDrawTarget,
        above: impl Write + Send + 'static,
        look: Look,
        detail: Detail,
    ) -> Self {
        Self {
            look,
            above: Box::new(above),
            bars: MultiProgress::with_draw_target(target),
            writer: Writer::new(look, detail),
            board: Board::default(),
            total: None,
            slots: Vec::new(),
        }
    }

    /// A handle that stops the bars for a while.
    pub fn pause(&self) -> Pause {
        Pause(Some(self.bars.clone()))
    }

    fn draw(&mut self) {
        let Some(head) = self.board.head() else { return self.clear() };
        let total = self.total.get_or_insert_with(|| {
            let bar = self.bars.insert(0, ProgressBar::new(0));
            bar.set_style(total_style(&self.look));
            bar.set_elapsed(self.board.elapsed);
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        total.set_length(self.board.hosts.len() as u64);
        total.set_position(self.board.ended.len() as u64);
        total.set_message(cut(&head, self.look.columns().saturating_sub(45), &self.look));
        let lines = self.board.in_flight(self.look.columns().saturating_sub(12), &self.look);
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
                slot.bar.set_elapsed(self.board.elapsed.saturating_sub(since));
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
    fn on_event(&mut self, event: &Event) -> io::Result<()> {
        let text = self.writer.lines(event);
        if !text.is_empty() {
            // `MultiProgress::println` would leave the last line open when no bar follows it.
            let above = &mut self.above;
            self.bars.suspend(|| above.write_all(text.as_bytes()).and_then(|()| above.flush()))?;
        }
        if self.board.take(event) {
            self.draw();
        }
        Ok(())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn total_style(look: &Look) -> ProgressStyle {
    let color = if look.color { ".green" } else { "" };
    let template = format!("{{bar:20{color}}} {{pos}}/{{len}} {{msg}} {{elapsed}}");
    let style =
        ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars(if look.ascii { "#>-" } else { "━╸─" })
}

fn slot_style() -> ProgressStyle {
    ProgressStyle::with_template("  {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// What the bars show, as plain data.
#[derive(Debug, Default)]
struct Board {
    elapsed: Duration,
    play: String,
    play_hosts: usize,
    batch: (usize, usize),
    task: Option<String>,
    /// Hosts of the batch.
    hosts: IndexSet<HostName>,
    /// Those of them that have ended the current task.
    ended: IndexSet<HostName>,
    /// Those that take no further part in the run.
    out: IndexSet<HostName>,
    /// Step and when it began, oldest first.
    flying: IndexMap<HostName, (Step, Duration)>,
}

impl Board {
    /// Whether the picture changed.
    fn take(&mut self, event: &Event) -> bool {
        self.elapsed = event.elapsed;
        match (&event.kind, &event.host) {
            (Kind::PlayStart { play, hosts }, _) => {
                (self.play, self.play_hosts) = (play.clone(), *hosts);
            }
            (Kind::BatchStart { batch, batches, hosts }, _) => {
                self.batch = (*batch, *batches);
                self.hosts = hosts.iter().cloned().collect();
                self.ended.clear();
                self.flying.clear();
                self.task = None;
            }
            (Kind::TaskStart { task }, _) => {
                self.task = Some(line(task));
                let out = |host: &&HostName| self.out.contains(*host);
                self.ended = self.hosts.iter().filter(out).cloned().collect();
                self.flying.clear();
            }
            (Kind::StepStart { step }, Some(host)) => {
                // A host whose failure was ignored goes on.
                self.out.shift_remove(host);
                self.ended.shift_remove(host);
                self.flying.shift_remove(host);
                self.flying.insert(host.clone(), (*step, event.elapsed));
            }
            (
                Kind::TaskEnd { .. }
                | Kind::CertificateEnd { .. }
                | Kind::PlanHost { .. }
                | Kind::HostStatus { .. },
                Some(host),
            ) => self.end(host),
            (Kind::Failure(_) | Kind::HostEnd { .. }, Some(host)) => {
                self.out.insert(host.clone());
                self.end(host);
            }
            (Kind::BatchEnd { .. } | Kind::PlanBatch { .. } | Kind::Summary(_), _) => {
                self.task = None;
            }
            _ => return false,
        }
        true
    }

    fn end(&mut self, host: &HostName) {
        self.flying.shift_remove(host);
        if self.hosts.contains(host) {
            self.ended.insert(host.clone());
        }
    }

    /// The words of the first bar; none when there is nothing to watch.
    fn head(&self) -> Option<String> {
        let task = self.task.as_deref()?;
        let (batch, batches) = self.batch;
        Some(if batches > 1 {
            format!("hosts of batch {batch}/{batches} ({} in all): {task}", self.play_hosts)
        } else {
            format!("hosts: {task}")
        })
    }

    /// One line per host in flight, those longest in their step first, with the time it began.
    fn in_flight(&self, width: usize, look: &Look) -> Vec<(String, Duration)> {
        let rest = self.flying.len().saturating_sub(SHOWN);
        let names = self.flying.iter().take(SHOWN).map(|(host, _)| host.as_str().len());
        let widest = names.max().unwrap_or(0).min(40);
        let mut lines: Vec<_> = self
            .flying
            .iter()
            .take(SHOWN)
            .map(|(host, (step, since))| {
                let text = format!("{:<widest$}  {}", line(host.as_str()), doing(*step));
                (cut(&text, width, look), *since)
            })
            .collect();
        if rest > 0 {
            let oldest = lines.last().map_or(self.elapsed, |(_, since)| *since);
            lines.push((look.fit(&format!("… and {rest} more in flight")), oldest));
        }
        lines
    }
}

/// A step as something that goes on.
fn doing(step: Step) -> &'static str {
    match step {
        Step::Check => "checking the material",
        Step::Connect => "connecting",
        Step::Inspect => "reading",
        Step::Task => "running",
        Step::Lock => "waiting for the host's lock",
        Step::Recover => "settling an interrupted run",
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

    const LOOK: Look = Look { color: false, width: Some(80), ascii: true };

    #[test]
    fn failures_stay_above_the_bars() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255);
        let above = Shared::default();
        let mut progress = Progress::new(target, above.clone(), LOOK, Detail::Events);
        for event in apply() {
            progress.on_event(&event).unwrap();
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

    fn board(events: &[Event]) -> (Board, Vec<String>) {
        let mut board = Board::default();
        for event in events {
            board.take(event);
        }
        let lines = board.in_flight(60, &LOOK).into_iter().map(|(text, _)| text).collect();
        (board, lines)
    }

    #[test]
    fn the_longest_waiting_are_shown_and_the_others_counted() {
        let events = many(20);
        let end = events.iter().position(|event| {
            matches!(event.kind, Kind::CertificateEnd { .. })
                && event.host.as_ref().is_some_and(|host| host.as_str() == "edge003")
        });
        let (board, lines) = board(&events[..=end.unwrap()]);
        assert_eq!((board.ended.len(), board.hosts.len()), (3, 20));
        assert_eq!(board.head().unwrap(), "hosts: nginx serves the renewed certificate");
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
        script.run(Kind::TaskStart { task: "next".into() });
        events.extend(script.end());
        let (board, lines) = board(&events);
        assert_eq!((board.ended.len(), lines.len()), (1, 0));
    }
}
