//! What is wrong with a text that is no YAML, in words for whoever wrote it.

use super::{Diagnostic, Span};
use granit_parser::{ErrorKind, ScanError};

/// The error with its reason and, where it is a usual mistake, the remedy.
pub(super) fn error(at: &Span, error: &ScanError) -> Diagnostic {
    use ErrorKind as Kind;
    let known = tab(at).or_else(|| unquoted_template(at)).or_else(|| open_bracket(at, error));
    if let Some(problem) = known {
        return problem;
    }
    let problem = |message: &str| Diagnostic::error(message).at(at);
    match error.kind() {
        Kind::UnclosedQuotedScalar => problem("this quote is never closed")
            .help("close it; a quote within quotes is written twice ('it''s') or stands between the others"),
        Kind::UnclosedFlowCollection { open } => {
            never_closed(*open, if *open == '[' { ']' } else { '}' }, at)
        }
        Kind::MappingValueNotAllowed | Kind::InvalidColonPlacement | Kind::InvalidSimpleKey
            if line(at, at.line).matches(": ").count() > 1 =>
        {
            problem("this value holds `: ` and is not in quotes")
                .help("put the value in quotes: \"…\"")
        }
        Kind::ExpectedBlockMappingKey
        | Kind::ExpectedBlockSequenceEntry
        | Kind::InvalidIndentation
        | Kind::MappingValueNotAllowed
        | Kind::BlockSequenceEntryNotAllowed
        | Kind::SimpleKeyExpected => indentation(at, error),
        Kind::UnexpectedCharacter { character } => {
            Diagnostic::error(format!("a value cannot begin with '{character}'"))
                .at(at)
                .help("put the value in quotes: \"…\"")
        }
        Kind::UnknownAnchor => problem("there is no anchor (&NAME) above for this alias")
            .help("a value that begins with * needs quotes: \"*\""),
        _ => Diagnostic::error(format!("this is not YAML: {}", error.info()))
            .at(at)
            .help("look at the indentation of this line and of the one before"),
    }
}

fn line(at: &Span, number: usize) -> &str {
    at.file.text.lines().nth(number.saturating_sub(1)).unwrap_or_default()
}

/// A tab that indents the line, or the one before.
fn tab(at: &Span) -> Option<Diagnostic> {
    [at.line, at.line.saturating_sub(1)].into_iter().filter(|number| *number > 0).find_map(
        |number| {
            let indent = line(at, number).chars().take_while(|c| c.is_whitespace());
            let column = indent.clone().position(|c| c == '\t')? + 1;
            let place = Span::at(&at.file, number, column);
            Some(
                Diagnostic::error("a tab indents this line")
                    .at(&place)
                    .label("the tab")
                    .help("YAML is indented with blanks only: replace the tab by blanks"),
            )
        },
    )
}

/// A bracket of the line before that is not closed there, when the parser stumbles over what follows it.
fn open_bracket(at: &Span, error: &ScanError) -> Option<Diagnostic> {
    let stumbled = matches!(
        error.kind(),
        ErrorKind::InvalidColonPlacement
            | ErrorKind::ExpectedFlowSequenceSeparator
            | ErrorKind::ExpectedFlowMappingSeparator
            | ErrorKind::InvalidFlowScalarIndent
    );
    let number = at.line.checked_sub(1).filter(|number| stumbled && *number > 0)?;
    let before = line(at, number);
    let (open, close) = [('[', ']'), ('{', '}')]
        .into_iter()
        .find(|(open, close)| before.matches(*open).count() > before.matches(*close).count())?;
    let column = before.chars().position(|c| c == open)? + 1;
    let place = Span::at(&at.file, number, column);
    Some(never_closed(open, close, &place))
}

fn never_closed(open: char, close: char, place: &Span) -> Diagnostic {
    Diagnostic::error(format!("this '{open}' is never closed"))
        .at(place)
        .help(format!("close it with '{close}'"))
}

/// A value that begins with `{{` without quotes, here or on the line before.
pub(super) fn unquoted_template(at: &Span) -> Option<Diagnostic> {
    [at.line, at.line.saturating_sub(1)].into_iter().filter(|number| *number > 0).find_map(
        |number| {
            let text = line(at, number);
            let begin =
                [": {{", "- {{", "[{{", ", {{"].iter().filter_map(|mark| text.find(mark)).min()?;
            let begin = begin + text[begin..].find('{')?;
            let value = text[begin..].trim_end();
            let column = text[..begin].chars().count() + 1;
            let place = Span::at(&at.file, number, column).with_length(value.chars().count());
            Some(Diagnostic::error("a value that begins with {{ is not in quotes").at(&place).help(
                if value.contains('"') {
                    "put the whole value in quotes: '{{ … }}'".to_owned()
                } else {
                    format!("put the whole value in quotes: \"{value}\"")
                },
            ))
        },
    )
}

/// A line that stands at a place where no block above it stands.
fn indentation(at: &Span, error: &ScanError) -> Diagnostic {
    let indent = |text: &str| text.chars().take_while(|c| *c == ' ').count();
    let own = indent(line(at, at.line));
    let mut levels: Vec<usize> = Vec::new();
    let above: Vec<&str> = at.file.text.lines().take(at.line.saturating_sub(1)).collect();
    for text in above.iter().rev().filter(|text| !matches!(text.trim(), "" | "---")) {
        let level = indent(text);
        if !text.trim_start().starts_with('#') && levels.last().is_none_or(|last| level < *last) {
            levels.push(level);
        }
        if level == 0 {
            break;
        }
    }
    let problem = Diagnostic::error("the indentation of this line is wrong").at(at);
    if levels.is_empty() || levels.contains(&own) {
        return Diagnostic::error(format!("this is not YAML: {}", error.info()))
            .at(at)
            .help("look at the indentation of this line and of the one before");
    }
    levels.reverse();
    let shown: Vec<String> = levels.iter().map(ToString::to_string).collect();
    problem
        .label(format!("{} before it", crate::model::text::plural(own, "blank")))
        .help(format!("the lines above it stand at {} blanks: use one of these", shown.join(", ")))
}
