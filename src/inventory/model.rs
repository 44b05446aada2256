//! The types of an inventory, as read.

use crate::model::HostName;
use crate::source::{Span, Vars};
use indexmap::{IndexMap, IndexSet};
use std::sync::Arc;

/// Hosts, groups and their variables, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    pub(super) hosts: IndexMap<HostName, Host>,
    pub(super) groups: IndexMap<String, Group>,
    /// Directory of the first source that is a file, for `inventory_dir`.
    pub directory: Option<std::path::PathBuf>,
    /// The sources as given, for `ansible_inventory_sources`.
    pub sources: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    /// From the inventory's text.
    pub(super) vars: Arc<Vars>,
    /// From `host_vars/` beside the inventory, then beside the playbook.
    pub(super) files: Vec<Arc<Vars>>,
    /// Groups by name, without `all`, set once everything is read.
    pub(super) groups: Vec<String>,
    pub(super) span: Option<Span>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) hosts: IndexSet<HostName>,
    pub(super) children: IndexSet<String>,
    pub(super) vars: Arc<Vars>,
    /// From `group_vars/` beside the inventory, then beside the playbook.
    pub(super) files: Vec<Arc<Vars>>,
    /// `ansible_group_priority`; 1 without.
    pub(super) priority: Option<i64>,
    /// Longest way from `all`.
    pub(super) depth: usize,
}
