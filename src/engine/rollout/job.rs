//! A certificate task rendered for one host: what is wanted, and how the host is reached.

use super::target::Job;
use crate::engine::context::Context;
use crate::inputs::play_scope::PlayScope;
use crate::inputs::selection::ChosenTask;
use crate::inputs::verb::{Back, Verb};
use crate::inputs::wants;
use crate::model::HostName;
use crate::plan::earlier::Earlier;
use crate::playbook::certificate::{CertificateSpec, RenderError};
use crate::template::Scope;
use std::sync::Arc;
use std::time::Duration;

/// The part of `host` in a certificate task, with the item of its loop in `scope`.
///
/// # Errors
/// Everything that is wrong with its values; or a name that only the run sets.
pub(crate) fn job(
    context: &Context,
    chosen: &ChosenTask<'_>,
    spec: &CertificateSpec,
    vars: &PlayScope,
    host: &HostName,
    scope: &Scope,
) -> Result<Job, RenderError> {
    let inputs = &context.inputs;
    let want = wants::want(&inputs.bundles, chosen, spec, host, scope)?;
    let connections = &context.connections;
    let connection = connections
        .of_task(&inputs.variables, chosen, vars, host, scope)
        .map_err(RenderError::Wrong)?;
    let dirs = connections.state_dirs(scope).map_err(RenderError::Wrong)?;
    let options = &inputs.project.options;
    let earlier = match &options.verb {
        Verb::Rollback { back: Back::To(to), .. } => Some(Earlier::To(to.clone())),
        Verb::Rollback { back: Back::Run, .. } => {
            let undo = options.roster.as_ref().and_then(|roster| roster.undo.as_ref());
            Some(Earlier::Before(undo.map(|undo| undo.of(host)).unwrap_or_default()))
        }
        _ => None,
    };
    let store = want.wanted.certificate.store.as_ref();
    let target = context.targets.target(host, connection, dirs, store);
    let (identity, emitter) = (Arc::clone(&context.identity), context.emitter.clone());
    let plan_only = context.is_plan() || chosen.task.check_mode == Some(true);
    let diff = (options.diff && context.is_plan()).then(|| scope.opened());
    let (wanted, variants) = (want.wanted, want.variants);
    Ok(Job {
        wanted,
        variants,
        earlier,
        plan_only,
        lock_wait: Duration::ZERO,
        goes_on: false,
        patience: None,
        diff,
        reviewed: None,
        target,
        identity,
        emitter,
    })
}
