//! The account that a play or a task runs as.

use crate::source::Node;

/// `become*` of a play, a block or a task; what stands nearer wins.
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

impl Becoming {
    /// These, and where they say nothing those of what stands around.
    pub(crate) fn or(self, outer: &Self) -> Self {
        Self {
            enabled: self.enabled.or_else(|| outer.enabled.clone()),
            user: self.user.or_else(|| outer.user.clone()),
            method: self.method.or_else(|| outer.method.clone()),
            flags: self.flags.or_else(|| outer.flags.clone()),
            exe: self.exe.or_else(|| outer.exe.clone()),
        }
    }
}
