//! What a run is given, and what can be told of it before any host is touched.
//!
//! Inventory, playbooks and profiles as they were read ([`project`]), the walk over their plays and tasks
//! ([`selection`]), what includes add to them ([`growth`]), whom a run that follows an earlier one is about ([`roster`])
//! and whether it is given the same ([`given`]),
//! the variables of each host ([`variables`]), loops and conditions ([`iteration`]), certificates
//! and keys ([`bundles`]), what a task wants of a host ([`wants`]), held once where it is the same ([`alike`]), and the
//! check of it all ([`preflight`]).
//! Nothing here connects to a host or to a service.

mod acme;
pub(crate) mod alike;
pub(crate) mod bundles;
pub(crate) mod given;
pub(crate) mod growth;
pub(crate) mod iteration;
mod place;
pub(crate) mod play_scope;
pub(crate) mod preflight;
pub(crate) mod project;
pub(crate) mod roster;
pub(crate) mod selection;
pub(crate) mod variables;
pub(crate) mod vars_files;
pub(crate) mod verb;
pub(crate) mod wants;

use crate::model::Timestamp;
use bundles::Bundles;
use project::Project;
use std::sync::Arc;
use variables::Variables;

/// What a run is given. Variables and bundles fill while it goes on.
pub(crate) struct Inputs {
    /// What was read.
    pub project: Arc<Project>,
    /// What hosts know.
    pub variables: Arc<Variables>,
    /// Certificates, keys and trusted roots.
    pub bundles: Bundles,
}

impl Inputs {
    /// The inputs of a run that has not begun; certificates are judged at `now`.
    pub(crate) fn new(project: Arc<Project>, now: Timestamp) -> Self {
        let variables = Arc::new(Variables::new(&project));
        let bundles = Bundles::new(now, Arc::clone(&project.decrypt));
        Self { project, variables, bundles }
    }
}
