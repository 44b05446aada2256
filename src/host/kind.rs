//! The kinds of host between which service profiles tell.

/// What decides between the variants of a profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HostKind {
    /// systemd runs the services (`/run/systemd/system` exists).
    pub systemd: bool,
    /// Its distribution.
    pub family: Family,
}

impl HostKind {
    /// Every kind.
    pub fn all() -> impl Iterator<Item = Self> {
        let families = Family::NAMES.iter().map(|(_, family)| *family);
        families.flat_map(|family| [true, false].map(|systemd| Self { systemd, family }))
    }
}

/// A family of Linux distributions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// Debian, Ubuntu and their kin.
    Debian,
    /// RHEL, Fedora, CentOS, Rocky, Alma, Amazon.
    RedHat,
    /// Alpine.
    Alpine,
    /// Anything else: the profile's default counts.
    #[default]
    Other,
}

impl Family {
    /// Every family with its key in profiles.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("default", Self::Other),
        ("debian", Self::Debian),
        ("redhat", Self::RedHat),
        ("alpine", Self::Alpine),
    ];
}
