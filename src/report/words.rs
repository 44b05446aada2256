//! Words that several reporters share: lists of hosts, certificates, what was verified.

use super::host_run::Verified;
use super::theme;
use crate::event::HostSummary;
use crate::event::planned::{CertBrief, ServiceEnd};
use crate::event::status::UnfinishedState;
use crate::model::{HostName, Outcome};
use anstyle::Style;
use indexmap::IndexMap;

/// `edge1, edge2, edge3 and 37 more hosts`: at most `most` names.
pub(super) fn hosts<'a>(names: impl IntoIterator<Item = &'a HostName>, most: usize) -> String {
    let names: Vec<&HostName> = names.into_iter().collect();
    // One name more costs no more than saying that there is one more.
    let shown = if names.len() == most + 1 { names.len() } else { most.min(names.len()) };
    let list: Vec<String> = names[..shown].iter().map(|name| theme::line(name.as_str())).collect();
    let list = list.join(", ");
    match names.len() - shown {
        0 => list,
        rest => format!("{list} and {rest} more hosts"),
    }
}

/// `8d7e6f5a (89 d)`, `3f2a1b9c (expired 3 d ago)`.
pub(super) fn certificate(brief: &CertBrief) -> String {
    let left = match brief.days_left {
        days @ 0.. => format!("{days} d"),
        days => format!("expired {} d ago", days.unsigned_abs()),
    };
    format!("{} ({left})", brief.fingerprint.short())
}

/// `nginx 8d7e6f5a until 2027-02-21`; not `exact`: without the fingerprint, which differs from host
/// to host.
pub(super) fn service(end: &ServiceEnd, exact: bool) -> String {
    let mut words = theme::line(&end.service);
    match end.fingerprint {
        Some(leaf) if exact => words.push_str(&format!(" {}", leaf.short())),
        Some(_) => {}
        None => words.push_str(": nothing seen"),
    }
    if let Some(last) = end.not_after {
        words.push_str(&format!(" until {}", last.date()));
    }
    words
}

/// How days left are painted.
pub(super) fn expiry(days_left: Option<i64>) -> Style {
    match days_left {
        Some(..0) => theme::BAD,
        Some(0..14) => theme::WARNING,
        _ => Style::new(),
    }
}

/// How an outcome is painted.
pub(super) fn style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Unknown(_) | Outcome::NotRestored(_) => theme::LOUD,
        Outcome::Failed(_) | Outcome::RolledBack(_) | Outcome::Unreachable => theme::BAD,
        Outcome::Changed => theme::CHANGED,
        Outcome::Unchanged => theme::GOOD,
        Outcome::Skipped => theme::QUIET,
    }
}

/// The order of outcomes in tables: what needs a person comes first.
pub(super) fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::NotRestored(_) => 0,
        Outcome::Unknown(_) => 1,
        Outcome::RolledBack(_) => 2,
        Outcome::Failed(_) => 3,
        Outcome::Unreachable => 4,
        Outcome::Changed => 5,
        Outcome::Unchanged => 6,
        Outcome::Skipped => 7,
    }
}

/// Hosts in their own order, but for those that were not restored: wherever hosts are listed these come first.
pub(super) fn loudest_first(
    hosts: &IndexMap<HostName, HostSummary>,
) -> impl Iterator<Item = (&HostName, &HostSummary)> {
    let is_loud = |counts: &HostSummary| matches!(counts.outcome, Outcome::NotRestored(_));
    let loud = hosts.iter().filter(move |(_, counts)| is_loud(counts));
    loud.chain(hosts.iter().filter(move |(_, counts)| !is_loud(counts)))
}

/// What is known of what is served, and how it is known. Never claims more than was seen.
/// Not `exact`: without endpoints and fingerprints, which differ from host to host.
pub(super) fn verified(seen: &Verified, exact: bool) -> String {
    let handshake = seen.handshake.as_ref().map(|seen| match exact {
        true => seen.clone(),
        false => "each seen by a handshake".to_owned(),
    });
    match seen.certificate {
        None => handshake.unwrap_or_default(),
        Some(Outcome::Changed) => {
            handshake.unwrap_or_else(|| "NOT VERIFIED: no handshake was made".to_owned())
        }
        Some(Outcome::Unchanged) => {
            handshake.unwrap_or_else(|| "as wanted at inspection".to_owned())
        }
        Some(Outcome::RolledBack(_)) => match &seen.rollback {
            Some(seen) => seen.clone(),
            None => "NOT VERIFIED after the rollback".to_owned(),
        },
        Some(Outcome::NotRestored(_)) => match &seen.rollback {
            Some(seen) => seen.clone(),
            None => "NOT RESTORED: the service is down".to_owned(),
        },
        Some(Outcome::Unknown(_)) => "NOT KNOWN".to_owned(),
        Some(Outcome::Failed(_) | Outcome::Unreachable | Outcome::Skipped) => {
            "untouched".to_owned()
        }
    }
}

/// What the next contact does with an interrupted transaction.
pub(super) fn unfinished(state: UnfinishedState) -> &'static str {
    match state {
        UnfinishedState::Undo => "will be rolled back by the next contact",
        UnfinishedState::ClearUp => "confirmed; only the clearing up is left",
        UnfinishedState::Conflict => "rolled back, except for files modified by another process",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_counted() {
        let names: Vec<HostName> = (1..=5).map(|n| HostName::new(format!("e{n}"))).collect();
        assert_eq!(hosts(&names, 9), "e1, e2, e3, e4, e5");
        assert_eq!(hosts(&names, 4), "e1, e2, e3, e4, e5");
        assert_eq!(hosts(&names, 2), "e1, e2 and 3 more hosts");
        assert_eq!(hosts(&[], 2), "");
    }

    #[test]
    fn a_change_without_a_handshake_is_never_called_verified() {
        let mut verified = Verified { certificate: Some(Outcome::Changed), ..Verified::default() };
        assert_eq!(super::verified(&verified, true), "NOT VERIFIED: no handshake was made");
        verified.handshake = Some("seen".to_owned());
        assert_eq!(super::verified(&verified, true), "seen");
        assert_eq!(super::verified(&verified, false), "each seen by a handshake");
    }
}
