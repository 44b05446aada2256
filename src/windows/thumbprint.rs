//! What Windows calls a certificate by: the SHA-1 of its DER.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A certificate's name in a store of Windows; nothing rests on SHA-1 but that. Displays as 40 upper-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Thumbprint([u8; 20]);

impl Thumbprint {
    /// That of a certificate.
    pub(crate) fn of(der: &[u8]) -> Self {
        let mut out = [0; 20];
        out.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref());
        Self(out)
    }

    /// Reads one in whatever case; blanks between the digits are left out.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| *c != ' ').collect();
        let mut out = [0; 20];
        hex::decode_to_slice(digits, &mut out).ok()?;
        Some(Self(out))
    }

    /// The first eight digits, for tables.
    pub(crate) fn short(self) -> String {
        self.to_string()[..8].to_owned()
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Nothing, or one of them: an empty text is how PowerShell says that there is none.
pub(super) fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Thumbprint>, D::Error> {
    let text = Option::<String>::deserialize(from)?.unwrap_or_default();
    match text.trim() {
        "" => Ok(None),
        text => Thumbprint::parse(text)
            .map(Some)
            .ok_or_else(|| serde::de::Error::custom("not a thumbprint")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digest_in_any_case() {
        let empty = Thumbprint::of(b"");
        assert_eq!(empty.to_string(), "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709");
        assert_eq!(Thumbprint::parse("da 39a3ee5e6b4b0d3255bfef95601890afd80709"), Some(empty));
        assert_eq!(Thumbprint::parse("da39"), None);
    }
}
