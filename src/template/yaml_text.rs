//! `to_yaml` and `to_nice_yaml`: values as YAML, written as libyaml writes it, which Ansible uses (`emitter.c`).

use super::convert::json;
use super::filters::bad;
use crate::source::{SourceFile, Value as Source, yaml};
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error};
use serde_json::Value as Json;

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment
        .add_filter("to_yaml", |value: &Value, options: Kwargs| written(value, &options, 2, None));
    environment.add_filter(
        "to_nice_yaml",
        |value: &Value, indent: Option<usize>, options: Kwargs| {
            written(value, &options, indent.unwrap_or(4), Some(false))
        },
    );
}

fn written(
    value: &Value,
    options: &Kwargs,
    indent: usize,
    flow: Option<bool>,
) -> Result<String, Error> {
    let indent = options.get::<Option<usize>>("indent")?.unwrap_or(indent);
    let width = options.get::<Option<usize>>("width")?.unwrap_or(80);
    let sorted = options.get::<Option<bool>>("sort_keys")?.unwrap_or(true);
    let flow = options.get::<Option<bool>>("default_flow_style")?.or(flow);
    let unicode = options.get::<Option<bool>>("allow_unicode")?.unwrap_or(true);
    options.assert_all_used()?;
    if !unicode {
        return Err(bad("to_yaml: allow_unicode is always true"));
    }
    let best = if (2..=9).contains(&indent) { indent } else { 2 };
    let width = if width > best * 2 { width } else { 80 };
    let mut writer = Writer {
        out: String::new(),
        column: 0,
        whitespace: true,
        indention: true,
        indent: None,
        flow_level: 0,
        best,
        width,
        flow,
        sorted,
    };
    writer.node(&json(value)?, Within::Root);
    writer.out.push('\n');
    Ok(writer.out)
}

/// What a value stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Root,
    Sequence,
    /// A value of a mapping.
    Mapping,
    Key,
}

struct Writer {
    out: String,
    column: usize,
    /// The last character was white, or an indicator that counts as such.
    whitespace: bool,
    /// Only indentation stands on the line so far.
    indention: bool,
    indent: Option<usize>,
    flow_level: usize,
    best: usize,
    width: usize,
    /// `None`: on one line what holds nothing but scalars.
    flow: Option<bool>,
    sorted: bool,
}

impl Writer {
    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column = if c == '\n' { 0 } else { self.column + 1 };
    }

    fn new_line(&mut self) {
        let indent = self.indent.unwrap_or(0);
        let stays =
            self.indention && (self.column < indent || self.column == indent && self.whitespace);
        if !stays {
            self.put('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: char, spaced: bool, white: bool, indents: bool) {
        if spaced && !self.whitespace {
            self.put(' ');
        }
        self.put(text);
        self.whitespace = white;
        self.indention &= indents;
    }

    /// The indentation within; what it was before comes back.
    fn deeper(&mut self, flow: bool, indentless: bool) -> Option<usize> {
        let before = self.indent;
        self.indent = Some(match before {
            None if flow => self.best,
            None => 0,
            Some(indent) if indentless => indent,
            Some(indent) => indent + self.best,
        });
        before
    }

    fn node(&mut self, value: &Json, within: Within) {
        match value {
            Json::Array(items) => {
                if self.on_one_line(items.iter(), items.is_empty()) {
                    self.flow_sequence(items);
                } else {
                    self.block_sequence(items, within);
                }
            }
            Json::Object(map) => {
                let mut entries: Vec<(&String, &Json)> = map.iter().collect();
                if self.sorted {
                    entries.sort_by_key(|(name, _)| *name);
                }
                if self.on_one_line(map.values(), map.is_empty()) {
                    self.flow_mapping(&entries);
                } else {
                    self.block_mapping(&entries);
                }
            }
            Json::Null => self.scalar("null", true, within),
            Json::Bool(value) => self.scalar(if *value { "true" } else { "false" }, true, within),
            Json::Number(number) => self.scalar(&number.to_string(), true, within),
            Json::String(text) => self.scalar(text, is_text(text), within),
        }
    }

    fn on_one_line<'v>(&self, mut items: impl Iterator<Item = &'v Json>, empty: bool) -> bool {
        let scalars = || items.all(|item| !item.is_array() && !item.is_object());
        self.flow_level > 0 || empty || self.flow.unwrap_or_else(scalars)
    }

    fn block_sequence(&mut self, items: &[Json], within: Within) {
        let before = self.deeper(false, within == Within::Mapping && !self.indention);
        for item in items {
            self.new_line();
            self.indicator('-', true, false, true);
            self.node(item, Within::Sequence);
        }
        self.indent = before;
    }

    fn block_mapping(&mut self, entries: &[(&String, &Json)]) {
        let before = self.deeper(false, false);
        for (name, value) in entries {
            self.new_line();
            self.scalar(name, is_text(name), Within::Key);
            self.indicator(':', false, false, false);
            self.node(value, Within::Mapping);
        }
        self.indent = before;
    }

    fn flow_sequence(&mut self, items: &[Json]) {
        self.indicator('[', true, true, false);
        let before = self.deeper(true, false);
        self.flow_level += 1;
        for (index, item) in items.iter().enumerate() {
            self.next_of_flow(index);
            self.node(item, Within::Sequence);
        }
        self.flow_level -= 1;
        self.indent = before;
        self.indicator(']', false, false, false);
    }

    fn flow_mapping(&mut self, entries: &[(&String, &Json)]) {
        self.indicator('{', true, true, false);
        let before = self.deeper(true, false);
        self.flow_level += 1;
        for (index, (name, value)) in entries.iter().enumerate() {
            self.next_of_flow(index);
            self.scalar(name, is_text(name), Within::Key);
            self.indicator(':', false, false, false);
            self.node(value, Within::Mapping);
        }
        self.flow_level -= 1;
        self.indent = before;
        self.indicator('}', false, false, false);
    }

    fn next_of_flow(&mut self, index: usize) {
        if index > 0 {
            self.indicator(',', false, false, false);
        }
        if self.column > self.width {
            self.new_line();
        }
    }

    /// `plain`: without quotes it would be read as what it is.
    fn scalar(&mut self, text: &str, plain: bool, within: Within) {
        let before = self.deeper(true, false);
        let shape = Shape::of(text);
        let in_line = self.flow_level > 0 || within == Within::Key;
        let key = within == Within::Key;
        let allowed = if self.flow_level > 0 { shape.flow } else { shape.block };
        if plain && allowed && !(text.is_empty() && in_line) && !(shape.lines && key) {
            if !self.whitespace {
                self.put(' ');
            }
            self.words(text, !key, false);
        } else if shape.single && !(shape.lines && key) {
            self.indicator('\'', true, false, false);
            self.words(text, !key, true);
            self.indicator('\'', false, false, false);
        } else {
            self.double(text, !key);
        }
        self.whitespace = false;
        self.indention = false;
        self.indent = before;
    }

    /// The characters of a scalar without escapes; spaces beyond the width become ends of lines.
    fn words(&mut self, text: &str, folds: bool, quoted: bool) {
        self.whitespace = false;
        self.indention = false;
        let characters: Vec<char> = text.chars().collect();
        let (mut spaces, mut breaks) = (false, false);
        for (index, &c) in characters.iter().enumerate() {
            let next_is_space = characters.get(index + 1) == Some(&' ');
            let inside = !quoted || index > 0 && index + 1 < characters.len();
            match c {
                ' ' => {
                    if folds && !spaces && self.column > self.width && inside && !next_is_space {
                        self.new_line();
                    } else {
                        self.put(' ');
                    }
                    spaces = true;
                    continue;
                }
                '\n' => {
                    if !breaks {
                        self.put('\n');
                    }
                    self.put('\n');
                    self.indention = true;
                    breaks = true;
                    continue;
                }
                '\'' if quoted => {
                    if breaks {
                        self.new_line();
                    }
                    self.put('\'');
                    self.put('\'');
                }
                other => {
                    if breaks {
                        self.new_line();
                    }
                    self.put(other);
                }
            }
            self.indention = false;
            (spaces, breaks) = (false, false);
        }
        if breaks && quoted {
            self.new_line();
        }
    }

    fn double(&mut self, text: &str, folds: bool) {
        self.indicator('"', true, false, false);
        let characters: Vec<char> = text.chars().collect();
        let mut spaces = false;
        for (index, &c) in characters.iter().enumerate() {
            if c == ' ' {
                let inside = index > 0 && index + 1 < characters.len();
                if folds && !spaces && self.column > self.width && inside {
                    self.new_line();
                    if characters.get(index + 1) == Some(&' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
                continue;
            }
            spaces = false;
            escaped(c).chars().for_each(|c| self.put(c));
        }
        self.indicator('"', false, false, false);
    }
}

fn escaped(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        c if is_printable(c) => return c.to_string(),
        c => {
            return match u32::from(c) {
                code if code <= 0xff => format!("\\x{code:02X}"),
                code if code <= 0xffff => format!("\\u{code:04X}"),
                code => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// How a text may be written.
struct Shape {
    lines: bool,
    flow: bool,
    block: bool,
    single: bool,
}

impl Shape {
    fn of(text: &str) -> Self {
        let characters: Vec<char> = text.chars().collect();
        let blank = |c: Option<&char>| c.is_none_or(|&c| c == ' ' || c == '\t' || is_break(c));
        let start = text.starts_with("---") || text.starts_with("...");
        let (mut flow_mark, mut block_mark) = (start, start);
        let (mut lines, mut special, mut space_break, mut break_space) =
            (false, false, false, false);
        let (mut after_space, mut after_break) = (false, false);
        for (index, &c) in characters.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|at| characters.get(at));
            let ends = blank(characters.get(index + 1));
            if index == 0 {
                let mark = "#,[]{}&*!|>'\"%@`".contains(c) || c == '-' && ends;
                flow_mark |= mark || matches!(c, '?' | ':');
                block_mark |= mark || matches!(c, '?' | ':') && ends;
            } else {
                flow_mark |= matches!(c, ',' | '?' | '[' | ']' | '{' | '}' | ':');
                block_mark |= c == ':' && ends;
                let comment = c == '#' && blank(before);
                flow_mark |= comment;
                block_mark |= comment;
            }
            special |= !is_printable(c);
            lines |= is_break(c);
            if c == ' ' {
                break_space |= after_break;
                (after_space, after_break) = (true, false);
            } else if is_break(c) {
                space_break |= after_space;
                (after_space, after_break) = (false, true);
            } else {
                (after_space, after_break) = (false, false);
            }
        }
        let edge = |c: Option<&char>| c.is_some_and(|&c| c == ' ' || is_break(c));
        let edges = edge(characters.first()) || edge(characters.last());
        let single = !(break_space || space_break || special);
        let plain = single && !edges && !lines;
        let empty = characters.is_empty();
        Self { lines, flow: plain && !flow_mark && !empty, block: plain && !block_mark, single }
    }
}

/// Whether YAML 1.1 reads it as a text.
fn is_text(text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| {
        text.get(range).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let date = digits(0..4)
        && text.get(4..5) == Some("-")
        && text.as_bytes().iter().all(|b| b.is_ascii_digit() || b"-:. TtZz+".contains(b));
    if text.is_empty() || date || matches!(text, "=" | "<<") {
        return false;
    }
    if text.contains(['\n', '\r']) {
        return true;
    }
    match yaml::parse(&SourceFile::new("scalar", text)) {
        Ok((node, _)) => match node.value {
            Source::Text(read) => read == text,
            Source::Null | Source::Bool(_) | Source::Int(_) | Source::Float(_) => false,
            // It has indicators, which are quoted for that.
            _ => true,
        },
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn gives(value: Json, terse: &str, nice: &str) {
        let value = super::super::convert::from_json(&value);
        let none = || Kwargs::from_iter(Vec::<(&str, Value)>::new());
        assert_eq!(written(&value, &none(), 2, None).unwrap(), terse);
        assert_eq!(written(&value, &none(), 4, Some(false)).unwrap(), nice);
    }

    /// As PyYAML with libyaml 0.2.5 writes them.
    #[test]
    fn values_are_written_as_libyaml_does() {
        use serde_json::json;
        gives(
            json!({"a": {"b": [1, 2]}, "c": "d"}),
            "a:\n  b: [1, 2]\nc: d\n",
            "a:\n    b:\n    - 1\n    - 2\nc: d\n",
        );
        gives(json!([[1, 2], [3]]), "- [1, 2]\n- [3]\n", "-   - 1\n    - 2\n-   - 3\n");
        gives(
            json!({"t": "line1\nline2\n"}),
            "{t: 'line1\n\n    line2\n\n    '}\n",
            "t: 'line1\n\n    line2\n\n    '\n",
        );
        gives(json!({"e": {}, "l": []}), "e: {}\nl: []\n", "e: {}\nl: []\n");
        gives(
            json!({"n": "12", "y": "yes", "s": "#x", "tab": "a\tb"}),
            "{n: '12', s: '#x', tab: \"a\\tb\", y: 'yes'}\n",
            "n: '12'\ns: '#x'\ntab: \"a\\tb\"\ny: 'yes'\n",
        );
    }
}
