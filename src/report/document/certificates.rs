//! The certificates that `discover` found, as rows of a document.

use crate::event::found::{FoundCertificate, FoundState};
use crate::report::found;
use crate::report::run_view::RunView;
use crate::report::theme::line;
use serde::Serialize;

/// One certificate of one host.
#[derive(Debug, Serialize)]
pub(super) struct Certificate {
    days: String,
    host: String,
    service: String,
    names: String,
    issuer: String,
    key: String,
    file: String,
    access: String,
    found: String,
    class: &'static str,
}

/// Of all hosts, those with the fewest days left first.
pub(super) fn certificates(view: &RunView) -> Vec<Certificate> {
    let all =
        view.hosts.iter().flat_map(|(host, run)| run.found.iter().map(move |one| (host, one)));
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(host, one)| {
        (one.certificate.as_ref().map_or(i64::MIN, |leaf| leaf.days_left), *host)
    });
    let row = |(host, one): (&crate::model::HostName, &FoundCertificate)| {
        let leaf = one.certificate.as_ref();
        let text = |text: Option<&String>| text.map(|text| line(text)).unwrap_or_default();
        Certificate {
            days: leaf.map(|leaf| leaf.days_left.to_string()).unwrap_or_default(),
            host: line(host.as_str()),
            service: text(one.service.as_ref()),
            names: found::names(one).unwrap_or_default(),
            issuer: text(leaf.map(|leaf| &leaf.issuer)),
            key: text(leaf.map(|leaf| &leaf.key)),
            file: text(one.file.as_ref()),
            access: text(one.access.as_ref()),
            found: found::state(one),
            class: class(one),
        }
    };
    all.into_iter().map(row).collect()
}

fn class(one: &FoundCertificate) -> &'static str {
    let is_expired = one.certificate.as_ref().is_some_and(|leaf| leaf.days_left < 0);
    match one.state {
        FoundState::Unused => "quiet",
        FoundState::Unreadable | FoundState::Drift => "bad",
        _ if is_expired => "bad",
        FoundState::Served | FoundState::OnlyServed => "good",
        FoundState::Shadowed | FoundState::NotSeen | FoundState::Stopped => "changed",
    }
}
