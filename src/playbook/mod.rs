//! Playbooks: plays and tasks, parsed with every error at once.
//!
//! [`parse()`] gives a [`Playbook`] whose values are still templates; [`certificate::render`] turns the
//! flagship task into plain types once a host's variables are known. `docs/playbook.md` lists every key.

mod becoming;
pub(crate) mod certificate;
pub(crate) mod model;
mod parse;
mod reader;
mod task;
mod unsupported;
mod values;
mod words;

pub use model::Playbook;
pub(crate) use model::{
    COMMAND_TIMEOUT, CommandSpec, Loop, Meta, Order, Play, RunsOn, Task, TaskKind, WaitFor,
};
pub use parse::parse;
