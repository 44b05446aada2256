//! Plays: which hosts, in which order and batches, and what is done there.

use super::super::role::Role;
use super::becoming::Becoming;
use super::task::Task;
use crate::source::{Node, Span, Vars};
use std::path::PathBuf;
use std::sync::Arc;

/// A playbook file.
#[derive(Clone, Debug)]
pub struct Playbook {
    /// Path as given.
    pub name: String,
    /// Where relative paths start.
    pub directory: PathBuf,
    /// In order.
    pub plays: Vec<Play>,
}

/// One play: tasks for the hosts of a pattern, in batches.
#[derive(Clone, Debug)]
pub struct Play {
    /// Its name, or its pattern.
    pub name: String,
    /// Host pattern; may be a template over extra variables and the play's own.
    pub hosts: Node,
    /// Variables.
    pub vars: Vars,
    /// Files of variables, later ones stronger.
    pub vars_files: Vec<Node>,
    /// Batch sizes; empty means all hosts at once.
    pub serial: Vec<Serial>,
    /// Order of the hosts.
    pub order: Order,
    /// Account for its tasks.
    pub becoming: Becoming,
    /// Login user.
    pub remote_user: Option<Node>,
    /// One failure ends the run.
    pub any_errors_fatal: Option<bool>,
    /// More than this share of a batch ends the run, in percent.
    pub max_fail_percentage: Option<f64>,
    /// What happens when more of a batch fail than is tolerated.
    pub on_failure: OnFailure,
    /// Notified handlers run for hosts that failed afterwards, too.
    pub force_handlers: bool,
    /// Environment of commands.
    pub environment: Vars,
    /// Its first task, unless it says that there is to be none: what is gathered of hosts.
    pub gathering: Option<Arc<Task>>,
    /// The author asks for that; otherwise it is done where something needs it.
    pub gathers: bool,
    /// Given to each of its tasks.
    pub tags: Vec<String>,
    /// Pre-tasks, roles, tasks and post-tasks in order, with blocks, imports and roles taken apart.
    pub tasks: Vec<Arc<Task>>,
    /// Run when notified, in this order: those of `roles:`, the play's own, those of imported roles.
    pub handlers: Vec<Arc<Task>>,
    /// The roles whose variables all its tasks see.
    pub roles: Vec<Arc<Role>>,
    /// Where its relative paths start, if that is not beside the playbook: it was imported.
    pub directory: Option<PathBuf>,
    /// Where it begins.
    pub span: Option<Span>,
}

/// One step of `serial`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Serial {
    /// That many hosts; 0 or less means all that remain.
    Count(i64),
    /// That share of all hosts of the play, rounded down, at least one.
    Percent(f64),
}

impl Play {
    /// A play that only has hosts, for what is done to hosts without a playbook.
    pub fn of_hosts(hosts: Node) -> Self {
        Self {
            name: hosts.as_str().unwrap_or_default().to_owned(),
            hosts,
            vars: Vars::new(),
            vars_files: Vec::new(),
            serial: Vec::new(),
            order: Order::Inventory,
            becoming: Becoming::default(),
            remote_user: None,
            any_errors_fatal: None,
            max_fail_percentage: None,
            on_failure: OnFailure::Stop,
            force_handlers: false,
            environment: Vars::new(),
            gathering: None,
            gathers: false,
            tags: Vec::new(),
            tasks: Vec::new(),
            handlers: Vec::new(),
            roles: Vec::new(),
            directory: None,
            span: None,
        }
    }

    /// Sizes of the batches for `hosts` hosts (Ansible, `executor/playbook_executor.py`): the last
    /// step repeats.
    pub fn batches(&self, hosts: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        let mut left = hosts;
        let mut steps = self.serial.iter().copied().peekable();
        let mut step = Serial::Count(0);
        while left > 0 {
            step = steps.next().unwrap_or(step);
            let size = match step {
                Serial::Count(count) if count <= 0 => left,
                Serial::Count(count) => usize::try_from(count).unwrap_or(left),
                Serial::Percent(percent) => ((percent / 100.0 * hosts as f64) as usize).max(1),
            };
            let size = size.min(left);
            sizes.push(size);
            left -= size;
        }
        sizes
    }
}

/// `on_failure:` of a play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The run stops; what it has confirmed stays.
    #[default]
    Stop,
    /// What the run has confirmed goes back.
    RollbackRun,
}

/// `order:` of a play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As in the inventory.
    #[default]
    Inventory,
    /// The other way round.
    ReverseInventory,
    /// By name.
    Sorted,
    /// By name, the other way round.
    ReverseSorted,
    /// At random.
    Shuffle,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(serial: &[Serial], hosts: usize) -> Vec<usize> {
        let play = Play { serial: serial.to_vec(), ..Play::of_hosts(Node::text("all")) };
        play.batches(hosts)
    }

    #[test]
    fn serial_as_ansible_cuts_it() {
        use Serial::{Count, Percent};
        assert_eq!(batches(&[Count(3)], 10), [3, 3, 3, 1]);
        assert_eq!(batches(&[Percent(39.0)], 10), [3, 3, 3, 1]);
        assert_eq!(batches(&[Percent(1.0)], 3), [1, 1, 1]);
        assert_eq!(batches(&[Count(0)], 10), [10]);
        assert_eq!(batches(&[Count(100)], 10), [10]);
        assert_eq!(batches(&[], 10), [10]);
        assert_eq!(batches(&[Count(1), Count(3), Count(5)], 10), [1, 3, 5, 1]);
        let mixed = [Count(1), Percent(10.0), Percent(30.0), Percent(100.0)];
        assert_eq!(batches(&mixed, 10), [1, 1, 3, 5]);
        assert_eq!(batches(&[Percent(15.0), Count(4)], 10), [1, 4, 4, 1]);
        assert_eq!(batches(&[Count(2), Count(0)], 10), [2, 8]);
        assert!(batches(&[Count(1)], 0).is_empty());
    }
}
