//! The variables that one host sees in one task.

use super::engine::Templates;
use super::facts::{self, is_fact};
use crate::source::{Node, Vars};
use std::collections::HashSet;
use std::sync::Arc;

/// Among the names that only the run sets: whatever else is not there may be set as well.
pub(crate) const ANYTHING: &str = "*";

/// Variables of other hosts, for `hostvars`.
pub trait HostVars: Send + Sync {
    /// The layers of `host`, weakest first; `None` for an unknown host.
    fn layers(&self, host: &str) -> Option<Vec<Arc<Vars>>>;
    /// Names that `host` gets only when the play runs.
    fn unknown(&self, host: &str) -> Arc<HashSet<String>> {
        let _ = host;
        Arc::default()
    }
    /// Every host, in inventory order.
    fn hosts(&self) -> Vec<String>;
}

/// Variables in layers, the strongest last. Cheap to clone and to extend.
#[derive(Clone)]
pub struct Scope {
    pub(super) templates: Arc<Templates>,
    pub(super) layers: Vec<Arc<Vars>>,
    pub(super) unknown: Arc<HashSet<String>>,
    pub(super) hostvars: Option<Arc<dyn HostVars>>,
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Variables may hold passwords.
        write!(f, "Scope({} layers)", self.layers.len())
    }
}

impl Scope {
    /// A scope of these layers, the strongest last.
    pub fn new(templates: Arc<Templates>, layers: Vec<Arc<Vars>>) -> Self {
        Self { templates, layers, unknown: Arc::default(), hostvars: None }
    }

    /// With `hostvars`.
    pub fn with_hostvars(mut self, hostvars: Arc<dyn HostVars>) -> Self {
        self.hostvars = Some(hostvars);
        self
    }

    /// With a layer above all others.
    pub fn with_layer(&self, layer: Arc<Vars>) -> Self {
        let mut scope = self.clone();
        scope.layers.push(layer);
        scope
    }

    /// With one more variable, stronger than all others.
    pub fn with(&self, name: impl Into<String>, value: Node) -> Self {
        self.with_layer(Arc::new(Vars::from([(name.into(), value)])))
    }

    /// These names get their values only when the play runs, unless a layer has them already.
    pub fn mark_unknown(mut self, names: HashSet<String>) -> Self {
        self.unknown = Arc::new(names);
        self
    }

    /// Whether only the run gives this name its value.
    pub(super) fn may_be_set(&self, name: &str) -> bool {
        let gathered = || is_fact(name) && self.unknown.contains(facts::ALL);
        self.unknown.contains(name) || self.unknown.contains(ANYTHING) || gathered()
    }

    /// Where files are looked for: `ansible_search_path`, as absolute directories.
    pub fn search_path(&self) -> Vec<std::path::PathBuf> {
        let list = self.raw("ansible_search_path").and_then(Node::as_list).unwrap_or_default();
        list.iter().filter_map(Node::as_str).map(std::path::PathBuf::from).collect()
    }

    /// The unrendered value of a variable.
    pub fn raw(&self, name: &str) -> Option<&Node> {
        self.layers.iter().rev().find_map(|layer| layer.get(name))
    }

    /// The layer that a variable comes from, and its index there.
    pub(super) fn place(&self, name: &str) -> Option<(Arc<Vars>, usize)> {
        self.layers
            .iter()
            .rev()
            .find_map(|layer| Some((Arc::clone(layer), layer.get_index_of(name)?)))
    }

    /// Every variable's name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().flat_map(|layer| layer.keys().map(String::as_str))
    }
}
