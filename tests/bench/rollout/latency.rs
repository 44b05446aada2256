//! A controller that is some milliseconds away from the hosts: a network namespace behind `delay.c`.

use crate::common::fleet::Fleet;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The namespace that [`crate::measure::measure`] starts its command in, while this value lives.
pub(crate) struct Far {
    /// Keeps the namespace.
    there: Child,
    delay: Child,
    namespace: String,
}

/// The hosts know the controller by the bridge's hardware address. So its own address moves behind the cable, and the
/// bridge forwards; who looks at the hosts from where the controller was does it by another address.
const ROUTES: &str = "
    set -e
    ip addr del 198.18.255.1/16 dev br0
    ip addr add 198.18.255.2/16 dev br0
    echo 1 >/proc/sys/net/ipv4/ip_forward
    ip addr add 198.18.255.3 peer 198.18.255.1 dev cable
    ip link set cable up
    nsenter --net=$1 sh -c '
        ip link set lo up
        ip addr add 198.18.255.1 peer 198.18.255.3 dev br0
        ip link set br0 up
        ip route add 198.18.0.0/16 via 198.18.255.3'
";

impl Far {
    /// Moves the controller of `fleet` away, for good: `rtt_ms` from every host and back. `None`, and said so, where no
    /// C compiler is.
    ///
    /// # Errors
    /// The devices or the routes cannot be made.
    pub(crate) fn from(fleet: &Fleet, directory: &Path, rtt_ms: u64) -> io::Result<Option<Self>> {
        if !crate::common::have(&["cc"]) {
            return Ok(None);
        }
        let program = directory.join("delay");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/rollout/delay.c");
        success("cc", Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(source))?;
        let hold = "echo ready; exec sleep infinity";
        let mut there = fleet.controller("unshare", &["--net", "sh", "-c", hold]);
        let (there, told) = first_word(&mut there)?;
        let namespace = format!("/proc/{}/ns/net", there.id());
        let half = (rtt_ms * 500).to_string();
        // Its end is called like the bridge, where bytes are counted.
        let arguments = ["/proc/self/ns/net", "cable", &namespace, "br0", &half];
        let (delay, connected) = first_word(&mut fleet.controller(&program, &arguments))?;
        let far = Self { there, delay, namespace };
        if told != "ready\n" || connected != told {
            return Err(io::Error::other("the delayed cable cannot be made"));
        }
        success("ip", &mut fleet.controller("sh", &["-c", ROUTES, "sh", &far.namespace]))?;
        Ok(Some(far))
    }

    /// The words that a command is started with to be there.
    pub(crate) fn there(&self) -> [String; 2] {
        ["nsenter".to_owned(), format!("--net={}", self.namespace)]
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        for child in [&mut self.delay, &mut self.there] {
            // It may have ended with the fleet.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Starts a program, and waits for the line that it begins with.
fn first_word(command: &mut Command) -> io::Result<(Child, String)> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut told = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut told)?;
    }
    Ok((child, told))
}

fn success(what: &str, command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{what}: {status}"))) }
}
