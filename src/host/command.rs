//! Commands on a host: what is run, within which time, and how it ended.

use crate::model::command::CommandLine;
use crate::model::{RemotePath, Secret};
use std::time::Duration;

/// A command and the time it may take. Its whole process group is ended after that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedCommand {
    /// What to run.
    pub command: CommandLine,
    /// Rounded up to whole seconds.
    pub timeout: Duration,
}

/// How to tell that a service runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunningCheck {
    /// The process whose id is in this file is alive.
    PidFile(RemotePath),
    /// A process of this name exists (`comm`, at most 15 bytes).
    Process(String),
    /// This command ends with 0.
    Command(TimedCommand),
    /// The process that was seen is still there, or else the command ends with 0.
    First {
        /// Its id.
        pid: u32,
        /// When it was started, in the kernel's ticks: the id may have become another's.
        started: String,
        /// What tells it when that process has ended.
        otherwise: TimedCommand,
    },
}

impl RunningCheck {
    /// How long it may take.
    pub(crate) fn limit(&self) -> Duration {
        match self {
            Self::PidFile(_) | Self::Process(_) => Duration::ZERO,
            Self::Command(command) | Self::First { otherwise: command, .. } => command.timeout,
        }
    }
}

/// A single command on a host, for tasks and checks outside a transaction.
#[derive(Clone, Debug)]
pub(crate) struct CommandRequest {
    /// What to run.
    pub command: CommandLine,
    /// Directory to run in.
    pub chdir: Option<RemotePath>,
    /// Additional environment. Travels on standard input, but the command's own environment is visible to
    /// root and the same user on the host.
    pub env: Vec<(String, String)>,
    /// Standard input; `None`: empty.
    pub stdin: Option<Secret<Vec<u8>>>,
    /// It may come as it is where sudo records its input, and nothing there opens a sealed one.
    pub allow_input_log: bool,
    /// Its whole process group is ended after this.
    pub timeout: Duration,
    /// Skip when this path (a shell glob, as in Ansible) exists.
    pub creates: Option<String>,
    /// Skip when this path (a shell glob) does not exist.
    pub removes: Option<String>,
}

/// How a command on a host ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandResult {
    /// Exit code; 128 + signal when it was ended by one, 127 when the program is not there.
    pub rc: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// First and last part of standard output, bounded. Where a command's streams are read
    /// together (checks, reloads) all of it is here.
    pub stdout: Vec<u8>,
    /// Standard error, bounded.
    pub stderr: Vec<u8>,
    /// It timed out and was ended.
    pub late: bool,
    /// It was ended because it printed more than it may.
    pub too_much_output: bool,
    /// `creates`/`removes` said that there is nothing to do; it was not run.
    pub skipped: bool,
    /// There is no such program; nothing was run.
    pub absent: bool,
    /// When it began and ended by the host's clock: `2026-11-29_07:05:09_1796022309_123456789`, the second and the
    /// nanosecond last.
    pub moments: [Option<String>; 2],
}

impl CommandResult {
    /// Ran and exited with code 0.
    pub fn success(&self) -> bool {
        self.rc == 0 && !self.late && !self.too_much_output && !self.absent
    }
}
