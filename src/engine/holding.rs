//! What a host holds of a task whose certificates cannot be read here: `certroll status` asks for what is there, and says
//! that nothing was compared.

use super::connection::HostConnection;
use super::context::Context;
use super::failure::{self, HostFailure};
use super::rollout::status::held_status;
use crate::event::status::HostStatus;
use crate::inputs::play_scope::PlayScope;
use crate::inputs::selection::ChosenTask;
use crate::inputs::wants;
use crate::model::{HostName, Step};
use crate::playbook::certificate::{CertificateSpec, RenderError};
use crate::remote;
use crate::source::Diagnostics;
use crate::template::Scope;

/// A task on a host, as far as it can be told without its certificates.
pub(super) struct Held {
    /// The task.
    pub task: String,
    /// Why nothing is compared.
    pub why: String,
    connection: HostConnection,
    holding: wants::Holding,
}

impl Held {
    /// Of a task that is wrong because of `problems`.
    ///
    /// # Errors
    /// The problems, where they leave nothing to ask for.
    pub(super) fn of(
        context: &Context,
        chosen: &ChosenTask<'_>,
        spec: &CertificateSpec,
        vars: &PlayScope,
        (host, scope): (&HostName, &Scope),
        problems: Diagnostics,
    ) -> Result<Self, RenderError> {
        let Some(mut holding) = wants::holding(chosen, spec, scope) else {
            return Err(RenderError::Wrong(problems));
        };
        let connections = &context.connections;
        let connection = connections.of_task(&context.inputs.variables, chosen, vars, host, scope);
        let connection = connection.map_err(RenderError::Wrong)?;
        holding.request.dirs = connections.state_dirs(scope).map_err(RenderError::Wrong)?;
        let why: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        Ok(Self { task: chosen.task.title(), why: why.join("; "), connection, holding })
    }

    /// Asks the host.
    ///
    /// # Errors
    /// The host is unreachable or does not answer sensibly.
    pub(super) async fn status(
        &self,
        context: &Context,
        host: &HostName,
    ) -> Result<HostStatus, HostFailure> {
        let emitter = &context.emitter;
        let running = emitter.step(host, Step::Connect);
        let process = self.connection.sh().await.map_err(|error| error.ended(&self.task))?;
        running.end(self.connection.describe());
        let running = emitter.step(host, Step::Inspect);
        let facts = remote::inspect(process, &self.holding.request)
            .await
            .map_err(|error| failure::remote(&self.task, host, &error, None))?;
        running.end("asked");
        Ok(held_status(&facts, &self.holding.services, context.identity.now))
    }
}
