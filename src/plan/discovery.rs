//! Whether these are the right files: what the service's own configuration says about them.

use super::build::FilePlan;
use super::desired::Desired;
use super::facts::HostFacts;

/// What looks wrong about the destinations, one line each. Stops nothing.
pub(super) fn warnings(desired: &Desired, facts: &HostFacts, files: &[FilePlan]) -> Vec<String> {
    let _ = (desired, facts, files);
    Vec::new()
}
