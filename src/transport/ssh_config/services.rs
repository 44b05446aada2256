//! Ports by name, as `services(5)` has them: OpenSSH takes `Port ssh`.

/// The system's file.
const FILE: &str = "/etc/services";

/// The TCP port of a service, by its name or one of its aliases.
pub(super) fn tcp_port(name: &str) -> Option<u16> {
    in_text(&std::fs::read_to_string(FILE).ok()?, name)
}

fn in_text(text: &str, name: &str) -> Option<u16> {
    text.lines().find_map(|line| {
        let line = line.split('#').next()?;
        let mut words = line.split_whitespace();
        let official = words.next()?;
        let port = words.next()?.strip_suffix("/tcp")?;
        let mut names = std::iter::once(official).chain(words);
        names.any(|word| word == name).then(|| port.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_of_tcp_alone() {
        let text =
            "# ssh 1/tcp\nssh\t\t22/tcp\t# SSH\nsnmp 161/udp\nhttp 80/tcp www www-http\nodd\n";
        assert_eq!(in_text(text, "ssh"), Some(22));
        assert_eq!(in_text(text, "www-http"), Some(80));
        assert_eq!(in_text(text, "snmp"), None);
        assert_eq!(in_text(text, "odd"), None);
    }
}
