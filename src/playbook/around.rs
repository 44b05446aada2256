//! What stands around a task: the blocks, the roles and the files that it is in, and the keywords that it has
//! from them (Ansible, "Playbook Keywords": tags add up, `when` must all hold, of the rest the nearest counts).

use super::becoming::becoming;
use super::model::Becoming;
use super::reader::Reader;
use super::role::Role;
use crate::source::{Diagnostics, Node, Span, Vars};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A block, as far as its tasks must know it. Two are the same when they are one allocation.
#[derive(Debug, Default)]
pub struct Block {
    /// It has a `rescue` with tasks in it.
    pub rescues: bool,
}

/// The lists of tasks of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `block`.
    Body,
    /// `rescue`: for the hosts that failed in the body.
    Rescue,
    /// `always`: for every host, however it fared before.
    Always,
}

/// Where a task stands: the blocks around it, outermost first, with the part of each.
pub(crate) type BlockPath = Vec<(Arc<Block>, Part)>;

/// Whether a `rescue` catches a failure at this place.
pub(crate) fn is_rescued(path: &BlockPath) -> bool {
    path.iter().any(|(block, part)| *part == Part::Body && block.rescues)
}

/// What a task has from what stands around it.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// The blocks.
    pub blocks: BlockPath,
    /// The role.
    pub role: Option<Arc<Role>>,
    /// Variables given to includes, outermost first; they are stronger than facts.
    pub params: Vec<Arc<Vars>>,
    /// Where the file was named that the task stands in, and so on; nearest first.
    pub way: Vec<Span>,
    /// Directory of that file.
    pub directory: PathBuf,
    /// It stands among handlers.
    pub handlers: bool,
    /// Added up.
    pub tags: Vec<String>,
    /// All must hold, outermost first.
    pub when: Vec<Node>,
    /// The nearer win.
    pub vars: Vars,
    /// The nearer win.
    pub environment: Vars,
    /// The nearest counts.
    pub becoming: Becoming,
    /// The nearest counts.
    pub ignore_errors: Option<Node>,
    /// The nearest counts.
    pub delegate_to: Option<Node>,
    /// The nearest counts.
    pub run_once: Option<bool>,
    /// The nearest counts.
    pub no_log: Option<bool>,
    /// The nearest counts.
    pub check_mode: Option<bool>,
    /// The nearest counts.
    pub any_errors_fatal: Option<bool>,
    /// The nearest counts.
    pub notify: Vec<Node>,
}

impl Around {
    /// The same with the keywords of a block, an import or a task within it.
    pub(super) fn with(&self, reader: &mut Reader<'_>, found: &mut Diagnostics) -> Self {
        let mut inner = self.clone();
        inner.tags.extend(reader.words("tags", found));
        inner.when.extend(reader.list("when"));
        inner.vars.extend(reader.vars("vars", found));
        inner.environment.extend(reader.vars("environment", found));
        inner.becoming = becoming(reader).or(&self.becoming);
        let nearest = |slot: &mut Option<Node>, own: Option<Node>| *slot = own.or(slot.take());
        nearest(&mut inner.ignore_errors, reader.node("ignore_errors"));
        nearest(&mut inner.delegate_to, reader.node("delegate_to"));
        let mut flag = |slot: &mut Option<bool>, key| *slot = reader.flag(key, found).or(*slot);
        flag(&mut inner.run_once, "run_once");
        flag(&mut inner.no_log, "no_log");
        flag(&mut inner.check_mode, "check_mode");
        flag(&mut inner.any_errors_fatal, "any_errors_fatal");
        let notify = reader.list("notify");
        if !notify.is_empty() {
            inner.notify = notify;
        }
        inner
    }

    /// The same within a part of a block.
    pub(super) fn part(&self, block: &Arc<Block>, part: Part) -> Self {
        let mut inner = self.clone();
        inner.blocks.push((Arc::clone(block), part));
        inner
    }

    /// The same in another file, which was named at `at`.
    pub(super) fn in_file(&self, file: &Path, at: Option<&Span>) -> Self {
        let mut inner = self.clone();
        inner.directory = directory_of(file);
        inner.way.splice(0..0, at.cloned());
        inner
    }

    /// Where files of tasks are looked for: beside the file that names one, in the role, beside the playbook.
    pub(super) fn task_directories(&self, playbook: &Path) -> Vec<PathBuf> {
        let folder = if self.handlers { "handlers" } else { "tasks" };
        let role = self.role.iter().flat_map(|role| [role.path.join(folder), role.path.clone()]);
        let first = std::iter::once(self.directory.clone());
        first.chain(role).chain([playbook.to_owned()]).collect()
    }

    /// Where other files are looked for (Ansible's `ansible_search_path`): the roles, from the inside out, the
    /// directory of the file with the task, that of the playbook.
    pub(crate) fn search_path(&self, playbook: &Path) -> Vec<PathBuf> {
        let roles = self.role.iter().flat_map(|role| role.lineage().map(|path| path.to_owned()));
        let mut paths: Vec<PathBuf> = Vec::new();
        let own = [self.directory.clone(), playbook.to_owned()];
        for path in roles.chain(own).filter(|path| !path.as_os_str().is_empty()) {
            let absolute = std::path::absolute(&path).unwrap_or(path);
            if !paths.contains(&absolute) {
                paths.push(absolute);
            }
        }
        paths
    }
}

/// The directory that a file is in.
pub(super) fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
