//! Texts of different hosts that say the same: what tells one host from another is taken out.

use crate::model::HostName;
use std::net::{IpAddr, SocketAddr};

/// `text` without the name and the addresses of its host.
pub(super) fn without_host(text: &str, host: &HostName) -> String {
    by_word(&without_name(text, host.as_str()), |word| {
        let is_address = word.parse::<IpAddr>().is_ok() || word.parse::<SocketAddr>().is_ok();
        is_address.then_some("ADDRESS")
    })
}

/// The same, and without the fingerprints of its certificates.
pub(super) fn without_certificate(text: &str, host: &HostName) -> String {
    by_word(&without_host(text, host), |word| {
        let is_digest =
            [8, 64].contains(&word.len()) && word.bytes().all(|b| b.is_ascii_hexdigit());
        is_digest.then_some("FINGERPRINT")
    })
}

/// Each word whose core `stands_for` something is replaced by that.
fn by_word(text: &str, stands_for: impl Fn(&str) -> Option<&'static str>) -> String {
    // The words of a table's row are parted by tabs, its rows by newlines.
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let core = word.trim_matches(|c: char| {
            c.is_whitespace() || matches!(c, ':' | ',' | ';' | '.' | '(' | ')' | '\'')
        });
        match stands_for(core) {
            Some(other) => word.replace(core, other),
            None => word.to_owned(),
        }
    });
    words.collect()
}

/// `text` with `HOST` wherever `name` stands as a word of its own.
fn without_name(text: &str, name: &str) -> String {
    let in_name = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(name).filter(|_| !name.is_empty()) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let alone = !before.ends_with(in_name) && !after.starts_with(in_name);
        out.push_str(before);
        out.push_str(if alone { "HOST" } else { name });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_taken_out() {
        let said = "edge1.example.net:443 on edge1: not edge11, not pre-edge1 (10.0.0.1:443)";
        assert_eq!(
            without_host(said, &HostName::new("edge1")),
            "HOST.example.net:443 on HOST: not edge11, not pre-edge1 (ADDRESS)"
        );
        assert_eq!(without_host("a failed", &HostName::new("")), "a failed");
    }

    #[test]
    fn fingerprints_are_taken_out_and_other_hex_is_not() {
        let host = HostName::new("edge1");
        assert_eq!(
            without_certificate("3f2a1b9c (12 d), not abc or 1234567", &host),
            "FINGERPRINT (12 d), not abc or 1234567"
        );
        assert_eq!(
            without_certificate("key\t0a1b2c3d → 3f2a1b9c\ncert\t747d8fff (7 d)", &host),
            "key\tFINGERPRINT → FINGERPRINT\ncert\tFINGERPRINT (7 d)"
        );
    }
}
