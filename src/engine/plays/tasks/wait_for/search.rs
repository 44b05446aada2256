//! `search_regex`: something to be found in a file of the host, or in what a server says first.

use super::super::action::{Action, Done, Failed, ModuleFailure};
use super::super::modules;
use super::wait::{Wait, What};
use fancy_regex::Regex;
use serde_json::{Map, Value as Json, json};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep, timeout_at};

/// What is read of a server at most.
const LARGEST: usize = 1 << 20;

pub(super) async fn perform(
    action: &Action<'_>,
    wait: &Wait,
    begun: Instant,
) -> Result<Done, Failed> {
    let deadline = begun + wait.timeout;
    let Some(search) = &wait.search else { return Ok(Done::default()) };
    loop {
        let found = match &wait.what {
            What::File(path) => match modules::read(action, path).await? {
                Some(bytes) => groups(search, &bytes),
                None => None,
            },
            What::Port { host, port } => said(action, search, host, *port, deadline).await,
            What::Nothing => None,
        };
        let elapsed = ("elapsed".to_owned(), json!(begun.elapsed().as_secs()));
        if let Some(found) = found {
            return Ok(Done {
                value: found.into_iter().chain([elapsed]).collect(),
                ..Done::default()
            });
        }
        if Instant::now() + wait.pause >= deadline {
            let pattern = search.as_str().trim_start_matches("(?m)");
            let message = wait.message.clone().unwrap_or_else(|| {
                format!(
                    "'{pattern}' was not found in {} within {} s",
                    wait.what,
                    wait.timeout.as_secs()
                )
            });
            let value = Map::from_iter([elapsed]);
            return Err(ModuleFailure { message, command: None, value }.into());
        }
        tokio::select! {
            () = sleep(wait.pause) => {}
            () = action.context.stop.soft().cancelled() => {
                return Err(Failed::module("interrupted between two looks"));
            }
        }
    }
}

/// Reads what a server says until it matches, or nothing more comes.
async fn said(
    action: &Action<'_>,
    search: &Regex,
    host: &str,
    port: u16,
    deadline: Instant,
) -> Option<Map<String, Json>> {
    let dial = action.connection.dialers().host?;
    let mut stream = timeout_at(deadline, dial.dial(host, port)).await.ok()?.ok()?;
    let (mut all, mut part) = (Vec::new(), [0; 4096]);
    loop {
        match timeout_at(deadline, stream.read(&mut part)).await {
            Ok(Ok(count)) if count > 0 && all.len() < LARGEST => {
                all.extend_from_slice(&part[..count]);
                if let Some(found) = groups(search, &all) {
                    return Some(found);
                }
            }
            _ => return None,
        }
    }
}

/// `match_groups` and `match_groupdict` of a match.
fn groups(search: &Regex, bytes: &[u8]) -> Option<Map<String, Json>> {
    let text = String::from_utf8_lossy(bytes);
    let found = search.captures(&text).ok().flatten()?;
    let text =
        |part: Option<fancy_regex::Match<'_>>| part.map_or(Json::Null, |part| json!(part.as_str()));
    let numbered: Vec<Json> = (1..found.len()).map(|index| text(found.get(index))).collect();
    let named = search.capture_names().flatten();
    let named: Map<String, Json> =
        named.map(|name| (name.to_owned(), text(found.name(name)))).collect();
    Some(Map::from_iter([
        ("match_groups".to_owned(), Json::Array(numbered)),
        ("match_groupdict".to_owned(), Json::Object(named)),
    ]))
}
