//! Who undoes a change that is not confirmed.

use serde::{Deserialize, Serialize};

/// What brings a target back to its old state when a change is not confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Guarantee {
    /// The target itself, whatever becomes of the controller and the network.
    #[default]
    HostUndoes,
    /// The controller: a change stays if the controller dies between commit and confirmation.
    ControllerUndoes,
    /// Nobody: what was committed stays.
    Nothing,
}

impl Guarantee {
    /// For people, as what happens without a confirmation.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::HostUndoes => "the host rolls back by itself",
            Self::ControllerUndoes => {
                "the controller rolls it back; if the controller dies, the change stays"
            }
            Self::Nothing => "nothing rolls it back",
        }
    }
}
