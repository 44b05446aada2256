//! What is asked for, as the task's arguments say.

use super::super::super::action::{Action, Failed};
use super::super::look;
use super::address::Address;
use crate::model::Secret;
use crate::playbook::modules::{Arguments, ModuleTask, content};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use serde_json::Value as Json;
use std::time::Duration;

/// Where a redirection is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// Reads only.
    Safe,
    All,
    None,
}

pub(super) struct Request {
    pub(super) address: Address,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Secret<Vec<u8>>>,
    /// What is sent where the server asks who it is.
    pub(super) login: Option<HeaderValue>,
    pub(super) follow: Follow,
    /// Answers that are no failure.
    pub(super) accepted: Vec<u16>,
    pub(super) return_content: bool,
    pub(super) timeout: Duration,
    /// Texts that no result shows.
    pub(super) hidden: Vec<Secret<String>>,
}

impl Request {
    pub(super) async fn of(
        action: &Action<'_>,
        task: &ModuleTask,
        arguments: &Arguments,
    ) -> Result<Self, Failed> {
        let address = Address::read(arguments.text("url").unwrap_or_default())?;
        let method = arguments.text("method").unwrap_or("GET").to_ascii_uppercase();
        let plain = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        let method = Method::from_bytes(method.as_bytes()).ok().filter(|_| plain);
        let method = method.ok_or_else(|| Failed::module("method: one word, as GET or POST"))?;
        let mut headers = headers(arguments.value("headers"))?;
        let agent = arguments.text("http_agent").unwrap_or("ansible-httpget");
        headers.entry("user-agent").or_insert(header_value("http_agent", agent)?);
        let (body, kind) = match arguments.text("src") {
            Some(path) => (Some(file(action, task, arguments, path).await?), None),
            None => body(arguments)?,
        };
        if let Some(kind) = kind {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        }
        let given = arguments.text("url_username").map(|name| {
            (name.to_owned(), arguments.text("url_password").unwrap_or_default().to_owned())
        });
        let login = given.or_else(|| address.login.clone());
        let mut hidden = Vec::new();
        if let Some((_, password)) = &login {
            hidden.push(Secret::new(password.clone()));
        }
        let login = match login {
            None => None,
            Some((name, password)) => {
                let word = Secret::new(STANDARD.encode(format!("{name}:{password}")));
                let mut value = header_value("url_password", &format!("Basic {}", word.expose()))?;
                value.set_sensitive(true);
                hidden.push(word);
                Some(value)
            }
        };
        if let (Some(value), Some(true)) = (&login, arguments.flag("force_basic_auth")) {
            headers.insert(AUTHORIZATION, value.clone());
        }
        let timeout = arguments.text("timeout").and_then(|text| text.parse().ok()).unwrap_or(30);
        Ok(Self {
            address,
            method,
            headers,
            body,
            login,
            follow: match arguments.text("follow_redirects") {
                Some("all" | "yes") => Follow::All,
                Some("none" | "no") => Follow::None,
                _ => Follow::Safe,
            },
            accepted: accepted(arguments)?,
            return_content: arguments.flag("return_content").unwrap_or(false),
            timeout: Duration::from_secs(timeout),
            hidden,
        })
    }

    /// Whether TLS may be spoken: at the address, or where it leads.
    pub(super) fn may_be_encrypted(&self) -> bool {
        self.address.encrypted || self.follow != Follow::None
    }
}

fn header_value(name: &str, text: &str) -> Result<HeaderValue, Failed> {
    HeaderValue::from_str(text)
        .map_err(|_| Failed::module(format!("{name}: no header may hold it")))
}

fn headers(given: Option<&Json>) -> Result<HeaderMap, Failed> {
    let mut headers = HeaderMap::new();
    for (name, value) in given.and_then(Json::as_object).into_iter().flatten() {
        let known = HeaderName::from_bytes(name.as_bytes());
        let known =
            known.map_err(|_| Failed::module(format!("headers: '{name}' is not a valid name")))?;
        let mut value = header_value(&format!("headers: {name}"), &text(value))?;
        value.set_sensitive(true);
        headers.insert(known, value);
    }
    Ok(headers)
}

/// As Python writes a value.
fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Null => "None".to_owned(),
        other => crate::template::to_json(other),
    }
}

type Body = (Option<Secret<Vec<u8>>>, Option<&'static str>);

fn body(arguments: &Arguments) -> Result<Body, Failed> {
    let given = arguments.value("body").filter(|body| !body.is_null());
    let (written, kind) = match (arguments.text("body_format"), given) {
        (Some("json"), None) => ("null".to_owned(), Some("application/json")),
        (Some("json"), Some(Json::String(text))) => (text.clone(), Some("application/json")),
        (Some("json"), Some(value)) => (crate::template::to_json(value), Some("application/json")),
        (Some("form-urlencoded"), value) => {
            let kind = Some("application/x-www-form-urlencoded");
            match value {
                None => return Ok((None, kind)),
                Some(value) => (form(value)?, kind),
            }
        }
        (_, None) => return Ok((None, None)),
        (_, Some(Json::String(text))) => (text.clone(), None),
        (_, Some(value @ (Json::Object(_) | Json::Array(_)))) => {
            (crate::template::to_json(value), None)
        }
        (_, Some(value)) => (text(value), None),
    };
    // As urllib does where nobody says what it is.
    let kind = kind.or(Some("application/x-www-form-urlencoded"));
    Ok((Some(Secret::new(written.into_bytes())), kind))
}

/// `a=1&b=2` of a mapping, or of a list of pairs.
fn form(value: &Json) -> Result<String, Failed> {
    let wrong = || Failed::module("body: a form takes a mapping, a list of pairs, or text");
    let pairs: Vec<(String, &Json)> = match value {
        Json::String(text) => return Ok(text.clone()),
        Json::Object(map) => map.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Json::Array(items) => {
            let pair = |item: &'_ Json| match item.as_array().map(Vec::as_slice) {
                Some([name, _]) => Some(text(name)),
                _ => None,
            };
            let pairs = items.iter().map(|item| Some((pair(item)?, item.get(1)?)));
            pairs.collect::<Option<_>>().ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    let mut words = Vec::new();
    for (name, value) in pairs {
        let all = match value {
            Json::Array(items) => items.iter().collect(),
            one => vec![one],
        };
        let all = all.into_iter().filter(|value| !value.is_null());
        words.extend(all.map(|value| format!("{}={}", quoted(&name), quoted(&text(value)))));
    }
    Ok(words.join("&"))
}

/// As `urllib.parse.quote_plus`.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => quoted.push('+'),
            b'_' | b'.' | b'-' | b'~' => quoted.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("%{byte:02X}")),
        }
    }
    quoted
}

async fn file(
    action: &Action<'_>,
    task: &ModuleTask,
    arguments: &Arguments,
    path: &str,
) -> Result<Secret<Vec<u8>>, Failed> {
    if let Some(content) = content(task, arguments, action.scope)? {
        return Ok(content.bytes);
    }
    let found = look::read(action, path).await?;
    let missing = || Failed::module(format!("src: {path} does not exist where the task runs"));
    Ok(found.ok_or_else(missing)?.0)
}

fn accepted(arguments: &Arguments) -> Result<Vec<u16>, Failed> {
    let Some(words) = arguments.words("status_code") else { return Ok(vec![200]) };
    let wrong = |word: &String| Failed::module(format!("status_code: '{word}' is no code"));
    words.iter().map(|word| word.trim().parse().map_err(|_| wrong(word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forms_are_written_as_python_writes_them() {
        let of = |value: Json| form(&value).ok();
        let mapping = json!({"a b": "ü&=~", "n": 1, "l": [1, null, "x"], "t": true, "no": null});
        assert_eq!(of(mapping).as_deref(), Some("a+b=%C3%BC%26%3D~&n=1&l=1&l=x&t=True"));
        assert_eq!(of(json!([["a", 1], ["a", 2]])).as_deref(), Some("a=1&a=2"));
        assert_eq!(of(json!("as it is")).as_deref(), Some("as it is"));
        assert!(form(&json!([1])).is_err() && form(&json!(1)).is_err());
    }
}
