//! A command line that is still being typed, as words.

/// The words of a line as a shell splits it, the one under the cursor last; quotes may be open. Assignments before the
/// command are left out.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote: Option<char> = None;
    let mut begun = false;
    let mut rest = line.chars();
    while let Some(letter) = rest.next() {
        let blank = letter.is_whitespace() && quote.is_none();
        if blank {
            if begun {
                words.push(String::new());
            }
            begun = false;
            continue;
        }
        begun = true;
        let Some(word) = words.last_mut() else { break };
        match (letter, quote) {
            ('\'' | '"', None) => quote = Some(letter),
            (_, Some(open)) if letter == open => quote = None,
            ('\\', None | Some('"')) => word.extend(rest.next()),
            _ => word.push(letter),
        }
    }
    let is_assignment =
        |word: &String| word.split('/').next().is_some_and(|word| word.contains('='));
    while words.len() > 1 && is_assignment(&words[0]) {
        words.remove(0);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_line_may_end_anywhere() {
        assert_eq!(words("certroll  plan a\\ b 'c d"), ["certroll", "plan", "a b", "c d"]);
        assert_eq!(words("certroll plan "), ["certroll", "plan", ""]);
        assert_eq!(words("A=1 B=x certroll \"p\"q"), ["certroll", "pq"]);
        assert_eq!(words(""), [""]);
        assert_eq!(words("certroll \\"), ["certroll", ""]);
    }
}
