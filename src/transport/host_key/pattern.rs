//! OpenSSH's patterns, as `ssh_config(5)` describes them under PATTERNS.

pub(in crate::transport) use crate::model::glob::wildcard as matches;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert!(list_matches("a,b*", "bc"));
        assert!(!list_matches("b*,!bc", "bc"));
        assert!(!list_matches("!x", "y"));
    }
}
