//! Patterns for names: with `*` and `?` alone, or with classes as well.

use wildmatch::WildMatch;

/// `*` stands for any text, `?` for one character; nothing else is special.
pub(crate) fn wildcard(pattern: &str, name: &str) -> bool {
    if pattern.contains(['*', '?']) {
        WildMatch::new(pattern).matches(name)
    } else {
        pattern == name
    }
}

/// A pattern with `*`, `?` and classes (`[a-z]`, `[!0-9]`), as `fnmatch(3)` has them: a `[` without its partner
/// stands for itself.
#[derive(Debug)]
pub(crate) struct Glob(fancy_regex::Regex);

impl Glob {
    /// `None` for a class that is none, `[z-a]`. A backslash stands for itself.
    pub(crate) fn new(pattern: &str) -> Option<Self> {
        Self::translate(pattern, false)
    }

    /// As [`new`](Self::new), but a backslash takes the meaning from the character behind it.
    pub(crate) fn with_escapes(pattern: &str) -> Option<Self> {
        Self::translate(pattern, true)
    }

    /// Whether the whole of `name` matches.
    pub(crate) fn is_match(&self, name: &str) -> bool {
        self.0.is_match(name).unwrap_or(false)
    }

    fn translate(pattern: &str, escapes: bool) -> Option<Self> {
        let mut regex = String::from("(?s)^");
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            match c {
                '*' => regex.push_str(".*"),
                '?' => regex.push('.'),
                '[' => match class(chars.as_str()) {
                    Some((class, rest)) => {
                        regex.push_str(&class);
                        chars = rest.chars();
                    }
                    None => regex.push_str("\\["),
                },
                '\\' if escapes => {
                    let literal = chars.next().unwrap_or('\\');
                    regex.push_str(&fancy_regex::escape(literal.encode_utf8(&mut [0; 4])));
                }
                c => regex.push_str(&fancy_regex::escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        regex.push('$');
        fancy_regex::Regex::new(&regex).ok().map(Self)
    }
}

/// The class that `text` is within as a regular expression has it, and what follows. A bracket in the first
/// place is a member.
fn class(text: &str) -> Option<(String, &str)> {
    let (negated, text) = match text.strip_prefix(['!', '^']) {
        Some(text) => ("^", text),
        None => ("", text),
    };
    let (end, _) = text.char_indices().skip(1).find(|(_, c)| *c == ']')?;
    let mut class = format!("[{negated}");
    for c in text[..end].chars() {
        if "\\[]^&~".contains(c) {
            class.push('\\');
        }
        class.push(c);
    }
    class.push(']');
    Some((class, &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "web", true),
            ("w*b", "web", true),
            ("w*b", "wb", true),
            ("w*b", "webs", false),
            ("*.example.com", "a.b.example.com", true),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxbxx", false),
            ("we?", "web", true),
            ("we?", "we", false),
            ("", "", true),
            ("", "a", false),
            ("[web]:22", "[web]:22", true),
            ("[web]:*", "[web]:22", true),
        ] {
            assert_eq!(wildcard(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "*a".repeat(50);
        assert!(!wildcard(&pattern, &"b".repeat(5000)));
        assert!(!Glob::new(&pattern).unwrap().is_match(&"b".repeat(5000)));
    }

    #[test]
    fn classes() {
        let is = |pattern: &str, name: &str| Glob::with_escapes(pattern).unwrap().is_match(name);
        assert!(is("*.conf", "10-web.conf") && !is("*.conf", "web.conf.bak"));
        assert!(is("[0-9]?-*", "10-web") && !is("[!0-9]*", "10-web") && !is("[^0-9]*", "10-web"));
        assert!(is("[]a]", "]") && is("[", "[") && is("a[-b]", "a-") && is("a[b", "a[b"));
        assert!(is("[[]", "[") && is("[\\]", "\\") && is("[&~]", "~") && is("{a,b}", "{a,b}"));
        assert!(is("\\*", "*") && !is("\\*", "a") && is("web.1", "web.1") && !is("web.1", "webx1"));
        assert!(Glob::new("a\\b").unwrap().is_match("a\\b"));
        assert!(Glob::new("[z-a]").is_none());
    }
}
