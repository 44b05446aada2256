//! A module on a host: what it is asked, and what it answers.

use crate::model::Secret;
use std::time::Duration;

/// The modules' parts of the program on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    /// What a path is, and what is in it.
    Look,
    /// A file's new content.
    Put,
    /// Directories, links, attributes, and what is to be gone.
    File,
    /// Whether a service runs.
    Service,
    /// A group of accounts.
    Group,
    /// An account.
    User,
    /// What the host says of itself.
    Facts,
}

/// What a module on a host is asked.
#[derive(Clone, Debug)]
pub(crate) struct ModuleRequest {
    /// What is to be done.
    pub verb: Verb,
    /// How, by the names of `sh/modules/core.sh`.
    pub settings: Vec<(&'static str, String)>,
    /// Bytes that it may ask for. They go by standard input.
    pub body: Option<Secret<Vec<u8>>>,
    /// They may come as they are where sudo records its input, and nothing there opens sealed ones.
    pub allow_input_log: bool,
    /// Nothing is changed; the answer says what would be.
    pub check: bool,
    /// For the whole of it.
    pub timeout: Duration,
}

impl ModuleRequest {
    /// A request without settings.
    pub(crate) fn new(verb: Verb, check: bool) -> Self {
        let timeout = Duration::from_secs(600);
        Self { verb, settings: Vec::new(), body: None, allow_input_log: false, check, timeout }
    }

    /// With one more setting.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }

    /// With a setting that the author may have left out.
    pub(crate) fn maybe(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Whether a file's content is asked for.
    pub(crate) fn reads(&self) -> bool {
        self.verb == Verb::Look && self.settings.iter().any(|(name, _)| *name == "limit")
    }

    /// With a setting that is on or off.
    pub(crate) fn flag(self, name: &'static str, on: bool) -> Self {
        self.with(name, if on { "1" } else { "0" })
    }
}

/// What it answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModuleReply {
    /// Something was, or would be, changed.
    pub changed: bool,
    /// What it says, by name.
    pub fields: Vec<(String, String)>,
    /// The content that was asked for.
    pub content: Option<Secret<Vec<u8>>>,
    /// What is otherwise now: name, before, after.
    pub changes: Vec<(String, String, String)>,
}

impl ModuleReply {
    /// A field that is there and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// Whether a field is `1`.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.text(name) == Some("1")
    }
}

/// Why it failed on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModuleRefusal {
    /// One line.
    pub why: String,
    /// What a program on the host said; printable.
    pub output: String,
}
