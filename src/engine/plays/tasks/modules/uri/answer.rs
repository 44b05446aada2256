//! What is registered of an answer, as Ansible's `uri` and `fetch_url` tell it.

use super::exchange::{Answer, Answered};
use super::request::Request;
use crate::model::text::printable;
use serde_json::{Map, Value as Json, json};

/// What a header may be long.
const HEADER: usize = 16 << 10;
/// As Ansible writes what it does not show.
const HIDDEN: &str = "********";

pub(super) struct Told {
    pub(super) value: Map<String, Json>,
    /// One line for the operator.
    pub(super) message: String,
    /// Why it is a failure.
    pub(super) refused: Option<String>,
}

pub(super) fn registered(request: &Request, answered: Answered, elapsed: u64) -> Told {
    let asked = &request.address.shown;
    let mut value = Map::from_iter([("elapsed".to_owned(), json!(elapsed))]);
    let (status, message) = match answered {
        Answered::Nothing(why) => {
            value.insert("url".to_owned(), json!(asked));
            value.insert("redirected".to_owned(), json!(false));
            value.insert("status".to_owned(), json!(-1));
            (None, format!("Request failed: {why}"))
        }
        Answered::Answer(answer) => {
            let status = answer.status.as_u16();
            let message = of_answer(request, *answer, &mut value);
            (Some(status), message)
        }
    };
    let fits = status.is_some_and(|status| request.accepted.contains(&status));
    let shown = status.map_or("-1".to_owned(), |status| status.to_string());
    let refused = (!fits).then(|| {
        let wanted: Vec<String> = request.accepted.iter().map(u16::to_string).collect();
        format!("Status code was {shown} and not [{}]: {message}", wanted.join(", "))
    });
    value.insert("msg".to_owned(), json!(refused.as_ref().unwrap_or(&message)));
    for secret in request.hidden.iter().filter(|secret| !secret.expose().is_empty()) {
        value.values_mut().for_each(|value| hide(value, secret.expose()));
    }
    let message = format!("{shown} from {asked}");
    Told { value, message, refused }
}

fn of_answer(request: &Request, answer: Answer, value: &mut Map<String, Json>) -> String {
    let mut add = |name: &str, found: Json| drop(value.insert(name.to_owned(), found));
    let status = answer.status.as_u16();
    let good = answer.status.is_success();
    let mut cookies: Map<String, Json> = Map::new();
    for name in answer.headers.keys() {
        let all = answer.headers.get_all(name).iter();
        let all: Vec<String> = all.map(|text| printable(text.as_bytes(), HEADER)).collect();
        if name == "set-cookie" {
            let pairs = all.iter().filter_map(|line| line.split(';').next()?.split_once('='));
            cookies
                .extend(pairs.map(|(name, value)| (name.trim().to_owned(), json!(value.trim()))));
        }
        // Of an answer that is an error Ansible keeps the last of several.
        let last = all.last().cloned().unwrap_or_default();
        add(&name.as_str().replace('-', "_"), json!(if good { all.join(", ") } else { last }));
    }
    let asked = &request.address.shown;
    let there = &answer.address.shown;
    let length = answer.headers.get("content-length").and_then(|length| length.to_str().ok());
    let message = match good {
        true => {
            let pairs: Vec<String> = cookies
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                .collect();
            add("cookies_string", json!(pairs.join("; ")));
            add("cookies", Json::Object(cookies));
            format!("OK ({} bytes)", length.unwrap_or("unknown"))
        }
        false => format!("HTTP Error {status}: {}", answer.reason),
    };
    add("status", json!(status));
    // An error is of the address that was asked for.
    add("url", json!(if good { there } else { asked }));
    add("redirected", json!(good && there != asked));
    if let Some(location) = answer.headers.get("location") {
        let location = String::from_utf8_lossy(location.as_bytes());
        let joined = answer.address.joined(&location).map(|to| to.shown);
        add("location", json!(joined.unwrap_or_else(|_| location.into_owned())));
    }
    let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok());
    let text = text(&answer.body, kind);
    let is_json = kind.is_some_and(is_json);
    if is_json && let Ok(parsed) = serde_json::from_str::<Json>(&text) {
        add("json", parsed);
    }
    if request.return_content {
        add("content", json!(text));
    } else if !good && !is_json && request.accepted.contains(&status) {
        add("body", json!(text));
    }
    message
}

/// By the charset that the server names, else as UTF-8.
fn text(bytes: &[u8], kind: Option<&str>) -> String {
    let charset = kind.and_then(|kind| {
        kind.to_ascii_lowercase().split_once("charset=").map(|(_, rest)| {
            rest.split(';').next().unwrap_or_default().trim_matches(['"', ' ']).to_owned()
        })
    });
    match charset.as_deref() {
        Some("iso-8859-1" | "latin1" | "latin-1") => {
            bytes.iter().copied().map(char::from).collect()
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// `application/json`, `application/problem+json`, `text/javascript`.
fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((_, sub)) = kind.split_once('/') else { return false };
    let last = sub.split_once('+').map_or(sub, |(_, suffix)| suffix);
    matches!(last, "json" | "javascript")
}

fn hide(value: &mut Json, secret: &str) {
    match value {
        Json::String(text) if text.contains(secret) => *text = text.replace(secret, HIDDEN),
        Json::Array(items) => items.iter_mut().for_each(|item| hide(item, secret)),
        Json::Object(entries) => entries.values_mut().for_each(|item| hide(item, secret)),
        _ => {}
    }
}
