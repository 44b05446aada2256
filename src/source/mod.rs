//! Where text came from: files, positions, YAML values that remember their place,
//! and diagnostics that point at it.

pub(crate) mod diagnostic;
pub(crate) mod node;
pub(crate) mod render;
pub(crate) mod span;
mod syntax;
pub(crate) mod yaml;

pub use diagnostic::Diagnostics;
pub(crate) use diagnostic::{Diagnostic, Severity};
pub(crate) use node::Mapping;
pub use node::{Node, Value, Vars};
pub use span::SourceFile;
pub(crate) use span::Span;
