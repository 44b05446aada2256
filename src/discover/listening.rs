//! The TCP ports on which a host listens, and who listens there: as `ss` of iproute2 tells it, else as Linux does in
//! `/proc/net/tcp` and `/proc/net/tcp6` (proc(5)), which know no processes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Prints listening sockets: `LISTEN 0 511 *:443 *:* users:(("nginx",pid=7,fd=6))` where there is `ss`, else
/// `0100007F:01BB`. State 0A is TCP_LISTEN.
pub(super) const COMMAND: &str = "ss -Hltnp 2>/dev/null || \
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == \"0A\" { print $2 }'";

/// More sockets than any host has; the output is the host's.
const MOST: usize = 10_000;

/// A port that somebody listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listening {
    /// Where the host itself reaches it.
    pub address: IpAddr,
    /// Names of the processes that listen; empty where the host does not tell.
    pub processes: BTreeSet<String>,
}

/// Every port that somebody listens on.
pub(super) fn listening(output: &str) -> BTreeMap<u16, Listening> {
    let mut ports: BTreeMap<u16, Listening> = BTreeMap::new();
    for line in output.lines().take(MOST) {
        let told = if line.starts_with("LISTEN") { of_ss(line) } else { of_kernel(line.trim()) };
        let Some((address, port, processes)) = told else { continue };
        let own = if address.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address };
        let known = ports
            .entry(port)
            .or_insert_with(|| Listening { address: own, processes: BTreeSet::new() });
        // Loopback first; of several others the smallest, for a stable answer.
        let rank = |address: IpAddr| (!address.is_loopback(), address);
        if rank(own) < rank(known.address) {
            known.address = own;
        }
        known.processes.extend(processes);
    }
    ports
}

type Socket = (IpAddr, u16, BTreeSet<String>);

fn of_ss(line: &str) -> Option<Socket> {
    let mut words = line.split_ascii_whitespace().skip(3);
    let (address, port) = words.next()?.rsplit_once(':')?;
    // An address may name its interface.
    let address = address.trim_matches(['[', ']']).split('%').next()?;
    let address = match address {
        "*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        address => address.trim_end_matches(']').parse::<IpAddr>().ok()?.to_canonical(),
    };
    let users = words.nth(1).unwrap_or_default();
    let names = users.split("(\"").skip(1).filter_map(|part| Some(part.split_once('"')?.0));
    Some((address, port.parse().ok()?, names.map(str::to_owned).collect()))
}

/// The kernel prints addresses as words of the machine's byte order, which is little-endian wherever certroll was
/// tried; `::ffff:a.b.c.d` is the address in it.
fn of_kernel(text: &str) -> Option<Socket> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::to_le_bytes);
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(address)?)),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_mut(4).enumerate() {
                chunk.copy_from_slice(&word(address.get(8 * index..8 * index + 8)?)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some((address, port, BTreeSet::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(output: &str) -> Vec<String> {
        let ports = listening(output);
        let one = |(port, at): (&u16, &Listening)| {
            let names: Vec<&str> = at.processes.iter().map(String::as_str).collect();
            format!("{} {port} {}", at.address, names.join(",")).trim_end().to_owned()
        };
        ports.iter().map(one).collect()
    }

    #[test]
    fn what_the_kernel_tells() {
        let output = "00000000:01BB\n0100007F:0CEA\n00000000000000000000000000000000:0016\n\
                      B80D0120000000000000000001000000:0050\n\
                      0000000000000000FFFF00000100007F:1F90\n0A00A8C0:2384\nno socket\n";
        assert_eq!(
            shown(output),
            [
                "127.0.0.1 22",
                "2001:db8::1 80",
                "127.0.0.1 443",
                "127.0.0.1 3306",
                "127.0.0.1 8080",
                "192.168.0.10 9092"
            ]
        );
    }

    #[test]
    fn what_ss_tells() {
        let output = "LISTEN 0 511 0.0.0.0:443 0.0.0.0:* users:((\"nginx\",pid=7,fd=6),(\"nginx\",pid=8,fd=6))\n\
                      LISTEN 0 511 [::]:443 [::]:*    users:((\"nginx\",pid=7,fd=7))\n\
                      LISTEN 0 4096 127.0.0.53%lo:53 0.0.0.0:*\n\
                      LISTEN 0 100 *:993 *:* users:((\"imap-login\",pid=3,fd=1),(\"dovecot\",pid=2,fd=9))\n";
        assert_eq!(
            shown(output),
            ["127.0.0.53 53", "127.0.0.1 443 nginx", "127.0.0.1 993 dovecot,imap-login"]
        );
    }

    #[test]
    fn loopback_is_preferred() {
        assert_eq!(shown("0A00A8C0:01BB\n0100007F:01BB\n0B00A8C0:01BB\n"), ["127.0.0.1 443"]);
    }
}
