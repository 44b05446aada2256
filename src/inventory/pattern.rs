//! Host patterns: `web:&prod:!www3`, globs, `~regex`, `web[0:2]`, and limits.

use super::model::Inventory;
use super::vars::is_implicit_localhost;
use crate::model::HostName;
use crate::source::diagnostic::nearest;
use indexmap::IndexSet;
use std::path::Path;

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A part matches neither group nor host.
    #[error("the pattern '{part}' matches no group and no host{}", hint(.near))]
    NoMatch {
        /// The part.
        part: String,
        /// The nearest known name.
        near: Option<String>,
    },
    /// Everything together leaves nobody.
    #[error("the pattern '{0}' leaves no host")]
    Nobody(String),
    /// An index beyond the group's end.
    #[error("'{part}': '{name}' has only {count} hosts")]
    OutOfRange {
        /// The part.
        part: String,
        /// What is indexed.
        name: String,
        /// How many it has.
        count: usize,
    },
    /// A form that Ansible silently reads as something else.
    #[error("the pattern '{part}' is not possible: {why}")]
    Refused {
        /// The part.
        part: String,
        /// What to write instead.
        why: String,
    },
    /// A file of patterns that cannot be read.
    #[error("the limit @{file} cannot be read: {why}")]
    File {
        /// Its path.
        file: String,
        /// Why.
        why: String,
    },
}

fn hint(near: &Option<String>) -> String {
    near.as_ref().map(|near| format!("; did you mean '{near}'?")).unwrap_or_default()
}

/// Hosts of a pattern: plain parts in order, then every `&`, then every `!`, wherever they stand.
pub(super) fn select(inventory: &Inventory, pattern: &str) -> Result<Vec<HostName>, PatternError> {
    let parts = split(inventory, pattern)?;
    evaluate(inventory, &parts, pattern)
}

/// Hosts of a limit: as a pattern, with `@FILE`, `!@FILE` and `&@FILE` for files of patterns.
pub(super) fn limit(
    inventory: &Inventory,
    limit: &str,
) -> Result<IndexSet<HostName>, PatternError> {
    let mut parts = Vec::new();
    for part in split(inventory, limit)? {
        let (mark, rest) = marked(&part);
        match rest.strip_prefix('@') {
            None => parts.push(part),
            Some(file) => {
                let lines = lines(file)?;
                parts.extend(lines.into_iter().map(|line| format!("{mark}{line}")));
                if mark.is_empty() && parts.is_empty() {
                    let why = "it names no host; leave the limit out to mean everyone".to_owned();
                    return Err(PatternError::File { file: file.to_owned(), why });
                }
            }
        }
    }
    if limit.trim().is_empty() {
        let why = "an empty limit would mean everyone: leave it out instead".to_owned();
        return Err(PatternError::Refused { part: limit.to_owned(), why });
    }
    let hosts = evaluate(inventory, &parts, limit)?;
    if hosts.is_empty() {
        return Err(PatternError::Nobody(limit.to_owned()));
    }
    Ok(hosts.into_iter().collect())
}

fn lines(file: &str) -> Result<Vec<String>, PatternError> {
    let text = crate::load::read_text(Path::new(file))
        .map_err(|problem| PatternError::File { file: file.to_owned(), why: problem.message })?;
    let lines = text.text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn marked(part: &str) -> (&str, &str) {
    match part.chars().next() {
        Some('!' | '&') => part.split_at(1),
        _ => ("", part),
    }
}

/// Parts of a pattern. Commas separate; without one, colons outside brackets and parentheses do, unless the whole is a
/// host's name or an IPv6 address.
fn split(inventory: &Inventory, pattern: &str) -> Result<Vec<String>, PatternError> {
    let trimmed = |text: &str| text.trim().to_owned();
    let by_colon = |text: &str| -> Vec<String> {
        let mut parts = vec![String::new()];
        let mut depth = 0_i32;
        for c in text.chars() {
            match c {
                '[' | '(' => depth += 1,
                ']' | ')' => depth -= 1,
                _ => {}
            }
            if c == ':' && depth == 0 {
                parts.push(String::new());
            } else if let Some(last) = parts.last_mut() {
                last.push(c);
            }
        }
        parts
    };
    let is_whole = |text: &str| {
        let (_, rest) = marked(text);
        inventory.contains(rest) || rest.parse::<std::net::Ipv6Addr>().is_ok()
    };
    let mut parts = Vec::new();
    for piece in pattern.split(',').map(trimmed) {
        if is_whole(&piece) {
            parts.push(piece);
            continue;
        }
        let pieces = by_colon(&piece);
        if pattern.contains(',') && pieces.len() > 1 {
            let why =
                "a pattern has either commas or colons between its parts, not both".to_owned();
            return Err(PatternError::Refused { part: piece, why });
        }
        parts.extend(pieces.into_iter().map(|part| part.trim().to_owned()));
    }
    parts.retain(|part| !part.is_empty());
    Ok(parts)
}

fn evaluate(
    inventory: &Inventory,
    parts: &[String],
    whole: &str,
) -> Result<Vec<HostName>, PatternError> {
    let with = |mark: &'static str| {
        parts.iter().filter_map(move |part| {
            let (own, rest) = marked(part);
            (own == mark).then_some(rest)
        })
    };
    let mut hosts: IndexSet<HostName> = IndexSet::new();
    if with("").next().is_none() {
        if parts.is_empty() {
            return Err(PatternError::Nobody(whole.to_owned()));
        }
        hosts.extend(inventory.hosts());
    }
    for part in with("") {
        hosts.extend(one(inventory, part)?);
    }
    for part in with("&") {
        let both = one(inventory, part)?;
        hosts.retain(|host| both.contains(host));
    }
    for part in with("!") {
        let without = one(inventory, part)?;
        hosts.retain(|host| !without.contains(host));
    }
    Ok(hosts.into_iter().collect())
}

/// Hosts of one part without its mark.
fn one(inventory: &Inventory, part: &str) -> Result<IndexSet<HostName>, PatternError> {
    if let Some(regex) = part.strip_prefix('~') {
        let regex = fancy_regex::Regex::new(&format!("^(?:{regex})")).map_err(|error| {
            PatternError::Refused { part: part.to_owned(), why: error.to_string() }
        })?;
        return matching(inventory, part, |name| regex.is_match(name).unwrap_or(false));
    }
    if inventory.contains(part) {
        return Ok([HostName::new(part)].into());
    }
    if part.rfind('[').is_some_and(|open| !part[open..].contains(']')) {
        let why = "a bracket is not closed".to_owned();
        return Err(PatternError::Refused { part: part.to_owned(), why });
    }
    if let Some((name, index)) = subscript(part)? {
        let hosts = names(inventory, name)?;
        return indexed(part, name, &hosts, index);
    }
    names(inventory, part)
}

fn names(inventory: &Inventory, part: &str) -> Result<IndexSet<HostName>, PatternError> {
    if part == "all" || part == "*" {
        return Ok(inventory.hosts().into_iter().collect());
    }
    if inventory.groups.contains_key(part) {
        return Ok(inventory.members(part).into_iter().collect());
    }
    if inventory.contains(part) || is_implicit_localhost(part) {
        return Ok([HostName::new(part)].into());
    }
    if part.contains(['*', '?', '[']) {
        let regex = glob(part).ok_or_else(|| PatternError::Refused {
            part: part.to_owned(),
            why: "it is no glob".to_owned(),
        })?;
        return matching(inventory, part, |name| regex.is_match(name).unwrap_or(false));
    }
    Err(no_match(inventory, part))
}

fn no_match(inventory: &Inventory, part: &str) -> PatternError {
    let known = inventory.groups.keys().map(String::as_str);
    let known = known.chain(inventory.hosts.keys().map(HostName::as_str));
    PatternError::NoMatch { part: part.to_owned(), near: nearest(part, known).map(str::to_owned) }
}

/// Groups and hosts whose names match.
fn matching(
    inventory: &Inventory,
    part: &str,
    matches: impl Fn(&str) -> bool,
) -> Result<IndexSet<HostName>, PatternError> {
    let mut hosts = IndexSet::new();
    let mut any = false;
    for group in inventory.groups.keys().filter(|group| matches(group)) {
        any = true;
        hosts.extend(inventory.members(group));
    }
    hosts.extend(inventory.hosts().into_iter().filter(|host| matches(host.as_str())));
    if hosts.is_empty() && !any {
        return Err(no_match(inventory, part));
    }
    Ok(hosts)
}

pub(crate) fn glob(part: &str) -> Option<fancy_regex::Regex> {
    let mut regex = String::from("^");
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => {
                let set: String = chars.by_ref().take_while(|c| *c != ']').collect();
                let set = set.replace('\\', "\\\\");
                match set.strip_prefix('!') {
                    Some(rest) => regex.push_str(&format!("[^{rest}]")),
                    None => regex.push_str(&format!("[{set}]")),
                }
            }
            c => regex.push_str(&fancy_regex::escape(&c.to_string())),
        }
    }
    regex.push('$');
    fancy_regex::Regex::new(&regex).ok()
}

enum Index {
    One(i64),
    Slice(usize, Option<usize>),
}

/// `web[0]`, `web[-1]`, `web[0:2]`, `web[1:]` (both ends included, as in Ansible).
fn subscript(part: &str) -> Result<Option<(&str, Index)>, PatternError> {
    let Some((name, rest)) = part.strip_suffix(']').and_then(|part| part.rsplit_once('[')) else {
        return Ok(None);
    };
    let refused = |why: &str| PatternError::Refused { part: part.to_owned(), why: why.to_owned() };
    if let Ok(index) = rest.parse() {
        return Ok(Some((name, Index::One(index))));
    }
    let Some((start, end)) = rest.split_once(':').or_else(|| {
        rest.split_once('-')
            .filter(|(start, end)| start.parse::<u64>().is_ok() && end.parse::<u64>().is_ok())
    }) else {
        return Ok(None);
    };
    if start.is_empty() || start.starts_with('-') {
        return Err(refused("a slice begins with a number: web[0:1] are the first two"));
    }
    let start = start.parse().map_err(|_| refused("a slice is [NUMBER:NUMBER]"))?;
    let end = match end {
        "" => None,
        end => Some(end.parse().map_err(|_| refused("a slice is [NUMBER:NUMBER]"))?),
    };
    Ok(Some((name, Index::Slice(start, end))))
}

fn indexed(
    part: &str,
    name: &str,
    hosts: &IndexSet<HostName>,
    index: Index,
) -> Result<IndexSet<HostName>, PatternError> {
    let out_of_range = || PatternError::OutOfRange {
        part: part.to_owned(),
        name: name.to_owned(),
        count: hosts.len(),
    };
    match index {
        Index::One(index) => {
            let count = i64::try_from(hosts.len()).unwrap_or(i64::MAX);
            let at = if index < 0 { count + index } else { index };
            let host = usize::try_from(at).ok().and_then(|at| hosts.get_index(at));
            host.map(|host| [host.clone()].into()).ok_or_else(out_of_range)
        }
        Index::Slice(start, end) => {
            let end = end.map_or(hosts.len(), |end| end.saturating_add(1)).min(hosts.len());
            if start >= end {
                return Err(out_of_range());
            }
            Ok((start..end).filter_map(|at| hosts.get_index(at).cloned()).collect())
        }
    }
}
