//! OpenSSH's patterns, as `ssh_config(5)` describes them under PATTERNS.

/// Whether `name` matches a comma-separated list: a positive pattern does and no negated one.
/// Both are compared as they are; lower-case them first where case does not matter.
pub(in crate::transport) fn list_matches(list: &str, name: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(negated, name) => return false,
            Some(_) => {}
            None => found |= matches(pattern, name),
        }
    }
    found
}

/// `*` stands for any text, `?` for one character; nothing else is special.
pub(in crate::transport) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on after a mismatch: behind the last star, one character further.
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((behind_star, from)) => {
                    retry = Some((behind_star, from + 1));
                    p = behind_star;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
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
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "*a".repeat(50);
        assert!(!matches(&pattern, &"b".repeat(5000)));
    }

    #[test]
    fn lists() {
        assert!(list_matches("a,b*", "bc"));
        assert!(!list_matches("b*,!bc", "bc"));
        assert!(!list_matches("!x", "y"));
    }
}
