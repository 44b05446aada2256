//! A value that remembers where it was written.

use super::Span;

/// A value and its place. Every inventory variable, playbook key and extra variable is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it was written; `None` for values made by the program (registered results, facts).
    pub span: Option<Span>,
}

/// YAML's values with Ansible's extras.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// A boolean (YAML 1.1 spelling in files: `yes`, `on`, …).
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text that is a template when it holds `{{`, `{%` or `{#`.
    Text(String),
    /// `!unsafe` text: never a template.
    Unsafe(String),
    /// `!vault` text: the armoured ciphertext, decrypted when it is used.
    Vault(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order written.
    Map(Mapping),
}

/// Key and value pairs in the order written. Keys are text nodes (other scalar keys are spelt out).
pub(crate) type Mapping = Vec<(Node, Node)>;

impl Node {
    /// A value made by the program.
    pub fn made(value: Value) -> Self {
        Self { value, span: None }
    }

    /// A text made by the program; not a template.
    pub fn text(text: impl Into<String>) -> Self {
        Self::made(Value::Unsafe(text.into()))
    }

    /// From JSON: a value that was rendered or received. Texts in it are no templates; every part has
    /// the place `span`.
    pub fn from_json(json: &serde_json::Value, span: Option<&Span>) -> Self {
        use serde_json::Value as Json;
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(integer) => Value::Int(integer),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::Unsafe(text.clone()),
            Json::Array(items) => {
                Value::List(items.iter().map(|item| Self::from_json(item, span)).collect())
            }
            Json::Object(entries) => {
                let entry = |(key, value): (&String, &Json)| {
                    (Self::text(key.as_str()), Self::from_json(value, span))
                };
                Value::Map(entries.iter().map(entry).collect())
            }
        };
        Self { value, span: span.cloned() }
    }

    /// The text of `Text` and `Unsafe`.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Unsafe(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping.
    pub fn as_map(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value under `key` of a mapping.
    pub fn entry(&self, key: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// What kind of value it is, for messages: `a list`, `text`, …
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Text(_) | Value::Unsafe(_) => "text",
            Value::Vault(_) => "a vault value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Variables by name, in the order in which they were first set.
pub type Vars = indexmap::IndexMap<String, Node>;
