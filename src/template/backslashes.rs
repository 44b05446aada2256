//! Expressions as Ansible's users write them, for an engine that reads them a little differently: backslashes
//! in strings, and full names of filters and tests (`x | ansible.builtin.basename`).
//!
//! YAML has read them already, so Ansible takes those within `{{ … }}` as they are: `'\\1'` is a backslash and
//! a one. In conditions and `{% … %}` they are Python's escapes, and one that Python does not know stays. The
//! engine knows only escapes, so every backslash that is to stay is doubled here.

use std::borrow::Cow;

/// How the strings of an expression are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    /// Every backslash is one.
    AsWritten,
    /// `\n`, `\t` and the like are escapes.
    Escapes,
}

/// An expression without braces, for the engine.
pub(super) fn of_expression(text: &str, literal: Literal) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(open) = rest.find(['\'', '"']) {
        let (before, string) = rest.split_at(open);
        out.push_str(&short_names(before));
        let end = string_end(string);
        doubled(&string[..end], literal, &mut out);
        rest = &string[end..];
    }
    out.push_str(&short_names(rest));
    Cow::Owned(out)
}

fn is_plain(text: &str) -> bool {
    !text.contains('\\') && !text.contains("ansible.")
}

/// Filters and tests without the collection that Ansible's own are in.
fn short_names(code: &str) -> Cow<'_, str> {
    if !code.contains("ansible.") {
        return Cow::Borrowed(code);
    }
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("ansible.") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let name = from.strip_prefix("ansible.builtin.").or(from.strip_prefix("ansible.legacy."));
        let preceding = before.trim_end();
        let word = preceding.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next();
        let names_one = preceding.ends_with('|') || matches!(word, Some("is" | "not"));
        match name.filter(|_| names_one) {
            Some(name) => rest = name,
            None => {
                out.push_str("ansible.");
                rest = &from["ansible.".len()..];
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// A text with `{{ … }}` and `{% … %}`, for the engine.
pub(super) fn of_template(text: &str, literal: Literal) -> Cow<'_, str> {
    // What is raw stays raw.
    if is_plain(text) || text.contains("{% raw") || text.contains("{%- raw") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(open) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        out.push_str(&rest[..open]);
        let is_expression = rest[open..].starts_with("{{");
        let inner = &rest[open..];
        let end = tag_end(inner, if is_expression { "}}" } else { "%}" });
        let literal = if is_expression { literal } else { Literal::Escapes };
        out.push_str(&of_expression(&inner[..end], literal));
        rest = &inner[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Bytes of the string that begins `text`, with its quotes.
fn string_end(text: &str) -> usize {
    let quote = text.chars().next();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if Some(c) == quote {
            return at + 1;
        }
    }
    text.len()
}

/// Where the tag that begins `text` ends; quotes hide its closing mark.
fn tag_end(text: &str, mark: &str) -> usize {
    let mut at = 2;
    while let Some(c) = text[at..].chars().next() {
        if text[at..].starts_with(mark) {
            return at + mark.len();
        }
        at += if matches!(c, '\'' | '"') { string_end(&text[at..]) } else { c.len_utf8() };
    }
    text.len()
}

fn doubled(string: &str, literal: Literal, out: &mut String) {
    let mut chars = string.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let next = chars.next();
        match (literal, next) {
            // The backslash stays, and still hides the quote from the end of the string.
            (Literal::AsWritten, Some(quote @ ('\'' | '"'))) => {
                out.push_str(&format!("\\\\\\{quote}"))
            }
            (Literal::AsWritten, Some('\\')) => out.push_str("\\\\\\\\"),
            (
                Literal::Escapes,
                Some(known @ ('n' | 't' | 'r' | 'b' | 'f' | 'u' | '\\' | '\'' | '"')),
            ) => {
                out.extend(['\\', known]);
            }
            (_, next) => {
                out.push_str("\\\\");
                out.extend(next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_expressions_are_as_written() {
        let read = |text| of_template(text, Literal::AsWritten).into_owned();
        assert_eq!(
            read(r"a\b {{ x | r('(\d)', '\1') }} \n"),
            r"a\b {{ x | r('(\\d)', '\\1') }} \n"
        );
        assert_eq!(read(r"{{ 'it\'s' }}"), r"{{ 'it\\\'s' }}");
        assert_eq!(read(r#"{{ "}}\n" }}"#), r#"{{ "}}\\n" }}"#);
        assert_eq!(read(r"{% if x == '\n\d' %}"), r"{% if x == '\n\\d' %}");
        assert_eq!(read(r"{% raw %}{{ '\1' }}{% endraw %}"), r"{% raw %}{{ '\1' }}{% endraw %}");
    }

    #[test]
    fn conditions_know_escapes() {
        let read = |text| of_expression(text, Literal::Escapes).into_owned();
        assert_eq!(read(r"x is match('a\d\n\\')"), r"x is match('a\\d\n\\')");
    }
}
