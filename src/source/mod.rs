//! Where text came from: files, positions, YAML values that remember their place,
//! and diagnostics that point at it.

pub mod diagnostic;
pub mod node;
pub mod render;
pub mod span;
mod syntax;
pub mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use node::{Mapping, Node, Value, Vars};
pub use span::{SourceFile, Span};
