//! The types of a playbook, as parsed: values are templates until a host's variables are known.

mod becoming;
mod kind;
mod play;
mod task;

pub(crate) use becoming::Becoming;
pub(crate) use kind::{COMMAND_TIMEOUT, CommandSpec, IncludeVars, Meta, RunsOn, TaskKind, WaitFor};
pub use play::Playbook;
pub(crate) use play::{OnFailure, Order, Play, Serial};
pub(crate) use task::{Loop, Task};
