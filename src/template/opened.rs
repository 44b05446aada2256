//! The values that were opened out of vaults, so that none of them is shown.

use crate::model::{Fingerprint, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Lines of a longer value that are shorter than this stand in many files by chance.
const SHORTEST_LINE: usize = 4;

/// What was opened so far, in the forms in which it may stand in a file. Wiped when the run ends.
#[derive(Default)]
pub(crate) struct Opened(Mutex<Forms>);

#[derive(Default)]
struct Forms {
    known: HashSet<Fingerprint>,
    texts: Vec<Secret<String>>,
}

impl Opened {
    /// Remembers a value: as it is, each of its lines, quoted as JSON quotes it, and in base64.
    pub(super) fn add(&self, value: &str) {
        let mut forms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !forms.known.insert(Fingerprint::of(value.as_bytes())) {
            return;
        }
        let mut add = |text: &str| {
            if !text.is_empty() {
                forms.texts.push(Secret::new(text.to_owned()));
            }
        };
        let whole = value.trim();
        if whole.contains('\n') {
            let lines = whole.lines().map(str::trim);
            lines.filter(|line| line.len() >= SHORTEST_LINE).for_each(&mut add);
        } else {
            add(whole);
        }
        let quoted = Secret::new(serde_json::Value::from(whole).to_string());
        let inner = quoted.expose().trim_matches('"');
        if inner != whole {
            add(inner);
        }
        for text in [value, whole] {
            let encoded = Secret::new(STANDARD.encode(text));
            add(encoded.expose());
        }
    }

    /// Whether a line holds one of them.
    pub(crate) fn is_in(&self, line: &str) -> bool {
        let forms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        forms.texts.iter().any(|text| line.contains(text.expose().as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_known_again_in_the_forms_that_filters_give_it() {
        let opened = Opened::default();
        assert!(!opened.is_in("hunter2"));
        opened.add("hunter2\n");
        opened.add("say \"it\"");
        opened.add("first line\nxy\nthird line\n");
        for line in [
            "password = hunter2;",
            "token: aHVudGVyMg==",
            "json: {\"a\": \"say \\\"it\\\"\"}",
            "    third line",
        ] {
            assert!(opened.is_in(line), "{line}");
        }
        for line in ["password = hunter;", "xy", ""] {
            assert!(!opened.is_in(line), "{line}");
        }
    }
}
