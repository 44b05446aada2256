//! `Match`: what has to hold for the lines below it.

use super::words;
use crate::source::{Diagnostic, Diagnostics, Span};

/// One condition.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Criterion {
    /// `!` in front.
    pub(super) negated: bool,
    pub(super) what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    All,
    /// `final` and `canonical`, which differ only where names are canonicalised.
    Final,
    Canonical,
    Host(String),
    OriginalHost(String),
    User(String),
    LocalUser(String),
    Tagged(String),
    Exec(String),
    /// `exec` is what certroll asks for.
    SessionType(String),
    /// Nothing that holds in certroll.
    Never,
}

/// Reads the criteria of a `Match` line.
pub(super) fn read(
    text: &str,
    found: &mut Diagnostics,
    span: &Span,
) -> Result<Vec<Criterion>, String> {
    let mut criteria = Vec::new();
    let mut rest = Some(text);
    while let Some(written) = words::next_word(&mut rest).filter(|word| !word.is_empty()) {
        if written.starts_with('#') {
            break;
        }
        let (negated, name) = match written.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, written.as_str()),
        };
        let name = name.to_ascii_lowercase();
        if name == "all" {
            let more = words::next_word(&mut rest).filter(|word| !word.is_empty());
            // One criterion before it is let pass, as by OpenSSH.
            if criteria.len() > 1 || more.is_some_and(|word| !word.starts_with('#')) {
                return Err(format!("'{written}' stands alone"));
            }
            criteria.push(Criterion { negated, what: What::All });
            return Ok(criteria);
        }
        if matches!(name.as_str(), "final" | "canonical") {
            let what = if name == "final" { What::Final } else { What::Canonical };
            criteria.push(Criterion { negated, what });
            continue;
        }
        let argument = words::next_word(&mut rest)
            .filter(|word| !word.is_empty() && !word.starts_with('#'))
            .ok_or_else(|| format!("the argument of '{written}' is missing"))?;
        let what = match name.as_str() {
            "host" => What::Host(argument.to_ascii_lowercase()),
            "originalhost" => What::OriginalHost(argument.to_ascii_lowercase()),
            "user" => What::User(argument),
            "localuser" => What::LocalUser(argument),
            "tagged" => What::Tagged(argument),
            "exec" => What::Exec(argument),
            "sessiontype" => What::SessionType(argument),
            "localnetwork" | "version" | "command" => {
                found.push(
                    Diagnostic::warning(format!(
                        "'Match {name}' is not supported: it never holds here"
                    ))
                    .at(span)
                    .help("for certroll's hosts use Host or Match host"),
                );
                criteria.push(Criterion { negated: false, what: What::Never });
                continue;
            }
            _ => return Err(format!("there is no criterion '{written}'")),
        };
        criteria.push(Criterion { negated, what });
    }
    if criteria.is_empty() { Err("it has no criterion".into()) } else { Ok(criteria) }
}
