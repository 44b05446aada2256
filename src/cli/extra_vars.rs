//! `--extra-vars`: `k=v` pairs, JSON or YAML, or `@FILE`.

use crate::load;
use crate::source::{Diagnostic, Diagnostics, Node, SourceFile, Value, Vars};
use std::path::Path;

/// Merges every `-e` of the command line; later ones win.
///
/// # Errors
/// Files that cannot be read; texts that are neither pairs nor a mapping.
pub(super) fn read(
    given: &[String],
    decrypt: load::Decrypt<'_>,
) -> Result<(Vars, Diagnostics), Diagnostics> {
    let mut merged = Vars::new();
    let mut found = Diagnostics::default();
    for text in given {
        match one(text, decrypt) {
            Ok((vars, warnings)) => {
                merged.extend(vars);
                found.extend(warnings);
            }
            Err(problems) => found.extend(problems),
        }
    }
    found.into_result(merged)
}

fn one(text: &str, decrypt: load::Decrypt<'_>) -> Result<(Vars, Diagnostics), Diagnostics> {
    let trimmed = text.trim();
    if let Some(file) = trimmed.strip_prefix('@') {
        return load::vars_file(Path::new(file), decrypt);
    }
    if trimmed.starts_with(['{', '[']) {
        return load::vars_text(SourceFile::new("--extra-vars", text), decrypt);
    }
    pairs(trimmed).map(|vars| (vars, Diagnostics::default()))
}

/// `a=1 b="two words"`: the values are texts, as in Ansible.
fn pairs(text: &str) -> Result<Vars, Diagnostics> {
    let wrong = |message: String| {
        let help = "-e NAME=VALUE, -e '{\"name\": value}' or -e @FILE";
        Diagnostics(vec![Diagnostic::error(message).help(help)])
    };
    // Values may be passwords: an error names what stands before the first `=` alone.
    let words = shlex::split(text).ok_or_else(|| {
        let first = text.split_once('=').map_or("", |(name, _)| name).trim();
        wrong(format!("--extra-vars: a quote is not closed in '{first}=…'"))
    })?;
    let mut vars = Vars::new();
    let mut before = String::new();
    for word in words {
        let Some((name, value)) = word.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(wrong(if before.is_empty() {
                format!("--extra-vars: '{word}' is not NAME=VALUE")
            } else {
                format!(
                    "--extra-vars: what comes after '{before}=…' is not NAME=VALUE; a value with blanks needs quotes"
                )
            }));
        };
        before = name.to_owned();
        vars.insert(name.to_owned(), Node::made(Value::Text(value.to_owned())));
    }
    Ok(vars)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(given: &[&str]) -> Result<Vars, Diagnostics> {
        let given: Vec<String> = given.iter().map(|&text| text.to_owned()).collect();
        read(&given, &|_| Err("no vault".to_owned())).map(|(vars, _)| vars)
    }

    #[test]
    fn pairs_are_texts_and_json_keeps_types() {
        let vars = read_all(&["a=1 b='two words'", r#"{"c": 3, "a": true}"#]).unwrap();
        assert_eq!(vars["b"].as_str(), Some("two words"));
        assert_eq!(vars["c"].value, Value::Int(3));
        assert_eq!(vars["a"].value, Value::Bool(true));
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        assert!(
            read_all(&["alone"]).unwrap_err().0[0].message.contains("'alone' is not NAME=VALUE")
        );
        for open in ["pass=it's", "pass=hunter2 it"] {
            let error = read_all(&[open]).unwrap_err().0[0].message.clone();
            assert!(
                error.contains("'pass=…'") && !error.contains("it's") && !error.contains("hunter2")
            );
        }
        assert!(read_all(&["@/no/such/file"]).is_err());
    }
}
