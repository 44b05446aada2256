//! YAML as Ansible reads it: YAML 1.1 values, merge keys, `!vault` and `!unsafe`, and every value with
//! its place.
//!
//! The events come from `granit-parser`; composing them is ours, because no loader gives Ansible's
//! values with spans. Aliases are copied within a budget, so that a bomb is refused instead of expanded.

use super::{Diagnostic, Diagnostics, Mapping, Node, SourceFile, Span, Value, syntax};
use granit_parser::{Event, Parser, ScalarStyle, Tag};
use std::collections::HashMap;
use std::sync::Arc;

/// Values in one file, aliases counted each time they are used.
const MAX_NODES: usize = 2_000_000;
/// Values that aliases may add.
const MAX_ALIAS_NODES: usize = 100_000;
/// Lists and mappings within each other.
const MAX_DEPTH: usize = 100;

/// Parses one document. An empty file is [`Value::Null`]. Warnings (duplicate keys) come beside the value.
///
/// # Errors
/// A syntax error with its place and, where it is a usual mistake, the remedy.
pub fn parse(file: &Arc<SourceFile>) -> Result<(Node, Diagnostics), Diagnostics> {
    let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
    let mut composer = Composer {
        file,
        stack: Vec::new(),
        anchors: HashMap::new(),
        root: None,
        documents: 0,
        nodes: 0,
        alias_nodes: 0,
        warnings: Diagnostics::default(),
    };
    for item in Parser::new_from_str(text) {
        let (event, span) = item.map_err(|error| {
            let at = Span::at(file, error.marker().line().max(1), error.marker().col() + 1);
            Diagnostics::from(syntax::error(&at, &error))
        })?;
        let at = Span::at(file, span.start.line().max(1), span.start.col() + 1)
            .with_length(span.end.col().saturating_sub(span.start.col()).clamp(1, 200));
        composer.take(event, at).map_err(|problem| Diagnostics::from(*problem))?;
    }
    let root = composer
        .root
        .unwrap_or_else(|| Node { value: Value::Null, span: Some(Span::at(file, 1, 1)) });
    Ok((root, composer.warnings))
}

/// The plain text of a scalar as the author wrote it, up to the end of its line.
pub(crate) fn raw_scalar(span: &Span) -> Option<&str> {
    let line = span.file.text.lines().nth(span.line - 1)?;
    let start = line.char_indices().nth(span.column - 1)?.0;
    let end =
        line[start..].char_indices().nth(span.length).map_or(line.len(), |(at, _)| start + at);
    Some(&line[start..end])
}

type Problem = Box<Diagnostic>;

enum Open {
    List(Vec<Node>),
    Map {
        entries: Mapping,
        /// Where each key is, so that a mapping of 100,000 hosts is not searched for each of them.
        places: HashMap<String, usize>,
        key: Option<Node>,
        merges: Vec<Node>,
    },
}

struct Frame {
    open: Open,
    anchor: usize,
    at: Span,
}

struct Composer<'a> {
    file: &'a Arc<SourceFile>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, usize)>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
    alias_nodes: usize,
    warnings: Diagnostics,
}

impl Composer<'_> {
    fn take(&mut self, event: Event<'_>, at: Span) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let problem = error("a second document begins here", &at)
                        .help("one file holds one document: put the rest into a file of its own");
                    return Err(problem.into());
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref(), &at)?;
                let node = Node { value, span: Some(at) };
                self.keep_anchor(anchor, &node, 1);
                self.add(node)
            }
            Event::SequenceStart(_, anchor, tag) => {
                known_collection_tag(tag.as_deref(), &at)?;
                self.open(Open::List(Vec::new()), anchor, at)
            }
            Event::MappingStart(_, anchor, tag) => {
                known_collection_tag(tag.as_deref(), &at)?;
                let open = Open::Map {
                    entries: Vec::new(),
                    places: HashMap::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.open(open, anchor, at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id).cloned() else {
                    return Err(error("this alias refers to itself or to nothing", &at).into());
                };
                self.alias_nodes += size;
                self.nodes += size;
                if self.alias_nodes > MAX_ALIAS_NODES {
                    let problem = error("aliases add too many values (an alias bomb?)", &at)
                        .help(format!("at most {MAX_ALIAS_NODES} values may come from aliases"));
                    return Err(problem.into());
                }
                self.add(node)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, open: Open, anchor: usize, at: Span) -> Result<(), Problem> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(error("lists and mappings are nested too deeply", &at)
                .help(format!("at most {MAX_DEPTH} levels are read"))
                .into());
        }
        self.stack.push(Frame { open, anchor, at });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let value = match frame.open {
            Open::List(items) => Value::List(items),
            Open::Map { entries, places, merges, .. } => {
                Value::Map(merged(entries, places, merges))
            }
        };
        let node = Node { value, span: Some(frame.at) };
        if frame.anchor > 0 {
            let size = count(&node);
            self.keep_anchor(frame.anchor, &node, size);
        }
        self.add(node)
    }

    fn keep_anchor(&mut self, anchor: usize, node: &Node, size: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
    }

    fn add(&mut self, node: Node) -> Result<(), Problem> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let at = node.span.clone().unwrap_or_else(|| Span::at(self.file, 1, 1));
            return Err(error("the file holds too many values", &at).into());
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.open {
            Open::List(items) => items.push(node),
            Open::Map { entries, places, key, merges } => match key.take() {
                None => *key = Some(as_key(node)?),
                Some(name) if name.as_str() == Some("<<") => merges.push(mergeable(node)?),
                Some(name) => {
                    let text = name.as_str().unwrap_or_default();
                    if let Some(slot) = places.get(text).and_then(|&at| entries.get_mut(at)) {
                        let message = format!("the key '{text}' is there twice");
                        let warning = Diagnostic::warning(message).at(name.span.as_ref());
                        self.warnings.push(warning.help("the last one counts"));
                        slot.1 = node;
                    } else {
                        places.insert(text.to_owned(), entries.len());
                        entries.push((name, node));
                    }
                }
            },
        }
        Ok(())
    }
}

fn error(message: impl Into<String>, at: &Span) -> Diagnostic {
    Diagnostic::error(message).at(at)
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(entries) => entries.iter().map(|(_, value)| 1 + count(value)).sum(),
        _ => 0,
    }
}

/// Keys become text, spelt as Python would (`on:` is `True` in YAML 1.1).
fn as_key(node: Node) -> Result<Node, Problem> {
    let text = match &node.value {
        Value::Text(text) | Value::Unsafe(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Null => "None".to_owned(),
        Value::List(_) | Value::Map(_) | Value::Vault(_) => {
            let at = node.span.as_ref();
            return Err(at
                .and_then(syntax::unquoted_template)
                .unwrap_or_else(|| Diagnostic::error("a list or mapping cannot be a key").at(at))
                .into());
        }
    };
    Ok(Node { value: Value::Unsafe(text), span: node.span })
}

fn mergeable(node: Node) -> Result<Node, Problem> {
    let fits = match &node.value {
        Value::Map(_) => true,
        Value::List(items) => items.iter().all(|item| item.as_map().is_some()),
        _ => false,
    };
    if fits {
        return Ok(node);
    }
    let found = node.kind();
    Err(Diagnostic::error(format!("`<<` merges a mapping or a list of mappings, not {found}"))
        .at(node.span.as_ref())
        .into())
}

/// Own entries win over merged ones, earlier merged mappings over later ones (YAML merge key).
fn merged(entries: Mapping, mut places: HashMap<String, usize>, merges: Vec<Node>) -> Mapping {
    let mut result = entries;
    let sources = merges.into_iter().flat_map(|node| match node.value {
        Value::List(items) => items,
        _ => vec![node],
    });
    for source in sources {
        let Value::Map(extra) = source.value else { continue };
        for (key, value) in extra {
            let name = key.as_str().unwrap_or_default();
            if !places.contains_key(name) {
                places.insert(name.to_owned(), result.len());
                result.push((key, value));
            }
        }
    }
    result
}

fn known_collection_tag(tag: Option<&Tag>, at: &Span) -> Result<(), Problem> {
    match tag.map(|tag| (tag.handle(), tag.suffix())) {
        None | Some(("tag:yaml.org,2002:", "map" | "seq" | "omap" | "set")) | Some(("", "!")) => {
            Ok(())
        }
        Some((_, name)) => Err(unknown_tag(name, at)),
    }
}

fn unknown_tag(name: &str, at: &Span) -> Problem {
    error(format!("the tag !{name} is not known"), at).help("known tags: !vault, !unsafe").into()
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, at: &Span) -> Result<Value, Problem> {
    let Some(tag) = tag else {
        return Ok(if style == ScalarStyle::Plain {
            plain(text)
        } else {
            Value::Text(text.to_owned())
        });
    };
    let bad = |what: &str| Problem::from(error(format!("'{text}' is no {what}"), at));
    match (tag.handle(), tag.suffix()) {
        ("!", "vault" | "vault-encrypted") => Ok(Value::Vault(text.to_owned())),
        ("!", "unsafe") => Ok(Value::Unsafe(text.to_owned())),
        ("tag:yaml.org,2002:", "str") | ("", "!") => Ok(Value::Text(text.to_owned())),
        ("tag:yaml.org,2002:", "int") => match plain(text) {
            value @ Value::Int(_) => Ok(value),
            _ => Err(bad("integer")),
        },
        ("tag:yaml.org,2002:", "float") => match plain(text) {
            Value::Int(number) => Ok(Value::Float(number as f64)),
            value @ Value::Float(_) => Ok(value),
            _ => Err(bad("number")),
        },
        ("tag:yaml.org,2002:", "bool") => match plain(text) {
            value @ Value::Bool(_) => Ok(value),
            _ => Err(bad("boolean")),
        },
        ("tag:yaml.org,2002:", "null") => Ok(Value::Null),
        (_, name) => Err(unknown_tag(name, at)),
    }
}

/// A plain scalar's value by YAML 1.1, as PyYAML resolves it.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    if let Some(number) = integer(text) {
        return Value::Int(number);
    }
    match float(text) {
        Some(number) => Value::Float(number),
        None => Value::Text(text.to_owned()),
    }
}

fn integer(text: &str) -> Option<i64> {
    let (sign, body) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if !body.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let digits = |text: &str, radix| {
        let clean = text.replace('_', "");
        let fits = !clean.is_empty() && clean.bytes().all(|b| (b as char).is_digit(radix));
        fits.then(|| i64::from_str_radix(&clean, radix).ok()).flatten()
    };
    let magnitude = if let Some(hex) = body.strip_prefix("0x") {
        digits(hex, 16)
    } else if let Some(binary) = body.strip_prefix("0b") {
        digits(binary, 2)
    } else if body.contains(':') {
        sexagesimal(body)
    } else if body.len() > 1 && body.starts_with('0') {
        digits(&body[1..], 8)
    } else {
        digits(body, 10)
    };
    magnitude.map(|number| sign * number)
}

/// `190:20:30` is base 60 in YAML 1.1.
fn sexagesimal(body: &str) -> Option<i64> {
    let mut parts = body.split(':');
    let first = parts.next()?;
    if first.starts_with('0') && first.len() > 1 || !first.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut total: i64 = first.parse().ok()?;
    for part in parts {
        let fits = matches!(part.len(), 1 | 2) && part.bytes().all(|b| b.is_ascii_digit());
        let part: i64 = part.parse().ok().filter(|part| fits && *part < 60)?;
        total = total.checked_mul(60)?.checked_add(part)?;
    }
    Some(total)
}

/// A float needs a dot, and an exponent needs a sign (PyYAML's resolver).
fn float(text: &str) -> Option<f64> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    // Most texts are none, and say so at once.
    if !body.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let starts = whole.bytes().next().or_else(|| fraction.bytes().next())?;
    let exponent_fits = exponent.is_none_or(|e| {
        e.strip_prefix(['-', '+'])
            .is_some_and(|e| !e.is_empty() && e.bytes().all(|b| b.is_ascii_digit()))
    });
    if let Some((minutes, seconds)) = whole.rsplit_once(':') {
        // `12:30:45.5` is base 60 in YAML 1.1.
        let seconds: f64 = format!("{seconds}.{fraction}").replace('_', "").parse().ok()?;
        let fits = exponent.is_none() && digits(fraction) && (0.0..60.0).contains(&seconds);
        let minutes = sexagesimal(minutes).filter(|_| fits)?;
        let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
        return Some(sign * (minutes as f64 * 60.0 + seconds));
    }
    if !(starts.is_ascii_digit() && digits(whole) && digits(fraction) && exponent_fits) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        parse(&SourceFile::new("t.yml", text)).expect(text).0.value
    }

    fn message(text: &str) -> String {
        let problems = parse(&SourceFile::new("t.yml", text)).expect_err(text);
        problems.0.iter().map(|p| format!("{p} | {}", p.help.join("; "))).collect()
    }

    #[test]
    fn plain_scalars_are_yaml_1_1() {
        for (text, expected) in [
            ("yes", Value::Bool(true)),
            ("off", Value::Bool(false)),
            ("y", Value::Text("y".into())),
            ("0644", Value::Int(420)),
            ("0o644", Value::Text("0o644".into())),
            ("640", Value::Int(640)),
            ("0x1f", Value::Int(31)),
            ("1_000", Value::Int(1000)),
            ("190:20:30", Value::Int(685_230)),
            ("1e3", Value::Text("1e3".into())),
            ("1.5", Value::Float(1.5)),
            ("1.0e+3", Value::Float(1000.0)),
            ("~", Value::Null),
            ("1.2.3", Value::Text("1.2.3".into())),
            ("10.0.0.1", Value::Text("10.0.0.1".into())),
            ("'5'", Value::Text("5".into())),
            ("!unsafe '{{ x }}'", Value::Unsafe("{{ x }}".into())),
            ("2026-01-02", Value::Text("2026-01-02".into())),
            ("", Value::Null),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn values_know_their_place() {
        let (node, _) = parse(&SourceFile::new("t.yml", "a:\n  - b: hello\n")).unwrap();
        let item = &node.entry("a").unwrap().as_list().unwrap()[0];
        let span = item.entry("b").unwrap().span.clone().unwrap();
        assert_eq!(span.to_string(), "t.yml:2:8");
        assert_eq!(raw_scalar(&span), Some("hello"));
    }

    #[test]
    fn merge_keys_fill_in() {
        let node = value("base: &b {x: 1, y: 2}\nd:\n  <<: *b\n  y: 3\n");
        let Value::Map(entries) = &node else { panic!() };
        let d = &entries[1].1;
        assert_eq!(d.entry("x").map(|n| &n.value), Some(&Value::Int(1)));
        assert_eq!(d.entry("y").map(|n| &n.value), Some(&Value::Int(3)));
    }

    #[test]
    fn the_last_duplicate_counts_and_is_warned_about() {
        let (node, warnings) = parse(&SourceFile::new("t.yml", "a: 1\na: 2\n")).unwrap();
        assert_eq!(node.entry("a").map(|n| &n.value), Some(&Value::Int(2)));
        assert_eq!(warnings.0.len(), 1);
    }

    #[test]
    fn usual_mistakes_have_a_remedy() {
        assert!(message("a:\n\tb: 1\n").contains("tab"), "{}", message("a:\n\tb: 1\n"));
        assert!(message("a: {{ x }}\n").contains("not in quotes"), "{}", message("a: {{ x }}\n"));
        assert!(message("---\na: 1\n---\nb: 2\n").contains("second document"));
        assert!(message("a: *nope\n").contains("t.yml:1"));
        assert!(message("a: !wat 1\n").contains("!wat"));
    }

    #[test]
    fn bombs_and_depth_are_refused() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..9 {
            let list = vec![format!("*a{}", level - 1); 10].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        assert!(message(&bomb).contains("alias bomb"));
        let deep = "[".repeat(5000);
        assert!(!message(&deep).is_empty());
    }
}
