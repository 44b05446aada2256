//! INI inventories.

use super::builder::Builder;
use super::{literal, range};
use crate::source::{Diagnostic, Diagnostics, Node, SourceFile, Span, Value};
use std::sync::Arc;

enum Section {
    Hosts(String),
    Children(String),
    Vars(String),
}

/// Reads a whole file into `builder`, collecting every error.
pub(super) fn read(file: &Arc<SourceFile>, builder: &mut Builder, found: &mut Diagnostics) {
    let mut section = Section::Hosts("ungrouped".to_owned());
    let mut vars_of: Vec<(String, Span)> = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let text = line.trim();
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let at = Span::at(file, index + 1, indent + 1).with_length(text.chars().count());
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        }
        if text.starts_with('[') && is_header(text) {
            match header(text, &at) {
                Ok(next) => {
                    match &next {
                        Section::Hosts(name) | Section::Children(name) => {
                            if let Err(why) = builder.section(name) {
                                found.push(*problem(why, &at));
                            }
                        }
                        Section::Vars(name) => {
                            builder.mention(name);
                            vars_of.push((name.clone(), at.clone()));
                        }
                    }
                    section = next;
                }
                Err(problem) => found.push(*problem),
            }
            continue;
        }
        let result = match &section {
            Section::Hosts(group) => host_line(text, &at, group, builder),
            Section::Children(parent) => {
                let child = before_comment(text).trim();
                builder.later_child(parent, child, &at).map_err(|why| problem(why, &at))
            }
            Section::Vars(group) => variable_line(text, &at, group, builder),
        };
        if let Err(problem) = result {
            found.push(*problem);
        }
    }
    for (name, at) in vars_of {
        if !builder.has_group(&name) {
            let message = format!("[{name}:vars] is for a group '{name}' that is nowhere defined");
            found.push(Diagnostic::error(message).at(&at));
        }
    }
}

type Problem = Box<Diagnostic>;

fn problem(message: impl Into<String>, at: &Span) -> Problem {
    Box::new(Diagnostic::error(message).at(at))
}

/// `[web]` is a header, `[2001:db8::1]:22` a host.
fn is_header(text: &str) -> bool {
    match text.find(']') {
        Some(at) => {
            let rest = text[at + 1..].trim_start();
            rest.is_empty() || rest.starts_with('#')
        }
        None => true,
    }
}

fn header(text: &str, at: &Span) -> Result<Section, Problem> {
    let Some(end) = text.find(']') else {
        return Err(Box::new(
            Diagnostic::error(format!("the section '{text}' has no closing bracket")).at(at),
        ));
    };
    let inner = &text[1..end];
    let (name, kind) = match inner.split_once(':') {
        Some((name, kind)) => (name, Some(kind)),
        None => (inner, None),
    };
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(problem(format!("'{name}' is not a valid group name"), at));
    }
    match kind {
        None | Some("hosts") => Ok(Section::Hosts(name.to_owned())),
        Some("children") => Ok(Section::Children(name.to_owned())),
        Some("vars") => Ok(Section::Vars(name.to_owned())),
        Some(kind) => Err(Box::new(
            Diagnostic::error(format!("the section [{inner}] has the unknown kind '{kind}'"))
                .at(at)
                .help("a section is [GROUP], [GROUP:children] or [GROUP:vars]"),
        )),
    }
}

fn before_comment(text: &str) -> &str {
    text.split_once('#').map_or(text, |(before, _)| before)
}

fn host_line(text: &str, at: &Span, group: &str, builder: &mut Builder) -> Result<(), Problem> {
    let words = words(text).ok_or_else(|| {
        let problem = Diagnostic::error("a quote is not closed").at(at);
        Box::new(problem.help("close it, or write \\\" for a quote that is part of the value"))
    })?;
    let Some((pattern, assignments)) = words.split_first() else { return Ok(()) };
    let (name, port) = split_port(pattern).map_err(|why| problem(why, at))?;
    let names = if range::has_range(name) || name.contains('[') {
        range::expand(name).map_err(|why| problem(why, at))?
    } else {
        vec![name.to_owned()]
    };
    let mut vars = Vec::new();
    if let Some(port) = port {
        let value = Node { value: Value::Int(i64::from(port)), span: Some(at.clone()) };
        vars.push(("ansible_port".to_owned(), value));
    }
    for assignment in assignments {
        let Some((key, value)) = assignment.split_once('=') else {
            let message = format!("a variable is key=value, not '{assignment}'");
            return Err(Box::new(
                Diagnostic::error(message)
                    .at(at)
                    .help("one host a line; variables follow it as key=value, separated by blanks"),
            ));
        };
        vars.push((
            key.to_owned(),
            Node { value: literal::value(value, at), span: Some(at.clone()) },
        ));
    }
    for name in names {
        builder.host(&name, group, Some(at)).map_err(|why| problem(why, at))?;
        for (key, value) in &vars {
            builder.host_var(&name, key, value.clone());
        }
    }
    Ok(())
}

fn variable_line(text: &str, at: &Span, group: &str, builder: &mut Builder) -> Result<(), Problem> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(problem(format!("a variable is key=value, not '{text}'"), at));
    };
    let value = literal::value(value.trim(), at);
    let node = Node { value, span: Some(at.clone()) };
    builder.group_var(group, key.trim(), node).map_err(|why| problem(why, at))
}

/// A host and the port behind it. IPv6 addresses need brackets for a port.
pub(super) fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    if let Some(rest) = text.strip_prefix('[')
        && let Some((address, rest)) = rest.split_once(']')
        && address.contains(':')
        && address.chars().all(|c| c.is_ascii_hexdigit() || c == ':' || c == '.')
        && address.matches(':').count() > 1
    {
        return match rest.strip_prefix(':') {
            Some(port) => Ok((address, Some(parse_port(port)?))),
            None if rest.is_empty() => Ok((address, None)),
            None => Err(format!("'{text}' is not a host")),
        };
    }
    let outside = text.rfind(']').map_or(0, |at| at + 1);
    match text[outside..].rfind(':') {
        None => Ok((text, None)),
        Some(_) if outside == 0 && text.matches(':').count() > 1 => Ok((text, None)),
        Some(at) => {
            let (name, port) = (&text[..outside + at], &text[outside + at + 1..]);
            if port.is_empty() {
                return Err(format!("'{text}' ends in a colon"));
            }
            Ok((name, Some(parse_port(port)?)))
        }
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| format!("'{text}' is not a port number"))
}

/// Words as Python's `shlex` with comments splits them: quotes and backslashes are consumed, `#` outside
/// quotes ends the line.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '#' => break,
            c if c.is_whitespace() => words.extend(word.take()),
            '\\' => word.get_or_insert_default().push(chars.next()?),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '\\' => match chars.next()? {
                            c @ ('"' | '\\') => word.push(c),
                            c => {
                                word.push('\\');
                                word.push(c);
                            }
                        },
                        c => word.push(c),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_lines_are_split_as_shell_words() {
        let split = |text| words(text).unwrap().join("|");
        assert_eq!(
            split(r#"a x="two words" y='q' z=un'quo'ted # c"#),
            "a|x=two words|y=q|z=unquoted"
        );
        assert_eq!(split(r#"a b=a\b c=a\\b d="a\tb" e=a#b"#), r"a|b=ab|c=a\b|d=a\tb|e=a");
        assert_eq!(words("a x=\"open"), None);
    }

    #[test]
    fn ports_and_addresses() {
        assert_eq!(split_port("h1:2222"), Ok(("h1", Some(2222))));
        assert_eq!(split_port("[2001:db8::1]:2200"), Ok(("2001:db8::1", Some(2200))));
        assert_eq!(split_port("2001:db8::2"), Ok(("2001:db8::2", None)));
        assert_eq!(split_port("r[1:2]:2022"), Ok(("r[1:2]", Some(2022))));
        assert_eq!(split_port("r[1:2]"), Ok(("r[1:2]", None)));
        assert!(split_port("h4:").is_err() && split_port("h5:70000").is_err());
    }
}
