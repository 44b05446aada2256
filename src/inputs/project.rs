//! Everything that was read before the run: inventory, playbooks, profiles, and how to run them.

use super::growth::Growth;
use super::verb::Verb;
use crate::inventory::Inventory;
use crate::model::Shard;
use crate::playbook::Playbook;
use crate::services::Profiles;
use crate::source::Vars;
use crate::template::{Decrypt, Templates};
use std::sync::Arc;

/// The inputs of a run. Nothing of it changes while the run lasts, but for the
/// tasks that includes add.
pub(crate) struct Project {
    /// Hosts, groups and their variables.
    pub inventory: Arc<Inventory>,
    /// The playbooks in the order given.
    pub books: Vec<Book>,
    /// `--extra-vars`, strongest of all.
    pub extra: Arc<Vars>,
    /// Opens vault texts.
    pub decrypt: Decrypt,
    /// What the command line says.
    pub options: Options,
    /// What includes add to the plays.
    pub growth: Growth,
}

/// A playbook with what stands beside it.
pub(crate) struct Book {
    /// Its plays.
    pub playbook: Playbook,
    /// Renders its templates; lookups start in its directory.
    pub templates: Arc<Templates>,
    /// Built-in profiles, and the operator's own in `services/` beside it.
    pub profiles: Arc<Profiles>,
}

/// The flags that steer a run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// What is done.
    pub verb: Verb,
    /// `--limit`.
    pub limit: Option<String>,
    /// `--shard`: of the hosts within the limit, those of this part.
    pub shard: Option<Shard>,
    /// `--tags`.
    pub tags: Vec<String>,
    /// `--skip-tags`.
    pub skip_tags: Vec<String>,
    /// `--start-at-task`.
    pub start_at_task: Option<String>,
    /// Hosts worked on at the same time.
    pub forks: usize,
    /// `--diff`.
    pub diff: bool,
    /// How often `-v` was given.
    pub verbosity: u8,
    /// The configuration file that was read.
    pub config_file: Option<String>,
    /// Notified handlers also run on hosts that have failed since, in every play.
    pub force_handlers: bool,
    /// One failure stops the run, in plays that do not say.
    pub any_errors_fatal: bool,
    /// `plan --exit-code`: pending changes have an exit code of their own.
    pub pending_exit_code: bool,
    /// A play that matches no host is no error.
    pub allow_empty: bool,
    /// From which number `order: shuffle` draws.
    pub seed: u32,
}

impl Options {
    /// Whether nothing may be changed.
    pub(crate) fn is_plan(&self) -> bool {
        self.verb == Verb::Plan
    }
}
