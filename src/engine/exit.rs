//! Exit codes. `docs/exit-codes.md` explains each to operators.

use crate::event::StopReason;

/// All well.
pub(crate) const OK: u8 = 0;
/// The run could not go on: usage, playbook, inventory, vault, material.
pub(crate) const USAGE: u8 = 1;
/// Some host failed; rolled back counts as failed.
pub(crate) const FAILED: u8 = 2;
/// `plan --exit-code`: changes are pending.
pub(crate) const PENDING: u8 = 3;
/// Some host was unreachable and none failed.
pub(crate) const UNREACHABLE: u8 = 4;
/// Some hosts failed and some were unreachable.
pub(crate) const FAILED_AND_UNREACHABLE: u8 = 6;
/// Interrupted by the operator.
pub(crate) const INTERRUPTED: u8 = 130;

/// Every code with its name, in the order of `docs/exit-codes.md`.
#[cfg(test)]
const ALL: [(u8, &str); 7] = [
    (OK, "ok"),
    (USAGE, "usage"),
    (FAILED, "failed"),
    (PENDING, "pending"),
    (UNREACHABLE, "unreachable"),
    (FAILED_AND_UNREACHABLE, "failed and unreachable"),
    (INTERRUPTED, "interrupted"),
];

/// The code of a run with so many failed and unreachable hosts; an interrupt is told before failures.
pub(crate) fn code(failed: usize, unreachable: usize, stopped: Option<StopReason>) -> u8 {
    if stopped >= Some(StopReason::Interrupt) {
        return INTERRUPTED;
    }
    of_hosts(failed, unreachable)
}

/// The code of hosts that failed and hosts that were unreachable.
pub(crate) fn of_hosts(failed: usize, unreachable: usize) -> u8 {
    match (failed > 0, unreachable > 0) {
        (false, false) => OK,
        (true, false) => FAILED,
        (false, true) => UNREACHABLE,
        (true, true) => FAILED_AND_UNREACHABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_the_constants_agree() {
        let page = include_str!("../../docs/exit-codes.md");
        let rows = page.lines().filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            Some((cells.next()?.parse::<u8>().ok()?, cells.next()?.to_owned()))
        });
        let documented: Vec<(u8, String)> = rows.collect();
        assert_eq!(documented, ALL.map(|(code, name)| (code, name.to_owned())));
    }

    #[test]
    fn both_failed_and_unreachable_is_the_sum() {
        assert_eq!(of_hosts(0, 0), OK);
        assert_eq!(of_hosts(3, 0) | of_hosts(0, 1), of_hosts(3, 1));
    }
}
