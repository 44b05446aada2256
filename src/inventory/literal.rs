//! Values of INI inventories: Python literals where they are one, else text.

use crate::source::{Node, Span, Value};

/// The value of a text as Python's `ast.literal_eval` gives it; text when it is no literal.
pub(super) fn value(text: &str, span: &Span) -> Value {
    let mut parser = Parser { rest: text, span, depth: 0 };
    match parser.literal() {
        Some(value) if parser.rest.trim().is_empty() => value,
        _ => Value::Text(text.to_owned()),
    }
}

struct Parser<'a> {
    rest: &'a str,
    span: &'a Span,
    depth: usize,
}

impl Parser<'_> {
    fn literal(&mut self) -> Option<Value> {
        self.rest = self.rest.trim_start();
        self.depth += 1;
        if self.depth > 50 {
            return None;
        }
        let value = match self.rest.chars().next()? {
            '[' => self.sequence('[', ']'),
            '(' => self.sequence('(', ')'),
            '{' => self.braces(),
            '\'' | '"' => self.strings().map(Value::Text),
            _ => self.word(),
        };
        self.depth -= 1;
        value
    }

    fn eat(&mut self, c: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn node(&mut self) -> Option<Node> {
        let value = self.literal()?;
        Some(Node { value, span: Some(self.span.clone()) })
    }

    fn sequence(&mut self, open: char, close: char) -> Option<Value> {
        self.eat(open);
        let mut items = Vec::new();
        let mut commas = 0;
        while !self.eat(close) {
            items.push(self.node()?);
            if self.eat(',') {
                commas += 1;
            } else if self.eat(close) {
                break;
            } else {
                return None;
            }
        }
        // `(1)` is the number 1 in Python.
        if open == '(' && commas == 0 && items.len() == 1 {
            return items.pop().map(|node| node.value);
        }
        Some(Value::List(items))
    }

    /// A mapping, or a set (shown as a list).
    fn braces(&mut self) -> Option<Value> {
        self.eat('{');
        let mut entries = Vec::new();
        let mut items = Vec::new();
        while !self.eat('}') {
            let key = self.node()?;
            if self.eat(':') {
                let name = match &key.value {
                    Value::Text(text) => text.clone(),
                    Value::Int(number) => number.to_string(),
                    Value::Bool(value) => if *value { "True" } else { "False" }.to_owned(),
                    _ => return None,
                };
                entries.push((Node { value: Value::Unsafe(name), span: key.span }, self.node()?));
            } else {
                items.push(key);
            }
            if !self.eat(',') {
                if self.eat('}') {
                    break;
                }
                return None;
            }
        }
        match (entries.is_empty(), items.is_empty()) {
            (false, false) => None,
            (_, true) => Some(Value::Map(entries)),
            (true, false) => Some(Value::List(items)),
        }
    }

    /// Strings beside each other are one, as in Python.
    fn strings(&mut self) -> Option<String> {
        let mut text = self.quoted()?;
        while self.rest.trim_start().starts_with(['\'', '"']) {
            self.rest = self.rest.trim_start();
            text.push_str(&self.quoted()?);
        }
        Some(text)
    }

    fn quoted(&mut self) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => {
                    let kind = chars.next()?.1;
                    let digits = match kind {
                        'x' => 2,
                        'u' => 4,
                        'U' => 8,
                        _ => 0,
                    };
                    let code: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                    escape(kind, &code, &mut text)?;
                }
                c if c == quote => {
                    self.rest = &self.rest[at + c.len_utf8()..];
                    return Some(text);
                }
                c => text.push(c),
            }
        }
        None
    }

    fn word(&mut self) -> Option<Value> {
        let end = self.rest.find([',', ']', ')', '}', ':', ' ', '\t']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            "None" => Some(Value::Null),
            _ => number(word),
        }
    }
}

/// What `\kind` stands for in a Python string; `code` are the digits of `\x`, `\u` and `\U`.
fn escape(kind: char, code: &str, text: &mut String) -> Option<()> {
    match kind {
        'n' => text.push('\n'),
        't' => text.push('\t'),
        'r' => text.push('\r'),
        'a' => text.push('\u{7}'),
        'b' => text.push('\u{8}'),
        'f' => text.push('\u{c}'),
        'v' => text.push('\u{b}'),
        '\\' | '\'' | '"' => text.push(kind),
        'x' | 'u' | 'U' => text.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?),
        other => text.extend(['\\', other]),
    }
    Some(())
}

fn number(word: &str) -> Option<Value> {
    let body = word.strip_prefix(['-', '+']).unwrap_or(word);
    let starts = body.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !starts || body.ends_with('_') || body.contains("__") {
        return None;
    }
    let clean = body.replace('_', "");
    let magnitude = if let Some(hex) = clean.strip_prefix("0x") {
        i64::from_str_radix(hex, 16).ok()
    } else if let Some(octal) = clean.strip_prefix("0o") {
        i64::from_str_radix(octal, 8).ok()
    } else if let Some(binary) = clean.strip_prefix("0b") {
        i64::from_str_radix(binary, 2).ok()
    } else if clean.len() > 1 && clean.starts_with('0') && clean.bytes().all(|b| b.is_ascii_digit())
    {
        // `0644` is no literal in Python 3; only zeros are.
        return clean.bytes().all(|b| b == b'0').then_some(Value::Int(0));
    } else {
        clean.parse().ok()
    };
    let negative = word.starts_with('-');
    if let Some(magnitude) = magnitude {
        return Some(Value::Int(if negative { -magnitude } else { magnitude }));
    }
    let shaped = clean.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    let float: f64 = clean.parse().ok().filter(|_| shaped)?;
    Some(Value::Float(if negative { -float } else { float }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

    #[track_caller]
    fn gives(text: &str, expected: Value) {
        let span = Span::at(&SourceFile::new("i", ""), 1, 1);
        assert_eq!(value(text, &span), expected, "{text}");
    }

    #[test]
    fn python_literals_and_everything_else() {
        gives("1", Value::Int(1));
        gives("-3", Value::Int(-3));
        gives("1.5", Value::Float(1.5));
        gives("1e3", Value::Float(1000.0));
        gives("0x1f", Value::Int(31));
        gives("1_000", Value::Int(1000));
        gives("True", Value::Bool(true));
        gives("None", Value::Null);
        gives("'5'", Value::Text("5".into()));
        for text in
            ["true", "yes", "null", "0644", "1j", "1+1", "a b", "10.0.0.1", "", "x: y", "'a' b"]
        {
            gives(text, Value::Text(text.into()));
        }
        assert!(matches!(value_of("[1, 'x']"), Value::List(items) if items.len() == 2));
        assert!(matches!(value_of("{'k': 1}"), Value::Map(entries) if entries.len() == 1));
        assert!(matches!(value_of("(1,2)"), Value::List(items) if items.len() == 2));
        assert!(matches!(value_of("{{ foo }}"), Value::Text(_)));
    }

    fn value_of(text: &str) -> Value {
        value(text, &Span::at(&SourceFile::new("i", ""), 1, 1))
    }
}
