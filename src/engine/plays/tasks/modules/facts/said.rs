//! The sections in which a host speaks of itself (`sh/modules/facts.sh`).

/// Sections by name; their lines without the space that marks them.
pub(super) struct Said<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl<'a> Said<'a> {
    /// What stands before the first section is nothing.
    pub(super) fn read(text: &'a str) -> Self {
        let mut sections: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("== ") {
                sections.push((name, Vec::new()));
            } else if let (Some(line), Some((_, lines))) =
                (line.strip_prefix(' '), sections.last_mut())
            {
                lines.push(line);
            }
        }
        Self(sections)
    }

    /// The lines of a section; none where there is no such section.
    pub(super) fn lines(&self, name: &str) -> &[&'a str] {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map_or(&[], |(_, lines)| lines.as_slice())
    }

    /// One line of a section, from 0; empty where there is none.
    pub(super) fn line(&self, name: &str, index: usize) -> &'a str {
        self.lines(name).get(index).copied().unwrap_or_default().trim()
    }

    /// What is in a file that is not empty.
    pub(super) fn file(&self, path: &str) -> Option<String> {
        let text = self.lines(&format!("file {path}")).join("\n");
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Whether a file is there, with something in it or not.
    pub(super) fn has_file(&self, path: &str) -> bool {
        self.0.iter().any(|(known, _)| known.strip_prefix("file ") == Some(path))
    }

    /// Whether a path, or a program, is there.
    pub(super) fn has(&self, path: &str) -> bool {
        self.lines("there").contains(&path)
    }

    /// The sections whose names begin so, by what follows.
    pub(super) fn each<'s>(
        &'s self,
        start: &'s str,
    ) -> impl Iterator<Item = (&'a str, &'s [&'a str])> {
        let of_kind = move |(name, lines): &'s (&'a str, Vec<&'a str>)| {
            Some((name.strip_prefix(start)?, lines.as_slice()))
        };
        self.0.iter().filter_map(of_kind)
    }
}
