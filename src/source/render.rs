//! Diagnostics as text: what is wrong, where, with the source line, and what to do.

use super::{Diagnostic, Diagnostics, Severity, Span};
use crate::model::text::{plural, withheld_lines};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Findings shown in full; a wrong inventory of 100,000 lines would scroll the first ones away.
const MAX_SHOWN: usize = 20;
/// Longer lines are not quoted.
const MAX_LINE: usize = 500;

/// Renders all findings, errors last so that they are nearest to the prompt. `width` is the
/// terminal's, in columns.
pub fn render(diagnostics: &Diagnostics, color: bool, width: usize) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(width.max(40));
    let ordered = in_order(diagnostics);
    let mut out = String::new();
    for severity in [Severity::Warning, Severity::Error] {
        let of_this = ordered.iter().filter(|(_, one)| one.severity == severity);
        for (_, diagnostic) in of_this.clone().take(MAX_SHOWN) {
            let wrapped = wrapped(diagnostic, width.max(40));
            out.push_str(&renderer.render(&[group(&wrapped)]));
            out.push_str("\n\n");
        }
        let more = of_this.skip(MAX_SHOWN).count();
        if more > 0 {
            let noun = if severity == Severity::Error { "error" } else { "warning" };
            out.push_str(&format!(
                "… and {} like these\n\n",
                plural(more, &format!("more {noun}"))
            ));
        }
    }
    out.pop();
    out
}

/// Within a file from top to bottom; files in the order in which they were first named.
fn in_order(diagnostics: &Diagnostics) -> Vec<((usize, usize, usize), &Diagnostic)> {
    let mut files: Vec<&str> = Vec::new();
    let mut ordered: Vec<_> = diagnostics
        .0
        .iter()
        .map(|diagnostic| {
            let name = diagnostic.span.as_ref().map_or("", |span| span.file.name.as_str());
            let file = files.iter().position(|known| *known == name).unwrap_or_else(|| {
                files.push(name);
                files.len() - 1
            });
            let place = diagnostic.span.as_ref().map_or((0, 0), |span| (span.line, span.column));
            ((file, place.0, place.1), diagnostic)
        })
        .collect();
    ordered.sort_by_key(|(key, _)| *key);
    ordered
}

/// The same with its remedies broken into lines that fit.
fn wrapped(diagnostic: &Diagnostic, width: usize) -> Diagnostic {
    let room = width.saturating_sub(16).max(30);
    let mut wrapped = diagnostic.clone();
    for help in &mut wrapped.help {
        let mut lines = vec![String::new()];
        for word in help.split(' ') {
            let used = lines.last().map_or(0, |line| line.chars().count());
            if used > 0 && used + 1 + word.chars().count() > room {
                lines.push(word.to_owned());
            } else if let Some(line) = lines.last_mut() {
                if used > 0 {
                    line.push(' ');
                }
                line.push_str(word);
            }
        }
        *help = lines.join("\n");
    }
    wrapped
}

fn group(diagnostic: &Diagnostic) -> Group<'_> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str());
    let mut group = match &diagnostic.span {
        None => Group::with_title(title),
        Some(span) => match excerpt(span) {
            Some((line, range)) => {
                let mut mark = AnnotationKind::Primary.span(range);
                if let Some(label) = &diagnostic.label {
                    mark = mark.label(label.as_str());
                }
                let snippet =
                    Snippet::source(line).line_start(span.line).path(span.file.name.as_str());
                title.element(snippet.annotation(mark))
            }
            None => {
                let place = annotate_snippets::Origin::path(span.file.name.as_str());
                title.element(place.line(span.line).char_column(span.column))
            }
        },
    };
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    group
}

/// The line and the bytes to underline; nothing of secret files, of overlong lines and of private keys.
fn excerpt(span: &Span) -> Option<(&str, std::ops::Range<usize>)> {
    let index = span.line.checked_sub(1)?;
    let line = span.file.text.lines().nth(index)?;
    if span.file.secret || line.len() > MAX_LINE {
        return None;
    }
    if withheld_lines(&span.file.text).get(index) == Some(&true) {
        return None;
    }
    let offset = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let start = offset(span.column - 1);
    let end = offset(span.column - 1 + span.length).max(start);
    Some((line, start..end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

    #[test]
    fn an_error_shows_its_place_and_its_remedy() {
        let file = SourceFile::new("site.yml", "- hosts: web\n  becom: true\n");
        let span = Span::at(&file, 2, 3).with_length(5);
        let found = Diagnostic::error("unknown key 'becom'")
            .at(&span)
            .label("not a key of a play")
            .help("did you mean 'become'?");
        insta::assert_snapshot!(render(&found.into(), false, 80), @r"
        error: unknown key 'becom'
         --> site.yml:2:3
          |
        2 |   becom: true
          |   ^^^^^ not a key of a play
          |
          = help: did you mean 'become'?
        ");
    }

    #[test]
    fn a_line_of_a_private_key_is_never_quoted() {
        let block = "key: |\n  -----BEGIN PRIVATE KEY-----\n  MC4CAQAw\n BwYF\n  -----END PRIVATE KEY-----\n";
        let flat = "key: -----BEGIN PRIVATE KEY----- MC4CAQAw BwYF -----END PRIVATE KEY-----: x\n";
        for (text, line) in [(block, 3), (block, 4), (flat, 1)] {
            let file = SourceFile::new("vars.yml", text);
            let shown =
                render(&Diagnostic::error("bad").at(&Span::at(&file, line, 2)).into(), false, 80);
            assert!(shown.contains(&format!("vars.yml:{line}:2")), "{shown}");
            assert!(!shown.contains("MC4C") && !shown.contains("BwYF"), "{shown}");
        }
    }

    #[test]
    fn a_secret_file_is_never_quoted() {
        let file = std::sync::Arc::new(SourceFile {
            name: "vault.yml".into(),
            text: "password: hunter2\n".into(),
            secret: true,
        });
        let found = Diagnostic::error("bad value").at(&Span::at(&file, 1, 11));
        let text = render(&found.into(), false, 80);
        assert!(text.contains("vault.yml:1:11") && !text.contains("hunter2"), "{text}");
    }
}
