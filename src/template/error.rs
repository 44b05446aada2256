//! Why a template has no value.

use crate::source::Diagnostic;

/// Why a template has no value.
#[derive(Clone, Debug, PartialEq)]
pub enum TemplateError {
    /// It is wrong.
    Wrong(Box<Diagnostic>),
    /// It needs this name, which is set only when the play runs.
    NotYetKnown(String),
}

impl TemplateError {
    /// As a diagnostic, whichever it is.
    pub fn diagnostic(self) -> Diagnostic {
        match self {
            Self::Wrong(diagnostic) => *diagnostic,
            Self::NotYetKnown(name) => {
                Diagnostic::error(format!("'{name}' is not known before the play runs"))
            }
        }
    }
}
