//! Everything that was read before the run: inventory, playbooks, profiles, and how to run them.

use super::growth::Growth;
use super::roster::Roster;
use super::verb::Verb;
use crate::inventory::Inventory;
use crate::model::{Fingerprint, Shard};
use crate::playbook::Playbook;
use crate::services::Profiles;
use crate::source::{Span, Vars};
use crate::template::{Decrypt, Templates};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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

impl Project {
    /// The same to be run in another way. What includes add is read again.
    pub(crate) fn again(&self, options: Options) -> Self {
        Self {
            inventory: Arc::clone(&self.inventory),
            books: self.books.clone(),
            extra: Arc::clone(&self.extra),
            decrypt: Arc::clone(&self.decrypt),
            options,
            growth: self.growth.anew(),
        }
    }

    /// The files of its playbooks, with the digest of each text.
    pub(crate) fn sources(&self) -> BTreeMap<String, Fingerprint> {
        let mut files = BTreeMap::new();
        let mut add = |span: Option<&Span>| {
            if let Some(file) = span.map(|span| &span.file)
                && !files.contains_key(&file.name)
            {
                files.insert(file.name.clone(), Fingerprint::of(file.text.as_bytes()));
            }
        };
        for play in self.books.iter().flat_map(|book| &book.playbook.plays) {
            add(play.span.as_ref());
            play.tasks.iter().chain(&play.handlers).for_each(|task| add(task.span.as_ref()));
        }
        files
    }
}

/// A playbook with what stands beside it.
#[derive(Clone)]
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
    /// `--lock-timeout`: for how long another run's lock is waited for.
    pub lock_timeout: Option<Duration>,
    /// `--allow-experimental`: profiles that were never run on the real thing may be used.
    pub allow_experimental: bool,
    /// `plan --exit-code`: pending changes have an exit code of their own.
    pub pending_exit_code: bool,
    /// A play that matches no host is no error.
    pub allow_empty: bool,
    /// From which number `order: shuffle` draws.
    pub seed: u32,
    /// Who takes part, where an earlier run or a plan has settled that.
    pub roster: Option<Arc<Roster>>,
}

impl Options {
    /// Whether nothing may be changed.
    pub(crate) fn is_plan(&self) -> bool {
        self.verb.is_dry()
    }
}
