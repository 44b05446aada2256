//! `certroll discover --scan`: which certificates are served on ports, by handshakes alone.

use super::args::{DiscoverArgs, Output};
use super::console;
use super::failure::Failure;
use crate::clock;
use crate::discover::{Place, only_served};
use crate::engine::exit;
use crate::event::found::{FoundCertificate, FoundEndpoint};
use crate::load;
use crate::model::{Endpoint, Timestamp};
use crate::report::found;
use crate::source::{Diagnostic, Diagnostics};
use crate::verify::{Probe, Tcp, ask};
use futures::StreamExt;
use futures::stream;
use std::path::Path;
use std::time::Duration;

/// Handshakes at a time.
const AT_A_TIME: usize = 64;

/// Asks every place and prints what it serves.
///
/// # Errors
/// A place that is neither `HOST:PORT` nor a file with such lines.
pub(super) async fn scan(args: &DiscoverArgs) -> Result<(Vec<u8>, u8), Failure> {
    let now = clock::now();
    let endpoints = places(&args.scan)?;
    let timeout = Duration::from_secs(args.visit.connection.timeout.unwrap_or(10));
    let looked: Vec<(Endpoint, Result<FoundCertificate, String>)> = stream::iter(endpoints)
        .map(|endpoint| async move {
            let found = look(&endpoint, timeout, now).await;
            (endpoint, found)
        })
        .buffered(AT_A_TIME)
        .collect()
        .await;
    let days = args.days();
    let silent = looked.iter().filter(|(_, found)| found.is_err()).count();
    let mut shown: Vec<&FoundCertificate> =
        looked.iter().filter_map(|(_, found)| found.as_ref().ok()).collect();
    let wanting = shown.iter().filter(|one| one.wants_attention(days)).count();
    if args.expiring.is_some() {
        shown.retain(|one| one.wants_attention(days));
    }
    let mut text = String::new();
    if args.visit.output.output == Output::Json {
        for one in &shown {
            text.push_str(&serde_json::json!(one).to_string());
            text.push('\n');
        }
        for (endpoint, problem) in problems(&looked) {
            let object = serde_json::json!({"endpoint": endpoint, "problem": problem});
            text.push_str(&format!("{object}\n"));
        }
    } else {
        let theme = console::options(&args.visit.output, false).stdout;
        text.push_str(&found::blocks(&theme, shown.iter().map(|one| (None, *one)).collect()));
        for (endpoint, problem) in problems(&looked) {
            text.push_str(&format!("{endpoint}: {}\n", crate::report::theme::line(problem)));
        }
    }
    let code = match (silent > 0, wanting > 0) {
        (true, _) => exit::UNREACHABLE,
        (false, true) if args.exit_code => exit::PENDING,
        _ => exit::OK,
    };
    Ok((text.into_bytes(), code))
}

fn problems(
    looked: &[(Endpoint, Result<FoundCertificate, String>)],
) -> impl Iterator<Item = (&Endpoint, &String)> {
    looked.iter().filter_map(|(endpoint, found)| Some((endpoint, found.as_ref().err()?)))
}

async fn look(
    endpoint: &Endpoint,
    timeout: Duration,
    now: Timestamp,
) -> Result<FoundCertificate, String> {
    let place = Place::customary(endpoint.port);
    let probe = Probe { starttls: place.starttls, timeout, ..Probe::new(endpoint.clone()) };
    let served = ask(&probe, &Tcp).await.map_err(|refusal| refusal.describe())?;
    let named = endpoint.host.parse::<std::net::IpAddr>().is_err();
    let seen = FoundEndpoint {
        endpoint: endpoint.clone(),
        starttls: place.starttls.name().to_owned(),
        server_name: named.then(|| endpoint.host.clone()),
        fingerprint: Some(served.leaf),
        problem: None,
    };
    Ok(only_served(&served, seen, now))
}

/// Each place once, in the order given. What exists as a file is read: one place a line, `#` begins a remark.
fn places(given: &[String]) -> Result<Vec<Endpoint>, Diagnostics> {
    let mut found = Diagnostics::default();
    let mut places: Vec<Endpoint> = Vec::new();
    let mut add = |text: &str, from: &str, found: &mut Diagnostics| match text.parse() {
        Ok(endpoint) if places.contains(&endpoint) => {}
        Ok(endpoint) => places.push(endpoint),
        Err(error) => found.push(Diagnostic::error(format!("--scan{from}: {error}"))),
    };
    for text in given {
        if !Path::new(text).is_file() {
            add(text, "", &mut found);
            continue;
        }
        match load::read_text(Path::new(text)) {
            Err(problem) => found.push(problem),
            Ok(file) => {
                for (number, line) in file.text.lines().enumerate() {
                    let place = line.split('#').next().unwrap_or_default().trim();
                    if !place.is_empty() {
                        add(place, &format!(" {text}:{}", number + 1), &mut found);
                    }
                }
            }
        }
    }
    if found.has_errors() { Err(found) } else { Ok(places) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_from_arguments_and_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("places");
        std::fs::write(&file, "# ours\nwww.example.net:443\n\nmail.example.net:25 # MX\n").unwrap();
        let given = ["www.example.net:443".to_owned(), file.display().to_string()];
        let shown: Vec<String> = places(&given).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["www.example.net:443", "mail.example.net:25"]);
    }

    #[test]
    fn every_bad_place_is_told_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("places");
        std::fs::write(&file, "www.example.net:443\nnowhere\n").unwrap();
        let told = places(&["here".to_owned(), file.display().to_string()]).unwrap_err().0;
        assert_eq!(told.len(), 2);
        assert!(
            told[1].to_string().contains("places:2: 'nowhere' is not HOST:PORT"),
            "{}",
            told[1]
        );
    }
}
