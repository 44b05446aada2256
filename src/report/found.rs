//! The certificates that `certroll discover` found, as a table sorted by days left.

use super::table::{self, Share, Text, plain};
use super::theme::{self, Theme, line};
use super::words;
use crate::event::found::{FoundCertificate, FoundEndpoint, FoundState};
use crate::model::HostName;

/// Names of a certificate that a row shows.
const NAMES: usize = 2;

/// The table; empty when nothing was found. Without a host the column for it is left out.
pub(crate) fn table(
    theme: &Theme,
    mut found: Vec<(Option<&HostName>, &FoundCertificate)>,
) -> String {
    if found.is_empty() {
        return String::new();
    }
    found.sort_by_key(|(_, one)| one.certificate.as_ref().map_or(i64::MIN, |leaf| leaf.days_left));
    let width = |part: u16| theme.width.map_or(u16::MAX - 2, |width| width / part);
    let mut header = vec![
        ("days", Share::Whole(8)),
        ("host", Share::Whole(width(6))),
        ("service", Share::Whole(12)),
        ("names", Share::Rest(12)),
        ("file", Share::Rest(12)),
        ("found", Share::Rest(18)),
    ];
    let with_hosts = found.iter().any(|(host, _)| host.is_some());
    let with_files = found.iter().any(|(_, one)| one.file.is_some());
    let mut rows: Vec<Vec<Text>> = found.iter().map(|(host, one)| row(*host, one)).collect();
    for (column, is_kept) in [(4, with_files), (2, with_files), (1, with_hosts)] {
        if !is_kept {
            header.remove(column);
            rows.iter_mut().for_each(|row| _ = row.remove(column));
        }
    }
    theme.fit(&format!("\n{}", table::render(theme, &header, rows)))
}

fn row(host: Option<&HostName>, one: &FoundCertificate) -> Vec<Text> {
    let days = one.certificate.as_ref().map(|leaf| leaf.days_left);
    vec![
        (days.map_or_else(|| "-".to_owned(), |days| days.to_string()), words::expiry(days)),
        plain(host.map(|host| line(host.as_str())).unwrap_or_default()),
        plain(one.service.as_deref().map_or_else(|| "-".to_owned(), line)),
        plain(names(one)),
        plain(one.file.as_deref().map_or_else(|| "-".to_owned(), line)),
        found(one),
    ]
}

fn names(one: &FoundCertificate) -> String {
    let Some(leaf) = &one.certificate else { return "-".to_owned() };
    if leaf.names.is_empty() {
        return line(&leaf.subject);
    }
    let mut shown: Vec<String> = leaf.names.iter().take(NAMES).map(|name| line(name)).collect();
    if leaf.names.len() > NAMES {
        shown.push(format!("{} more", leaf.names.len() - NAMES));
    }
    shown.join(", ")
}

fn found(one: &FoundCertificate) -> Text {
    let own = one.certificate.as_ref().map(|leaf| leaf.fingerprint);
    let is_other = |one: &&FoundEndpoint| one.fingerprint.is_some() && one.fingerprint != own;
    let leaves = one.endpoints.iter().filter(is_other).filter_map(|one| one.fingerprint);
    let leaf = leaves.map(|leaf| leaf.short()).next().unwrap_or_default();
    let showing = |wanted: &dyn Fn(&&FoundEndpoint) -> bool| {
        let places: Vec<String> = one.endpoints.iter().filter(wanted).map(place).collect();
        places.join(", ")
    };
    let same = showing(&|one| one.fingerprint.is_some() && one.fingerprint == own);
    let other = showing(&is_other);
    let (state, style) = match one.state {
        FoundState::Served => (format!("served on {same}"), theme::GOOD),
        FoundState::OnlyServed => (format!("served on {same}, file not found"), theme::GOOD),
        FoundState::Drift => (format!("DRIFT: {leaf} is served on {other}"), theme::BAD),
        FoundState::Shadowed => {
            (format!("another certificate of the service answers on {other}"), theme::WARNING)
        }
        FoundState::NotSeen => (not_seen(one), theme::WARNING),
        FoundState::Stopped => ("the service is stopped".to_owned(), theme::WARNING),
        FoundState::Unused => ("unused: no known service names it".to_owned(), theme::QUIET),
        FoundState::Unreadable => ("UNREADABLE".to_owned(), theme::BAD),
    };
    let expired = one.certificate.as_ref().is_some_and(|leaf| leaf.days_left < 0);
    let style = if expired && one.state != FoundState::Unused { theme::BAD } else { style };
    let expired = expired.then(|| "EXPIRED".to_owned());
    let words: Vec<String> = expired
        .into_iter()
        .chain([state])
        .chain(one.remarks.iter().map(|remark| line(remark)))
        .collect();
    (words.join("; "), style)
}

fn not_seen(one: &FoundCertificate) -> String {
    match one.endpoints.iter().find_map(|one| Some((one, one.problem.as_ref()?))) {
        Some((endpoint, problem)) => format!("not seen on {}: {}", place(endpoint), line(problem)),
        None => "not seen: nothing listens on the service's usual ports".to_owned(),
    }
}

/// `443`, `25 (smtp)`; the address only where it is not the host's loopback.
fn place(one: &FoundEndpoint) -> String {
    let loopback = ["127.0.0.1", "::1"].contains(&one.endpoint.host.as_str());
    let place =
        if loopback { one.endpoint.port.to_string() } else { line(&one.endpoint.to_string()) };
    if one.starttls == "none" { place } else { format!("{place} ({})", line(&one.starttls)) }
}

#[cfg(test)]
mod tests {
    use super::super::samples::found;
    use super::*;

    fn shown(width: Option<u16>) -> String {
        let theme = Theme { color: false, width, ascii: width.is_none() };
        let host = HostName::new("edge1");
        let all = found();
        table(&theme, all.iter().map(|one| (Some(&host), one)).collect())
    }

    #[test]
    fn piped() {
        insta::assert_snapshot!(shown(None));
    }

    #[test]
    fn on_100_columns() {
        insta::assert_snapshot!(shown(Some(100)));
    }

    #[test]
    fn nothing_is_no_table() {
        assert_eq!(table(&Theme::PLAIN, Vec::new()), "");
    }
}
