//! Command lines as words, with every template kept whole.

use crate::source::{Diagnostic, Diagnostics, Node, Value};

/// A command line's words, split before anything is rendered: a value stays within its word.
pub(super) fn split(node: &Node, shell: bool, found: &mut Diagnostics) -> Option<Vec<Node>> {
    let text = node.as_str()?;
    if shell {
        return Some(vec![node.clone()]);
    }
    match shell_words(text) {
        Some(words) => Some(
            words
                .into_iter()
                .map(|word| Node { value: Value::Text(word), span: node.span.clone() })
                .collect(),
        ),
        None => {
            found.push(Diagnostic::error("a quote is not closed").at(node.span.as_ref()).help(
                "write the command as a list of words: `command: [program, \"an argument\"]`",
            ));
            None
        }
    }
}

/// As `shlex`, with every `{{ … }}` kept whole.
fn shell_words(text: &str) -> Option<Vec<String>> {
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
    let words = shlex::split(&masked)?;
    let unmask = |word: String| {
        templates.iter().enumerate().fold(word, |word, (index, template)| {
            word.replace(&format!("\u{1}{index}\u{2}"), template)
        })
    };
    Some(words.into_iter().map(unmask).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_stays_one_word() {
        assert_eq!(
            shell_words("lb drain '{{ a | default(\"x y\") }}' --at={{ b }}").unwrap(),
            ["lb", "drain", "{{ a | default(\"x y\") }}", "--at={{ b }}"]
        );
        assert_eq!(shell_words("a 'b"), None);
    }
}
