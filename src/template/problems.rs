//! What is told about a template that has no value: where it is, and what was meant.

use super::names;
use crate::source::diagnostic::nearest;
use crate::source::{Diagnostic, Node, Span};
use minijinja::{Error, ErrorKind};

/// Where `name` stands in the source line of `node`, or the node itself.
pub(super) fn place_of(name: &str, node: &Node) -> Option<Span> {
    let span = node.span.as_ref()?;
    let line = span.file.text.lines().nth(span.line.checked_sub(1)?)?;
    let skipped: usize = line.chars().take(span.column - 1).map(char::len_utf8).sum();
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let found = line[skipped..].match_indices(name).find(|(at, _)| {
        let (before, after) = line[skipped..].split_at(*at);
        !word(before.chars().next_back())
            && !word(after[name.len()..].chars().next().filter(|c| *c != '.'))
    });
    match found {
        Some((at, _)) => {
            let column = line[..skipped + at].chars().count() + 1;
            Some(Span::at(&span.file, span.line, column).with_length(name.chars().count()))
        }
        None => Some(span.clone()),
    }
}

/// An error of the engine, without the values that it may quote.
pub(super) fn run_error(error: &Error, node: &Node) -> Diagnostic {
    let detail = error.detail().map(str::to_owned);
    let message = match error.kind() {
        ErrorKind::UndefinedError => match detail {
            // The engine writes `d.b`.
            Some(detail) => detail.replace('`', "'"),
            None => "a value is undefined".to_owned(),
        },
        ErrorKind::OutOfFuel => "the template does too much work".to_owned(),
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest => return unknown_name(error, node),
        kind => match detail {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        },
    };
    Diagnostic::error(message).at(node.span.as_ref())
}

/// A filter or a test that is not there, with the nearest that is.
fn unknown_name(error: &Error, node: &Node) -> Diagnostic {
    let (what, known) = match error.kind() {
        ErrorKind::UnknownFilter => ("filter", names::FILTERS),
        _ => ("test", names::TESTS),
    };
    // `filter x is unknown`, perhaps behind the name of a file.
    let detail = error.detail().unwrap_or_default().trim_end_matches(" is unknown");
    let (place, name) = detail.rsplit_once(&format!("{what} ")).unwrap_or(("", detail));
    let problem = Diagnostic::error(format!("{place}unknown {what} '{name}'"));
    let problem = problem.at(place_of(name, node).as_ref());
    match nearest(name, known.iter().copied()) {
        Some(near) => problem.help(format!("did you mean '{near}'?")),
        None => problem.help(format!("{what}s: {}", known.join(", "))),
    }
}

/// A template that does not parse.
pub(super) fn syntax_error(error: &Error, node: &Node) -> Diagnostic {
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    Diagnostic::error(format!("this is not a template{detail}")).at(node.span.as_ref())
}
