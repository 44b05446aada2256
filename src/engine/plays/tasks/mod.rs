//! What single tasks do on single hosts, all kinds but `certificate`.

mod action;
mod command;
mod modules;
mod pause;
mod simple;
mod wait_for;

pub(super) use action::{Action, Done, Failed, ModuleFailure};

use crate::playbook::TaskKind;

impl Action<'_> {
    /// Does it once.
    ///
    /// # Errors
    /// How it failed.
    pub(super) async fn perform(&self) -> Result<Done, Failed> {
        match &self.task.kind {
            TaskKind::Command(spec) => command::perform(self, spec).await,
            TaskKind::Module(task) => modules::perform(self, task).await,
            TaskKind::WaitFor(spec) => wait_for::perform(self, spec).await,
            TaskKind::Pause { duration, unit, prompt } => {
                pause::perform(self, duration.as_ref(), *unit, prompt.as_ref()).await
            }
            TaskKind::Debug { message, variable } => {
                simple::debug(self, message.as_ref(), variable.as_ref())
            }
            TaskKind::Assert { that, fail_message, success_message } => {
                simple::assert(self, that, fail_message.as_ref(), success_message.as_ref())
            }
            TaskKind::Fail { message } => simple::fail(self, message.as_ref()),
            TaskKind::SetFact(vars) => simple::set_fact(self, vars),
            TaskKind::IncludeVars(include) => simple::include_vars(self, include),
            // The rollout and the play's own steering are not done host by host.
            TaskKind::Certificate(_) | TaskKind::Include(_) | TaskKind::Meta(_) => {
                Ok(Done::default())
            }
        }
    }
}
