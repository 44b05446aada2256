//! Which run it is, and when.

use crate::model::Timestamp;

/// What tells a run from others.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Random name of the run; also in the hosts' journals.
    pub run: String,
    /// Written into each host's lock: which run, since when, who, from where.
    pub holder: String,
    /// The moment of the run, for dates.
    pub now: Timestamp,
}
