//! What is printed and how.

use crate::report::document::Form;
use clap::{Args, ValueEnum};

/// What is printed and how.
#[derive(Debug, Args, Clone)]
pub(in crate::cli) struct OutputArgs {
    /// Tables for people, or one JSON object per line
    #[arg(short = 'o', long, default_value = "table")]
    pub output: Output,
    /// Colours
    #[arg(long, default_value = "auto")]
    pub color: Color,
    /// More detail; up to -vvv
    #[arg(short = 'v', long = "verbose", action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl OutputArgs {
    /// A table in these colours.
    pub(in crate::cli) fn table(color: Color) -> Self {
        Self { output: Output::Table, color, verbose: 0 }
    }
}

/// How a run is watched.
#[derive(Debug, Args, Clone, Default)]
pub(in crate::cli) struct WatchArgs {
    /// How to show the progress of the run
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub progress: WatchedAs,
    /// Print nothing if there was nothing to do and all is well; for cron
    #[arg(short = 'q', long, conflicts_with_all = ["verbose", "output"])]
    pub quiet: bool,
    /// Start each line of progress with the time (UTC)
    #[arg(long)]
    pub timestamps: bool,
}

/// How the progress of a run is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum WatchedAs {
    /// A board on a terminal, else grouped
    #[default]
    Auto,
    /// A line for each step as it ends: for screen readers, and for terminals that cannot move their cursor
    Plain,
    /// The same lines, grouped by host: for the logs of CI systems
    Grouped,
    /// Only how it ended
    None,
}

/// Output forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Output {
    /// For people
    Table,
    /// One JSON object per line
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Color {
    /// On terminals, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Forms of a plan or run of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// For people
    Table,
    /// For a ticket
    Markdown,
    /// For a browser: one file
    Html,
    /// One JSON object with all events
    Json,
    /// JUnit's XML, each host a test case
    Junit,
}

impl Format {
    /// The document that it asks for; none: a table.
    pub(in crate::cli) fn form(self) -> Option<Form> {
        match self {
            Self::Table => None,
            Self::Markdown => Some(Form::Markdown),
            Self::Html => Some(Form::Html),
            Self::Json => Some(Form::Json),
            Self::Junit => Some(Form::Junit),
        }
    }
}
