//! One line per host and step: what a run without a terminal leaves in a log, aligned for people
//! and for `grep`.

use super::theme::{self, Theme, line, lines, millis};
use super::{Reporter, RunView, failure, words};
use crate::event::{Event, Kind, NoteLevel, StopReason, TaskResult};
use crate::model::{HostName, Outcome};
use anstyle::Style;
use std::io::{self, Write};

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

/// Writes lines as events come.
pub(crate) struct Lines<W> {
    out: W,
    writer: Writer,
}

impl<W: Write> Lines<W> {
    /// Lines on `out`.
    pub(crate) fn new(out: W, theme: Theme, detail: Detail) -> Self {
        Self { out, writer: Writer::new(theme, detail) }
    }
}

impl<W: Write> Reporter for Lines<W> {
    fn on_event(&mut self, event: &Event, view: &RunView) -> io::Result<()> {
        let text = self.writer.lines(event, view);
        if text.is_empty() {
            return Ok(());
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
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
                    text.push_str(&format!(", next try in {}", millis(*wait)));
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
                let text = format!("STOPPING: {}\n", stop_words(*reason));
                self.theme.paint(theme::LOUD, text.trim_end()) + "\n"
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

/// Why a run stops, and what that means for hosts in flight.
pub(super) fn stop_words(reason: StopReason) -> &'static str {
    match reason {
        StopReason::BatchFailed => "every host of the batch failed; no further host is touched",
        StopReason::FailureBudget => {
            "more hosts failed than the play tolerates; no further host is touched"
        }
        StopReason::Interrupt => {
            "interrupted: no new hosts, those in flight finish or roll back; Ctrl-C again cuts them off"
        }
        StopReason::SecondInterrupt => {
            "interrupted twice: connections are cut, hosts in flight roll back by themselves"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{apply, every_kind, report};
    use super::*;

    fn shown(detail: Detail) -> String {
        report(&apply(), |out| Lines::new(out, Theme::PLAIN, detail))
    }

    #[test]
    fn a_line_per_host_and_step() {
        insta::assert_snapshot!(shown(Detail::Steps));
    }

    #[test]
    fn only_what_went_wrong() {
        insta::assert_snapshot!(shown(Detail::Events));
    }

    #[test]
    fn everything() {
        let text = report(&every_kind(), |out| Lines::new(out, Theme::PLAIN, Detail::All));
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
