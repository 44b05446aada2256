//! Where and how a served certificate is looked at.

use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;

/// A host (name or address) and a port, as `example.net:443` or `[2001:db8::1]:443`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// The text is not `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not HOST:PORT (an IPv6 address goes in brackets: [2001:db8::1]:443)")]
pub struct NotAnEndpoint(pub String);

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, NotAnEndpoint> {
        let wrong = || NotAnEndpoint(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => address,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl serde::Serialize for Endpoint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The dialogue that precedes the TLS handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StartTls {
    /// TLS from the first byte.
    #[default]
    None,
    /// RFC 3207.
    Smtp,
    /// RFC 2033 with RFC 3207.
    Lmtp,
    /// RFC 9051 §6.2.1.
    Imap,
    /// RFC 2595 §4.
    Pop3,
    /// ManageSieve, RFC 5804 §2.2.
    Sieve,
    /// RFC 4511 §4.14.
    Ldap,
    /// RFC 4217 §4.
    Ftp,
    /// SSLRequest of the PostgreSQL protocol.
    Postgres,
    /// SSLRequest of the MySQL protocol.
    Mysql,
    /// RFC 6120 §5.
    Xmpp,
}

impl StartTls {
    /// Every value with its name in playbooks.
    pub const NAMES: [(&'static str, Self); 11] = [
        ("none", Self::None),
        ("smtp", Self::Smtp),
        ("lmtp", Self::Lmtp),
        ("imap", Self::Imap),
        ("pop3", Self::Pop3),
        ("sieve", Self::Sieve),
        ("ldap", Self::Ldap),
        ("ftp", Self::Ftp),
        ("postgres", Self::Postgres),
        ("mysql", Self::Mysql),
        ("xmpp", Self::Xmpp),
    ];

    /// The name used in playbooks.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, value)| *value == self).map_or("none", |(name, _)| name)
    }

    /// The value of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// From where the handshake is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// From the controller's own network.
    #[default]
    Controller,
    /// Through the SSH link, from the host itself.
    Host,
    /// From the last jump host before the host.
    Bastion,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_parse_and_print() {
        for text in ["example.net:443", "[2001:db8::1]:993", "10.0.0.1:25"] {
            assert_eq!(text.parse::<Endpoint>().map(|e| e.to_string()).as_deref(), Ok(text));
        }
        for text in ["example.net", "2001:db8::1:443", ":443", "a:0", "a:70000", "a b:1"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn starttls_names_are_complete() {
        for (name, value) in StartTls::NAMES {
            assert_eq!(value.name(), name);
            assert_eq!(StartTls::by_name(name), Some(value));
        }
    }
}
