//! What a play adds to the variables of its hosts.

use super::project::Book;
use crate::model::HostName;
use crate::playbook::{Play, Task};
use crate::source::{Node, Value, Vars};
use crate::template::Templates;
use std::path::PathBuf;
use std::sync::Arc;

/// What a play adds to the variables of its hosts.
#[derive(Clone)]
pub(crate) struct PlayScope {
    pub(super) templates: Arc<Templates>,
    pub(super) directory: PathBuf,
    /// Defaults and variables of the play's roles, which all its tasks see.
    pub(super) defaults: Arc<[Arc<Vars>]>,
    pub(super) of_roles: Arc<[Arc<Vars>]>,
    pub(super) vars: Arc<Vars>,
    pub(super) environment: Arc<Vars>,
    pub(super) files: Vec<Node>,
    pub(super) magic: Arc<Vars>,
    title: Option<Arc<str>>,
    everyone: Arc<[HostName]>,
}

impl PlayScope {
    /// The variables of `play`, which has these hosts.
    pub(crate) fn new(book: &Book, play: &Play, hosts: &[HostName]) -> Self {
        let directory = play.directory.as_ref().unwrap_or(&book.playbook.directory).clone();
        let absolute = std::path::absolute(&directory).unwrap_or_else(|_| directory.clone());
        let magic = Vars::from([
            ("playbook_dir".to_owned(), Node::text(absolute.display().to_string())),
            ("ansible_play_name".to_owned(), Node::text(&play.name)),
            ("ansible_play_hosts_all".to_owned(), names(hosts)),
            ("ansible_play_hosts".to_owned(), names(hosts)),
            ("play_hosts".to_owned(), names(hosts)),
            ("ansible_play_batch".to_owned(), names(hosts)),
            (
                "ansible_search_path".to_owned(),
                Node::made(Value::List(vec![Node::text(absolute.display().to_string())])),
            ),
            ("ansible_play_role_names".to_owned(), role_names(play)),
        ]);
        Self {
            templates: Arc::clone(&book.templates),
            directory,
            defaults: play.roles.iter().flat_map(|role| role.defaults.iter().cloned()).collect(),
            of_roles: play.roles.iter().flat_map(|role| role.exports.iter().cloned()).collect(),
            vars: Arc::new(play.vars.clone()),
            environment: Arc::new(play.environment.clone()),
            files: play.vars_files.clone(),
            magic: Arc::new(magic),
            title: None,
            everyone: hosts.into(),
        }
    }

    /// Every host of the play.
    pub(crate) fn everyone(&self) -> &[HostName] {
        &self.everyone
    }

    /// The same play at a task with this rendered name.
    pub(crate) fn with_title(&self, title: &str) -> Self {
        Self { title: Some(Arc::from(title)), ..self.clone() }
    }

    /// What the task at work is called: its name as rendered, else as written.
    pub(crate) fn title(&self, task: &Task) -> String {
        self.title.as_deref().map_or_else(|| task.title(), str::to_owned)
    }

    /// The same play with the hosts that are still in it, and those of the batch.
    pub(crate) fn with_hosts(&self, active: &[HostName], batch: &[HostName]) -> Self {
        let mut magic = Vars::clone(&self.magic);
        magic.insert("ansible_play_hosts".to_owned(), names(active));
        magic.insert("play_hosts".to_owned(), names(batch));
        magic.insert("ansible_play_batch".to_owned(), names(batch));
        Self { magic: Arc::new(magic), ..self.clone() }
    }
}

/// A list of host names as a value.
pub(crate) fn names<'a>(hosts: impl IntoIterator<Item = &'a HostName>) -> Node {
    Node::made(Value::List(hosts.into_iter().map(|host| Node::text(host.as_str())).collect()))
}

fn role_names(play: &Play) -> Node {
    let mut names: Vec<Node> = Vec::new();
    for role in &play.roles {
        let name = Node::text(&role.name);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Node::made(Value::List(names))
}
