//! One line per host and step: what a run without a terminal leaves in a log, aligned for people
//! and for `grep`. The lines of a host stand together there: they are held back until it has ended a task or failed.

use super::theme::{self, Theme, line, lines, millis};
use super::{Reporter, RunView, board, failure, words};
use crate::event::{Event, Kind, NoteLevel, StopReason, TaskResult};
use crate::model::{HostName, Outcome};
use anstyle::Style;
use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Detail {
    /// Failures, notes, messages to the operator.
    Events,
    /// Also each step that ended, and where plays, batches and tasks begin.
    Steps,
    /// Also each try of a verification.
    Attempts,
    /// Also steps that begin.
    All,
}

impl Detail {
    /// `base`, raised by each `-v`.
    pub(crate) fn raised(self, verbosity: u8) -> Self {
        match (self as u8).saturating_add(verbosity) {
            0 => Self::Events,
            1 => Self::Steps,
            2 => Self::Attempts,
            _ => Self::All,
        }
    }
}

/// Without a word for so long, a log says that and for whom the run waits.
const SILENCE: Duration = Duration::from_secs(60);

/// How lines are written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Form {
    /// Those of a host stand together, instead of as they come.
    pub grouped: bool,
    /// Each begins with the moment at which it happened.
    pub stamped: bool,
    /// Warnings and what went wrong, nothing else.
    pub quiet: bool,
}

/// Writes lines as events come.
pub(crate) struct Lines<W> {
    out: W,
    writer: Writer,
    form: Form,
    /// Lines of hosts that have not ended what they do, each with its place among them: there may be ten thousand.
    held: HashMap<HostName, (u64, String)>,
    /// When something was last written.
    said: Duration,
}

impl<W: Write> Lines<W> {
    /// Lines on `out`.
    pub(crate) fn new(out: W, theme: Theme, detail: Detail, form: Form) -> Self {
        let writer = Writer::new(theme, detail);
        Self { out, writer, form, held: HashMap::new(), said: Duration::ZERO }
    }

    fn write(&mut self, text: &str, now: Duration) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.said = now;
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> Reporter for Lines<W> {
    fn on_event(&mut self, event: &Event, view: &RunView) -> io::Result<()> {
        let grave = match &event.kind {
            Kind::Note { level, .. } => *level != NoteLevel::Info,
            Kind::Failure(_) | Kind::Stopping { .. } => true,
            _ => false,
        };
        // It knows the widths of names from events that are not shown.
        let mut text = self.writer.lines(event, view);
        if self.form.quiet && !grave {
            return Ok(());
        }
        if self.form.stamped {
            text = stamped(event, &text);
        }
        let Some(host) = event.host.as_ref().filter(|_| self.form.grouped) else {
            let ends = matches!(
                event.kind,
                Kind::TaskStart { .. }
                    | Kind::BatchEnd { .. }
                    | Kind::Stopping { .. }
                    | Kind::Summary(_)
            );
            if ends {
                let mut held: Vec<(u64, String)> = self.held.drain().map(|(_, one)| one).collect();
                held.sort_unstable_by_key(|(place, _)| *place);
                let held: String = held.into_iter().map(|(_, text)| text).collect();
                text.insert_str(0, &held);
            }
            return self.write(&text, event.elapsed);
        };
        let ends = matches!(
            event.kind,
            Kind::TaskEnd { .. }
                | Kind::CertificateEnd { .. }
                | Kind::HostStatus { .. }
                | Kind::Failure(_)
                | Kind::HostEnd { .. }
        );
        if ends {
            let held = self.held.remove(host).map(|(_, text)| text).unwrap_or_default();
            return self.write(&(held + &text), event.elapsed);
        }
        if !text.is_empty() {
            self.held.entry(host.clone()).or_insert((event.seq, String::new())).1.push_str(&text);
        }
        Ok(())
    }

    fn on_tick(&mut self, now: Duration, view: &RunView) -> io::Result<()> {
        let at_work = !view.now.in_flight.is_empty() && view.summary.is_none();
        if self.form.quiet || !at_work || now.saturating_sub(self.said) < SILENCE {
            return Ok(());
        }
        let text = self.writer.row(None, "-", ("waiting", theme::QUIET), &at_work_words(view, now));
        self.write(&text, now)
    }
}

/// Each line with the moment of its event.
fn stamped(event: &Event, text: &str) -> String {
    let lines = text.lines().map(|line| match line {
        "" => "\n".to_owned(),
        line => format!("{} {line}\n", event.moment),
    });
    lines.collect()
}

/// `edge2 (verifying for 62 s), edge3 (staging for 3 s) and 7 more hosts`.
fn at_work_words(view: &RunView, now: Duration) -> String {
    const MOST: usize = 5;
    let flying = &view.now.in_flight;
    let shown = flying.iter().take(MOST).map(|(host, step, since)| {
        let age = now.saturating_sub(since).as_secs();
        let step = board::doing(step);
        match age {
            0..3 => format!("{} ({step})", line(host.as_str())),
            age => format!("{} ({step} for {age} s)", line(host.as_str())),
        }
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    match flying.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {}", crate::model::text::plural(more, "more host")),
    }
}

/// Makes the lines of an event; shared by [`Lines`] and the progress display.
pub(super) struct Writer {
    theme: Theme,
    detail: Detail,
    /// Columns of the host's name.
    host_width: usize,
}

impl Writer {
    pub(super) fn new(theme: Theme, detail: Detail) -> Self {
        Self { theme, detail, host_width: 0 }
    }

    /// The lines of `event`, each ended; none when it is not worth a line here.
    pub(super) fn lines(&mut self, event: &Event, view: &RunView) -> String {
        let host = event.host.as_ref();
        let steps = self.detail >= Detail::Steps;
        match &event.kind {
            Kind::PlayStart { play, .. } if steps => self.heading("PLAY", play),
            Kind::BatchStart { batch, batches, hosts } => {
                let widest = hosts.iter().map(|host| host.as_str().len()).max();
                self.host_width = widest.unwrap_or(0).clamp(4, 40);
                if !steps || *batches < 2 {
                    return String::new();
                }
                let names = words::hosts(hosts, 8);
                self.theme.fit(&format!("batch {batch} of {batches}: {names}\n"))
            }
            Kind::TaskStart { task, .. } if steps => self.heading("TASK", task),
            Kind::StepStart { step } if self.detail >= Detail::All => {
                self.row(host, step.name(), ("begins", theme::QUIET), "")
            }
            Kind::StepEnd { step, detail, millis: took } if steps => {
                let text = format!("{}, {}", line(detail), millis(*took));
                self.row(host, step.name(), ("ok", theme::GOOD), text.trim_start_matches(", "))
            }
            Kind::VerifyAttempt {
                endpoint,
                attempt,
                attempts,
                matched,
                detail,
                next_wait_ms,
                ..
            } if self.detail >= Detail::Attempts => {
                let word = format!("{attempt}/{attempts}");
                let style = if *matched { theme::GOOD } else { theme::WARNING };
                let mut text = format!("{endpoint}: {}", line(detail));
                if let Some(wait) = next_wait_ms {
                    text.push_str(&format!(", next try within {}", millis(*wait)));
                }
                self.row(host, "verify", (&word, style), &text)
            }
            Kind::TaskEnd { result, message, output, millis: took, .. } => {
                self.task_end(host, *result, message.as_deref(), output.as_deref(), *took)
            }
            Kind::CertificateEnd { services, outcome: Outcome::Unchanged, .. } if steps => {
                let services: Vec<String> =
                    services.iter().map(|end| words::service(end, true)).collect();
                self.row(host, "task", ("same", theme::GOOD), &services.join(", "))
            }
            Kind::Failure(failure) => {
                let Some(host) = host else { return String::new() };
                let headline = self.row(
                    Some(host),
                    failure.step.name(),
                    ("FAILED", theme::BAD),
                    &failure::headline(failure),
                );
                // In full once; the same on other hosts is one line.
                match view.failures.of(host, failure) {
                    Some(group) if group.times > 1 => headline,
                    _ => headline + &failure::details(&self.theme, failure),
                }
            }
            Kind::Note { level, message } => {
                let word = match level {
                    NoteLevel::Info => ("note", theme::QUIET),
                    NoteLevel::Warning => ("warning", theme::WARNING),
                    NoteLevel::Error => ("ERROR", theme::BAD),
                };
                if *level == NoteLevel::Info && !steps {
                    return String::new();
                }
                self.row(host, "-", word, &line(message))
            }
            Kind::Stopping { reason } => {
                let text = format!("STOPPING: {}", stopping_words(*reason, view));
                self.theme.hang("", theme::LOUD, &text)
            }
            Kind::TakingBack { hosts } => {
                let text = format!("TAKING BACK: {}", words::hosts(hosts, 8));
                self.theme.paint(theme::LOUD, text) + "\n"
            }
            Kind::HostEnd { outcome: Outcome::Skipped, reason } if steps => {
                let reason = reason.as_deref().map(line).unwrap_or_default();
                self.row(host, "-", ("skipped", theme::QUIET), &reason)
            }
            _ => String::new(),
        }
    }

    fn task_end(
        &self,
        host: Option<&HostName>,
        result: TaskResult,
        message: Option<&str>,
        output: Option<&str>,
        took: u64,
    ) -> String {
        let word = match result {
            TaskResult::Ok => ("ok", theme::GOOD),
            TaskResult::Changed => ("changed", theme::CHANGED),
            TaskResult::Skipped => ("skipped", theme::QUIET),
            TaskResult::Failed => ("FAILED", theme::BAD),
            TaskResult::Ignored => ("ignored", theme::WARNING),
            TaskResult::Unreachable => ("UNREACHABLE", theme::BAD),
        };
        // A failure has told everything already.
        let told = matches!(result, TaskResult::Failed | TaskResult::Unreachable);
        let silent = message.is_none() && output.is_none();
        if told && self.detail < Detail::All || silent && self.detail < Detail::Steps {
            return String::new();
        }
        let message = message.map(line).unwrap_or_default();
        let text = match message.as_str() {
            "" => millis(took),
            message => format!("{message}, {}", millis(took)),
        };
        let mut text = self.row(host, "task", word, &text);
        for output in output.map(lines).unwrap_or_default() {
            text.push_str(&format!("    | {output}\n"));
        }
        text
    }

    fn heading(&self, word: &str, name: &str) -> String {
        format!("\n{}\n", self.theme.paint(theme::STRONG, heading(word, name)))
    }

    fn row(
        &self,
        host: Option<&HostName>,
        step: &str,
        (word, style): (&str, Style),
        text: &str,
    ) -> String {
        let host = host.map_or_else(|| "-".to_owned(), |host| line(host.as_str()));
        let word = self.theme.paint(style, format!("{word:<8}"));
        let head = format!("{host:<width$}  {step:<9}  {word} ", width = self.host_width);
        match text {
            "" => format!("{}\n", head.trim_end()),
            text => self.theme.hang(&head, Style::new(), text),
        }
    }
}

/// `PLAY [name] *****…`, padded to 79 columns with at least three stars, as Ansible's users know it.
pub(super) fn heading(word: &str, name: &str) -> String {
    let head = match name {
        "" => format!("{word} "),
        name => format!("{word} [{}] ", line(name)),
    };
    let stars = 79_usize.saturating_sub(head.chars().count()).max(3);
    head + &"*".repeat(stars)
}

/// Why a run stops.
pub(super) fn stop_words(reason: StopReason) -> &'static str {
    match reason {
        StopReason::BatchFailed => "every host of the batch failed",
        StopReason::FailureBudget => "more hosts failed than the play tolerates",
        StopReason::Interrupt => "interrupted",
        StopReason::SecondInterrupt => "interrupted twice: connections were cut",
    }
}

/// The same when it happens, and what that means for the hosts at work.
fn stopping_words(reason: StopReason, view: &RunView) -> String {
    let at_work = at_work_words(view, view.elapsed);
    match (reason, at_work.is_empty()) {
        (StopReason::Interrupt, true) => {
            "interrupted: no further host is begun, and none is at work".to_owned()
        }
        (StopReason::Interrupt, false) => format!(
            "interrupted: no further host is begun; these finish or roll back: {at_work}. Ctrl-C again cuts their connections"
        ),
        (StopReason::SecondInterrupt, true) => "interrupted twice".to_owned(),
        (StopReason::SecondInterrupt, false) => format!(
            "interrupted twice: these connections are cut, and what was not confirmed there rolls back by itself: {at_work}"
        ),
        (reason, _) => format!("{}; no further host is begun", stop_words(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{apply, every_kind, many, report};
    use super::*;

    fn shown(detail: Detail) -> String {
        report(&apply(), |out| Lines::new(out, Theme::PLAIN, detail, Form::default()))
    }

    #[test]
    fn a_line_per_host_and_step() {
        insta::assert_snapshot!(shown(Detail::Steps));
    }

    #[test]
    fn in_a_log_the_lines_of_a_host_stand_together() {
        let form = Form { grouped: true, ..Form::default() };
        let text = report(&apply(), |out| Lines::new(out, Theme::PLAIN, Detail::Steps, form));
        insta::assert_snapshot!(text);
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&text), sorted(&shown(Detail::Steps)), "no line is lost or said twice");
    }

    #[test]
    fn each_line_may_say_when() {
        let form = Form { stamped: true, ..Form::default() };
        let text = report(&apply(), |out| Lines::new(out, Theme::PLAIN, Detail::Steps, form));
        let moment =
            |line: &str| line.starts_with("2026-11-24T00:00:0") && line[19..].starts_with("Z ");
        assert!(text.lines().all(|line| line.is_empty() || moment(line)), "{text}");
    }

    #[test]
    fn a_quiet_log_has_warnings_and_failures_only() {
        let form = Form { quiet: true, ..Form::default() };
        let text = report(&apply(), |out| Lines::new(out, Theme::PLAIN, Detail::Events, form));
        assert!(text.contains("FAILED") && text.contains("STOPPING"), "{text}");
        assert!(!text.contains("TASK") && !text.contains(" ok "), "{text}");
        let text = report(&many(3), |out| Lines::new(out, Theme::PLAIN, Detail::Events, form));
        assert_eq!(text, "");
    }

    #[test]
    fn a_long_silence_is_explained_once_a_minute() {
        let out = super::super::samples::Shared::default();
        let mut lines = Lines::new(out.clone(), Theme::PLAIN, Detail::Steps, Form::default());
        let mut view = RunView::default();
        let events = many(7);
        let first =
            events.iter().position(|event| matches!(event.kind, Kind::CertificateEnd { .. }));
        for event in &events[..first.unwrap()] {
            view.take(event);
            lines.on_event(event, &view).unwrap();
        }
        let before = out.text().len();
        for second in [30, 65, 70, 130] {
            lines.on_tick(view.elapsed + Duration::from_secs(second), &view).unwrap();
        }
        let said = out.text()[before..].to_owned();
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(
            said.contains("edge002 (validating for 6") && said.contains("2 more hosts"),
            "{said}"
        );
    }

    #[test]
    fn the_first_interrupt_says_what_goes_on_and_the_second_what_was_cut() {
        let events = many(3);
        let first =
            events.iter().position(|event| matches!(event.kind, Kind::CertificateEnd { .. }));
        let mut view = RunView::default();
        events[..first.unwrap()].iter().for_each(|event| view.take(event));
        let words = stopping_words(StopReason::Interrupt, &view);
        assert!(words.contains("these finish or roll back: edge002 (validating"), "{words}");
        assert!(words.ends_with("Ctrl-C again cuts their connections"), "{words}");
        let words = stopping_words(StopReason::SecondInterrupt, &view);
        assert!(words.contains("connections are cut") && words.contains("edge003"), "{words}");
        assert!(!words.contains("Ctrl-C"), "{words}");
        let words = stopping_words(StopReason::Interrupt, &RunView::default());
        assert!(words.ends_with("none is at work"), "{words}");
    }

    #[test]
    fn only_what_went_wrong() {
        insta::assert_snapshot!(shown(Detail::Events));
    }

    #[test]
    fn everything() {
        let text = report(&every_kind(), |out| {
            Lines::new(out, Theme::PLAIN, Detail::All, Form::default())
        });
        insta::assert_snapshot!(text);
    }

    #[test]
    fn verbosity_raises_and_ends() {
        assert_eq!(Detail::Events.raised(1), Detail::Steps);
        assert_eq!(Detail::Steps.raised(255), Detail::All);
    }

    #[test]
    fn headings_have_three_stars_at_least() {
        assert_eq!(heading("PLAY RECAP", "").len(), 79);
        assert!(heading("TASK", &"x".repeat(100)).ends_with("] ***"));
    }
}
