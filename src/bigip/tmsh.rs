//! What `tmsh` prints, read. Pure, and bounded by what the program on the device lets through.

use crate::model::Fingerprint;
use crate::model::text::printable;

/// What is shown of an error.
const SHOWN: usize = 600;

/// The error in what tmsh said, if there is one: `01070277:3: …`, `Syntax Error: …`, `Data Input Error: …`.
pub(crate) fn complaint(said: &str) -> Option<String> {
    let is_bad = |line: &&str| {
        let numbered = line.split_once(':').is_some_and(|(number, rest)| {
            let level = rest.split_once(':').map(|(level, _)| level);
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            number.len() == 8
                && number.bytes().all(|b| b.is_ascii_hexdigit())
                && level.is_some_and(digits)
        });
        let words = [
            "Syntax Error",
            "Data Input Error",
            "Unexpected Error",
            "was not found",
            "transaction failed",
        ];
        numbered || words.iter().any(|word| line.contains(word))
    };
    let line = said.lines().map(str::trim).find(is_bad)?;
    Some(printable(line.as_bytes(), SHOWN))
}

/// A client-ssl profile, as far as it is about certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    /// It has no entries of its own and uses those of its parent.
    pub inherits: bool,
    /// Its `cert-key-chain`.
    pub entries: Vec<Entry>,
}

/// One entry of a `cert-key-chain`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name.
    pub name: String,
    /// The certificate's object, by its full name.
    pub cert: String,
    /// The key's.
    pub key: String,
    /// That of the intermediates, or `none`.
    pub chain: String,
    /// The key is encrypted.
    pub passphrase: bool,
}

impl Profile {
    /// Reads `list ltm profile client-ssl NAME inherit-certkeychain cert-key-chain`; names without a folder are of
    /// `partition`.
    ///
    /// # Errors
    /// What tmsh complains about, or that this is no such profile.
    pub(crate) fn read(said: &str, partition: &str) -> Result<Self, String> {
        if let Some(why) = complaint(said) {
            return Err(why);
        }
        let mut lines = said.lines().map(str::trim);
        lines
            .find(|line| line.starts_with("ltm profile client-ssl ") && line.ends_with('{'))
            .ok_or_else(|| {
                format!(
                    "no client-ssl profile is listed: {}",
                    printable(said.trim().as_bytes(), SHOWN)
                )
            })?;
        let mut profile = Self::default();
        let mut depth = 0_usize;
        let mut inside = false;
        for line in lines {
            let opened = line.strip_suffix('{').map(str::trim);
            match (opened, line) {
                (Some("cert-key-chain"), _) if depth == 0 => inside = true,
                (Some(name), _) if depth == 1 && inside => {
                    let name = name.to_owned();
                    profile.entries.push(Entry {
                        name,
                        chain: "none".to_owned(),
                        ..Entry::default()
                    });
                }
                _ => {}
            }
            if opened.is_some() {
                depth += 1;
                continue;
            }
            if line == "}" {
                depth = depth.saturating_sub(1);
                inside &= depth > 0;
                continue;
            }
            let Some((key, value)) = line.split_once(' ') else { continue };
            match (depth, key, profile.entries.last_mut()) {
                (0, "inherit-certkeychain", _) => profile.inherits = value == "true",
                (2, "cert", Some(entry)) if inside => entry.cert = full(value, partition),
                (2, "key", Some(entry)) if inside => entry.key = full(value, partition),
                (2, "chain", Some(entry)) if inside => entry.chain = full(value, partition),
                (2, "passphrase", Some(entry)) if inside => entry.passphrase = value != "none",
                _ => {}
            }
        }
        Ok(profile)
    }
}

fn full(name: &str, partition: &str) -> String {
    if name == "none" || name.starts_with('/') {
        name.to_owned()
    } else {
        format!("/{partition}/{name}")
    }
}

/// `show sys mcp-state field-fmt` says `phase running`.
pub(crate) fn is_running(said: &str) -> bool {
    said.lines().any(|line| line.split_whitespace().eq(["phase", "running"]))
}

/// The value of a `Status` line, as `ACTIVE` or `In Sync`.
pub(crate) fn status(said: &str) -> Option<String> {
    let value = said.lines().find_map(|line| line.trim().strip_prefix("Status"))?.trim();
    (!value.is_empty()).then(|| printable(value.as_bytes(), 60))
}

/// Of `show cm failover-status`.
pub(crate) fn is_active(said: &str) -> bool {
    status(said).is_some_and(|status| status.eq_ignore_ascii_case("active"))
}

/// Of `show cm sync-status`.
pub(crate) fn is_in_sync(said: &str) -> bool {
    status(said).is_some_and(|status| status.eq_ignore_ascii_case("in sync"))
}

/// `fingerprint SHA256/AA:BB:…` of `list sys file ssl-cert NAME`: of the first certificate in it.
pub(crate) fn fingerprint(said: &str) -> Option<Fingerprint> {
    let value = said.lines().find_map(|line| line.trim().strip_prefix("fingerprint "))?;
    let digits = value.trim().trim_matches('"').strip_prefix("SHA256/")?;
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "ltm profile client-ssl /Common/www {\n    cert-key-chain {\n        rsa {\n            \
        cert www.crt\n            chain /Common/ca.crt\n            key www.key\n            passphrase none\n        \
        }\n        ec_1 {\n            cert /Other/ec.crt\n            key /Other/ec.key\n            passphrase \
        $M$x\n        }\n    }\n    inherit-certkeychain false\n}\n";

    #[test]
    fn entries_of_a_profile_are_read() {
        let entry = |name: &str, cert: &str, key: &str, chain: &str, passphrase| Entry {
            name: name.to_owned(),
            cert: cert.to_owned(),
            key: key.to_owned(),
            chain: chain.to_owned(),
            passphrase,
        };
        let expected = Profile {
            inherits: false,
            entries: vec![
                entry("rsa", "/Common/www.crt", "/Common/www.key", "/Common/ca.crt", false),
                entry("ec_1", "/Other/ec.crt", "/Other/ec.key", "none", true),
            ],
        };
        assert_eq!(Profile::read(LISTED, "Common").unwrap(), expected);
        let inherits = "ltm profile client-ssl x {\n    cert-key-chain {\n        default { }\n    }\n    \
            inherit-certkeychain true\n}\n";
        assert!(Profile::read(inherits, "Common").unwrap().inherits);
        for (said, why) in [
            ("01020036:3: The requested profile (/Common/x) was not found.", "was not found"),
            ("Syntax Error: \"list\"", "Syntax Error"),
            ("", "no client-ssl profile"),
            ("ltm profile server-ssl x {\n}", "no client-ssl profile"),
        ] {
            assert!(Profile::read(said, "Common").unwrap_err().contains(why), "{said}");
        }
        // Nesting that nobody writes is no reason to fall over.
        assert!(Profile::read(&LISTED.replace('}', "} } }"), "Common").is_ok());
        assert!(Profile::read(&format!("{LISTED}}}}}"), "Common").is_ok());
    }

    #[test]
    fn errors_are_told_by_their_words() {
        for said in [
            "01070317:3: profile /Common/www's key and certificate do not match",
            "  01b4002a:3: cert-key-chain and profile cert/key options cannot be specified together.",
            "Syntax Error: unexpected argument \"exec\"",
            "Data Input Error: x",
            "x\n01071AC9:4: whatever",
        ] {
            assert!(complaint(said).is_some(), "{said}");
        }
        for said in ["", "Saving running configuration...", "12:3: x", "/Common/a:3: b", LISTED] {
            assert_eq!(complaint(said), None, "{said}");
        }
    }

    #[test]
    fn states_are_read() {
        assert!(is_running(
            "Sys::mcpd State:\nlast-load full-config-load-succeed\nphase running\n"
        ));
        assert!(!is_running("phase initializing") && !is_running("running"));
        let shown =
            |status: &str| format!("CM::X\n-----\nColor    green\nStatus   {status}\nSummary  x\n");
        assert!(is_active(&shown("ACTIVE")) && !is_active(&shown("STANDBY")));
        assert!(is_in_sync(&shown("In Sync")) && !is_in_sync(&shown("Changes Pending")));
        assert_eq!(status("nothing"), None);
    }

    #[test]
    fn fingerprints_are_read() {
        let digits = ["AB"; 32].join(":");
        let said = |value: &str| format!("sys file ssl-cert x {{\n    fingerprint {value}\n}}");
        let expected: Fingerprint = "ab".repeat(32).parse().unwrap();
        assert_eq!(fingerprint(&said(&format!("SHA256/{digits}"))), Some(expected));
        assert_eq!(fingerprint(&said(&format!("\"SHA256/{digits}\""))), Some(expected));
        assert_eq!(fingerprint(&said("SHA256/AB:CD")), None);
        assert_eq!(fingerprint("x"), None);
    }
}
