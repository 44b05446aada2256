//! The configuration file of a simulated service: `name = value`, one per line, read anew at every
//! check and reload as real services do.

use crate::model::StartTls;
use std::path::PathBuf;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// What precedes the handshake: nothing, or SMTP's dialogue.
    pub(super) starttls: StartTls,
    /// Kinds of key that the service can use, as `EC P-256`; empty: all. Looked at when files are
    /// loaded and not by the check: real checks have such holes too.
    pub(super) key_types: Vec<String>,
}

/// Every setting; `listen` is for people, the port is taken before the file is written.
const NAMES: [&str; 5] = ["listen", "certificate", "key", "starttls", "key_types"];

impl Settings {
    /// Reads the file `name` with this text.
    ///
    /// # Errors
    /// Every line that is wrong, and what is missing.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        let mut found: Vec<(&str, &str)> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            match line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                _ if line.is_empty() => {}
                None => wrong.push(format!("{name}:{number}: not 'name = value': {line}")),
                Some((key, _)) if !NAMES.contains(&key) => {
                    wrong.push(format!("{name}:{number}: unknown setting '{key}'"));
                }
                Some((key, value)) => found.push((key, value)),
            }
        }
        let value = |key| found.iter().rev().find(|(name, _)| *name == key).map(|entry| entry.1);
        let starttls = value("starttls").unwrap_or("none");
        let Some(starttls) = StartTls::by_name(starttls)
            .filter(|protocol| matches!(protocol, StartTls::None | StartTls::Smtp))
        else {
            wrong.push(format!("{name}: starttls takes none or smtp, not '{starttls}'"));
            return Err(wrong);
        };
        for key in ["certificate", "key"] {
            if value(key).is_none() {
                wrong.push(format!("{name}: no '{key}'"));
            }
        }
        let (Some(certificate), Some(key), []) = (value("certificate"), value("key"), &wrong[..])
        else {
            return Err(wrong);
        };
        let kinds = value("key_types").unwrap_or_default().split(',');
        Ok(Self {
            certificate: certificate.into(),
            key: key.into(),
            starttls,
            key_types: kinds
                .map(str::trim)
                .filter(|kind| !kind.is_empty())
                .map(Into::into)
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file() {
        let text = "# mail\nlisten = 127.0.0.1:25\ncertificate = /c # live\nkey = /k\n\n\
                    starttls = smtp\nkey_types = EC P-256, RSA 2048\n";
        let settings = Settings::parse("x.conf", text).unwrap();
        assert_eq!(settings.starttls, StartTls::Smtp);
        assert_eq!(settings.key_types, ["EC P-256", "RSA 2048"]);
        assert_eq!(settings.certificate, PathBuf::from("/c"));
    }

    #[test]
    fn all_that_is_wrong_at_once() {
        let wrong = Settings::parse("x.conf", "certificate = /c\nlisten\nworkres = 4\n");
        assert_eq!(
            wrong.unwrap_err(),
            [
                "x.conf:2: not 'name = value': listen",
                "x.conf:3: unknown setting 'workres'",
                "x.conf: no 'key'"
            ]
        );
    }
}
