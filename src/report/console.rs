//! Which reporters a run has, and which stream each writes to.
//!
//! Standard output carries what was asked for: the plan, the outcomes and the
//! recap, or with [`Output::Json`] one object per line and nothing else. Standard error carries what
//! is of interest while it happens: a board on a terminal, else one line per host and step; with JSON
//! nothing, unless `-v` asks for lines.

use super::lines::Form;
use super::quiet::Quiet;
use super::{Detail, End, Json, Lines, Outcomes, Pause, PlanTable, Progress, Reporter, Tee, Theme};
use crate::event::Event;
use anstream::ColorChoice;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Output forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Output {
    /// Tables for people.
    #[default]
    Table,
    /// One JSON object per line.
    Json,
}

/// How a run is watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Watching {
    /// A board on a terminal, else the lines of each host together.
    #[default]
    Auto,
    /// Lines as they come, also on a terminal.
    Plain,
    /// The lines of each host together, also on a terminal.
    Grouped,
    /// Nothing.
    None,
}

/// What is shown and how.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The form of standard output.
    pub output: Output,
    /// How standard output looks.
    pub stdout: Theme,
    /// How standard error looks; a width means that it is a terminal and may have a board.
    pub stderr: Theme,
    /// How a run is watched.
    pub watching: Watching,
    /// Nothing is said where nothing was to do and all is well.
    pub quiet: bool,
    /// Lines begin with the moment.
    pub stamped: bool,
    /// Both streams lead to the same place that is no terminal: what one has told the other need not repeat.
    pub same_place: bool,
    /// How many `-v` were given.
    pub verbosity: u8,
    /// Old and new certificates are shown field by field.
    pub diff: bool,
}

impl Options {
    /// For the streams of this process. [`ColorChoice::Auto`] heeds `NO_COLOR`, `CLICOLOR` and `TERM`.
    pub(crate) fn detect(color: ColorChoice) -> Self {
        let stderr = Theme::of(&io::stderr(), color);
        let mut watching = Watching::Auto;
        // It cannot move its cursor.
        if stderr.width.is_some() && std::env::var_os("TERM").is_none_or(|term| term == "dumb") {
            watching = Watching::Plain;
        }
        let stdout = Theme::of(&io::stdout(), color);
        let same_place = stderr.width.is_none() && is_same_place(&io::stdout(), &io::stderr());
        Self { stdout, stderr, watching, same_place, ..Self::plain() }
    }

    /// How the lines of a run look.
    fn form(&self) -> Form {
        let grouped = match self.watching {
            Watching::Auto => self.stderr.width.is_none(),
            Watching::Grouped => true,
            Watching::Plain | Watching::None => false,
        };
        Form { grouped, stamped: self.stamped, quiet: self.quiet }
    }

    /// Whether a run is watched on a board.
    fn has_board(&self) -> bool {
        let wanted = self.watching == Watching::Auto && !self.quiet && !self.stamped;
        wanted && self.stderr.width.is_some() && self.output == Output::Table
    }

    /// Without terminals: no colours, any width.
    pub(crate) fn plain() -> Self {
        Self {
            output: Output::Table,
            stdout: Theme::PLAIN,
            stderr: Theme::PLAIN,
            watching: Watching::Auto,
            quiet: false,
            stamped: false,
            same_place: false,
            verbosity: 0,
            diff: false,
        }
    }
}

/// The reporters of a run as one.
pub(crate) struct Console {
    reporters: Tee<'static>,
    pause: Pause,
}

impl Console {
    /// On the streams of this process, after `others`, which come first.
    pub(crate) fn new(options: &Options, others: Vec<Box<dyn Reporter + Send>>) -> Self {
        let mut reporters = Tee::default();
        for other in others {
            reporters.add_box(other);
        }
        Self::with(reporters, options, Box::new(io::stdout()), Box::new(io::stderr()))
    }

    /// On other streams.
    pub(crate) fn on(
        options: &Options,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        Self::with(Tee::default(), options, out, err)
    }

    fn with(
        mut reporters: Tee<'static>,
        options: &Options,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        if options.output == Output::Json {
            reporters.add(Json::new(out));
            if options.verbosity > 0 {
                let detail = Detail::Events.raised(options.verbosity);
                reporters.add(Lines::new(err, options.stderr, detail, options.form()));
            }
            return Self { reporters, pause: Pause::none() };
        }
        let mut pause = Pause::none();
        // The board comes first: it leaves the terminal before a table is printed.
        if options.has_board() {
            let detail = Detail::Events.raised(options.verbosity);
            let progress = Progress::new(err, columns, options.stderr, detail);
            pause = progress.pause();
            reporters.add(progress);
        } else if options.watching != Watching::None {
            let least = if options.quiet { Detail::Events } else { Detail::Steps };
            let detail = least.raised(options.verbosity);
            reporters.add(Lines::new(err, options.stderr, detail, options.form()));
        }
        let terminals = options.stderr.width.is_some() && options.stdout.width.is_some();
        let shown = (terminals || options.same_place) && options.watching != Watching::None;
        let end = End { theme: options.stdout, failures_shown: shown };
        if options.quiet {
            reporters.add(Quiet::new(out, end, options.diff));
        } else {
            let out = Together(Arc::new(Mutex::new(out)));
            reporters.add(Outcomes::new(out.clone(), end));
            reporters.add(PlanTable::new(out, options.stdout, options.diff));
        }
        Self { reporters, pause }
    }

    /// Takes the next event, in order.
    pub(crate) fn on_event(&mut self, event: &Event) {
        self.reporters.on_event(event);
    }

    /// Time goes on without an event.
    pub(crate) fn on_tick(&mut self, now: Duration) {
        self.reporters.on_tick(now);
    }

    /// Takes the board away while somebody asks the operator.
    pub(crate) fn pause(&self) -> Pause {
        self.pause.clone()
    }

    /// The first error that a reporter ended with; a reader that went away is none, because it had
    /// what it wanted.
    ///
    /// # Errors
    /// That one.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self.reporters.finish() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}

/// Columns of the terminal at this moment.
fn columns() -> Option<u16> {
    terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| width.0)
}

/// Whether both lead to the same file or pipe, as with `2>&1`.
fn is_same_place(one: &impl AsFd, other: &impl AsFd) -> bool {
    let place = |stream: &dyn Fn() -> io::Result<std::os::fd::OwnedFd>| {
        let file = std::fs::File::from(stream().ok()?);
        let there = file.metadata().ok()?;
        Some((there.dev(), there.ino()))
    };
    let one = place(&|| one.as_fd().try_clone_to_owned());
    one.is_some() && one == place(&|| other.as_fd().try_clone_to_owned())
}

/// A stream that two reporters write to, one after the other.
#[derive(Clone)]
struct Together(Arc<Mutex<Box<dyn Write + Send>>>);

impl Write for Together {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Closed, Shared, apply, plan};
    use super::*;

    fn streams(options: &Options, events: &[Event]) -> (String, String) {
        let (out, err) = (Shared::default(), Shared::default());
        let mut console = Console::on(options, Box::new(out.clone()), Box::new(err.clone()));
        for event in events {
            console.on_event(event);
        }
        console.finish().unwrap();
        (out.text(), err.text())
    }

    #[test]
    fn tables_go_out_and_progress_goes_to_the_side() {
        let (out, err) = streams(&Options::plain(), &apply());
        assert!(out.contains("PLAY RECAP") && !out.contains("connect    ok"), "{out}");
        assert!(err.contains("edge1  connect    ok") && !err.contains("RECAP"), "{err}");
    }

    #[test]
    fn a_plan_ends_with_what_apply_would_do() {
        let (out, err) = streams(&Options::plain(), &plan());
        assert!(out.ends_with("to do it: certroll apply -i hosts.ini renew.yml\n"), "{out}");
        assert!(out.contains("CONNECT FAILED on edge6") && !out.contains("RECAP"), "{out}");
        assert!(err.contains("edge6  connect    FAILED"), "{err}");
    }

    #[test]
    fn json_is_alone() {
        let options = Options { output: Output::Json, ..Options::plain() };
        let (out, err) = streams(&options, &apply());
        assert!(out.lines().all(|line| line.starts_with("{\"event\":\"")), "{out}");
        assert_eq!(err, "");
        let (_, err) = streams(&Options { verbosity: 1, ..options }, &apply());
        assert!(err.contains("edge1  connect    ok"), "{err}");
    }

    #[test]
    fn a_reader_that_left_is_no_error_and_stops_nobody() {
        let err = Shared::default();
        let mut console = Console::on(&Options::plain(), Box::new(Closed), Box::new(err.clone()));
        for event in plan() {
            console.on_event(&event);
        }
        console.finish().unwrap();
        assert!(err.text().contains("edge6  connect    FAILED"));
    }
}
