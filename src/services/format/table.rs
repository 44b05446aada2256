//! A profile's nodes against the table of keys: every error at its place.

use super::values::{command_line, duration, is_by_family, is_directory, is_path, owner, port};
use crate::model::FileMode;
use crate::model::text::printable;
use crate::services::keys::{Key, Kind, PLACEHOLDERS, families};
use crate::source::diagnostic::nearest;
use crate::source::{Diagnostic, Diagnostics, Node, Value};

pub(super) fn check_map(node: &Node, keys: &[Key], what: &str, found: &mut Diagnostics) {
    let Some(entries) = node.as_map() else {
        return mismatch(node, &format!("{what} is a mapping"), found);
    };
    for (name, value) in entries {
        let word = name.as_str().unwrap_or_default();
        match keys.iter().find(|key| key.name == word) {
            Some(key) => check_kind(value, key.kind, key.name, found),
            None => found.push(unknown(name, keys.iter().map(|key| key.name), what)),
        }
    }
    for key in keys.iter().filter(|key| key.required && node.entry(key.name).is_none()) {
        found.push(
            Diagnostic::error(format!("{what} needs `{}`: {}", key.name, key.about))
                .at(node.span.as_ref()),
        );
    }
}

fn check_kind(node: &Node, kind: Kind, name: &str, found: &mut Diagnostics) {
    match kind {
        Kind::Text => match node.as_str() {
            Some(text) if text.contains('\0') => {
                mismatch(node, "no NUL character is allowed", found)
            }
            Some(_) => {}
            None => mismatch(node, &format!("`{name}` is text"), found),
        },
        Kind::Pattern => check_pattern(node, name, found),
        Kind::Path => match node.as_str() {
            Some(path) if is_path(path) => {}
            _ => mismatch(
                node,
                &format!("`{name}` is an absolute path without `..`, such as /etc/ssl/site.pem"),
                found,
            ),
        },
        Kind::Directory => match node.as_str() {
            Some(path) if is_directory(path) => {}
            _ => mismatch(
                node,
                &format!("`{name}` is an absolute path without `..`, such as /var/lib/site"),
                found,
            ),
        },
        Kind::Owner => {
            if node.as_str().and_then(owner).is_none() {
                mismatch(node, &format!("`{name}` is user:group, such as root:ssl-cert"), found);
            }
        }
        Kind::Mode => {
            if node.as_str().and_then(FileMode::parse_octal).is_none() {
                mismatch(
                    node,
                    &format!("`{name}` is octal digits in quotes, such as \"0640\""),
                    found,
                );
            }
        }
        Kind::Port => {
            if port(node).is_none() {
                let problem = match node.value {
                    Value::Int(number) => format!("{number} is not a TCP port"),
                    _ => format!("`{name}` is a TCP port, not {}", node.kind()),
                };
                found.push(Diagnostic::error(problem).at(node.span.as_ref()));
            }
        }
        Kind::Duration => {
            if duration(node).is_none() {
                mismatch(node, &format!("`{name}` is a time such as 150ms or 2s"), found);
            }
        }
        Kind::Bool => {
            if !matches!(node.value, Value::Bool(_)) {
                mismatch(node, &format!("`{name}` is true or false"), found);
            }
        }
        Kind::Word(words) => check_word(node, words, name, found),
        Kind::List(item) => match node.as_list() {
            Some(items) => items.iter().for_each(|one| check_kind(one, *item, name, found)),
            None => mismatch(node, &format!("`{name}` is a list"), found),
        },
        Kind::OneOrList(item) => match node.as_list() {
            Some(items) => items.iter().for_each(|one| check_kind(one, *item, name, found)),
            None => check_kind(node, *item, name, found),
        },
        Kind::Map(keys) => check_map(node, keys, &format!("`{name}`"), found),
        Kind::ByFamily(item) if is_by_family(node) => {
            let known: Vec<&str> = families().collect();
            check_variants(node, &known, name, found, &|value, found| {
                check_kind(value, *item, name, found);
            });
        }
        Kind::ByFamily(item) => check_kind(node, *item, name, found),
        Kind::Command => check_command(node, name, found),
        Kind::WordOr(words, other) => match node.as_str() {
            Some(word) if words.contains(&word) => {}
            // A command may be text; any other text is a misspelt word.
            Some(_) if !matches!(other, Kind::Command) => check_word(node, words, name, found),
            _ if node.value == Value::Null => check_word(node, words, name, found),
            _ => check_kind(node, *other, name, found),
        },
        Kind::DirectoryOrMap(keys) => match node.as_map() {
            Some(_) => check_map(node, keys, &format!("`{name}`"), found),
            None => check_kind(node, Kind::Directory, name, found),
        },
        Kind::Settings => check_settings(node, name, found),
    }
}

fn check_settings(node: &Node, name: &str, found: &mut Diagnostics) {
    let Some(entries) = node.as_map() else {
        return mismatch(node, &format!("`{name}` is a mapping from names to texts"), found);
    };
    for (key, value) in entries {
        let word = key.as_str().unwrap_or_default();
        let fits = !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if !fits {
            mismatch(key, "the name of a setting is lower-case letters and _", found);
        } else if PLACEHOLDERS.contains(&word) {
            found.push(
                Diagnostic::error(format!("`{{{word}}}` has a meaning already"))
                    .at(key.span.as_ref()),
            );
        }
        match value.as_str() {
            Some(text) if text.contains('{') => {
                mismatch(value, "a setting holds no placeholder and no brace", found);
            }
            _ => check_kind(value, Kind::Text, word, found),
        }
    }
}

fn check_word(node: &Node, words: &[&str], name: &str, found: &mut Diagnostics) {
    match node.as_str() {
        Some(word) if words.contains(&word) => {}
        Some(word) => {
            let diagnostic = Diagnostic::error(format!("`{name}` cannot be '{word}'"))
                .at(node.span.as_ref())
                .help(format!("allowed: {}", words.join(", ")));
            found.push(match nearest(word, words.iter().copied()) {
                Some(near) => diagnostic.label(format!("did you mean '{near}'?")),
                None => diagnostic,
            });
        }
        None => mismatch(node, &format!("`{name}` is one of: {}", words.join(", ")), found),
    }
}

fn check_command(node: &Node, name: &str, found: &mut Diagnostics) {
    if node.as_map().is_some() && node.entry("shell").is_none() {
        return check_command_variants(node, name, found);
    }
    if let Some((key, _)) =
        node.as_map().into_iter().flatten().find(|(key, _)| key.as_str() != Some("shell"))
    {
        found.push(
            Diagnostic::error("`shell` allows no other keys beside it").at(key.span.as_ref()),
        );
    }
    let Some(command) = command_line(node) else {
        return mismatch(
            node,
            &format!("`{name}` is an argument list, text, {{shell: TEXT}}, or variants of these"),
            found,
        );
    };
    if let Err(problem) = command.check() {
        found.push(Diagnostic::error(problem.to_string()).at(node.span.as_ref()));
    }
}

fn check_command_variants(node: &Node, name: &str, found: &mut Diagnostics) {
    let known: Vec<&str> = ["systemd", "plain"].into_iter().chain(families()).collect();
    check_variants(node, &known, name, found, &|value, found| check_command(value, name, found));
    let entries = node.as_map().into_iter().flatten();
    let init = entries.filter_map(|(key, _)| key.as_str()).filter(|key| known[..2].contains(key));
    match (init.count(), node.as_map().map_or(0, Vec::len)) {
        (_, 0) => mismatch(node, &format!("`{name}` needs a command"), found),
        (some, all) if some != 0 && some != all => found.push(
            Diagnostic::error("variants by init system and by distribution are mixed")
                .at(node.span.as_ref())
                .help("nest them: {debian: {systemd: […], plain: […]}}"),
        ),
        _ => {}
    }
}

/// Each value of a mapping whose keys are variants.
fn check_variants(
    node: &Node,
    known: &[&str],
    name: &str,
    found: &mut Diagnostics,
    each: &dyn Fn(&Node, &mut Diagnostics),
) {
    for (key, value) in node.as_map().into_iter().flatten() {
        if known.contains(&key.as_str().unwrap_or_default()) {
            each(value, found);
        } else {
            found.push(unknown(key, known.iter().copied(), &format!("`{name}`")));
        }
    }
}

fn check_pattern(node: &Node, name: &str, found: &mut Diagnostics) {
    let Some(pattern) = node.as_str() else {
        return mismatch(node, &format!("`{name}` holds regular expressions"), found);
    };
    match fancy_regex::Regex::new(pattern) {
        Err(problem) => found.push(
            Diagnostic::error(format!("bad regular expression: {problem}")).at(node.span.as_ref()),
        ),
        Ok(regex) => {
            let roles = ["cert", "key", "chain", "pem"];
            if !regex.capture_names().flatten().any(|name| roles.contains(&name)) {
                found.push(
                    Diagnostic::error("the pattern has none of the named groups")
                        .at(node.span.as_ref())
                        .help("groups: (?<cert>…), (?<key>…), (?<chain>…), (?<pem>…)"),
                );
            }
        }
    }
}

fn unknown<'a>(
    name: &Node,
    known: impl Iterator<Item = &'a str> + Clone,
    what: &str,
) -> Diagnostic {
    let word = name.as_str().unwrap_or_default();
    let diagnostic = Diagnostic::error(format!("{what} has no key '{word}'"))
        .at(name.span.as_ref())
        .help(format!("keys: {}", known.clone().collect::<Vec<_>>().join(", ")));
    match nearest(word, known) {
        Some(near) => diagnostic.label(format!("did you mean '{near}'?")),
        None => diagnostic,
    }
}

fn mismatch(node: &Node, expected: &str, found: &mut Diagnostics) {
    let actual = match &node.value {
        Value::Text(text) | Value::Unsafe(text) if text.chars().count() <= 60 => {
            format!("'{}'", printable(text.as_bytes(), 240).replace('\n', "⏎"))
        }
        _ => node.kind().to_owned(),
    };
    found.push(Diagnostic::error(format!("{expected}, not {actual}")).at(node.span.as_ref()));
}
