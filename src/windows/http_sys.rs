//! The table of http.sys, which decides by itself which certificate a connection gets: `netsh http show sslcert`.
//!
//! Its words are in the language of the machine, so only its shape is read: an entry begins with a line whose value ends in a
//! port, and has a line whose value is a thumbprint.

use super::thumbprint::Thumbprint;
use crate::model::text::printable;

/// More entries than any machine has.
const MOST: usize = 2_000;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpEntry {
    /// `0.0.0.0:443`, `[::]:443`, or `www.example.net:443` for SNI. Printable.
    pub at: String,
    /// The certificate.
    pub thumbprint: Thumbprint,
}

impl HttpEntry {
    /// The port.
    pub(crate) fn port(&self) -> Option<u16> {
        self.at.rsplit_once(':')?.1.parse().ok()
    }

    /// Whether it is for an address, whatever name a client asks for.
    pub(crate) fn is_for_address(&self) -> bool {
        let host = self.at.rsplit_once(':').map_or("", |(host, _)| host);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<std::net::IpAddr>().is_ok()
    }
}

/// The entries of the table as printed.
pub(crate) fn entries(printed: &str) -> Vec<HttpEntry> {
    let mut all = Vec::new();
    let mut at: Option<String> = None;
    for line in printed.lines() {
        // The label may have colons of its own; what parts it from the value has blanks on both sides.
        let Some((_, value)) = line.split_once(" : ") else { continue };
        let value = value.trim();
        if let Some(thumbprint) = Thumbprint::parse(value) {
            if let Some(at) = at.take() {
                all.push(HttpEntry { at, thumbprint });
            }
        } else if is_place(value) {
            at = Some(printable(value.as_bytes(), 300));
        }
        if all.len() == MOST {
            break;
        }
    }
    all
}

/// Whether it ends in a port.
fn is_place(value: &str) -> bool {
    let Some((host, port)) = value.rsplit_once(':') else { return false };
    let fits = |c: char| !c.is_whitespace() && !c.is_control();
    !host.is_empty() && host.chars().all(fits) && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGLISH: &str = "\r\nSSL Certificate bindings: \r\n------------------------- \r\n\r\n    \
        IP:port                      : 0.0.0.0:443 \r\n    \
        Certificate Hash             : 00112233445566778899aabbccddeeff00112233 \r\n    \
        Application ID               : {4dc3e181-e14b-4a21-b022-59fc669b0914} \r\n    \
        Certificate Store Name       : My \r\n    Usage Check                  : Enabled \r\n    \
        Revocation Freshness Time    : 0 \r\n    Ctl Identifier               : (null) \r\n\r\n    \
        Hostname:port                : www.example.net:443 \r\n    \
        Certificate Hash             : 112233445566778899AABBCCDDEEFF0011223344 \r\n";

    #[test]
    fn each_entry_has_a_place_and_a_certificate() {
        let found = entries(ENGLISH);
        let places: Vec<&str> = found.iter().map(|entry| entry.at.as_str()).collect();
        assert_eq!(places, ["0.0.0.0:443", "www.example.net:443"]);
        assert!(found[0].is_for_address() && !found[1].is_for_address());
        assert_eq!(found[1].port(), Some(443));
        assert_eq!(found[1].thumbprint.short(), "11223344");
    }

    #[test]
    fn its_language_does_not_matter() {
        let other = ENGLISH
            .replace("IP:port ", "IP:Port ")
            .replace("Certificate Hash", "Zertifikathash")
            .replace("Hostname:port", "Hostname:Port");
        assert_eq!(entries(&other), entries(ENGLISH));
    }

    #[test]
    fn garbage_has_no_entries() {
        assert!(entries("").is_empty());
        assert!(
            entries("x : 1\ny : :443\nz : 00112233445566778899aabbccddeeff00112233").is_empty()
        );
        assert!(
            !HttpEntry { at: "[::]x".into(), thumbprint: Thumbprint::of(b"") }.is_for_address()
        );
    }

    #[test]
    fn ipv6_is_an_address() {
        let entry = HttpEntry { at: "[::1]:443".into(), thumbprint: Thumbprint::of(b"") };
        assert!(entry.is_for_address());
    }
}
