//! The certificates that `certroll discover` found, sorted by days left.

use super::theme::{self, Theme, line};
use super::words;
use crate::event::found::{FoundCertificate, FoundEndpoint, FoundState};
use crate::model::HostName;
use anstyle::Style;

/// Names of a certificate that a block shows.
const NAMES: usize = 2;
/// Columns of the days that are left.
const DAYS: usize = 7;

/// A block per certificate; empty when nothing was found. Where there is no terminal, each is one line.
pub(crate) fn blocks(
    theme: &Theme,
    mut found: Vec<(Option<&HostName>, &FoundCertificate)>,
) -> String {
    if found.is_empty() {
        return String::new();
    }
    found.sort_by_key(|(_, one)| one.certificate.as_ref().map_or(i64::MIN, |leaf| leaf.days_left));
    let text: String = found.iter().map(|(host, one)| block(theme, *host, one)).collect();
    theme.fit(&format!("\n{text}"))
}

fn block(theme: &Theme, host: Option<&HostName>, one: &FoundCertificate) -> String {
    let days = one.certificate.as_ref().map(|leaf| leaf.days_left);
    let left = days.map_or_else(|| "no date".to_owned(), |days| format!("{days} d"));
    let prefix = format!("{left:>DAYS$}  ");
    let who = [host.map(|host| line(host.as_str())), one.service.as_deref().map(line)];
    let who = who.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let mut what: Vec<String> = names(one).into_iter().collect();
    what.extend(one.file.as_deref().map(line));
    let what = what.join(", ");
    let head = match (who.as_str(), what.as_str()) {
        ("", what) => what.to_owned(),
        (who, "") => who.to_owned(),
        (who, what) => format!("{who}: {what}"),
    };
    let (state, style) = found(one);
    let painted = theme.paint(words::expiry(days), &left);
    if theme.width.is_none() {
        let line = format!("{prefix}{head}: {}\n", theme.paint(style, state));
        return line.replacen(&left, &painted, 1);
    }
    let head = theme.block(&prefix, Style::new(), &head).replacen(&left, &painted, 1);
    head + &theme.block(&" ".repeat(prefix.len()), style, &state)
}

/// The first names of a certificate, else its subject.
pub(super) fn names(one: &FoundCertificate) -> Option<String> {
    let leaf = one.certificate.as_ref()?;
    if leaf.names.is_empty() {
        return Some(line(&leaf.subject));
    }
    let mut shown: Vec<String> = leaf.names.iter().take(NAMES).map(|name| line(name)).collect();
    if leaf.names.len() > NAMES {
        shown.push(format!("{} more", leaf.names.len() - NAMES));
    }
    Some(shown.join(", "))
}

/// How file and handshakes fit together, with the remarks.
pub(super) fn state(one: &FoundCertificate) -> String {
    found(one).0
}

fn found(one: &FoundCertificate) -> (String, Style) {
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
        blocks(&theme, all.iter().map(|one| (Some(&host), one)).collect())
    }

    #[test]
    fn piped() {
        insta::assert_snapshot!(shown(None));
    }

    #[test]
    fn on_60_columns() {
        insta::assert_snapshot!(shown(Some(60)));
    }

    #[test]
    fn on_80_columns() {
        insta::assert_snapshot!(shown(Some(80)));
    }

    #[test]
    fn on_200_columns() {
        insta::assert_snapshot!(shown(Some(200)));
    }

    #[test]
    fn nothing_found_is_no_text() {
        assert_eq!(blocks(&Theme::PLAIN, Vec::new()), "");
    }
}
