//! From rendered values to plain types, with an error at the value's place for what does not fit.

use crate::load;
use crate::model::{Backoff, CommandLine, FileMode};
use crate::source::{Diagnostic, Diagnostics, Node, Value, yaml};
use crate::template::{Scope, TemplateError, is_template};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Renders values of one task and collects what is wrong. What is not known yet is kept apart.
pub(super) struct Values<'a> {
    pub(super) scope: &'a Scope,
    pub(super) found: Diagnostics,
    pub(super) not_yet_known: Option<String>,
}

impl<'a> Values<'a> {
    pub(super) fn new(scope: &'a Scope) -> Self {
        Self { scope, found: Diagnostics::default(), not_yet_known: None }
    }

    /// The result of a rendering, or nothing and a note of why.
    pub(super) fn keep<T>(&mut self, result: Result<T, TemplateError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(TemplateError::Wrong(diagnostic)) => {
                self.found.push(*diagnostic);
                None
            }
            Err(TemplateError::NotYetKnown(name)) => {
                self.not_yet_known.get_or_insert(name);
                None
            }
        }
    }

    /// A file of the controller: where Ansible's search finds it, else beside the playbook.
    pub(super) fn local_file(&self, text: &str, directory: &Path) -> PathBuf {
        let beside = local_path(text, directory);
        let found = match text.starts_with("~/") {
            true => None,
            false => load::find(&self.scope.search_path(), "files", text),
        };
        // Where nothing else was found the path stays as the author wrote it.
        let own = std::path::absolute(&beside).ok();
        found.filter(|found| Some(found) != own.as_ref()).unwrap_or(beside)
    }

    pub(super) fn wrong(&mut self, node: &Node, message: impl Into<String>, help: &str) {
        let problem = Diagnostic::error(message).at(node.span.as_ref());
        self.found.push(if help.is_empty() { problem } else { problem.help(help) });
    }

    /// A text without newlines or NUL; not empty.
    pub(super) fn text(&mut self, node: Option<&Node>) -> Option<String> {
        let node = node?;
        let text = self.keep(self.scope.text_unless_omitted(node)).flatten()?;
        if text.is_empty() || text.contains(['\n', '\0']) {
            self.wrong(node, "this must be one line of text, and not empty", "");
            return None;
        }
        Some(text)
    }

    /// Any JSON value; nothing for `omit`.
    pub(super) fn json(&mut self, node: &Node) -> Option<serde_json::Value> {
        self.keep(self.scope.render_unless_omitted(node)).flatten()
    }

    /// `{{ omit }}`: as if the key were not there.
    pub(super) fn is_omitted(&self, node: &Node) -> bool {
        matches!(self.scope.render_unless_omitted(node), Ok(None))
    }

    /// A whole number in a range.
    pub(super) fn number(
        &mut self,
        node: Option<&Node>,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let node = node?;
        let value = self.json(node)?;
        let number = match &value {
            serde_json::Value::Number(number) => number.as_i64(),
            serde_json::Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let fitting = number.filter(|number| range.contains(number));
        if fitting.is_none() {
            let message = format!("expected a number from {} to {}", range.start(), range.end());
            self.wrong(node, message, "");
        }
        fitting
    }

    /// `true` or `false`, however YAML or a template writes them.
    pub(super) fn flag(&mut self, node: Option<&Node>) -> Option<bool> {
        let node = node?;
        let text = match self.json(node)? {
            serde_json::Value::Bool(flag) => return Some(flag),
            serde_json::Value::String(text) => text.trim().to_ascii_lowercase(),
            _ => String::new(),
        };
        match text.as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => {
                self.wrong(node, "expected true or false", "");
                None
            }
        }
    }

    /// A time: `10s`, `1m30s`, or a number of seconds.
    pub(super) fn duration(&mut self, node: Option<&Node>) -> Option<Duration> {
        let node = node?;
        let value = self.json(node)?;
        let duration = match &value {
            serde_json::Value::Number(number) => {
                number.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            }
            serde_json::Value::String(text) => text
                .trim()
                .parse::<u64>()
                .ok()
                .map(Duration::from_secs)
                .or_else(|| humantime::parse_duration(text.trim()).ok()),
            _ => None,
        };
        let fitting = duration.filter(|duration| *duration <= Duration::from_secs(86_400 * 366));
        if fitting.is_none() {
            let shown = match &value {
                serde_json::Value::String(text) => format!("'{text}' is not a duration"),
                _ => "expected a duration".to_owned(),
            };
            self.wrong(node, shown, "for example 10s, 1m30s, or a number of seconds");
        }
        fitting
    }

    /// Permission bits: text (`\"0640\"`) or an integer written in octal (`0640`).
    pub(super) fn mode(&mut self, node: Option<&Node>) -> Option<FileMode> {
        let node = node?;
        const HELP: &str = "write it in quotes and in octal: \"0640\"";
        if let Value::Int(bits) = &node.value {
            let raw = node.span.as_ref().and_then(yaml::raw_scalar).unwrap_or_default();
            let octal = raw.starts_with('0');
            let mode = u16::try_from(*bits)
                .ok()
                .filter(|bits| octal && *bits <= 0o7777)
                .map(FileMode::new);
            if mode.is_none() {
                self.wrong(node, format!("the mode {raw} is not written in octal"), HELP);
            }
            return mode;
        }
        let text = self.text(Some(node))?;
        let mode = FileMode::parse_octal(&text);
        if mode.is_none() {
            self.wrong(node, format!("'{text}' is not a file mode"), HELP);
        }
        mode
    }

    /// A command: one text, split before its words are rendered; a list of words; or `{shell: TEXT}`.
    pub(super) fn command(&mut self, node: &Node) -> Option<CommandLine> {
        let (words, loose) = match &node.value {
            Value::List(items) => (items.clone(), Vec::new()),
            Value::Map(entries) => {
                let shell = match entries.as_slice() {
                    [(key, line)] if key.as_str() == Some("shell") => line,
                    _ => {
                        self.wrong(
                            node,
                            "a command is a text, a list of words, or `shell: TEXT`",
                            "",
                        );
                        return None;
                    }
                };
                let text = self.keep(self.scope.text(shell))?;
                return self.checked(node, CommandLine::Shell(text));
            }
            Value::Text(_) | Value::Unsafe(_) => super::words::split(node, false, &mut self.found)?,
            _ => {
                self.wrong(
                    node,
                    format!("a command is a text or a list of words, not {}", node.kind()),
                    "",
                );
                return None;
            }
        };
        // Alone in its quotes, a template may give the whole list.
        if let [only] = words.as_slice()
            && let Some(serde_json::Value::Array(items)) = self.json(only)
        {
            let words = items.iter().map(|item| match item {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            return self.checked(node, CommandLine::Argv(words.collect()));
        }
        let mut argv = Vec::new();
        for (index, word) in words.iter().enumerate() {
            let text = self.keep(self.scope.text(word))?;
            match super::words::rendered(word, loose.contains(&index), text) {
                Some(more) => argv.extend(more),
                None => {
                    self.wrong(node, "a quote is not closed in what this is rendered as", "");
                    return None;
                }
            }
        }
        self.checked(node, CommandLine::Argv(argv))
    }

    fn checked(&mut self, node: &Node, command: CommandLine) -> Option<CommandLine> {
        match command.check() {
            Ok(()) => Some(command),
            Err(error) => {
                self.wrong(node, error.to_string(), "");
                None
            }
        }
    }

    /// As [`duration`](Self::duration), for a limit: nothing can be done in no time.
    pub(super) fn limit(&mut self, node: Option<&Node>) -> Option<Duration> {
        let limit = self.duration(node)?;
        if let Some(node) = node.filter(|_| limit.is_zero()) {
            self.wrong(node, "a limit of zero would let nothing run", "for example 10s");
            return None;
        }
        Some(limit)
    }

    /// Back-off from its three keys. A default gives way to the wait that is given.
    pub(super) fn backoff(
        &mut self,
        attempts: Option<&Node>,
        first: Option<&Node>,
        max: Option<&Node>,
    ) -> Backoff {
        let default = Backoff::default();
        let attempts = self.number(attempts, 1..=1000).and_then(|n| u32::try_from(n).ok());
        let (shortest, longest) = (self.duration(first), self.duration(max));
        if let (Some(place), Some(shortest), Some(longest)) = (first, shortest, longest)
            && shortest > longest
        {
            let shown = humantime::format_duration;
            self.wrong(
                place,
                format!(
                    "'backoff' ({}) is longer than 'max_backoff' ({})",
                    shown(shortest),
                    shown(longest)
                ),
                "with both equal the wait is constant",
            );
        }
        Backoff {
            attempts: attempts.unwrap_or(default.attempts),
            first: shortest.unwrap_or(longest.map_or(default.first, |max| default.first.min(max))),
            max: longest.unwrap_or(shortest.map_or(default.max, |first| default.max.max(first))),
        }
    }
}

/// `~` is the home directory, as in Ansible; other relative paths start beside the playbook.
fn local_path(text: &str, directory: &Path) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        // Shown as the author wrote it.
        _ if directory == Path::new(".") => PathBuf::from(text),
        _ => directory.join(text),
    }
}

/// `false`, `none` and `true` in the place of something longer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    Off,
    Default,
}

/// What stands where a word, a mapping or a text may: as written, or as a template gives it.
pub(super) enum Written {
    Switch(Switch),
    Node(Node),
}

/// A template that is a whole value counts for what it gives, with its type; a text that it gives is left
/// as the template, for its reader to render. `null` is as if nothing were written; so is a template that
/// went wrong, which `values` remembers.
pub(super) fn written(node: Option<&Node>, values: &mut Values<'_>) -> Option<Written> {
    let node = node?;
    let node = match node.as_str().filter(|text| is_template(text)) {
        None => node.clone(),
        Some(_) => match values.json(node)? {
            serde_json::Value::String(text) if switch(&text).is_none() => node.clone(),
            value => Node::from_json(&value, node.span.as_ref()),
        },
    };
    let switch = match &node.value {
        Value::Null => return None,
        Value::Bool(false) => Some(Switch::Off),
        Value::Bool(true) => Some(Switch::Default),
        _ => node.as_str().and_then(switch),
    };
    Some(switch.map_or(Written::Node(node), Written::Switch))
}

fn switch(text: &str) -> Option<Switch> {
    match text.trim().to_ascii_lowercase().as_str() {
        "none" | "false" | "no" | "off" => Some(Switch::Off),
        "true" | "yes" | "on" => Some(Switch::Default),
        _ => None,
    }
}
