//! What interrupted runs left on a host, settled without a certificate.

use super::context::Context;
use super::failure::HostFailure;
use super::patience::{Patience, is_ours};
use super::rollout::target::{Asked, NotBegun, Recovery, Target};
use crate::host::StateDirs;
use crate::inputs::play_scope::PlayScope;
use crate::inputs::selection::ChosenTask;
use crate::inputs::wants;
use crate::model::{HostName, RemotePath};
use crate::plan::left_open;
use crate::playbook::certificate::{CertificateSpec, RenderError};
use crate::services::Profile;
use crate::template::Scope;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks whether another host of this run is done with the machine.
const FOR_OURS: Duration = Duration::from_secs(1);

/// What may be left on a host: where its state is kept and where files of certificate tasks are.
pub(super) struct Leftovers {
    target: Arc<dyn Target>,
    /// Leftovers with the same are settled together.
    account: (String, Option<StateDirs>),
    files: BTreeSet<RemotePath>,
    /// Services of tasks that leave open which files are meant: their configuration tells.
    told_by: Vec<Vec<Arc<Profile>>>,
}

impl Leftovers {
    /// Those of a certificate task on a host. Asks neither for certificates nor for commands.
    ///
    /// # Errors
    /// What is wrong with the task's values; or a name that only the run sets.
    pub(super) fn of(
        context: &Context,
        chosen: &ChosenTask<'_>,
        spec: &CertificateSpec,
        vars: &PlayScope,
        host: &HostName,
        scope: &Scope,
    ) -> Result<Self, RenderError> {
        let wants::Places { files, told_by, store } = wants::paths(chosen, spec, scope)?;
        let connections = &context.connections;
        let connection = connections.of_task(&context.inputs.variables, chosen, vars, host, scope);
        let connection = connection.map_err(RenderError::Wrong)?;
        let dirs = connections.state_dirs(scope).map_err(RenderError::Wrong)?;
        let account = match &store {
            Some(store) => (format!("{} {store:?}", connection.describe()), None),
            None => (connection.describe(), dirs.clone()),
        };
        let target = context.targets.target(host, connection, dirs, store.as_ref());
        let told_by = Some(told_by).filter(|profiles| !profiles.is_empty()).into_iter().collect();
        Ok(Self { target, account, files, told_by })
    }

    /// Whether these services are asked already.
    fn asks(&self, profiles: &[Arc<Profile>]) -> bool {
        let names = |profiles: &[Arc<Profile>]| -> Vec<String> {
            profiles.iter().map(|profile| profile.name.clone()).collect()
        };
        self.told_by.iter().any(|known| names(known) == names(profiles))
    }

    /// Asks the host for the files that its services' configurations name. What cannot be told keeps nothing from being
    /// settled.
    async fn look_up(&mut self, context: &Context, host: &HostName, task: &str) {
        for profiles in std::mem::take(&mut self.told_by) {
            let request = left_open::ask_named(&profiles);
            let asked = Asked { host, task, request: &request, emitter: &context.emitter };
            match self.target.held(&asked).await {
                Ok(facts) => self.files.extend(left_open::all_named(&profiles, &facts)),
                Err(ended) => {
                    let why = ended.failure.message;
                    let words = format!(
                        "what lies beside the files that only a configuration names is not looked at: {why}"
                    );
                    context.emitter.warn(Some(host), words);
                }
            }
        }
    }
}

/// One for each account with its own state: a host is asked once, however many tasks it has.
fn together(leftovers: Vec<Leftovers>) -> Vec<Leftovers> {
    let mut all: Vec<Leftovers> = Vec::new();
    for one in leftovers {
        match all.iter_mut().find(|known| known.account == one.account) {
            Some(known) => {
                known.files.extend(one.files);
                let new = one.told_by.into_iter().filter(|profiles| !known.asks(profiles));
                let new: Vec<_> = new.collect();
                known.told_by.extend(new);
            }
            None => all.push(one),
        }
    }
    all
}

/// Settles what was left on a host, for `task`. What was settled, one line each.
///
/// # Errors
/// The host cannot be reached, or is busy with another run.
pub(super) async fn recover(
    context: &Context,
    host: &HostName,
    task: &str,
    leftovers: Vec<Leftovers>,
) -> Result<Vec<String>, HostFailure> {
    let mut words = Vec::new();
    for mut one in together(leftovers) {
        one.look_up(context, host, task).await;
        let Leftovers { target, files, .. } = one;
        let files: Vec<RemotePath> = files.into_iter().collect();
        let machine = target.machine().unwrap_or_else(|| host.to_string());
        let turn = context.turn(machine);
        let _alone = turn.lock().await;
        let patience = Patience::begin(None, context);
        loop {
            let recovery = Recovery {
                host,
                task,
                holder: &context.identity.holder,
                files: &files,
                lock_wait: patience.slice(),
                emitter: &context.emitter,
            };
            match target.recover(&recovery).await {
                Ok(settled) => break words.extend(settled),
                Err(not_begun) if context.stop.is_interrupt() => {
                    return Err(not_begun.into_failure());
                }
                // The same machine by a name that did not show it.
                Err(NotBegun::Busy { holder, .. }) if is_ours(&holder, context) => {
                    tokio::time::sleep(FOR_OURS).await;
                }
                Err(NotBegun::Busy { .. }) if !patience.is_over() => {}
                Err(not_begun) => return Err(not_begun.into_failure()),
            }
        }
    }
    Ok(words)
}
