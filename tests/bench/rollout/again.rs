//! What it costs a host to be asked and to have nothing to do, beside a plain log-in.

use crate::common::fleet::Fleet;
use crate::measure::measure;
use crate::{Spread, peers};
use std::io::{self, Write};
use std::path::Path;

/// `apply` again, and `plan`, on a fleet that has what it should; a log-in with sudo; and the same with the service's
/// check, which is what the check itself costs.
pub(crate) fn nothing_to_do(
    fleet: &Fleet,
    directory: &Path,
    hosts: usize,
    runs: usize,
) -> io::Result<()> {
    let apply = peers::peers(fleet, directory)?.swap_remove(0);
    let apply = (apply.argv)("gen1");
    let plan =
        apply.iter().map(|word| if word == "apply" { "plan".to_owned() } else { word.clone() });
    let log_in = |command: &str| {
        let config = fleet.dir().join("ssh/config");
        let (hosts, config) = (directory.join("hosts"), config.display());
        let script = format!(
            "xargs -a '{}' -P 50 -I {{}} ssh -F '{config}' {{}} 'sudo -n {command}'",
            hosts.display()
        );
        vec!["sh".to_owned(), "-c".to_owned(), script]
    };
    let contenders = [
        ("certroll apply, nothing to do", apply.clone()),
        ("certroll plan", plan.collect()),
        ("ssh, sudo -n true", log_in("true")),
        ("ssh, sudo -n nginx -t -q", log_in("nginx -t -q")),
    ];
    fleet.reset("gen1");
    let mut used: Vec<Vec<f64>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..runs {
        for ((_, argv), used) in contenders.iter().zip(&mut used) {
            used.push(measure(fleet, directory, argv)?.host_cpu * 1000.0 / hosts as f64);
        }
    }
    let mut out = io::stdout();
    writeln!(out, "nothing to do, {hosts} hosts: ms of CPU on each host (median of {runs})")?;
    let mut medians = Vec::new();
    for ((name, _), used) in contenders.iter().zip(&used) {
        let spread = Spread::of(used.iter().copied());
        writeln!(out, "{name:<30} {:.0} ({:.0}–{:.0})", spread.median, spread.min, spread.max)?;
        medians.push(spread.median);
    }
    if let [again, _, log_in, with_check] = medians[..] {
        let check = with_check - log_in;
        writeln!(
            out,
            "apply again is {:.2} times a log-in and a check; the aim is {:.0} ms: 0.6 log-ins and a check\n",
            again / with_check,
            0.6 * log_in + check
        )?;
    }
    Ok(())
}
