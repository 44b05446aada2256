//! How OpenSSH cuts a configuration line into words: two ways, one for the keyword and for `Match`,
//! another for arguments. Both are `misc.c`'s, quirks included.

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Takes the next word off `rest` (`strdelim`): words end at white space, at one `=`, or at a double
/// quote's partner. `None` when nothing is left, or a quote has no partner.
pub(super) fn next_word(rest: &mut Option<&str>) -> Option<String> {
    let text = rest.take()?;
    let is_end = |c: char| SPACE.contains(&c) || c == '"' || c == '=';
    let Some(at) = text.find(is_end) else { return Some(text.to_owned()) };
    let (before, from) = text.split_at(at);
    let after = &from[1..];
    if from.starts_with('"') {
        let (quoted, after) = after.split_once('"')?;
        *rest = Some(after.trim_start_matches(SPACE));
        return Some(format!("{before}{quoted}"));
    }
    let mut after = after.trim_start_matches(SPACE);
    if !from.starts_with('=') {
        after = after.strip_prefix('=').map_or(after, |after| after.trim_start_matches(SPACE));
    }
    *rest = Some(after);
    Some(before.to_owned())
}

/// Cuts arguments (`argv_split`): both quotes group, a backslash escapes quotes, itself and a space,
/// `#` at the start of a word ends the line. `None` when a quote is not closed.
pub(super) fn arguments(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        if chars.peek().is_none_or(|c| *c == '#') {
            return Some(words);
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\\', _) => {
                    let escaped = chars.next_if(|next| {
                        matches!(next, '\'' | '"' | '\\') || (quote.is_none() && *next == ' ')
                    });
                    word.push(escaped.unwrap_or('\\'));
                }
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                _ => word.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_and_what_follows() {
        for (line, keyword, rest) in [
            ("Port 22", "Port", Some("22")),
            ("Port=22", "Port", Some("22")),
            ("Port = 22", "Port", Some("22")),
            ("Port ==22", "Port", Some("=22")),
            ("Port=", "Port", Some("")),
            ("Port", "Port", None),
            ("\"Port\"  22", "Port", Some("22")),
        ] {
            let mut text = Some(line);
            assert_eq!(next_word(&mut text).as_deref(), Some(keyword), "{line}");
            assert_eq!(text, rest, "{line}");
        }
        assert_eq!(next_word(&mut Some("\"open")), None);
    }

    #[test]
    fn arguments_with_quotes_and_comments() {
        for (text, expected) in [
            ("a b", Some(vec!["a", "b"])),
            ("\"a b\" c", Some(vec!["a b", "c"])),
            ("'a \"b' # c", Some(vec!["a \"b"])),
            ("a#b", Some(vec!["a#b"])),
            (r#"a\ b \"c\" \n"#, Some(vec!["a b", "\"c\"", "\\n"])),
            ("a\"b c\"d", Some(vec!["ab cd"])),
            ("\"\"", Some(vec![""])),
            ("\"open", None),
        ] {
            assert_eq!(
                arguments(text),
                expected.map(|words| words.iter().map(ToString::to_string).collect()),
                "{text}"
            );
        }
    }
}
