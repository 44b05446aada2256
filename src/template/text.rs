//! Filters of texts, sizes and addresses, and the way into containers.
//!
//! Source of the semantics: Ansible's and Jinja's documentation; `module_utils/common/text/formatters.py`.

use super::convert::{from_json, json};
use super::filters::bad;
use minijinja::value::{Kwargs, Rest, Value};
use minijinja::{Environment, Error};
use serde_json::Value as Json;

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("truncate", truncate);
    environment.add_filter("human_readable", human_readable);
    environment.add_filter("human_to_bytes", human_to_bytes);
    environment.add_filter("urlsplit", urlsplit);
    environment.add_filter("random", super::draw::random);
    environment.add_filter("comment", comment);
    environment.add_filter("password_hash", super::passwords::password_hash);
    environment.add_filter("extract", extract);
    environment.add_filter("subelements", subelements);
    environment.add_filter("zip_longest", zip_longest);
}

fn truncate(text: String, length: Option<usize>, options: Kwargs) -> Result<String, Error> {
    let length = options.get::<Option<usize>>("length")?.or(length).unwrap_or(255);
    let whole_words = !options.get::<Option<bool>>("killwords")?.unwrap_or(false);
    let end = options.get::<Option<String>>("end")?.unwrap_or_else(|| "...".to_owned());
    let leeway = options.get::<Option<usize>>("leeway")?.unwrap_or(5);
    options.assert_all_used()?;
    let chars = text.chars().count();
    if chars <= length + leeway {
        return Ok(text);
    }
    let kept = length
        .checked_sub(end.chars().count())
        .ok_or_else(|| bad("truncate: the length is shorter than the end"))?;
    let kept: String = text.chars().take(kept).collect();
    let kept = match kept.rsplit_once(' ') {
        Some((words, _)) if whole_words => words.to_owned(),
        _ => kept,
    };
    Ok(kept + &end)
}

/// Suffixes and what they stand for, the greatest first.
const SIZES: [(char, f64); 9] = [
    ('Y', 1_208_925_819_614_629_174_706_176.0),
    ('Z', 1_180_591_620_717_411_303_424.0),
    ('E', 1_152_921_504_606_846_976.0),
    ('P', 1_125_899_906_842_624.0),
    ('T', 1_099_511_627_776.0),
    ('G', 1_073_741_824.0),
    ('M', 1_048_576.0),
    ('K', 1024.0),
    ('B', 1.0),
];

fn human_readable(size: &Value, options: Kwargs) -> Result<String, Error> {
    let bits = options.get::<Option<bool>>("isbits")?.unwrap_or(false);
    let unit = options.get::<Option<String>>("unit")?.map(|unit| unit.to_uppercase());
    options.assert_all_used()?;
    let size = match json(size)? {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let size: f64 = size.ok_or_else(|| bad("human_readable takes a number"))?;
    let base = if bits { "bits" } else { "Bytes" };
    let fits = |(suffix, limit): &&(char, f64)| match &unit {
        None => size >= *limit,
        Some(unit) => unit.starts_with(*suffix) && unit.len() == 1,
    };
    let (suffix, limit) = SIZES.iter().find(fits).copied().unwrap_or(('B', 1.0));
    let suffix = if suffix == 'B' { base.to_owned() } else { format!("{suffix}{}", &base[..1]) };
    Ok(format!("{:.2} {suffix}", size / limit))
}

fn human_to_bytes(
    text: &Value,
    default_unit: Option<String>,
    options: Kwargs,
) -> Result<i64, Error> {
    let bits = options.get::<Option<bool>>("isbits")?.unwrap_or(false);
    let default_unit = options.get::<Option<String>>("default_unit")?.or(default_unit);
    options.assert_all_used()?;
    let text = super::convert::python_text(&json(text)?);
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let wrong = || bad(format!("human_to_bytes: '{trimmed}' is not a size"));
    let number: f64 = trimmed[..digits].parse().map_err(|_| wrong())?;
    let unit = Some(trimmed[digits..].trim()).filter(|unit| !unit.is_empty());
    let Some(unit) = unit.or(default_unit.as_deref()) else { return Ok(number.round() as i64) };
    let first = unit.chars().next().unwrap_or_default();
    let (_, limit) =
        SIZES.iter().find(|(suffix, _)| *suffix == first.to_ascii_uppercase()).ok_or_else(wrong)?;
    let rest = &unit[first.len_utf8()..];
    let whole = if bits { "bit" } else { "byte" };
    let named = |text: &str| {
        text.eq_ignore_ascii_case(whole) || text.eq_ignore_ascii_case(&format!("{whole}s"))
    };
    let fits = rest.is_empty() || rest == (if bits { "b" } else { "B" }) || named(unit);
    if fits { Ok((number * limit).round() as i64) } else { Err(wrong()) }
}

/// The parts of an address (Python, `urllib.parse.urlsplit`), or one of them.
fn urlsplit(url: String, part: Option<String>) -> Result<Value, Error> {
    let (rest, fragment) = url.split_once('#').unwrap_or((&url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let scheme_end = rest.find(':').filter(|&at| {
        let scheme = &rest[..at];
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    let (scheme, rest) = match scheme_end {
        Some(at) => (rest[..at].to_lowercase(), &rest[at + 1..]),
        None => (String::new(), rest),
    };
    let (netloc, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (user_info, place) = match netloc.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, netloc),
    };
    let (username, password) = match user_info {
        None => (None, None),
        Some(info) => match info.split_once(':') {
            Some((user, password)) => (Some(user), Some(password)),
            None => (Some(info), None),
        },
    };
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = match port.filter(|port| !port.is_empty()) {
        None => Json::Null,
        Some(port) => port
            .parse::<u16>()
            .map(Json::from)
            .map_err(|_| bad(format!("urlsplit: '{port}' is not a port")))?,
    };
    let host = Some(host.to_lowercase()).filter(|host| !host.is_empty());
    let all = serde_json::json!({
        "fragment": fragment, "hostname": host, "netloc": netloc, "password": password, "path": path,
        "port": port, "query": query, "scheme": scheme, "username": username,
    });
    match part.filter(|part| !part.is_empty()) {
        None => Ok(from_json(&all)),
        Some(part) => match all.get(&part) {
            Some(value) => Ok(from_json(value)),
            None => Err(bad(format!("urlsplit: there is no part '{part}'"))),
        },
    }
}

/// A text as a comment of a configuration file (Ansible, `plugins/filter/core.py`).
fn comment(text: String, style: Option<String>, options: Kwargs) -> Result<String, Error> {
    let style = options.get::<Option<String>>("style")?.or(style);
    let (beginning, decoration, end) = match style.as_deref().unwrap_or("plain") {
        "plain" => ("", "# ", ""),
        "erlang" => ("", "% ", ""),
        "c" => ("", "// ", ""),
        "cblock" => ("/*", " * ", " */"),
        "xml" => ("<!--", " - ", "-->"),
        other => {
            return Err(bad(format!(
                "comment knows plain, erlang, c, cblock and xml, not {other}"
            )));
        }
    };
    let text_of = |name: &str, usual: &str| {
        Ok::<_, Error>(options.get::<Option<String>>(name)?.unwrap_or_else(|| usual.to_owned()))
    };
    let count_of = |name: &str| {
        Ok::<_, Error>(options.get::<Option<i64>>(name)?.map_or(1, |count| count.max(0) as usize))
    };
    let decoration = text_of("decoration", decoration)?;
    let bare = decoration.trim_end();
    let newline = text_of("newline", "\n")?;
    let (prefix, postfix) = (text_of("prefix", bare)?, text_of("postfix", bare)?);
    let (before, after) = (count_of("prefix_count")?, count_of("postfix_count")?);
    let (beginning, end) = (text_of("beginning", beginning)?, text_of("end", end)?);
    options.assert_all_used()?;
    if newline.is_empty() || before.max(after) > 1000 {
        return Err(bad(
            "comment: a newline is not empty, and nothing is repeated more often than 1000 times",
        ));
    }
    let mut out = String::new();
    if !beginning.is_empty() {
        out += &format!("{beginning}{newline}");
    }
    if prefix == newline {
        out += &newline.repeat(before);
    } else if !prefix.is_empty() {
        out += &format!("{prefix}{newline}").repeat(before);
    }
    let lines =
        format!("{decoration}{}", text.replace(&newline, &format!("{newline}{decoration}")));
    out += &match decoration.is_empty() {
        true => lines,
        false => lines.replace(&format!("{decoration}{newline}"), &format!("{bare}{newline}")),
    };
    out += &format!("{newline}{postfix}").repeat(after);
    if !end.is_empty() {
        out += &format!("{newline}{end}");
    }
    Ok(out)
}

fn extract(item: &Value, container: &Value, more: Option<Value>) -> Result<Value, Error> {
    let mut value = container.get_item(item)?;
    let Some(more) = more else { return Ok(value) };
    let keys: Vec<Value> = match more.try_iter() {
        Ok(keys) if more.as_str().is_none() => keys.collect(),
        _ => vec![more],
    };
    for key in keys {
        value = value.get_item(&key)?;
    }
    Ok(value)
}

/// Each item with each part of the list that it holds under a key.
fn subelements(list: &Value, key: String, options: Kwargs) -> Result<Value, Error> {
    let lenient = options.get::<Option<bool>>("skip_missing")?.unwrap_or(false);
    options.assert_all_used()?;
    let items = match json(list)? {
        Json::Array(items) => items,
        Json::Object(map) => map.into_iter().map(|(_, value)| value).collect(),
        _ => return Err(bad("subelements takes a list or a mapping")),
    };
    let mut pairs = Vec::new();
    for item in items {
        let found = key.split('.').try_fold(&item, |value, key| value.get(key));
        match found {
            Some(Json::Array(parts)) => {
                pairs
                    .extend(parts.iter().map(|part| Json::Array(vec![item.clone(), part.clone()])));
            }
            None if lenient => {}
            None => return Err(bad(format!("subelements: an item has no '{key}'"))),
            Some(_) => return Err(bad(format!("subelements: '{key}' is not a list"))),
        }
    }
    Ok(from_json(&Json::Array(pairs)))
}

fn zip_longest(first: &Value, others: Rest<Value>, options: Kwargs) -> Result<Value, Error> {
    let fill = options.get::<Option<Value>>("fillvalue")?.map_or(Ok(Json::Null), |v| json(&v))?;
    options.assert_all_used()?;
    let lists = std::iter::once(first).chain(others.iter()).map(|list| match json(list)? {
        Json::Array(items) => Ok(items),
        _ => Err(bad("zip_longest takes lists")),
    });
    let lists: Vec<Vec<Json>> = lists.collect::<Result<_, Error>>()?;
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row = |index: usize| -> Json {
        lists.iter().map(|list| list.get(index).cloned().unwrap_or_else(|| fill.clone())).collect()
    };
    Ok(from_json(&(0..longest).map(row).collect()))
}
