//! Command lines as words, with every template kept whole.

use crate::source::{Diagnostic, Diagnostics, Node, Value};

/// A command line's words, split before anything is rendered: a value stays within its word. With the indices of those that
/// are made of a template outside of quotes ([`CommandSpec::loose`](super::model::CommandSpec::loose)).
pub(super) fn split(
    node: &Node,
    shell: bool,
    found: &mut Diagnostics,
) -> Option<(Vec<Node>, Vec<usize>)> {
    let text = node.as_str()?;
    if shell {
        return Some((vec![node.clone()], Vec::new()));
    }
    if text.contains("{%") {
        // What belongs together is known when it is rendered.
        return Some((vec![node.clone()], vec![0]));
    }
    match shell_words(text) {
        Some((words, loose)) => {
            let word = |word| Node { value: Value::Text(word), span: node.span.clone() };
            Some((words.into_iter().map(word).collect(), loose))
        }
        None => {
            found.push(Diagnostic::error("a quote is not closed").at(node.span.as_ref()).help(
                "write the command as a list of words: `command: [program, \"an argument\"]`",
            ));
            None
        }
    }
}

/// What is left of a word when it is rendered as `text`; `None`: a quote is not closed in it.
pub(crate) fn rendered(word: &Node, loose: bool, text: String) -> Option<Vec<String>> {
    match word.as_str().filter(|_| loose) {
        Some(written) if is_split_later(written) => shlex::split(&text),
        Some(_) if text.is_empty() => Some(Vec::new()),
        _ => Some(vec![text]),
    }
}

/// Whether a word outside of quotes is taken apart when it is rendered: it has statements, or a filter quotes its values.
fn is_split_later(word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let quotes = word.match_indices("quote").any(|(at, found)| {
        let (before, after) =
            (word[..at].chars().next_back(), word[at + found.len()..].chars().next());
        !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    });
    quotes || word.contains("{%")
}

/// As `shlex`, with every `{{ … }}` kept whole.
fn shell_words(text: &str) -> Option<(Vec<String>, Vec<usize>)> {
    let mut templates = Vec::new();
    let mut masked = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let close = rest[open..].find("}}").map_or(rest.len(), |at| open + at + 2);
        masked.push_str(&rest[..open]);
        masked.push_str(&format!("\u{1}{}\u{2}", templates.len()));
        templates.push(&rest[open..close]);
        rest = &rest[close..];
    }
    masked.push_str(rest);
    let unmask = |word: String| {
        templates.iter().enumerate().fold(word, |word, (index, template)| {
            word.replace(&format!("\u{1}{index}\u{2}"), template)
        })
    };
    let (mut words, mut loose) = (Vec::new(), Vec::new());
    for (start, end) in pieces(&masked)? {
        let piece = &masked[start..end];
        let word = match piece.starts_with('#') {
            // No comment, as in Python's `shlex`.
            true => Some(piece.to_owned()),
            false => shlex::split(piece)?.pop(),
        };
        // A backslash at the end of a line of text is none of them.
        let quoted = piece.contains(['\'', '"']);
        let Some(word) = word.filter(|word| quoted || !word.is_empty()) else { continue };
        if piece.contains('\u{1}') && !piece.contains(['\'', '"', '\\']) {
            loose.push(words.len());
        }
        words.push(unmask(word));
    }
    Some((words, loose))
}

/// Arguments in Ansible's old form: `key=value` words, and what is left without them.
pub(super) struct KeyValues {
    /// Keys and values as written, quotes around a value taken off.
    pub(super) pairs: Vec<(String, String)>,
    /// The rest of the text, as it stood.
    pub(super) rest: String,
}

/// Takes the `key=value` words out of a text (Ansible, `parsing/splitter.py`): those whose key is in `known`,
/// or all of them without such a list. A quoted word, and a template, are never taken apart.
/// `None`: a quote or a template is not closed.
pub(super) fn key_values(text: &str, known: Option<&[&str]>) -> Option<KeyValues> {
    let mut pairs = Vec::new();
    let mut rest = String::new();
    let mut from = 0;
    for (start, end) in pieces(text)? {
        let word = &text[start..end];
        let pair = word.split_once('=').filter(|(key, _)| {
            let named = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
            named && known.is_none_or(|known| known.contains(key))
        });
        if let Some((key, value)) = pair {
            rest.push_str(&text[from..start]);
            from = end;
            pairs.push((key.to_owned(), unquoted(value).to_owned()));
        }
    }
    rest.push_str(&text[from..]);
    Some(KeyValues { pairs, rest: rest.trim().to_owned() })
}

fn unquoted(value: &str) -> &str {
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
    quoted('"').or_else(|| quoted('\'')).unwrap_or(value)
}

/// Where each word begins and ends; blanks within quotes and within `{{ }}`, `{% %}`, `{# #}` end none.
fn pieces(text: &str) -> Option<Vec<(usize, usize)>> {
    let mut pieces = Vec::new();
    let mut begun = None;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let here = &text[at..];
        let template = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")]
            .into_iter()
            .find(|(open, _)| here.starts_with(open));
        let length = if let Some((_, close)) = template {
            here.find(close)? + close.len()
        } else if c == '\\' {
            1 + here[1..].chars().next().map_or(0, char::len_utf8)
        } else if matches!(c, '\'' | '"') {
            quoted_length(here, c)?
        } else {
            c.len_utf8()
        };
        if c.is_whitespace() && template.is_none() {
            pieces.extend(begun.take().map(|start| (start, at)));
        } else {
            begun.get_or_insert(at);
        }
        at += length;
    }
    pieces.extend(begun.map(|start| (start, at)));
    Some(pieces)
}

/// Bytes of the quoted text that begins here.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return Some(at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_stays_one_word() {
        let words = ["lb", "drain", "{{ a | default(\"x y\") }}", "--at={{ b }}", "{{ c }}", "#d"];
        assert_eq!(
            shell_words("lb drain '{{ a | default(\"x y\") }}' --at={{ b }} \\\n {{ c }} #d")
                .unwrap(),
            (words.map(str::to_owned).to_vec(), vec![3, 4])
        );
        assert_eq!(shell_words("a \"\" '{{ b }}'").unwrap().0, ["a", "", "{{ b }}"]);
        assert_eq!(shell_words("a 'b"), None);
    }

    #[test]
    fn old_arguments_are_taken_out_of_the_text() {
        let read = |text: &str, known: Option<&[&str]>| {
            let found = key_values(text, known).unwrap();
            (found.rest, found.pairs.iter().map(|(k, v)| format!("{k}<{v}>")).collect::<String>())
        };
        let known: &[&str] = &["creates", "chdir"];
        assert_eq!(
            read("openssl req a=b creates=\"/e x\"  chdir={{ d | default('/ x') }}", Some(known)),
            (
                "openssl req a=b".to_owned(),
                "creates</e x>chdir<{{ d | default('/ x') }}>".to_owned()
            )
        );
        assert_eq!(
            read("sh -c 'echo creates=/x'", Some(known)),
            ("sh -c 'echo creates=/x'".to_owned(), String::new())
        );
        assert_eq!(
            read("msg='a b' verbosity=1", None),
            (String::new(), "msg<a b>verbosity<1>".to_owned())
        );
        assert!(key_values("a 'b", None).is_none() && key_values("a {{ b", None).is_none());
    }
}
