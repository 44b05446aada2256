//! The file patterns of `Include`, as `glob(3)` reads them.

use std::path::{Path, PathBuf};

/// Files that a pattern names, sorted. A name without special characters stands for itself, whether
/// or not it exists.
pub(super) fn files(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let part = part.as_os_str();
        let text = part.to_string_lossy();
        if !text.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let pattern: Vec<char> = text.chars().collect();
        found = found.iter().flat_map(|directory| matching(directory, &pattern)).collect();
    }
    found
}

fn matching(directory: &Path, pattern: &[char]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| {
            let name: Vec<char> = entry.file_name().to_string_lossy().chars().collect();
            (name.first() != Some(&'.') || pattern.first() == Some(&'.')) && matches(pattern, &name)
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn matches(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => (0..=name.len()).any(|skipped| matches(rest, &name[skipped..])),
        (['?', rest @ ..], [_, name @ ..]) => matches(rest, name),
        (['[', rest @ ..], [c, name @ ..]) => match class(rest, *c) {
            Some((inside, rest)) => inside && matches(rest, name),
            None => *c == '[' && matches(rest, name),
        },
        (['\\', literal, rest @ ..], [c, name @ ..]) => literal == c && matches(rest, name),
        ([literal, rest @ ..], [c, name @ ..]) => literal == c && matches(rest, name),
        _ => false,
    }
}

/// Whether `c` is in the class that `pattern` is within, and what follows the class.
fn class(pattern: &[char], c: char) -> Option<(bool, &[char])> {
    let (negated, pattern) = match pattern {
        ['!' | '^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    // A bracket in the first place is a member.
    let end = 1 + pattern.iter().skip(1).position(|c| *c == ']')?;
    let mut members = &pattern[..end];
    let mut inside = false;
    while let [first, rest @ ..] = members {
        (inside, members) = match rest {
            ['-', last, rest @ ..] => (inside || (*first..=*last).contains(&c), rest),
            _ => (inside || *first == c, rest),
        };
    }
    Some((inside != negated, &pattern[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_a_shell_would() {
        let is = |pattern: &str, name: &str| {
            let (pattern, name): (Vec<_>, Vec<_>) =
                (pattern.chars().collect(), name.chars().collect());
            matches(&pattern, &name)
        };
        assert!(is("*.conf", "10-web.conf") && !is("*.conf", "web.conf.bak"));
        assert!(is("[0-9]?-*", "10-web") && !is("[!0-9]*", "10-web"));
        assert!(is("[]a]", "]") && is("[", "[") && is("a[-b]", "a-"));
    }

    #[test]
    fn sorted_and_without_hidden_files() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", ".hidden.conf", "c.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names: Vec<_> = files(&dir.path().join("*.conf"))
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["a.conf", "b.conf"]);
        assert_eq!(files(&dir.path().join("none")), [dir.path().join("none")]);
    }
}
