//! Why a task has no plain values for a host.

use crate::source::Diagnostics;

/// Why a task could not be rendered for a host.
#[derive(Clone, Debug)]
pub(crate) enum RenderError {
    /// Everything that is wrong.
    Wrong(Diagnostics),
    /// It needs a name that only the run sets.
    NotYetKnown(String),
}
