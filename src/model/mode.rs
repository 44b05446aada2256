//! File permission bits.

use std::fmt;

/// Permission bits of a file, `0o0000` to `0o7777`. Displays as four octal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileMode(u16);

impl FileMode {
    /// Keeps the low twelve bits.
    pub const fn new(bits: u16) -> Self {
        Self(bits & 0o7777)
    }

    /// Parses octal digits, as `0640` or `640`. `None` for anything else.
    pub fn parse_octal(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        if digits.is_empty() || digits.len() > 5 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let bits = u16::from_str_radix(digits, 8).ok()?;
        (bits <= 0o7777).then_some(Self(bits))
    }

    /// The bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether `self` grants something that `limit` does not.
    pub const fn is_wider_than(self, limit: Self) -> bool {
        self.0 & !limit.0 != 0
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for FileMode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_text() {
        assert_eq!(FileMode::parse_octal("0640"), Some(FileMode::new(0o640)));
        assert_eq!(FileMode::parse_octal("1777"), Some(FileMode::new(0o1777)));
        assert_eq!(FileMode::parse_octal("8"), None);
        assert_eq!(FileMode::parse_octal("u=rw"), None);
        assert_eq!(FileMode::new(0o600).to_string(), "0600");
        assert!(FileMode::new(0o640).is_wider_than(FileMode::new(0o600)));
        assert!(!FileMode::new(0o400).is_wider_than(FileMode::new(0o600)));
    }
}
