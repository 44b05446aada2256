//! `include_tasks` and `include_role`: tasks that are known once a host's variables are.

use super::around::Around;
use crate::source::{Node, Vars};
use std::sync::Arc;

/// What is included, as written.
#[derive(Clone, Debug)]
pub enum Included {
    /// A file of tasks.
    Tasks(Node),
    /// A role.
    Role(Box<IncludedRole>),
}

/// A role, and which of its files, as written.
#[derive(Clone, Debug)]
pub struct IncludedRole {
    /// Its name.
    pub name: Node,
    /// `tasks_from`.
    pub tasks: Option<Node>,
    /// `vars_from`.
    pub vars: Option<Node>,
    /// `defaults_from`.
    pub defaults: Option<Node>,
    /// `handlers_from`.
    pub handlers: Option<Node>,
}

/// `include_tasks` or `include_role`.
#[derive(Clone, Debug)]
pub struct Include {
    /// What.
    pub what: Included,
    /// What its tasks have from around it, `apply` among it; its own `when` and `tags` are for the include alone.
    pub around: Arc<Around>,
    /// Its own variables, which its tasks see above facts.
    pub vars: Vars,
}

impl Include {
    /// The module's name.
    pub(super) fn name(&self) -> &'static str {
        match self.what {
            Included::Tasks(_) => "include_tasks",
            Included::Role(_) => "include_role",
        }
    }

    /// What it is called without a name of its own.
    pub(super) fn title(&self) -> String {
        match &self.what {
            Included::Role(role) => {
                format!("include_role : {}", role.name.as_str().unwrap_or_default())
            }
            Included::Tasks(_) => match &self.around.role {
                Some(role) => format!("{} : include_tasks", role.name),
                None => "include_tasks".to_owned(),
            },
        }
    }

    /// What is rendered for each host.
    pub(crate) fn nodes(&self) -> Vec<&Node> {
        match &self.what {
            Included::Tasks(file) => vec![file],
            Included::Role(role) => {
                let IncludedRole { name, tasks, vars, defaults, handlers } = &**role;
                let from = [tasks, vars, defaults, handlers];
                std::iter::once(name).chain(from.into_iter().flatten()).collect()
            }
        }
    }
}
