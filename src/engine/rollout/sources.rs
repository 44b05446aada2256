//! Certificates and keys that are files of another host: each read once, before any host of the batch is prepared.

use crate::engine::batch::Batch;
use crate::engine::connection::HostConnection;
use crate::host::{ModuleRequest, Verb};
use crate::inputs::iteration::{all_true, iterations};
use crate::inputs::selection::ChosenTask;
use crate::model::{HostName, RemotePath, Secret};
use crate::playbook::Task;
use crate::playbook::certificate::{self, CertificateSpec};
use crate::remote;
use crate::source::Node;
use crate::template::Scope;
use indexmap::IndexMap;
use std::sync::Arc;

/// Reads what the task's pairs need of other hosts and nobody has read yet. What cannot be read is known as that, and
/// ends the task on the hosts that need it before they are touched.
pub(super) async fn fetch(
    batch: &Batch<'_>,
    chosen: &ChosenTask<'_>,
    spec: &CertificateSpec,
    hosts: &[HostName],
) {
    if !spec.may_read_hosts() {
        return;
    }
    let bundles = &batch.context.inputs.bundles;
    let mut wanted: IndexMap<(HostName, RemotePath), (HostName, Scope)> = IndexMap::new();
    for host in hosts {
        for scope in scopes(batch, &chosen.task, host) {
            // What is wrong with its values is told where the host's own part begins.
            let Ok(task) = certificate::render(spec, &scope, chosen.at.directory()) else {
                continue;
            };
            for place in task.pairs.iter().flat_map(|pair| bundles.not_fetched(pair)) {
                wanted.entry(place).or_insert_with(|| (host.clone(), scope.clone()));
            }
        }
    }
    for ((from, path), (host, scope)) in wanted {
        let read = match connection(batch, chosen, &from, &host, &scope) {
            Ok(connection) => read(&connection, &path).await,
            Err(why) => Err(why),
        };
        bundles.fetched(&from, &path, read);
    }
}

/// The scopes of a host's iterations of which the conditions hold.
fn scopes(batch: &Batch<'_>, task: &Task, host: &HostName) -> Vec<Scope> {
    let Ok(scope) = batch.context.inputs.variables.task_scope(&batch.vars, host, task) else {
        return Vec::new();
    };
    let list = iterations(task.looping.as_ref(), &scope).unwrap_or_default();
    let scopes = list.into_iter().map(|(scope, _)| scope);
    scopes.filter(|scope| all_true(&task.when, scope) == Ok(true)).collect()
}

/// As for a task that is delegated there.
fn connection(
    batch: &Batch<'_>,
    chosen: &ChosenTask<'_>,
    from: &HostName,
    host: &HostName,
    scope: &Scope,
) -> Result<HostConnection, String> {
    let elsewhere = Some(Node::text(from.as_str()));
    let task = Arc::new(Task { delegate_to: elsewhere, ..Task::clone(&chosen.task) });
    let chosen = ChosenTask { task, ..chosen.clone() };
    let context = batch.context;
    let connection =
        context.connections.of_task(&context.inputs.variables, &chosen, &batch.vars, host, scope);
    connection.map_err(|problems| {
        let words: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        words.join("; ")
    })
}

async fn read(connection: &HostConnection, path: &RemotePath) -> Result<Secret<Vec<u8>>, String> {
    let request = ModuleRequest::new(Verb::Look, true)
        .with("path", path.to_string())
        .flag("follow", true)
        .flag("secret", true)
        .with("limit", remote::module::LARGEST.to_string());
    let process = connection.sh().await.map_err(|error| error.to_string())?;
    let reply = remote::module::run(process, &request).await.map_err(|error| error.to_string())?;
    let mut reply = reply.map_err(|refusal| refusal.why)?;
    match reply.text("state") {
        Some("file" | "hard") => {}
        None | Some("absent" | "link") => return Err("there is no such file".to_owned()),
        Some(other) => return Err(format!("it is a {other}")),
    }
    reply.content.take().ok_or_else(|| "it is empty".to_owned())
}
