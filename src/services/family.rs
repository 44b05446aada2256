//! Values that differ between distributions.

use crate::host::Family;

/// A value that may differ between distributions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByFamily<T> {
    /// For every family without a value of its own.
    pub default: Option<T>,
    /// Family by family.
    pub families: Vec<(Family, T)>,
}

impl<T> Default for ByFamily<T> {
    fn default() -> Self {
        Self { default: None, families: Vec::new() }
    }
}

impl<T> ByFamily<T> {
    /// The value for a host of that family.
    pub fn get(&self, family: Family) -> Option<&T> {
        let own = self.families.iter().find(|(known, _)| *known == family).map(|(_, value)| value);
        own.or(self.default.as_ref())
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.default.is_none() && self.families.is_empty()
    }
}
