//! What is done with a file.

use serde::{Deserialize, Serialize};

/// What is done with one file. A plan decides it, rows of the plan show it, JSON carries it as the fields `action` and `why`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", content = "why", rename_all = "snake_case")]
pub enum FileAction {
    /// It does not exist yet.
    Create,
    /// It gets other bytes.
    Replace,
    /// It goes: there was none before what is taken back.
    Remove,
    /// It has the right bytes and the wrong owner, group or mode.
    RepairMode,
    /// It is right, but the service serves something else.
    ReloadOnly,
    /// It is right.
    Unchanged,
    /// It cannot be done, and why.
    Blocked(String),
}

impl FileAction {
    /// The word of JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Remove => "remove",
            Self::RepairMode => "repair_mode",
            Self::ReloadOnly => "reload_only",
            Self::Unchanged => "unchanged",
            Self::Blocked(_) => "blocked",
        }
    }

    /// Whether the file itself stays as it is.
    pub fn keeps_file(&self) -> bool {
        matches!(self, Self::ReloadOnly | Self::Unchanged)
    }

    /// Whether `apply` would do something.
    pub fn is_pending(&self) -> bool {
        match self {
            Self::Create | Self::Replace | Self::Remove | Self::RepairMode | Self::ReloadOnly => {
                true
            }
            Self::Unchanged | Self::Blocked(_) => false,
        }
    }
}
