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
