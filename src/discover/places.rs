//! Ports where services speak TLS by custom, and what precedes the handshake there.

use crate::model::StartTls;

/// A port and the dialogue before its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// TCP port.
    pub port: u16,
    /// What precedes the handshake.
    pub starttls: StartTls,
}

/// Ports that are asked when something listens there and no known service does. Names are those of IANA's registry of
/// ports, and of services that have none there.
pub(crate) const SCANNED: [(u16, StartTls, &str); 29] = [
    (21, StartTls::Ftp, "ftp"),
    (25, StartTls::Smtp, "smtp"),
    (110, StartTls::Pop3, "pop3"),
    (143, StartTls::Imap, "imap"),
    (389, StartTls::Ldap, "ldap"),
    (443, StartTls::None, "https"),
    (465, StartTls::None, "submissions"),
    (587, StartTls::Smtp, "submission"),
    (636, StartTls::None, "ldaps"),
    (853, StartTls::None, "domain-s"),
    (990, StartTls::None, "ftps"),
    (993, StartTls::None, "imaps"),
    (995, StartTls::None, "pop3s"),
    (2379, StartTls::None, "etcd"),
    (3306, StartTls::Mysql, "mysql"),
    (4190, StartTls::Sieve, "sieve"),
    (5061, StartTls::None, "sips"),
    (5222, StartTls::Xmpp, "xmpp-client"),
    (5269, StartTls::Xmpp, "xmpp-server"),
    (5349, StartTls::None, "turns"),
    (5432, StartTls::Postgres, "postgresql"),
    (5671, StartTls::None, "amqps"),
    (6443, StartTls::None, "kubernetes"),
    (6697, StartTls::None, "ircs-u"),
    (8443, StartTls::None, "https-alt"),
    (8883, StartTls::None, "secure-mqtt"),
    (9090, StartTls::None, "cockpit"),
    (9443, StartTls::None, "https-alt"),
    (10000, StartTls::None, "webmin"),
];

impl Place {
    /// A port with the dialogue that is the custom there; TLS from the first byte elsewhere.
    pub(crate) fn customary(port: u16) -> Self {
        let known = SCANNED.iter().find(|(known, ..)| *known == port);
        Self { port, starttls: known.map_or(StartTls::None, |(_, starttls, _)| *starttls) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_in_order_and_each_once() {
        assert!(SCANNED.is_sorted_by(|(one, ..), (next, ..)| one < next));
        assert_eq!(Place::customary(587).starttls, StartTls::Smtp);
        assert_eq!(Place::customary(4433).starttls, StartTls::None);
    }
}
