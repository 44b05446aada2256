//! What was written from documents and never run on the real thing: it is said, and used only when told.

use super::desired::DesiredState;
use super::host_plan::Decision;
use crate::model::Step;

/// Says of each such profile what it is; a fault where it may not be used.
pub(super) fn judge(desired: &DesiredState, notes: &mut Vec<String>) -> Option<Decision> {
    let mut fault = None;
    for (name, written) in &desired.experimental {
        let what = format!(
            "{name} is experimental: it was written from {written} and never run on the real thing"
        );
        if desired.allow_experimental {
            notes.push(format!("{what} (--allow-experimental)"));
        } else {
            fault.get_or_insert_with(|| {
                let why = format!(
                    "{what}. Read `certroll services --show {name}`, and say --allow-experimental to try it"
                );
                Decision::blocked(Step::Inspect, why)
            });
        }
    }
    fault
}
