//! The regular expressions of profiles.

use std::sync::{Arc, OnceLock};

/// A regular expression, made when it is first used: a run needs the patterns of few profiles.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    made: Arc<OnceLock<Option<fancy_regex::Regex>>>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Pattern {
    pub(super) fn new(text: String) -> Self {
        Self { text, made: Arc::default() }
    }

    /// Its matches in a line; none of one that is no regular expression, which no profile that was checked has.
    pub(super) fn captures_iter<'a>(
        &'a self,
        line: &'a str,
    ) -> impl Iterator<Item = Result<fancy_regex::Captures<'a>, fancy_regex::Error>> {
        let made = self.made.get_or_init(|| fancy_regex::Regex::new(&self.text).ok());
        made.iter().flat_map(|regex| regex.captures_iter(line))
    }
}
