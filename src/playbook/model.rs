//! The types of a playbook, as parsed: values are templates until a host's variables are known.

use super::around::Around;
use super::becoming::Becoming;
use super::certificate::CertificateSpec;
use super::include::Include;
use super::role::Role;
use crate::source::{Node, Span, Value, Vars};
use crate::template::{Scope, is_template};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
    /// Notified handlers run for hosts that failed afterwards, too.
    pub force_handlers: bool,
    /// Environment of commands.
    pub environment: Vars,
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
            force_handlers: false,
            environment: Vars::new(),
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

/// One task or handler.
#[derive(Clone, Debug)]
pub struct Task {
    /// As written; may be a template.
    pub name: Option<Node>,
    /// What it does.
    pub kind: TaskKind,
    /// All must hold.
    pub when: Vec<Node>,
    /// Name for its result.
    pub register: Option<String>,
    /// Variables.
    pub vars: Vars,
    /// Its own, and those of what stands around it.
    pub tags: Vec<String>,
    /// A failure is noted and the host goes on.
    pub ignore_errors: Option<Node>,
    /// Where it runs instead.
    pub delegate_to: Option<Node>,
    /// Only for the first host of a batch.
    pub run_once: bool,
    /// Account.
    pub becoming: Becoming,
    /// Replaces the kind's own verdict.
    pub changed_when: Option<Vec<Node>>,
    /// Replaces the kind's own verdict.
    pub failed_when: Option<Vec<Node>>,
    /// Repeats the task.
    pub looping: Option<Loop>,
    /// Handlers to run when it changed something.
    pub notify: Vec<Node>,
    /// Further names that a handler answers to.
    pub listen: Vec<String>,
    /// Repeats until these hold.
    pub until: Vec<Node>,
    /// How many times more; 3 without.
    pub retries: Option<Node>,
    /// Seconds between; 5 without.
    pub delay: Option<Node>,
    /// Its arguments and results are not shown.
    pub no_log: bool,
    /// `Some(false)`: runs even in `plan`; `Some(true)`: never changes anything.
    pub check_mode: Option<bool>,
    /// As the play's, for this task.
    pub any_errors_fatal: bool,
    /// Environment of commands.
    pub environment: Vars,
    /// The blocks, the role and the files that it stands in.
    pub around: Arc<Around>,
    /// Where it begins.
    pub span: Option<Span>,
}

impl Task {
    /// A task without any keyword.
    pub fn new(kind: TaskKind, tags: Vec<String>) -> Self {
        Self {
            name: None,
            kind,
            when: Vec::new(),
            register: None,
            vars: Vars::new(),
            tags,
            ignore_errors: None,
            delegate_to: None,
            run_once: false,
            becoming: Becoming::default(),
            changed_when: None,
            failed_when: None,
            looping: None,
            notify: Vec::new(),
            listen: Vec::new(),
            until: Vec::new(),
            retries: None,
            delay: None,
            no_log: false,
            check_mode: None,
            any_errors_fatal: false,
            environment: Vars::new(),
            around: Arc::default(),
            span: None,
        }
    }

    /// The name as written, or the kind's; that of a role's task begins with the role.
    pub fn title(&self) -> String {
        self.in_role(self.own_name().unwrap_or_else(|| self.kind.name()))
    }

    /// A name of the task as it is shown.
    pub fn in_role(&self, name: &str) -> String {
        match (&self.around.role, &self.kind) {
            // Ansible shows an include of a role by that role.
            (_, TaskKind::Include(include)) if self.own_name().is_none() => include.title(),
            (Some(role), _) => format!("{} : {name}", role.name),
            (None, _) => name.to_owned(),
        }
    }

    fn own_name(&self) -> Option<&str> {
        self.name.as_ref().and_then(Node::as_str).map(str::trim).filter(|n| !n.is_empty())
    }

    /// How its file was come to, as advice for messages: nothing for one of the playbook itself.
    pub fn way(&self) -> Option<String> {
        let steps: Vec<String> = self
            .around
            .way
            .iter()
            .map(|span| format!("{}:{}", span.file.name, span.line))
            .collect();
        (!steps.is_empty()).then(|| format!("included from {}", steps.join(", from ")))
    }

    /// Whether it is called so as a handler: by its name with or without its role's, rendered as far as it can be.
    pub fn is_called(&self, name: &str, scope: Option<&Scope>) -> bool {
        let Some(own) = self.own_name() else { return self.title() == name };
        let own = self.rendered(own, scope);
        own == name || self.in_role(&own) == name
    }

    /// Whether it listens to a topic as a handler.
    pub fn listens_to(&self, topic: &str, scope: Option<&Scope>) -> bool {
        self.listen.iter().any(|own| self.rendered(own, scope) == topic)
    }

    fn rendered(&self, text: &str, scope: Option<&Scope>) -> String {
        let Some(scope) = scope.filter(|_| is_template(text)) else { return text.to_owned() };
        let node = Node { value: Value::Text(text.to_owned()), span: self.span.clone() };
        scope.text(&node).unwrap_or_else(|_| text.to_owned())
    }

    /// The names that it answers to as a handler, rendered as far as they can be.
    pub fn answers_to(&self, scope: &Scope) -> Vec<String> {
        let own = self.own_name().map(str::to_owned);
        std::iter::once(self.title())
            .chain(own)
            .chain(self.listen.iter().cloned())
            .map(|text| self.rendered(&text, Some(scope)))
            .collect()
    }

    /// Where it is written, as `FILE:LINE`.
    pub fn place(&self) -> Option<String> {
        self.span.as_ref().map(|span| format!("{}:{}", span.file.name, span.line))
    }

    /// The variables that it sets when it runs: its own, and where its result is registered.
    pub fn sets(&self) -> impl Iterator<Item = &str> {
        self.register.as_deref().into_iter().chain(self.kind.sets())
    }

    /// Its values that every host can render before the run; see [`TaskKind::templates`].
    pub fn templates(&self) -> Vec<&Node> {
        // Not the name: one that cannot be rendered is shown as it is written.
        let mut nodes: Vec<&Node> = self.delegate_to.iter().collect();
        nodes.extend(&self.notify);
        nodes.extend(self.environment.values());
        let Becoming { enabled, user, method, flags, exe } = &self.becoming;
        nodes.extend([enabled, user, method, flags, exe].into_iter().flatten());
        nodes.extend(self.kind.templates());
        nodes
    }

    /// Whether `--tags` and `--skip-tags` choose it (Ansible, `playbook/taggable.py`): `always` runs
    /// unless skipped by name, `never` only when one of its tags is named.
    pub fn is_selected(&self, only: &[String], skip: &[String]) -> bool {
        let has = |name: &str| self.tags.iter().any(|tag| tag == name);
        let untagged = !self.tags.iter().any(|tag| tag != "always" && tag != "never");
        let names = |list: &[String], all_matches: bool| {
            list.iter().any(|name| match name.as_str() {
                "all" => all_matches,
                "tagged" => !untagged && all_matches,
                "untagged" => untagged && !has("never"),
                name => has(name),
            })
        };
        let chosen = if only.is_empty() || names(&["all".to_owned()], true) && only == ["all"] {
            !has("never")
        } else {
            has("always") && !has("never") || names(only, !has("never"))
        };
        let skipped = skip.iter().any(|name| match name.as_str() {
            "all" => !has("always"),
            "tagged" => !untagged,
            "untagged" => untagged,
            name => has(name),
        });
        chosen && !skipped
    }
}

/// `loop`, `with_items` and `loop_control`.
#[derive(Clone, Debug)]
pub struct Loop {
    /// The list, or a template that gives one.
    pub items: Node,
    /// `with_items` takes one level of lists apart and accepts a single value.
    pub flatten: bool,
    /// Name of the item.
    pub variable: String,
    /// Name of its index, from 0.
    pub index: Option<String>,
    /// What is shown for the item.
    pub label: Option<Node>,
}

/// What a task does.
#[derive(Clone, Debug)]
pub enum TaskKind {
    /// Deploys certificates.
    Certificate(Box<CertificateSpec>),
    /// Runs a program.
    Command(CommandSpec),
    /// Shows a text or a variable.
    Debug {
        /// `msg`.
        message: Option<Node>,
        /// `var`.
        variable: Option<Node>,
    },
    /// Fails unless all conditions hold.
    Assert {
        /// `that`.
        that: Vec<Node>,
        /// `fail_msg` or `msg`.
        fail_message: Option<Node>,
        /// `success_msg`.
        success_message: Option<Node>,
    },
    /// Fails.
    Fail {
        /// `msg`.
        message: Option<Node>,
    },
    /// Waits, or asks.
    Pause {
        /// `seconds` or `minutes`.
        duration: Option<Node>,
        /// Seconds in one unit of `duration`.
        unit: u64,
        /// `prompt`.
        prompt: Option<Node>,
    },
    /// Waits for a port or a file.
    WaitFor(WaitFor),
    /// Sets variables of the host.
    SetFact(Vars),
    /// Sets variables of the host from files of the controller.
    IncludeVars(IncludeVars),
    /// Adds tasks.
    Include(Box<Include>),
    /// Steers the play.
    Meta(Meta),
}

impl TaskKind {
    /// The module's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "certificate",
            Self::Command(command) if command.shell => "shell",
            Self::Command(_) => "command",
            Self::Debug { .. } => "debug",
            Self::Assert { .. } => "assert",
            Self::Fail { .. } => "fail",
            Self::Pause { .. } => "pause",
            Self::WaitFor(_) => "wait_for",
            Self::SetFact(_) => "set_fact",
            Self::IncludeVars(_) => "include_vars",
            Self::Include(include) => include.name(),
            Self::Meta(_) => "meta",
        }
    }

    /// Its values that every host can render before the run. What may depend on the task's own result, or is rendered
    /// with checks of its own (certificates, conditions), is left out.
    pub fn templates(&self) -> Vec<&Node> {
        match self {
            Self::Certificate(_) | Self::Meta(_) => Vec::new(),
            Self::Command(command) => {
                let CommandSpec { words, chdir, creates, removes, stdin, timeout, .. } = command;
                let more = [chdir, creates, removes, stdin, timeout];
                words.iter().chain(more.into_iter().flatten()).collect()
            }
            Self::Debug { message, variable: _ } | Self::Fail { message } => {
                message.iter().collect()
            }
            Self::Assert { that: _, fail_message, success_message } => {
                fail_message.iter().chain(success_message).collect()
            }
            Self::Pause { duration, unit: _, prompt } => duration.iter().chain(prompt).collect(),
            Self::WaitFor(wait) => {
                let WaitFor { host, port, path, state, delay, timeout, sleep, message } = wait;
                let all = [host, port, path, state, delay, timeout, sleep, message];
                all.into_iter().flatten().collect()
            }
            Self::SetFact(vars) => vars.values().collect(),
            Self::IncludeVars(include) => vec![&include.path],
            Self::Include(include) => include.nodes(),
        }
    }

    /// The variables that it sets by itself.
    pub fn sets(&self) -> impl Iterator<Item = &str> {
        let vars = match self {
            Self::SetFact(vars) => Some(vars),
            _ => None,
        };
        vars.into_iter().flat_map(|vars| vars.keys().map(String::as_str))
    }

    /// How often it is done for the hosts of a batch, and by whom.
    pub fn runs_on(&self) -> RunsOn {
        match self {
            Self::Command(_)
            | Self::Debug { .. }
            | Self::Assert { .. }
            | Self::Fail { .. }
            | Self::WaitFor(_)
            | Self::SetFact(_)
            | Self::IncludeVars(_) => RunsOn::Host,
            Self::Pause { .. } => RunsOn::FirstHost,
            Self::Certificate(_) => RunsOn::Batch,
            Self::Include(_) | Self::Meta(_) => RunsOn::Play,
        }
    }
}

/// How a kind of task is done for the hosts of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunsOn {
    /// By each host for itself.
    Host,
    /// Once, for the first host; the others share its result.
    FirstHost,
    /// By all hosts together, with a barrier.
    Batch,
    /// By the play itself: it steers the tasks that follow.
    Play,
}

/// `meta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    /// Nothing.
    Noop,
    /// Runs the notified handlers now.
    FlushHandlers,
    /// The same, between the sections of a play; nobody wrote it.
    EndSection,
    /// Ends the play for this host.
    EndHost,
    /// Ends the play for all.
    EndPlay,
}

/// `command` and `shell`.
#[derive(Clone, Debug)]
pub struct CommandSpec {
    /// A list of words (or one text that is split before its words are rendered); one text for `shell`.
    pub words: Vec<Node>,
    /// Through `/bin/sh -c`.
    pub shell: bool,
    /// Directory.
    pub chdir: Option<Node>,
    /// Skips when this exists.
    pub creates: Option<Node>,
    /// Skips when this does not exist.
    pub removes: Option<Node>,
    /// Standard input.
    pub stdin: Option<Node>,
    /// Whether a newline follows it.
    pub stdin_newline: bool,
    /// Limit.
    pub timeout: Option<Node>,
}

/// `include_vars`.
#[derive(Clone, Debug)]
pub struct IncludeVars {
    /// A file, or a directory whose files are read in the order of their names.
    pub path: Node,
    /// It is a directory.
    pub directory: bool,
    /// The variables become entries of this one.
    pub name: Option<String>,
}

/// `wait_for`.
#[derive(Clone, Debug)]
pub struct WaitFor {
    /// Host to connect to, from the target host; 127.0.0.1 without.
    pub host: Option<Node>,
    /// Port.
    pub port: Option<Node>,
    /// File, instead of a port.
    pub path: Option<Node>,
    /// `started`/`present` or `stopped`/`absent`.
    pub state: Option<Node>,
    /// Seconds before the first look.
    pub delay: Option<Node>,
    /// Seconds in all; 300 without.
    pub timeout: Option<Node>,
    /// Seconds between looks; 1 without.
    pub sleep: Option<Node>,
    /// Shown when the time is over.
    pub message: Option<Node>,
}

/// Default limit of `command` and `shell`.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(600);

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

    fn selected(tags: &[&str], only: &[&str], skip: &[&str]) -> bool {
        let own = |list: &[&str]| list.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>();
        let task = Task::new(TaskKind::Meta(Meta::Noop), own(tags));
        task.is_selected(&own(only), &own(skip))
    }

    #[test]
    fn tags_as_ansible_chooses() {
        assert!(selected(&[], &[], &[]));
        assert!(!selected(&["never"], &[], &[]));
        assert!(selected(&["never", "x"], &["x"], &[]));
        assert!(!selected(&["never", "x"], &["all"], &[]));
        assert!(selected(&["a"], &["a", "b"], &[]));
        assert!(!selected(&["c"], &["a"], &[]));
        assert!(selected(&["always"], &["a"], &[]));
        assert!(!selected(&["always"], &["a"], &["always"]));
        assert!(!selected(&["a"], &["a"], &["a"]));
        assert!(selected(&[], &["untagged"], &[]));
        assert!(selected(&["a"], &["tagged"], &[]));
        assert!(!selected(&["a"], &["untagged"], &[]));
        assert!(selected(&["always"], &["untagged"], &[]));
    }
}
