//! Ansible's filters, beyond those that minijinja has already.
//!
//! Source of the semantics: Ansible's documentation of the `ansible.builtin` filters.

use super::convert::{from_json, json, python_text};
use super::record::is_missing;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};
use serde_json::Value as Json;

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("mandatory", mandatory);
    environment.add_filter("bool", |value: &Value| Ok::<_, Error>(to_bool(&json(value)?)));
    environment.add_filter("ternary", ternary);
    environment.add_filter("b64encode", |text: String| STANDARD.encode(text));
    environment.add_filter("b64decode", b64decode);
    environment.add_filter("regex_replace", regex_replace);
    environment.add_filter("regex_search", regex_search);
    environment.add_filter("regex_findall", regex_findall);
    environment.add_filter("regex_escape", |text: String| fancy_regex::escape(&text).into_owned());
    environment.add_filter("from_json", |text: String| parsed(serde_json::from_str(&text)));
    environment.add_filter("basename", |path: String| basename(&path).to_owned());
    environment.add_filter("dirname", |path: String| dirname(&path).to_owned());
    environment.add_filter("splitext", |path: String| splitext(&path));
    environment.add_filter("path_join", path_join);
    environment.add_filter("quote", |text: String| shell_quote(&text));
    environment.add_filter("hash", hash);
    environment.add_filter("checksum", |text: String| sha1(&text));
    environment.add_filter("sha1", |text: String| sha1(&text));
    environment.add_filter("md5", |text: String| md5(&text));
    environment.add_filter("from_yaml", from_yaml);
    environment.add_filter("int", int);
    environment.add_filter("string", |value: &Value| Ok::<_, Error>(python_text(&json(value)?)));
    environment.add_filter("type_debug", |value: &Value| type_debug(value));
}

pub(super) fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

fn parsed(result: serde_json::Result<Json>) -> Result<Value, Error> {
    // serde_json's messages quote no input.
    result.map(|json| from_json(&json)).map_err(|error| bad(format!("this is not JSON: {error}")))
}

fn from_yaml(text: String) -> Result<Value, Error> {
    let file = crate::source::SourceFile::new("from_yaml", text);
    // The parser's messages may quote the text, which may be secret.
    let (node, _) = crate::source::yaml::parse(&file).map_err(|_| bad("this is not YAML"))?;
    Ok(from_json(&plain(&node)))
}

fn plain(node: &crate::source::Node) -> Json {
    use crate::source::Value as Source;
    match &node.value {
        Source::Null => Json::Null,
        Source::Bool(value) => Json::from(*value),
        Source::Int(value) => Json::from(*value),
        Source::Float(value) => Json::from(*value),
        Source::Text(text) | Source::Unsafe(text) | Source::Vault(text) => {
            Json::from(text.as_str())
        }
        Source::List(items) => items.iter().map(plain).collect(),
        Source::Map(entries) => entries
            .iter()
            .map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), plain(value)))
            .collect(),
    }
}

fn default(value: &Value, arguments: Rest<Value>) -> Result<Value, Error> {
    let instead = arguments.first().cloned().unwrap_or_else(|| Value::from(""));
    let also_false = arguments.get(1).is_some_and(Value::is_true);
    if is_missing(value) || (also_false && !value.is_true()) {
        Ok(instead)
    } else {
        Ok(value.clone())
    }
}

fn mandatory(value: &Value, message: Option<String>) -> Result<Value, Error> {
    if is_missing(value) {
        return Err(bad(
            message.unwrap_or_else(|| "a mandatory variable is not defined".to_owned())
        ));
    }
    Ok(value.clone())
}

/// `yes`, `on`, `true`, `1` in any case, and 1; everything else is false.
pub(super) fn to_bool(value: &Json) -> bool {
    match value {
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_f64() == Some(1.0),
        Json::String(text) => matches!(text.to_lowercase().as_str(), "yes" | "on" | "true" | "1"),
        _ => false,
    }
}

fn ternary(value: &Value, yes: Value, no: Value, none: Option<Value>) -> Value {
    match none {
        Some(none) if value.is_none() => none,
        _ if value.is_true() => yes,
        _ => no,
    }
}

fn b64decode(text: String) -> Result<String, Error> {
    let bytes = STANDARD.decode(text.trim()).map_err(|_| bad("this is not base64"))?;
    String::from_utf8(bytes).map_err(|_| bad("the decoded text is not UTF-8"))
}

pub(super) fn regex(
    pattern: &str,
    ignore_case: bool,
    multiline: bool,
) -> Result<fancy_regex::Regex, Error> {
    let flags = match (ignore_case, multiline) {
        (false, false) => "",
        (true, false) => "(?i)",
        (false, true) => "(?m)",
        (true, true) => "(?im)",
    };
    fancy_regex::Regex::new(&format!("{flags}{pattern}"))
        .map_err(|error| bad(format!("'{pattern}' is not a regular expression: {error}")))
}

/// Python's `\1` and `\g<name>` as this engine's `${1}` and `${name}`.
pub(crate) fn replacement(python: &str) -> String {
    let mut out = String::new();
    let mut rest = python.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek().copied()) {
            ('$', _) => out.push_str("$$"),
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                out.push_str(&format!("${{{digit}}}"));
                rest.next();
            }
            ('\\', Some('g')) => {
                rest.next();
                let name: String =
                    rest.by_ref().skip_while(|c| *c == '<').take_while(|c| *c != '>').collect();
                out.push_str(&format!("${{{name}}}"));
            }
            ('\\', Some('\\')) => {
                out.push('\\');
                rest.next();
            }
            (c, _) => out.push(c),
        }
    }
    out
}

fn regex_replace(
    text: String,
    pattern: String,
    to: Option<String>,
    options: Kwargs,
) -> Result<String, Error> {
    let ignore_case = options.get::<Option<bool>>("ignorecase")?.unwrap_or(false);
    let multiline = options.get::<Option<bool>>("multiline")?.unwrap_or(false);
    options.assert_all_used()?;
    let regex = regex(&pattern, ignore_case, multiline)?;
    let to = replacement(&to.unwrap_or_default());
    regex
        .try_replacen(&text, 0, to.as_str())
        .map(std::borrow::Cow::into_owned)
        .map_err(|error| bad(error.to_string()))
}

fn regex_search(text: String, pattern: String, groups: Rest<String>) -> Result<Value, Error> {
    let found =
        regex(&pattern, false, false)?.captures(&text).map_err(|error| bad(error.to_string()))?;
    let Some(found) = found else { return Ok(Value::from(())) };
    let group = |name: &str| {
        let name = name.trim_start_matches('\\').trim_start_matches("g<").trim_end_matches('>');
        let matched = match name.parse() {
            Ok(number) => found.get(number),
            Err(_) => found.name(name),
        };
        matched.map(|m| Value::from(m.as_str())).unwrap_or(Value::from(()))
    };
    if groups.is_empty() {
        return Ok(group("0"));
    }
    Ok(Value::from(groups.iter().map(|name| group(name)).collect::<Vec<_>>()))
}

fn regex_findall(text: String, pattern: String) -> Result<Vec<Value>, Error> {
    let regex = regex(&pattern, false, false)?;
    let mut all = Vec::new();
    for found in regex.captures_iter(&text) {
        let found = found.map_err(|error| bad(error.to_string()))?;
        let part = |index| found.get(index).map(|m| m.as_str()).unwrap_or_default();
        all.push(match found.len() {
            1 => Value::from(part(0)),
            2 => Value::from(part(1)),
            many => {
                Value::from((1..many).map(|index| Value::from(part(index))).collect::<Vec<_>>())
            }
        });
    }
    Ok(all)
}

/// Python's `json.dumps`: a blank after `,` and `:`, non-ASCII escaped.
pub(crate) fn to_json(value: &Json) -> String {
    match value {
        Json::Array(items) => {
            format!("[{}]", items.iter().map(to_json).collect::<Vec<_>>().join(", "))
        }
        Json::Object(map) => {
            let entries =
                map.iter().map(|(key, value)| format!("{}: {}", ascii(key), to_json(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Json::String(text) => ascii(text),
        other => other.to_string(),
    }
}

fn ascii(text: &str) -> String {
    let quoted = Json::String(text.to_owned()).to_string();
    let mut out = String::new();
    for c in quoted.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn dirname(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) => "/",
        Some(at) => path[..at].trim_end_matches('/'),
        None => "",
    }
}

fn splitext(path: &str) -> Vec<String> {
    let name = basename(path);
    match name.rfind('.').filter(|at| !name[..*at].trim_start_matches('.').is_empty()) {
        Some(at) => {
            let at = path.len() - name.len() + at;
            vec![path[..at].to_owned(), path[at..].to_owned()]
        }
        None => vec![path.to_owned(), String::new()],
    }
}

fn path_join(parts: Vec<String>) -> String {
    parts.into_iter().fold(String::new(), |joined, part| {
        if joined.is_empty() || part.starts_with('/') {
            part
        } else if joined.ends_with('/') {
            joined + &part
        } else {
            format!("{joined}/{part}")
        }
    })
}

fn shell_quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    // As Python's `shlex.quote`: a quote within goes between double quotes.
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn sha1(text: &str) -> String {
    hex::encode(aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
        text.as_bytes(),
    ))
}

fn md5(text: &str) -> String {
    format!("{:x}", md5::compute(text.as_bytes()))
}

fn hash(text: String, algorithm: Option<String>) -> Result<String, Error> {
    let algorithm = match algorithm.as_deref().unwrap_or("sha1") {
        "md5" => return Ok(md5(&text)),
        "sha1" => return Ok(sha1(&text)),
        "sha256" => &aws_lc_rs::digest::SHA256,
        "sha384" => &aws_lc_rs::digest::SHA384,
        "sha512" => &aws_lc_rs::digest::SHA512,
        other => {
            return Err(bad(format!(
                "hash knows md5, sha1, sha256, sha384 and sha512, not {other}"
            )));
        }
    };
    Ok(hex::encode(aws_lc_rs::digest::digest(algorithm, text.as_bytes())))
}

/// What is no number is 0, or `default`.
fn int(value: &Value, positional: Option<i64>, options: Kwargs) -> Result<i64, Error> {
    let default = options.get::<Option<i64>>("default")?.or(positional).unwrap_or(0);
    let base = options.get::<Option<u32>>("base")?.unwrap_or(10);
    options.assert_all_used()?;
    Ok(match json(value)? {
        Json::Bool(value) => i64::from(value),
        Json::Number(number) => {
            number.as_i64().or_else(|| number.as_f64().map(|f| f as i64)).unwrap_or(default)
        }
        Json::String(text) => {
            let text = text.trim();
            let digits = if base == 16 { text.trim_start_matches("0x") } else { text };
            i64::from_str_radix(digits, base.clamp(2, 36))
                .ok()
                .or_else(|| text.parse::<f64>().ok().map(|f| f as i64))
                .unwrap_or(default)
        }
        _ => default,
    })
}

fn type_debug(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::None => "NoneType",
        ValueKind::Bool => "bool",
        ValueKind::Number if value.is_integer() => "int",
        ValueKind::Number => "float",
        ValueKind::String => "str",
        ValueKind::Seq | ValueKind::Iterable => "list",
        ValueKind::Map => "dict",
        _ => "object",
    }
}
