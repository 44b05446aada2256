//! How hosts are reached: variables and keywords resolved once per task, sessions shared by tasks.

use super::connection::HostConnection;
use crate::host::StateDirs;
use crate::inputs::play_scope::PlayScope;
use crate::inputs::selection::ChosenTask;
use crate::inputs::variables::{Variables, node};
use crate::model::{HostName, RemotePath};
use crate::playbook::{Play, Task};
use crate::source::{Diagnostic, Diagnostics, Node, Vars};
use crate::template::facts::is_fact;
use crate::template::{Scope, TemplateError};
use crate::transport::{ConnectOptions, Connector, Keywords, Route, SshConfig, target_from};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Variable that names the directory where a host keeps journals and locks.
const STATE_DIRECTORY: &str = "certroll_state_dir";

/// Every connection of a run.
pub(crate) struct Connections {
    connector: Connector,
    options: ConnectOptions,
    config: SshConfig,
    known: Mutex<HashMap<HostName, Vec<(Place, HostConnection)>>>,
}

/// What makes two connections of a host share a session.
#[derive(PartialEq, Eq)]
struct Place {
    address: String,
    port: u16,
    user: String,
}

impl Connections {
    /// No connection yet.
    pub(crate) fn new(connector: Connector, options: ConnectOptions, config: SshConfig) -> Self {
        Self { connector, options, config, known: Mutex::default() }
    }

    /// Where and as whom a task runs for a host: `delegate_to`, connection variables, `become`.
    ///
    /// # Errors
    /// Every wrong value, with its place and its remedy.
    pub(crate) fn of_task(
        &self,
        variables: &Arc<Variables>,
        chosen: &ChosenTask<'_>,
        vars: &PlayScope,
        host: &HostName,
        scope: &Scope,
    ) -> Result<HostConnection, Diagnostics> {
        let task = &chosen.task;
        let keywords = keywords(chosen.at.play, Some(task), scope)?;
        let Some(elsewhere) = &task.delegate_to else {
            return self.connection(host, &keywords, scope);
        };
        let Some(name) = scope.text_unless_omitted(elsewhere).map_err(one)? else {
            return self.connection(host, &keywords, scope);
        };
        let name = HostName::new(name);
        let there = variables.task_scope(vars, &name, task)?;
        self.connection(&name, &keywords, &there)
    }

    /// How a host is reached outside any task.
    ///
    /// # Errors
    /// As [`of_task`](Self::of_task).
    pub(crate) fn of_host(
        &self,
        variables: &Arc<Variables>,
        play: &PlayScope,
        host: &HostName,
    ) -> Result<HostConnection, Diagnostics> {
        let scope = variables.scope(play, host)?;
        self.connection(host, &Keywords::default(), &scope)
    }

    fn connection(
        &self,
        host: &HostName,
        keywords: &Keywords,
        scope: &Scope,
    ) -> Result<HostConnection, Diagnostics> {
        let vars = connection_variables(scope)?;
        let plan = target_from(host, &vars, keywords, &self.options, &self.config)?;
        let place = match &plan.route {
            Route::Local => {
                return Ok(HostConnection::new(
                    Route::Local,
                    plan.become_as,
                    self.connector.clone(),
                ));
            }
            Route::Ssh(target) => Place {
                address: target.address.clone(),
                port: target.port,
                user: target.user.clone(),
            },
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of_host = known.entry(host.clone()).or_default();
        if let Some((_, connection)) = of_host.iter().find(|(there, _)| *there == place) {
            return Ok(connection.as_user(plan.become_as));
        }
        let connection = HostConnection::new(plan.route, None, self.connector.clone());
        // Every host has one, and hardly any has two.
        of_host.reserve_exact(1);
        of_host.push((place, connection.clone()));
        Ok(connection.as_user(plan.become_as))
    }

    /// Nothing follows on a host: its connections end. Whoever needs one after all connects anew.
    pub(crate) fn release(&self, host: &HostName) {
        let ended = self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
        for (_, connection) in ended.into_iter().flatten() {
            connection.release();
        }
    }

    /// Where a host keeps journals and locks, if its variables name a place of their own: the directory
    /// `lib` below it for the one, `run` for the other.
    ///
    /// # Errors
    /// A value that is no absolute path.
    pub(crate) fn state_dirs(&self, scope: &Scope) -> Result<Option<StateDirs>, Diagnostics> {
        let Some(named) = scope.raw(STATE_DIRECTORY) else { return Ok(None) };
        let text = scope.text(named).map_err(one)?;
        let path = |below: &str| {
            let joined = format!("{}/{below}", text.trim_end_matches('/'));
            RemotePath::new(joined).map_err(|error| {
                let problem = Diagnostic::error(format!("{STATE_DIRECTORY}: {error}"));
                Diagnostics(vec![problem.at(named.span.as_ref())])
            })
        };
        Ok(Some(StateDirs { state: path("lib")?, run: path("run")? }))
    }
}

fn one(error: TemplateError) -> Diagnostics {
    Diagnostics(vec![error.diagnostic()])
}

/// What the play and the task say about log-in and `become`; the task wins.
fn keywords(play: &Play, task: Option<&Task>, scope: &Scope) -> Result<Keywords, Diagnostics> {
    let own = task.map(|task| &task.becoming);
    let text = |ours: Option<&Option<Node>>, plays: &Option<Node>| {
        let node = ours.and_then(Option::as_ref).or(plays.as_ref());
        let text = node.map(|node| scope.text_unless_omitted(node).map_err(one)).transpose()?;
        Ok::<_, Diagnostics>(text.flatten())
    };
    let flag = own.and_then(|own| own.enabled.as_ref()).or(play.becoming.enabled.as_ref());
    let becoming = flag.map(|node| scope.condition(node).map_err(one)).transpose()?;
    Ok(Keywords {
        remote_user: text(None, &play.remote_user)?,
        becoming,
        become_user: text(own.map(|own| &own.user), &play.becoming.user)?,
        become_method: text(own.map(|own| &own.method), &play.becoming.method)?,
        become_flags: text(own.map(|own| &own.flags), &play.becoming.flags)?,
        become_exe: text(own.map(|own| &own.exe), &play.becoming.exe)?,
    })
}

/// The variables that say how a host is reached, rendered.
fn connection_variables(scope: &Scope) -> Result<Vars, Diagnostics> {
    let mut vars = Vars::new();
    let mut found = Diagnostics::default();
    let mut names: Vec<&str> = scope.names().filter(|name| name.starts_with("ansible_")).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        // The run's own names say nothing about connections.
        let Some(value) = scope.raw(name).filter(|_| is_about_connections(name)) else { continue };
        match scope.render(value) {
            Ok(rendered) => {
                let rendered = Node { span: value.span.clone(), ..node(&rendered) };
                vars.insert(name.to_owned(), rendered);
            }
            Err(error) => found.push(error.diagnostic()),
        }
    }
    if found.has_errors() { Err(found) } else { Ok(vars) }
}

fn is_about_connections(name: &str) -> bool {
    !name.starts_with("ansible_play")
        && !is_fact(name)
        && !matches!(
            name,
            "ansible_check_mode"
                | "ansible_diff_mode"
                | "ansible_forks"
                | "ansible_limit"
                | "ansible_run_tags"
                | "ansible_skip_tags"
                | "ansible_inventory_sources"
                | "ansible_version"
                | "ansible_verbosity"
                | "ansible_config_file"
                | "ansible_search_path"
        )
}
