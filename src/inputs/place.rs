//! Places of tasks in a project.

/// Where a task stands in the project. Ordered as tasks run; indices from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// The playbook.
    pub book: usize,
    /// The play in it.
    pub play: usize,
    /// The list in the play.
    pub section: Section,
    /// The task in the list.
    pub index: usize,
}

/// The lists of tasks of a play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Section {
    /// What is gathered of hosts, before everything else.
    Gathering,
    /// Pre-tasks, tasks and post-tasks.
    Tasks,
    /// Handlers.
    Handlers,
}
