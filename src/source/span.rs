//! Positions in input files.

use std::fmt;
use std::sync::Arc;

/// An input text with the name that is shown for it.
#[derive(PartialEq, Eq)]
pub struct SourceFile {
    /// Path as the operator gave it, or a label such as `--extra-vars`.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Decrypted or otherwise confidential: excerpts are never shown.
    pub secret: bool,
}

impl SourceFile {
    /// A text that may be quoted in diagnostics.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into(), secret: false })
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({})", self.name)
    }
}

/// A place in a file. Lines and columns count from 1, columns in characters. Displays as
/// `file:line:column`.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters to underline, at least 1.
    pub length: usize,
}

impl Span {
    /// One character at a place.
    pub fn at(file: &Arc<SourceFile>, line: usize, column: usize) -> Self {
        Self { file: Arc::clone(file), line, column, length: 1 }
    }

    /// The same place, underlining `length` characters.
    pub fn with_length(mut self, length: usize) -> Self {
        self.length = length.max(1);
        self
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.name, self.line, self.column)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
