//! Errors and warnings about input, with their place, what is allowed, and a remedy.

use super::Span;
use crate::model::text::withhold_keys;
use std::fmt;

/// How serious a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The run goes on.
    Warning,
    /// The run stops before anything is touched.
    Error,
}

/// One finding about the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Warning or error.
    pub severity: Severity,
    /// What is wrong, one line, lower case, no full stop.
    pub message: String,
    /// Where.
    pub span: Option<Span>,
    /// Short text beside the underlined place.
    pub label: Option<String>,
    /// Remedies: what is allowed, the nearest right name, the command to run.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            // Values are quoted in messages, and any value may be a key.
            message: withhold_keys(message.into()),
            span: None,
            label: None,
            help: Vec::new(),
        }
    }

    /// A warning without a place.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Points at `span` (nothing changes when it is `None`).
    pub fn at<'a>(mut self, span: impl Into<Option<&'a Span>>) -> Self {
        if let Some(span) = span.into() {
            self.span = Some(span.clone());
        }
        self
    }

    /// Adds the text beside the place.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(withhold_keys(label.into()));
        self
    }

    /// Adds a remedy.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(withhold_keys(help.into()));
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.span {
            Some(span) => write!(f, "{span}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Findings in the order in which they were made. All are reported in one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Takes over all findings of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// `Ok` when there is no error; warnings stay in `self`.
    pub fn into_result<T>(self, value: T) -> Result<(T, Self), Self> {
        if self.has_errors() { Err(self) } else { Ok((value, self)) }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

/// ` did you mean 'x'?`-style suggestion: the known name nearest to `name`, if any is near.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    known
        .into_iter()
        // Names of quite another length are not near, and cost nothing then.
        .filter(|known| known.chars().count().abs_diff(length) <= 1 + known.len() / 4)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_a_message_is_withheld() {
        let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----";
        let found = Diagnostic::error(format!("'{key}' is no mode")).label(key).help(key);
        let text = format!("{found:?}");
        assert!(!text.contains("MC4C") && text.contains("withheld"), "{text}");
    }

    #[test]
    fn nearest_name() {
        assert_eq!(nearest("becom", ["become", "hosts"]), Some("become"));
        assert_eq!(nearest("zzz", ["become", "hosts"]), None);
    }
}
