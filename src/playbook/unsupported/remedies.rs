//! Remedies, each shared by several names.

/// Names that share one remedy.
pub(super) type Group = (&'static [&'static str], &'static str);

/// The remedy for a name.
pub(super) fn find(groups: &[Group], name: &str) -> Option<&'static str> {
    groups.iter().find(|(names, _)| names.contains(&name)).map(|(_, remedy)| *remedy)
}
