//! Diagnostics as text: what is wrong, where, with the source line, and what to do.

use super::{Diagnostic, Diagnostics, Severity, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Longer lines are not quoted.
const MAX_LINE: usize = 500;

/// Renders all findings, errors last so that they are nearest to the prompt. `width` is the
/// terminal's, in columns.
pub fn render(diagnostics: &Diagnostics, color: bool, width: usize) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.term_width(width.max(40));
    let mut ordered: Vec<&Diagnostic> = diagnostics.0.iter().collect();
    ordered.sort_by_key(|diagnostic| diagnostic.severity == Severity::Error);
    let mut out = String::new();
    for diagnostic in ordered {
        out.push_str(&renderer.render(&[group(diagnostic)]));
        out.push_str("\n\n");
    }
    out
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

/// The line and the bytes to underline; nothing of secret files and of overlong lines.
fn excerpt(span: &Span) -> Option<(&str, std::ops::Range<usize>)> {
    let line = span.file.text.lines().nth(span.line.checked_sub(1)?)?;
    if span.file.secret || line.len() > MAX_LINE {
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
