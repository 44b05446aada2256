//! Handlers: which are notified, by which hosts.

use crate::engine::batch::Batch;
use crate::inputs::selection::Place;
use crate::model::{HostName, Outcome};
use crate::playbook::Task;
use crate::source::Node;
use indexmap::{IndexMap, IndexSet};

/// The handlers of a batch that were notified and have not run yet.
#[derive(Default)]
pub(super) struct Notified(IndexMap<Place, IndexSet<HostName>>);

impl Notified {
    /// A task changed something on these hosts.
    pub(super) fn notify(&mut self, batch: &Batch<'_>, task: &Task, hosts: &[HostName]) {
        for wanted in &task.notify {
            for host in hosts {
                let name = name_on(batch, host, wanted);
                let mut found = false;
                for handler in batch.at.handlers().filter(|one| answers(one.task, &name)) {
                    found = true;
                    self.0.entry(handler.place).or_default().insert(host.clone());
                }
                if !found {
                    let message = format!("there is no handler '{name}'");
                    batch.context.emitter.warn(Some(host), message);
                }
            }
        }
    }

    /// The hosts for which a handler runs now, which are taken from it. `forced`: also those that have failed since,
    /// unless they cannot be reached or nobody knows their state (Ansible, `force_handlers`).
    pub(super) fn take(
        &mut self,
        batch: &Batch<'_>,
        handler: Place,
        forced: bool,
    ) -> Vec<HostName> {
        let Some(mut notified) = self.0.shift_remove(&handler) else { return Vec::new() };
        let mut hosts = batch.active();
        if forced {
            let ledger = batch.context.ledger();
            let failed = batch.hosts.iter().filter(|host| {
                let outcome = ledger.tally.outcome(host);
                matches!(outcome, Outcome::Failed(_) | Outcome::RolledBack(_))
            });
            hosts.extend(failed.cloned());
        }
        hosts.retain(|host| notified.shift_remove(host));
        hosts
    }
}

fn name_on(batch: &Batch<'_>, host: &HostName, name: &Node) -> String {
    let scope = batch.context.inputs.variables.scope(&batch.vars, host).ok();
    let text = scope.and_then(|scope| scope.text(name).ok());
    text.unwrap_or_else(|| name.as_str().unwrap_or_default().to_owned())
}

fn answers(handler: &Task, name: &str) -> bool {
    handler.title() == name || handler.listen.iter().any(|topic| topic == name)
}
