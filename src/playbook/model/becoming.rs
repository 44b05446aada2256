//! The account that a play or a task runs as.

use crate::source::Node;

/// `become*` of a play or task; what a task says wins.
#[derive(Clone, Debug, Default)]
pub struct Becoming {
    /// `become`.
    pub enabled: Option<Node>,
    /// `become_user`.
    pub user: Option<Node>,
    /// `become_method`.
    pub method: Option<Node>,
    /// `become_flags`.
    pub flags: Option<Node>,
    /// `become_exe`.
    pub exe: Option<Node>,
}
