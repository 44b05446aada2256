//! Paths on a host: bytes, absolute, never a directory's own name.

use std::fmt;
use std::sync::Arc;

/// An absolute path on a host. Any bytes except NUL, as on POSIX file systems; host names of files
/// need not be UTF-8. Displays lossily and without control characters. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemotePath(Arc<[u8]>);

/// Why a text is no path on a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Relative paths depend on who logs in.
    #[error("the path is not absolute")]
    Relative,
    /// No file system can hold a NUL in a name.
    #[error("the path holds a NUL character")]
    Nul,
    /// `/`, or a path that ends in `/`, `.` or `..`.
    #[error("the path names a directory")]
    Directory,
    /// Beyond PATH_MAX of Linux (4096 with the closing NUL).
    #[error("the path is longer than 4095 bytes")]
    TooLong,
}

impl RemotePath {
    /// Checks the shape of a file's path. Repeated slashes and inner `.` parts are dropped; `..`
    /// stays, because what it means depends on links that only the host can see.
    ///
    /// # Errors
    /// See [`BadPath`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, BadPath> {
        let bytes = bytes.into();
        if bytes.first() != Some(&b'/') {
            return Err(BadPath::Relative);
        }
        if bytes.contains(&0) {
            return Err(BadPath::Nul);
        }
        if bytes.len() > 4095 {
            return Err(BadPath::TooLong);
        }
        let last = bytes.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        if matches!(last, b"" | b"." | b"..") {
            return Err(BadPath::Directory);
        }
        let mut clean = Vec::with_capacity(bytes.len());
        for part in bytes.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")) {
            clean.push(b'/');
            clean.extend_from_slice(part);
        }
        Ok(Self(clean.into()))
    }

    /// A directory to work in: `/` and a closing slash are fine.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_directory(bytes: impl Into<Vec<u8>>) -> Result<Self, BadPath> {
        let mut bytes = bytes.into();
        while bytes.ends_with(b"/") && bytes.len() > 1 {
            bytes.pop();
        }
        if bytes == b"/" { Ok(Self(bytes.into())) } else { Self::new(bytes) }
    }

    /// The bytes, starting with `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The directory, `/` at the top.
    pub fn directory(&self) -> &[u8] {
        match self.split() {
            0 => b"/",
            at => &self.0[..at],
        }
    }

    /// The last part.
    pub fn file_name(&self) -> &[u8] {
        &self.0[self.split() + 1..]
    }

    /// The path `name` in the directory `directory`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn in_directory(directory: &[u8], name: &[u8]) -> Result<Self, BadPath> {
        Self::new([directory, b"/", name].concat())
    }

    /// The path as text for arguments and placeholders, where it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    fn split(&self) -> usize {
        self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0)
    }
}

impl std::str::FromStr for RemotePath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        Self::new(text)
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&super::text::printable(&self.0, self.0.len()).replace(['\n', '\t'], "\u{fffd}"))
    }
}

impl fmt::Debug for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl serde::Serialize for RemotePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_file_paths() {
        assert_eq!(RemotePath::new("a/b"), Err(BadPath::Relative));
        assert_eq!(RemotePath::new(""), Err(BadPath::Relative));
        assert_eq!(RemotePath::new("/a/"), Err(BadPath::Directory));
        assert_eq!(RemotePath::new("/"), Err(BadPath::Directory));
        assert_eq!(RemotePath::new("/a/.."), Err(BadPath::Directory));
        assert_eq!(RemotePath::new("/a\0"), Err(BadPath::Nul));
        assert_eq!(RemotePath::new(vec![b'/'; 5000]), Err(BadPath::TooLong));
        let path = RemotePath::new("//etc/./ssl//a b\n").unwrap();
        assert_eq!(path.as_bytes(), b"/etc/ssl/a b\n");
        assert_eq!(path.directory(), b"/etc/ssl");
        assert_eq!(path.file_name(), b"a b\n");
        assert_eq!(path.to_string(), "/etc/ssl/a b\u{fffd}");
        let top = RemotePath::new("/pem").unwrap();
        assert_eq!((top.directory(), top.file_name()), (&b"/"[..], &b"pem"[..]));
    }
}
