//! Families of distributions, and values that differ between them.

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

    /// From the text of `/etc/os-release` (`ID`, then `ID_LIKE`; os-release(5)).
    pub fn from_os_release(text: &str) -> Self {
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.trim().split_once('='))
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.trim_matches(['"', '\'']).to_ascii_lowercase())
                .unwrap_or_default()
        };
        let (id, like) = (value("ID"), value("ID_LIKE"));
        std::iter::once(id.as_str())
            .chain(like.split_whitespace())
            .find_map(|name| match name {
                "debian" | "ubuntu" => Some(Self::Debian),
                "rhel" | "fedora" | "centos" | "rocky" | "almalinux" | "amzn" | "ol" => {
                    Some(Self::RedHat)
                }
                "alpine" => Some(Self::Alpine),
                _ => None,
            })
            .unwrap_or_default()
    }
}
