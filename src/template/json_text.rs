//! `to_json` and `to_nice_json`, as Python's `json.dumps` writes.

use super::convert::json;
use super::filters::{bad, to_json};
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error};
use serde_json::Value as Json;

/// Deeper lists and mappings would be wider than any file.
const WIDEST: usize = 64;

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("to_json", |value: &Value, indent: Option<Value>, options: Kwargs| {
        Style::read(indent, None, false, &options)?.written(value)
    });
    environment.add_filter(
        "to_nice_json",
        |value: &Value, indent: Option<Value>, options: Kwargs| {
            Style::read(indent, Some(4), true, &options)?.written(value)
        },
    );
}

struct Style {
    indent: Option<usize>,
    sorted: bool,
    ascii: bool,
}

impl Style {
    fn read(
        indent: Option<Value>,
        usual: Option<usize>,
        sorted: bool,
        options: &Kwargs,
    ) -> Result<Self, Error> {
        let indent = match indent.or(options.get::<Option<Value>>("indent")?) {
            None => usual,
            Some(none) if none.is_none() => None,
            Some(indent) => {
                let indent = indent.as_usize().filter(|indent| *indent <= WIDEST);
                Some(indent.ok_or_else(|| bad(format!("indent is a number up to {WIDEST}")))?)
            }
        };
        let sorted = options.get::<Option<bool>>("sort_keys")?.unwrap_or(sorted);
        let ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(true);
        options.assert_all_used()?;
        Ok(Self { indent, sorted, ascii })
    }

    fn written(&self, value: &Value) -> Result<String, Error> {
        let mut out = String::new();
        self.write(&json(value)?, 0, &mut out);
        Ok(out)
    }

    fn text(&self, text: &Json) -> String {
        if self.ascii { to_json(text) } else { text.to_string() }
    }

    fn write(&self, value: &Json, depth: usize, out: &mut String) {
        match value {
            Json::Array(items) if !items.is_empty() => {
                let parts = items.iter().map(|item| (String::new(), item));
                self.enclosed('[', parts.collect(), ']', depth, out);
            }
            Json::Object(map) if !map.is_empty() => {
                let mut entries: Vec<_> = map.iter().collect();
                if self.sorted {
                    entries.sort_by_key(|(name, _)| *name);
                }
                let name = |name: &String| format!("{}: ", self.text(&Json::from(name.as_str())));
                let parts = entries.into_iter().map(|(key, value)| (name(key), value));
                self.enclosed('{', parts.collect(), '}', depth, out);
            }
            other => out.push_str(&self.text(other)),
        }
    }

    fn enclosed(
        &self,
        open: char,
        parts: Vec<(String, &Json)>,
        close: char,
        depth: usize,
        out: &mut String,
    ) {
        let line = |depth: usize| match self.indent {
            Some(indent) => format!("\n{}", " ".repeat(indent * depth)),
            None => String::new(),
        };
        out.push(open);
        for (index, (name, value)) in parts.into_iter().enumerate() {
            if index > 0 {
                out.push_str(if self.indent.is_some() { "," } else { ", " });
            }
            out.push_str(&line(depth + 1));
            out.push_str(&name);
            self.write(value, depth + 1, out);
        }
        out.push_str(&line(depth));
        out.push(close);
    }
}
