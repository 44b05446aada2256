//! Playbooks: plays and tasks, parsed with every error at once.
//!
//! [`parse()`] gives a [`Playbook`] whose values are still templates; [`certificate::render`] turns the
//! flagship task into plain types once a host's variables are known. `docs/playbook.md` lists every key.

mod arguments;
mod around;
mod batches;
mod becoming;
pub(crate) mod certificate;
mod include;
pub(crate) mod model;
pub(crate) mod modules;
mod parse;
mod reader;
mod role;
mod roles;
mod task;
mod tasks;
mod unsupported;
mod values;
mod words;

#[cfg(test)]
pub(crate) use around::Block;
pub(crate) use around::{BlockPath, Part, is_rescued};
pub(crate) use include::Include;
pub use model::Playbook;
pub(crate) use model::{
    COMMAND_TIMEOUT, CommandSpec, IncludeVars, Loop, Meta, OnFailure, Order, Play, RunsOn, Task,
    TaskKind, WaitFor,
};
pub use parse::parse;
pub(crate) use parse::{grow, parse_with};
pub(crate) use role::{Role, RolePlaces};
pub(crate) use words::rendered as rendered_words;
