//! Reading connection variables: which of several spellings, of which type, and what is wrong.

use crate::model::{HostName, Secret};
use crate::source::{Diagnostic, Diagnostics, Node, Value, Vars};
use std::time::Duration;

/// One host's variables, and what was found wrong in them.
pub(super) struct Variables<'a> {
    host: &'a HostName,
    vars: &'a Vars,
    found: Diagnostics,
}

impl<'a> Variables<'a> {
    pub(super) fn new(host: &'a HostName, vars: &'a Vars) -> Self {
        Self { host, vars, found: Diagnostics::default() }
    }

    pub(super) fn found(self) -> Diagnostics {
        self.found
    }

    pub(super) fn finish<T>(self, value: T) -> Result<T, Diagnostics> {
        self.found.into_result(value).map(|(value, _)| value)
    }

    pub(super) fn take(&mut self, found: Diagnostics) {
        self.found.extend(found);
    }

    /// A finding about the variable `name`, which never shows its value by itself.
    pub(super) fn wrong(&mut self, name: &str, problem: String, help: &str) {
        let span = self.vars.get(name).and_then(|node| node.span.as_ref());
        let text = format!("host {}: {problem}", self.host);
        self.found.push(Diagnostic::error(text).at(span).help(help));
    }

    /// The last of the spellings that is set wins, as in Ansible's option tables.
    fn node(&self, names: &[&'static str]) -> Option<(&'static str, &'a Node)> {
        let vars = self.vars;
        let set = names.iter().rev().find_map(|name| Some((*name, vars.get(*name)?)));
        set.filter(|(_, node)| node.value != Value::Null)
    }

    fn scalar(&mut self, names: &[&'static str]) -> Option<(&'static str, String)> {
        let (name, node) = self.node(names)?;
        let text = match &node.value {
            Value::Text(text) | Value::Unsafe(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            Value::Vault(_) => {
                self.wrong(name, format!("{name} is still encrypted"), "give the vault password");
                return None;
            }
            Value::Null | Value::List(_) | Value::Map(_) => {
                let problem = format!("{name} is {}, not text", node.kind());
                self.wrong(name, problem, "write one value");
                return None;
            }
        };
        Some((name, text))
    }

    /// Text; an empty one counts as unset.
    pub(super) fn text(&mut self, names: &[&'static str]) -> Option<String> {
        self.scalar(names).map(|(_, text)| text).filter(|text| !text.is_empty())
    }

    /// Text, where an empty one says "nothing, whatever weaker places say".
    pub(super) fn text_even_empty(&mut self, name: &'static str) -> Option<String> {
        self.scalar(&[name]).map(|(_, text)| text)
    }

    pub(super) fn secret(&mut self, names: &[&'static str]) -> Option<Secret<String>> {
        self.text(names).map(Secret::new)
    }

    /// Ansible's booleans.
    pub(super) fn flag(&mut self, names: &[&'static str]) -> Option<bool> {
        let (name, text) = self.scalar(names).filter(|(_, text)| !text.is_empty())?;
        match &*text.to_ascii_lowercase() {
            "true" | "yes" | "on" | "y" | "t" | "1" | "1.0" => Some(true),
            "false" | "no" | "off" | "n" | "f" | "0" | "0.0" => Some(false),
            _ => {
                let problem = format!("{name} is '{text}', not a boolean");
                self.wrong(name, problem, "write true or false");
                None
            }
        }
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self, names: &[&'static str]) -> Option<T> {
        let (name, text) = self.scalar(names).filter(|(_, text)| !text.is_empty())?;
        let number = text.trim().parse().ok();
        if number.is_none() {
            let problem = format!("{name} is '{text}', which is not a valid value for it");
            self.wrong(name, problem, "write a number");
        }
        number
    }

    pub(super) fn seconds(&mut self, names: &[&'static str]) -> Option<Duration> {
        self.number::<u64>(names).map(Duration::from_secs)
    }

    /// Variables that certroll cannot honour.
    pub(super) fn refuse(&mut self, names: &[&'static str], problem: &str, help: &str) {
        if let Some((name, node)) = self.node(names)
            && node.as_str() != Some("")
        {
            self.wrong(name, format!("{name}: {problem}"), help);
        }
    }
}
