//! Reading a mapping key by key; what is left over is an error that names the nearest right key.

use crate::source::diagnostic::nearest;
use crate::source::{Diagnostic, Diagnostics, Mapping, Node, Value, Vars};
use crate::template::is_template;

/// A mapping whose keys are all accounted for.
pub(super) struct Reader<'a> {
    entries: &'a Mapping,
    /// `a play`, `the task 'x'`, …
    what: &'static str,
    known: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    /// Reads `node`; `None`, and an error, when it is no mapping.
    pub(super) fn new(node: &'a Node, what: &'static str, found: &mut Diagnostics) -> Option<Self> {
        let Some(entries) = node.as_map() else {
            found.push(
                Diagnostic::error(format!("{what} is a mapping, not {}", node.kind()))
                    .at(node.span.as_ref()),
            );
            return None;
        };
        Some(Self { entries, what, known: Vec::new() })
    }

    /// The value of `key`, if it is there and not empty.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        let (_, value) = self.entries.iter().find(|(name, _)| name.as_str() == Some(key))?;
        (value.value != Value::Null).then_some(value)
    }

    /// A copy of the value of `key`.
    pub(super) fn node(&mut self, key: &'static str) -> Option<Node> {
        self.take(key).cloned()
    }

    /// A boolean written as one.
    pub(super) fn flag(&mut self, key: &'static str, found: &mut Diagnostics) -> Option<bool> {
        let node = self.take(key)?;
        match &node.value {
            Value::Bool(value) => Some(*value),
            _ => {
                found.push(wrong_type(key, "true or false", node));
                None
            }
        }
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str, found: &mut Diagnostics) -> Option<String> {
        let node = self.take(key)?;
        match node.as_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                found.push(wrong_type(key, "text", node));
                None
            }
        }
    }

    /// One value or a list of them.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<Node> {
        match self.take(key) {
            None => Vec::new(),
            Some(node) => match node.as_list() {
                Some(items) => items.to_vec(),
                None => vec![node.clone()],
            },
        }
    }

    /// Texts: a list, or one text with commas.
    pub(super) fn words(&mut self, key: &'static str, found: &mut Diagnostics) -> Vec<String> {
        let mut words = Vec::new();
        for node in self.list(key) {
            match &node.value {
                Value::Text(text) | Value::Unsafe(text) => {
                    words.extend(
                        text.split(',').map(str::trim).filter(|w| !w.is_empty()).map(str::to_owned),
                    );
                }
                Value::Int(number) => words.push(number.to_string()),
                _ => found.push(wrong_type(key, "text or a list of texts", &node)),
            }
        }
        words
    }

    /// Variables: a mapping, or a list of mappings. Names must be identifiers.
    pub(super) fn vars(&mut self, key: &'static str, found: &mut Diagnostics) -> Vars {
        let mut vars = Vars::new();
        for node in self.list(key) {
            let Some(entries) = node.as_map() else {
                let message = match self.take(key).and_then(Node::as_list) {
                    Some(_) => format!(
                        "'{key}' takes a mapping, or a list of mappings; this item is {}",
                        node.kind()
                    ),
                    None => format!("'{key}' takes a mapping, not {}", node.kind()),
                };
                found.push(Diagnostic::error(message).at(node.span.as_ref()));
                continue;
            };
            for (name, value) in entries {
                let text = name.as_str().unwrap_or_default();
                if !is_identifier(text) {
                    let message = format!("'{text}' is not a valid variable name");
                    let problem = Diagnostic::error(message).at(name.span.as_ref());
                    found.push(problem.help("letters, digits and _, not beginning with a digit"));
                }
                vars.insert(text.to_owned(), value.clone());
            }
        }
        vars
    }

    /// Keys that nobody took.
    pub(super) fn rest(&self) -> impl Iterator<Item = &'a (Node, Node)> {
        let known = self.known.clone();
        self.entries
            .iter()
            .filter(move |(name, _)| !known.iter().any(|known| name.as_str() == Some(known)))
    }

    /// Reports what is left over.
    pub(super) fn finish(self, found: &mut Diagnostics) {
        for (name, _) in self.rest() {
            found.push(self.unknown(name));
        }
    }

    /// The error for one unknown key.
    pub(super) fn unknown(&self, name: &Node) -> Diagnostic {
        let text = name.as_str().unwrap_or_default();
        let mut known = self.known.clone();
        known.sort_unstable();
        known.dedup();
        let problem = Diagnostic::error(format!("unknown key '{text}' in {}", self.what))
            .at(name.span.as_ref())
            .label("not known here");
        let problem = match nearest(text, known.iter().copied()) {
            Some(near) => problem.help(format!("did you mean '{near}'?")),
            None => problem,
        };
        problem.help(format!("known keys: {}", known.join(", ")))
    }
}

/// A value of the wrong type.
pub(super) fn wrong_type(key: &str, wanted: &str, node: &Node) -> Diagnostic {
    templated(key, wanted, node).unwrap_or_else(|| {
        let message = format!("'{key}' takes {wanted}, not {}", node.kind());
        Diagnostic::error(message).at(node.span.as_ref())
    })
}

/// A template where none is rendered.
pub(super) fn templated(key: &str, wanted: &str, node: &Node) -> Option<Diagnostic> {
    node.as_str().filter(|text| is_template(text))?;
    let message = format!("'{key}' takes {wanted}, not a template");
    let problem = Diagnostic::error(message).at(node.span.as_ref());
    Some(problem.help("it is read before the variables of hosts are known: write the value itself"))
}

/// A known but unsupported key.
pub(super) fn unsupported(key: &str, remedy: &str, name: &Node) -> Diagnostic {
    Diagnostic::error(format!("certroll does not support '{key}'"))
        .at(name.span.as_ref())
        .help(remedy)
}

/// Whether Python, and so Jinja, takes the text as a name.
pub(super) fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}
