//! What a task does: the modules that certroll has.

use super::super::certificate::CertificateSpec;
use super::super::include::Include;
use super::super::modules::ModuleTask;
use crate::source::{Node, Vars};
use std::time::Duration;

/// What a task does.
#[derive(Clone, Debug)]
pub enum TaskKind {
    /// Deploys certificates.
    Certificate(Box<CertificateSpec>),
    /// Runs a program.
    Command(Box<CommandSpec>),
    /// Works on a host.
    Module(Box<ModuleTask>),
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
    WaitFor(Box<WaitFor>),
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
            Self::Module(task) => task.module.name,
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
                let CommandSpec { words, chdir, creates, removes, stdin, timeout, .. } = &**command;
                let more = [chdir, creates, removes, stdin, timeout];
                words.iter().chain(more.into_iter().flatten()).collect()
            }
            Self::Module(task) => task.templates().collect(),
            Self::Debug { message, variable: _ } | Self::Fail { message } => {
                message.iter().collect()
            }
            Self::Assert { that: _, fail_message, success_message } => {
                fail_message.iter().chain(success_message).collect()
            }
            Self::Pause { duration, unit: _, prompt } => duration.iter().chain(prompt).collect(),
            Self::WaitFor(wait) => {
                let WaitFor { host, port, path, state, search, delay, timeout, sleep, message } =
                    &**wait;
                let all = [host, port, path, state, search, delay, timeout, sleep, message];
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
        let facts = match self {
            Self::Module(task) if task.module.name == "setup" => Some(crate::template::facts::ALL),
            _ => None,
        };
        vars.into_iter().flat_map(|vars| vars.keys().map(String::as_str)).chain(facts)
    }

    /// How often it is done for the hosts of a batch, and by whom.
    pub fn runs_on(&self) -> RunsOn {
        match self {
            Self::Command(_)
            | Self::Module(_)
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
    /// Those of them, of a line, that stand outside of quotes and hold a template: rendered, an empty one is no word, and
    /// one that a filter has quoted is unquoted.
    pub loose: Vec<usize>,
    /// Through `/bin/sh -c`.
    pub shell: bool,
    /// The words are another shell, `-c` and its line (`executable` of `shell`).
    pub other_shell: bool,
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
    /// It may be recorded by sudo.
    pub allow_input_log: bool,
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
    /// What must be in the file, or come out of the port.
    pub search: Option<Node>,
    /// Seconds before the first look.
    pub delay: Option<Node>,
    /// Seconds in all; 300 without.
    pub timeout: Option<Node>,
    /// Seconds between looks; 1 without.
    pub sleep: Option<Node>,
    /// Shown when it times out.
    pub message: Option<Node>,
}

/// Default limit of `command` and `shell`.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(600);
