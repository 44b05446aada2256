//! Why an encrypted PKCS#8 key is not opened.

pub(in crate::material) enum Problem {
    NotDer,
    /// What is not known, in a few words.
    Unsupported(String),
}

impl From<pkcs8::der::Error> for Problem {
    fn from(_: pkcs8::der::Error) -> Self {
        Self::NotDer
    }
}
