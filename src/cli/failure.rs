//! What ends a command before any host is touched, and how it is shown.

use crate::model::text::withhold_keys;
use crate::source::diagnostic::Severity;
use crate::source::{Diagnostic, Diagnostics, render};
use std::fmt;

/// Why a command could not go on. Exit code 1.
#[derive(Debug)]
pub(super) enum Failure {
    /// Errors with places.
    Wrong(Diagnostics),
    /// Anything else.
    Other(anyhow::Error),
}

impl From<Diagnostics> for Failure {
    fn from(problems: Diagnostics) -> Self {
        Self::Wrong(problems)
    }
}

impl From<Diagnostic> for Failure {
    fn from(problem: Diagnostic) -> Self {
        Self::Wrong(Diagnostics(vec![problem]))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.into())
    }
}

impl fmt::Display for Failure {
    /// One line per problem, without excerpts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(problems) => {
                let lines: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
            Self::Other(error) => f.write_str(&withhold_keys(format!("{error:#}"))),
        }
    }
}

impl Failure {
    /// For standard error: with source excerpts and remedies.
    pub(super) fn render(&self, color: bool, width: usize) -> String {
        match self {
            Self::Wrong(problems) => {
                let errors =
                    problems.0.iter().filter(|one| one.severity == Severity::Error).count();
                let mut text = render::render(problems, color, width);
                if errors > 1 {
                    text.push_str(&format!("\n{errors} errors; no host was touched\n"));
                }
                text
            }
            Self::Other(_) => format!("error: {self}\n"),
        }
    }
}
