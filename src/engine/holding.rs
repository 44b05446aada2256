//! What a host holds of a task whose certificates cannot be read here: `certroll status` asks for what is there, and compares
//! what is served with that.

use super::context::Context;
use super::failure::HostFailure;
use super::rollout::status::held_status;
use super::rollout::target::{Asked, Target};
use super::verification;
use crate::event::status::HostStatus;
use crate::host::Inspection;
use crate::inputs::play_scope::PlayScope;
use crate::inputs::selection::ChosenTask;
use crate::inputs::wants;
use crate::model::HostName;
use crate::plan::destinations::ask_what_is_there;
use crate::plan::held::HeldTask;
use crate::plan::left_open;
use crate::playbook::certificate::{CertificateSpec, RenderError};
use crate::source::Diagnostics;
use crate::template::Scope;
use std::sync::Arc;

/// A task on a host, as far as it can be told without its certificates.
pub(super) struct Held {
    /// Why it is not compared with the playbook's certificates.
    pub why: String,
    target: Arc<dyn Target>,
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
        let Some(holding) = wants::holding(chosen, spec, host, scope) else {
            return Err(RenderError::Wrong(problems));
        };
        let connections = &context.connections;
        let connection = connections.of_task(&context.inputs.variables, chosen, vars, host, scope);
        let connection = connection.map_err(RenderError::Wrong)?;
        let dirs = connections.state_dirs(scope).map_err(RenderError::Wrong)?;
        let store = holding.task.certificate.store.as_ref();
        let target = context.targets.target(host, connection, dirs, store);
        let why: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        Ok(Self { why: why.join("; "), target, holding })
    }

    /// The task.
    pub(super) fn task(&self) -> &str {
        &self.holding.task.title
    }

    /// Asks the host, and then looks whether its servers show what is in its files.
    ///
    /// # Errors
    /// The host is unreachable or does not answer sensibly.
    pub(super) async fn status(&self, context: &Context) -> Result<HostStatus, HostFailure> {
        let wants::Holding { task, services, request } = &self.holding;
        let (host, title, emitter) = (&task.host, &task.title, &context.emitter);
        let placed = self.placed(context).await?;
        let (task, request) = match &placed {
            Some((task, request)) => (task, request),
            None => (task, request),
        };
        let asked = Asked { host, task: title, request, emitter };
        let facts = self.target.held(&asked).await?;
        let places = task.places(&facts);
        let looks = verification::look(&places, &self.target.dialers()).await;
        let looks: Vec<_> = places.into_iter().zip(looks).collect();
        Ok(held_status(&facts, services, &looks, context.identity.now))
    }

    /// The task with the files that its services' configurations name, and what to ask for these; none: it leaves none open,
    /// or it cannot be told which ones are meant.
    async fn placed(
        &self,
        context: &Context,
    ) -> Result<Option<(HeldTask, Inspection)>, HostFailure> {
        let task = &self.holding.task;
        if !left_open::is_open(&task.certificate, &task.profiles) {
            return Ok(None);
        }
        let request = left_open::ask_named(&task.profiles);
        let (host, title, emitter) = (&task.host, &task.title, &context.emitter);
        let asked = Asked { host, task: title, request: &request, emitter };
        let facts = self.target.held(&asked).await?;
        let Ok(Some(dest)) = left_open::named_dest(&task.profiles, &facts) else { return Ok(None) };
        let mut placed = task.clone();
        left_open::fill(&mut placed.certificate, dest);
        let request = ask_what_is_there(&placed.certificate, &placed.profiles);
        Ok(Some((placed, request)))
    }
}
