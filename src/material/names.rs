//! Which names a certificate covers.

use std::net::IpAddr;

/// Whether subject alternative names cover `name` (RFC 9525 §6.3, formerly RFC 6125): an IP
/// address only by an equal address; a DNS name, case-insensitively, by an equal name or by a `*`
/// that is the whole leftmost label and stands for exactly one. The common name does not count.
pub(crate) fn covers(dns_names: &[String], ip_addresses: &[IpAddr], name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    match bare.parse::<IpAddr>() {
        Ok(address) => ip_addresses.contains(&address),
        Err(_) => dns_names.iter().any(|pattern| matches(pattern, name)),
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (without_root(pattern), without_root(name));
    if pattern.eq_ignore_ascii_case(name) {
        return !name.is_empty();
    }
    let Some(parent) = pattern.strip_prefix("*.") else { return false };
    match name.split_once('.') {
        // A wildcard for a whole top-level domain is not honoured by any client.
        Some((label, rest)) => {
            !label.is_empty() && parent.contains('.') && rest.eq_ignore_ascii_case(parent)
        }
        None => false,
    }
}

fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_covered_as_in_rfc_9525() {
        let dns =
            ["www.example.net", "*.example.org", "*.net", "w*.example.com", "a.*.example.com"]
                .map(str::to_owned);
        let ip = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().expect("address"));
        for name in [
            "www.example.net",
            "WWW.Example.NET",
            "www.example.net.",
            "mail.example.org",
            "192.0.2.1",
            "2001:db8:0::1",
            "[2001:db8::1]",
        ] {
            assert!(covers(&dns, &ip, name), "{name}");
        }
        for name in [
            "example.net",
            "example.org",
            "a.b.example.org",
            ".example.org",
            "example.net",
            "www.example.com",
            "a.b.example.com",
            "192.0.2.2",
            "",
            ".",
        ] {
            assert!(!covers(&dns, &ip, name), "{name}");
        }
        assert!(
            !covers(&["192.0.2.1".to_owned()], &[], "192.0.2.1"),
            "an address needs an iPAddress"
        );
    }
}
