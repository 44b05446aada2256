//! Why no certificate was seen, in words and with advice.

use crate::model::text::printable;
use crate::model::{Fingerprint, StartTls};
use crate::verify::probe::Phase;
use std::fmt;
use std::time::Duration;

/// Said of a server that answers with an older version.
pub(super) const OLD_VERSIONS: &str = "the server speaks neither TLS 1.2 nor 1.3";

/// Bytes of a server's reply that are shown.
const SHOWN: usize = 200;

/// Replies of a server that is well and has no room now: 421 of SMTP (RFC 5321 §4.2.3) and FTP
/// (RFC 959 §4.2.1), MySQL's "too many connections", PostgreSQL's "too many connections" and
/// "starting up", LDAP's "busy" (RFC 4511 appendix A.2).
const BUSY: [&str; 5] = ["421", "error 1040", "53300", "57P03", "result 51 "];

/// A try that ended without a certificate, or without proof of its key.
///
/// Texts from the server are printable and short already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The name has no address.
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        message: String,
    },
    /// No connection came about.
    Connect(ConnectFailure),
    /// The port does not speak TLS.
    PlainText {
        /// What it said instead.
        seen: String,
    },
    /// The server said no to STARTTLS, or to talking at all.
    StartTls {
        /// In which part of the dialogue.
        phase: Phase,
        /// Its reply.
        reply: String,
    },
    /// STARTTLS is not among what the server can do.
    NotOffered {
        /// The dialogue that was tried.
        protocol: StartTls,
    },
    /// Bytes in plain text after the server accepted STARTTLS: an attack, or a broken server
    /// (the class of CVE-2011-0411 and CVE-2021-23222).
    Injected {
        /// The bytes.
        seen: String,
    },
    /// The reply is not of the protocol that was asked for.
    Unexpected {
        /// The dialogue that was tried.
        protocol: StartTls,
        /// In which part of it.
        phase: Phase,
        /// The reply.
        seen: String,
    },
    /// The reply grew beyond every bound.
    Endless {
        /// In which part of the dialogue.
        phase: Phase,
    },
    /// The server ended the handshake with a TLS alert.
    Alert {
        /// Its name in the IANA registry, as `handshake_failure`.
        name: String,
    },
    /// The server speaks TLS, but in no way in which its certificate and key could be seen and checked.
    Unverifiable {
        /// In which way, as `TLS 1.2 with RSA key exchange`.
        speaks: String,
    },
    /// A certificate was served, but the signature is not of its key: certificate and key on
    /// the server do not belong together.
    BadSignature {
        /// The certificate.
        leaf: Fingerprint,
    },
    /// The server closed or reset the connection.
    Closed {
        /// During what.
        phase: Phase,
    },
    /// The time was up.
    Timeout {
        /// During what.
        phase: Phase,
        /// How long the whole try was allowed to take.
        after: Duration,
    },
    /// Anything else that keeps TLS from working.
    Tls {
        /// What it is.
        message: String,
    },
}

/// Why no connection came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// Nothing listens on the port.
    Refused,
    /// The other side reset it.
    Reset,
    /// Nobody answered.
    TimedOut,
    /// No route, or a firewall that says so.
    Unreachable,
    /// The machine at the other end of the SSH link could not connect, in its words.
    Onwards(String),
    /// The dialler's own words.
    Other(String),
}

impl Refusal {
    /// What happened, one line in lower case without a full stop.
    pub fn describe(&self) -> String {
        match self {
            Self::Resolve { host, message } => {
                format!("the name '{}' cannot be resolved: {message}", printable_line(host))
            }
            Self::Connect(failure) => failure.describe(),
            Self::PlainText { seen } if seen.is_empty() => "the port does not speak TLS".to_owned(),
            Self::PlainText { seen } => format!("the port does not speak TLS, it says: {seen}"),
            Self::StartTls { phase: Phase::Greeting, reply } => {
                format!("the server rejects the connection: {reply}")
            }
            Self::StartTls { phase: Phase::Capabilities, reply } => {
                format!("the server does not list its capabilities: {reply}")
            }
            Self::StartTls { reply, .. } => format!("the server refuses STARTTLS: {reply}"),
            Self::NotOffered { protocol } => {
                format!("the server does not offer STARTTLS ({})", protocol.name())
            }
            Self::Injected { seen } => {
                format!("plain text after the server accepted STARTTLS: {seen}")
            }
            Self::Unexpected { protocol, phase, seen } if seen.is_empty() => {
                format!("{phase} is not {}", protocol.name())
            }
            Self::Unexpected { protocol, phase, seen } => {
                format!("{phase} is not {}: {seen}", protocol.name())
            }
            Self::Endless { phase } => format!("{phase} does not end"),
            Self::Alert { name } => match alert_meaning(name) {
                Some(meaning) => format!("TLS alert {name}: {meaning}"),
                None => format!("TLS alert {name}"),
            },
            Self::Unverifiable { speaks } => {
                format!("the server speaks {speaks} alone, in which no certificate can be verified")
            }
            Self::BadSignature { leaf } => {
                format!("the signature does not belong to the served certificate {}", leaf.short())
            }
            Self::Closed { phase: Phase::Tls } => {
                "the server closes the connection in the TLS handshake".to_owned()
            }
            Self::Closed { phase } => format!("the server closes the connection before {phase}"),
            Self::Timeout { phase: Phase::Connect, after } => {
                format!("no connection within {}", humantime::format_duration(*after))
            }
            Self::Timeout { phase, after } => {
                format!("{phase} did not end within {}", humantime::format_duration(*after))
            }
            Self::Tls { message } => message.clone(),
        }
    }

    /// What to look at next: sentences of one line, the likeliest first.
    pub fn advice(&self) -> Vec<String> {
        match self {
            Self::Resolve { .. } => list(&["check the endpoint's name, or give an address"]),
            Self::Connect(failure) => failure.advice(),
            Self::PlainText { seen } => plain_text_advice(seen),
            Self::StartTls { reply, .. } if reply.starts_with("454") => {
                list(&["the server could not load its certificate or key: see its log"])
            }
            Self::StartTls { phase: Phase::Greeting, .. } => list(&[
                "the server limits who may connect: probe from where it is allowed (via: host)",
            ]),
            Self::StartTls { .. } => list(&[
                "TLS is switched off in the service, or it could not load its certificate: see its log",
            ]),
            Self::NotOffered { .. } => list(&[
                "TLS is switched off in the service, or the server could not load its certificate",
                "a port that speaks TLS from the first byte takes starttls: none",
            ]),
            Self::Injected { .. } => list(&[
                "something between here and the server, or the server itself, injects commands: do not trust this path",
            ]),
            Self::Unexpected { seen, .. } if seen.starts_with("HTTP/") => {
                list(&["a web server answers: check the port; HTTPS takes starttls: none"])
            }
            Self::Unexpected { seen, .. } => plain_text_advice(seen),
            Self::Endless { .. } => {
                list(&["check that endpoint and starttls name the right service"])
            }
            Self::Alert { name } => alert_advice(name),
            Self::Unverifiable { .. } => list(&[
                "allow the server TLS 1.2 or 1.3 with X25519, P-256, P-384 or P-521 and AES-GCM or ChaCha20 as well, or say `verify: false`",
            ]),
            Self::BadSignature { .. } => list(&[
                "certificate and key on the server do not belong together: compare their public keys",
            ]),
            Self::Closed { phase: Phase::Tls } => list(&[
                "the service has no usable certificate and key, or the port does not speak TLS: see its log",
            ]),
            Self::Closed { .. } => {
                list(&["the service limits who may connect, or is unhealthy: see its log"])
            }
            Self::Timeout { phase: Phase::Connect, .. } => list(&[
                "a firewall drops the packets, or the host is down: probe from the host itself (via: host)",
            ]),
            Self::Timeout { phase: Phase::Greeting, .. } => list(&[
                "a port that speaks TLS from the first byte waits for the client: try starttls: none",
            ]),
            Self::Timeout { .. } => list(&[
                "the port may not speak TLS at all, or the service is overloaded: raise timeout, or check starttls",
            ]),
            Self::Tls { .. } => {
                list(&["look with: openssl s_client -connect HOST:PORT -servername NAME"])
            }
        }
    }

    /// Whether the server may be well and only speak TLS in a way that was not offered.
    pub fn shares_nothing(&self) -> bool {
        match self {
            Self::Alert { name } => {
                matches!(
                    name.as_str(),
                    "handshake_failure" | "insufficient_security" | "protocol_version"
                )
            }
            Self::Tls { message } => message == OLD_VERSIONS,
            _ => false,
        }
    }

    /// Whether waiting is no help: a service that runs says in so many words that it has no TLS to offer,
    /// and that rarely heals by itself. [`verify`](crate::verify::verify) gives such a server one more try.
    ///
    /// Not hopeless is everything that a restart looks like, be it behind a balancer that accepts and
    /// closes: no connection, a closed one, silence; nor is a server that says it is busy for now.
    pub fn is_hopeless(&self) -> bool {
        match self {
            Self::Resolve { .. }
            | Self::Connect(_)
            | Self::Closed { .. }
            | Self::Timeout { .. } => false,
            Self::StartTls { reply, .. } => !BUSY.iter().any(|busy| reply.starts_with(busy)),
            Self::PlainText { .. }
            | Self::NotOffered { .. }
            | Self::Injected { .. }
            | Self::Unexpected { .. }
            | Self::Endless { .. }
            | Self::Alert { .. }
            | Self::Unverifiable { .. }
            | Self::BadSignature { .. }
            | Self::Tls { .. } => true,
        }
    }
}

impl ConnectFailure {
    fn describe(&self) -> String {
        match self {
            Self::Refused => "connection refused: nothing listens on the port".to_owned(),
            Self::Reset => "the connection is reset".to_owned(),
            Self::TimedOut => "no answer from the port".to_owned(),
            Self::Unreachable => "the host cannot be reached".to_owned(),
            Self::Onwards(message) | Self::Other(message) => format!("no connection: {message}"),
        }
    }

    fn advice(&self) -> Vec<String> {
        match self {
            Self::Refused => list(&[
                "the service is down, or listens elsewhere: look at its log, and at the endpoint's port",
            ]),
            Self::Reset => list(&["a firewall or the service itself rejects the connection"]),
            Self::TimedOut | Self::Unreachable => list(&[
                "a firewall drops the packets, or the host is down: probe from the host itself (via: host)",
            ]),
            Self::Onwards(message) if message.contains("prohibited") => list(&[
                "SSH must forward connections for this `via:`: see AllowTcpForwarding and PermitOpen there",
            ]),
            Self::Onwards(_) => list(&[
                "the service is down, listens elsewhere, or its name is not known on the machine that connects (via:)",
            ]),
            Self::Other(_) => {
                list(&["look with: openssl s_client -connect HOST:PORT -servername NAME"])
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.describe())
    }
}

impl std::error::Error for Refusal {}

/// A server's bytes as one short printable line.
pub(super) fn shown(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(SHOWN)];
    let mut line = printable_line(&printable(head, SHOWN));
    if bytes.len() > SHOWN {
        line.push('…');
    }
    line
}

fn printable_line(text: &str) -> String {
    let text = printable(text.as_bytes(), 4 * SHOWN);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn list(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// The well-known first words of protocols, and what to write in the playbook for each.
fn plain_text_advice(seen: &str) -> Vec<String> {
    let upper = seen.to_ascii_uppercase();
    let line = if upper.starts_with("HTTP/") || upper.contains("<HTML") {
        "this is plain HTTP: check the port"
    } else if upper.starts_with("SSH-") {
        "this is an SSH server: check the port"
    } else if upper.starts_with("220") && upper.contains("FTP") {
        "this looks like FTP: try starttls: ftp"
    } else if upper.starts_with("220") && upper.contains("LMTP") {
        "this looks like LMTP: try starttls: lmtp"
    } else if upper.starts_with("220") {
        "this looks like SMTP: try starttls: smtp"
    } else if upper.starts_with("* OK") || upper.starts_with("* PREAUTH") {
        "this looks like IMAP: try starttls: imap"
    } else if upper.starts_with("+OK") {
        "this looks like POP3: try starttls: pop3"
    } else if upper.starts_with("\"IMPLEMENTATION\"") {
        "this looks like ManageSieve: try starttls: sieve"
    } else if upper.starts_with("<?XML") || upper.starts_with("<STREAM:") {
        "this looks like XMPP: try starttls: xmpp"
    } else if upper.contains("MARIADB") || upper.contains("MYSQL") {
        "this looks like MySQL: try starttls: mysql"
    } else if seen == TLS_ALERT {
        "the port speaks TLS from the first byte: try starttls: none"
    } else {
        "check that endpoint and starttls name the right service and port"
    };
    list(&[line])
}

/// Shown in place of a TLS alert that answers a dialogue in plain text.
pub(super) const TLS_ALERT: &str = "a TLS alert";

fn alert_meaning(name: &str) -> Option<&'static str> {
    Some(match name {
        "protocol_version" => OLD_VERSIONS,
        "handshake_failure" => {
            "no cipher, curve or certificate in common, or no usable certificate and key on the server"
        }
        "insufficient_security" => "the server wants other ciphers",
        "unrecognized_name" => "the server has no certificate for this name",
        "internal_error" => {
            "the server had an internal error, often because of a certificate and key that do not match"
        }
        "certificate_required" => "the server wants a client certificate",
        "no_application_protocol" => "the server wants an ALPN protocol",
        _ => return None,
    })
}

fn alert_advice(name: &str) -> Vec<String> {
    match name {
        "protocol_version" => list(&["enable TLS 1.2 or 1.3 on the server"]),
        "handshake_failure" | "insufficient_security" => {
            list(&["look at the service's log: often key and certificate do not match"])
        }
        "unrecognized_name" => {
            list(&["check server_name: the service has no virtual host of that name"])
        }
        "internal_error" => list(&["look at the service's log"]),
        _ => list(&["look with: openssl s_client -connect HOST:PORT -servername NAME"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_helps_while_a_service_restarts_is_silent_or_busy() {
        let reply = |text: &str| Refusal::StartTls { phase: Phase::Greeting, reply: text.into() };
        assert!(reply("454 4.7.0 TLS not available").is_hopeless());
        assert!(!reply("421 4.7.0 too many connections").is_hopeless());
        assert!(Refusal::PlainText { seen: "HTTP/1.1 400".into() }.is_hopeless());
        assert!(!Refusal::Connect(ConnectFailure::Refused).is_hopeless());
        assert!(!Refusal::Closed { phase: Phase::Tls }.is_hopeless());
        let after = Duration::from_secs(10);
        assert!(!Refusal::Timeout { phase: Phase::Tls, after }.is_hopeless());
    }

    #[test]
    fn plain_text_is_recognised() {
        let advice = |seen: &str| Refusal::PlainText { seen: seen.into() }.advice().join("|");
        assert_eq!(advice("220 mail ESMTP"), "this looks like SMTP: try starttls: smtp");
        assert_eq!(advice("HTTP/1.1 400 Bad Request"), "this is plain HTTP: check the port");
        assert_eq!(advice("* OK ready"), "this looks like IMAP: try starttls: imap");
    }

    #[test]
    fn shown_text_is_one_short_harmless_line() {
        assert_eq!(shown(b"\x1b]0;x\x07 a\r\nb\t c"), "]0;x a b c");
        assert_eq!(shown(&[b'x'; 300]).chars().count(), SHOWN + 1);
    }
}
