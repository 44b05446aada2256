//! The variables that one host sees in one task: Ansible's precedence over lazily rendered layers.
//!
//! Weakest first: connection defaults, inventory, facts, play `vars`, `vars_files`, task `vars`, registered and
//! `set_fact`, loop, extra variables, and above all the names that the run itself gives (`inventory_hostname`,
//! `groups`, …), which nobody overrides.

use super::play_scope::{PlayScope, names};
use super::project::{Book, Project};
use super::vars_files::VarsFiles;
use crate::inventory::Inventory;
use crate::model::HostName;
use crate::playbook::{Play, Task};
use crate::source::{Diagnostics, Mapping, Node, Value, Vars};
use crate::template::{ANYTHING, HostVars, Scope, facts};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What hosts know: the inventory's variables and what tasks have set since.
pub(crate) struct Variables {
    inventory: Arc<Inventory>,
    extra: Arc<Vars>,
    /// The same for every host and task.
    global: Arc<Vars>,
    /// Registered results and facts.
    made: Mutex<HashMap<HostName, Arc<Vars>>>,
    /// What was gathered of hosts.
    facts: Mutex<HashMap<HostName, Arc<Vars>>>,
    /// Names that only `apply` would set.
    unknown: Mutex<HashMap<HostName, Arc<HashSet<String>>>>,
    /// Names that plays will set, while the run is only looked at.
    foreseen: Mutex<Foreseen>,
    /// Files of variables.
    pub files: VarsFiles,
}

/// What hosts will know, from the tasks that have not run.
#[derive(Default)]
struct Foreseen {
    /// From earlier plays.
    earlier: HashMap<HostName, HashSet<String>>,
    /// With the present play.
    all: HashMap<HostName, HashSet<String>>,
}

impl Variables {
    /// The variables at the start of a run.
    pub(crate) fn new(project: &Project) -> Self {
        let inventory = Arc::clone(&project.inventory);
        let options = &project.options;
        let texts = |list: &[String]| {
            Node::made(Value::List(list.iter().map(|text| Node::text(text.as_str())).collect()))
        };
        let groups: Mapping = inventory
            .groups()
            .into_iter()
            .map(|(group, hosts)| (Node::text(group), names(&hosts)))
            .collect();
        let tags =
            if options.tags.is_empty() { vec!["all".to_owned()] } else { options.tags.clone() };
        let mut global = Vars::from([
            ("groups".to_owned(), Node::made(Value::Map(groups))),
            ("ansible_check_mode".to_owned(), Node::made(Value::Bool(options.is_plan()))),
            ("ansible_diff_mode".to_owned(), Node::made(Value::Bool(options.diff))),
            (
                "ansible_forks".to_owned(),
                Node::made(Value::Int(i64::try_from(options.forks).unwrap_or(i64::MAX))),
            ),
            ("ansible_run_tags".to_owned(), texts(&tags)),
            ("ansible_skip_tags".to_owned(), texts(&options.skip_tags)),
            ("ansible_inventory_sources".to_owned(), texts(&inventory.sources)),
            ("ansible_version".to_owned(), version()),
            // certroll runs on none; tasks on the controller that need one find the usual one.
            ("ansible_playbook_python".to_owned(), Node::text("/usr/bin/python3")),
            ("ansible_verbosity".to_owned(), Node::made(Value::Int(i64::from(options.verbosity)))),
            (
                "ansible_config_file".to_owned(),
                options.config_file.as_ref().map_or(Node::made(Value::Null), Node::text),
            ),
        ]);
        if let Some(limit) = &options.limit {
            global.insert("ansible_limit".to_owned(), Node::text(limit));
        }
        if let Some(directory) = &inventory.directory {
            // That of a bare file name has no name.
            let named = Some(directory.as_path()).filter(|name| !name.as_os_str().is_empty());
            let named = named.unwrap_or(Path::new("."));
            let absolute = std::path::absolute(named).unwrap_or_else(|_| named.to_owned());
            global.insert("inventory_dir".to_owned(), Node::text(absolute.display().to_string()));
        }
        Self {
            inventory,
            extra: Arc::clone(&project.extra),
            global: Arc::new(global),
            made: Mutex::default(),
            facts: Mutex::default(),
            unknown: Mutex::default(),
            foreseen: Mutex::default(),
            files: VarsFiles::new(Arc::clone(&project.decrypt)),
        }
    }

    /// Sets a variable of a host: a registered result, a fact.
    pub(crate) fn set(&self, host: &HostName, name: &str, value: Node) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let layer = made.entry(host.clone()).or_default();
        Arc::make_mut(layer).insert(name.to_owned(), value);
    }

    /// What was gathered of a host, by names without `ansible_`; it adds to what is known of it.
    pub(crate) fn gathered(&self, host: &HostName, gathered: &Vars) {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        let layer = Arc::make_mut(facts.entry(host.clone()).or_default());
        let earlier = layer.get(facts::ALL).and_then(Node::as_map).cloned().unwrap_or_default();
        let is_old = |name: &Node| name.as_str().is_none_or(|name| !gathered.contains_key(name));
        let mut all: Mapping = earlier.into_iter().filter(|(name, _)| is_old(name)).collect();
        for (name, value) in gathered {
            all.push((Node::text(name), value.clone()));
            layer.insert(format!("ansible_{name}"), value.clone());
        }
        layer.insert(facts::ALL.to_owned(), Node::made(Value::Map(all)));
    }

    /// Whether anything was gathered of a host.
    pub(crate) fn has_facts(&self, host: &HostName) -> bool {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).contains_key(host)
    }

    /// From here on only `apply` would know this name.
    pub(crate) fn forget(&self, host: &HostName, name: &str) {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(unknown.entry(host.clone()).or_default()).insert(name.to_owned());
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layer) = made.get_mut(host) {
            Arc::make_mut(layer).shift_remove(name);
        }
    }

    /// A play will set these names for these hosts: other hosts see them as not yet known, the hosts themselves from
    /// the next play on.
    pub(crate) fn foresee(&self, hosts: &[HostName], names: &[&str]) {
        let mut foreseen = self.foreseen.lock().unwrap_or_else(PoisonError::into_inner);
        let Foreseen { earlier, all } = &mut *foreseen;
        earlier.clone_from(all);
        for host in hosts.iter().filter(|_| !names.is_empty()) {
            all.entry(host.clone()).or_default().extend(names.iter().map(|&name| name.to_owned()));
        }
    }

    /// What a play will set for this host is anybody's guess: so it is from the next play on.
    pub(crate) fn foresee_anything(&self, host: &HostName) {
        let mut foreseen = self.foreseen.lock().unwrap_or_else(PoisonError::into_inner);
        foreseen.all.entry(host.clone()).or_default().insert(ANYTHING.to_owned());
    }

    /// The names that earlier plays will set for a host.
    pub(crate) fn foreseen(&self, host: &HostName) -> HashSet<String> {
        let foreseen = self.foreseen.lock().unwrap_or_else(PoisonError::into_inner);
        foreseen.earlier.get(host).cloned().unwrap_or_default()
    }

    /// The run begins: what is not there now is undefined.
    pub(crate) fn begin(&self) {
        *self.foreseen.lock().unwrap_or_else(PoisonError::into_inner) = Foreseen::default();
        // What files of variables would set was put there to look ahead.
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What `host` sees in a play.
    ///
    /// # Errors
    /// A file of `vars_files` that is not there or cannot be read.
    pub(crate) fn scope(
        self: &Arc<Self>,
        play: &PlayScope,
        host: &HostName,
    ) -> Result<Scope, Diagnostics> {
        self.build(play, host, None)
    }

    /// What `host` sees in a task.
    ///
    /// # Errors
    /// As [`scope`](Self::scope).
    pub(crate) fn task_scope(
        self: &Arc<Self>,
        play: &PlayScope,
        host: &HostName,
        task: &Task,
    ) -> Result<Scope, Diagnostics> {
        self.build(play, host, Some(task))
    }

    fn build(
        self: &Arc<Self>,
        play: &PlayScope,
        host: &HostName,
        task: Option<&Task>,
    ) -> Result<Scope, Diagnostics> {
        let mut layers: Vec<Arc<Vars>> = vec![Self::environment(play, task)];
        layers.extend(play.defaults.iter().cloned());
        let role = task.and_then(|task| task.around.role.as_ref());
        layers.extend(role.iter().flat_map(|role| role.defaults.iter().cloned()));
        layers.extend(self.base(host));
        layers.push(Arc::clone(&play.vars));
        if !play.files.is_empty() {
            let scope = self.finish(play, host, layers.clone(), None);
            layers.extend(self.files.of_play(play, &scope)?);
        }
        Ok(self.finish(play, host, layers, task))
    }

    /// What the play and the task say of the environment of commands; a variable of that name hides it.
    fn environment(play: &PlayScope, task: Option<&Task>) -> Arc<Vars> {
        let levels = [Some(&*play.environment), task.map(|task| &task.environment)];
        let levels = levels.into_iter().flatten().filter(|vars| !vars.is_empty()).map(|vars| {
            let entries = vars.iter().map(|(name, value)| (Node::text(name), value.clone()));
            Node::made(Value::Map(entries.collect()))
        });
        let list = Node::made(Value::List(levels.collect()));
        Arc::new(Vars::from([("environment".to_owned(), list)]))
    }

    fn base(&self, host: &HostName) -> Vec<Arc<Vars>> {
        let defaults = Vars::from([("ansible_host".to_owned(), Node::text(host.as_str()))]);
        let mut layers = vec![Arc::new(defaults)];
        layers.extend(self.inventory.layers(host.as_str()));
        layers.extend(self.facts.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned());
        layers
    }

    fn finish(
        self: &Arc<Self>,
        play: &PlayScope,
        host: &HostName,
        mut layers: Vec<Arc<Vars>>,
        task: Option<&Task>,
    ) -> Scope {
        let role = task.and_then(|task| task.around.role.as_ref());
        layers.extend(play.of_roles.iter().cloned());
        layers.extend(role.iter().flat_map(|role| role.vars.iter().cloned()));
        if let Some(task) = task.filter(|task| !task.vars.is_empty()) {
            layers.push(Arc::new(task.vars.clone()));
        }
        layers.extend(self.made_for(host));
        layers.extend(role.iter().flat_map(|role| role.params.iter().cloned()));
        layers.extend(task.iter().flat_map(|task| task.around.params.iter().cloned()));
        layers.push(Arc::clone(&self.extra));
        layers.push(Arc::clone(&self.global));
        layers.push(Arc::clone(&play.magic));
        if let Some(task) = task {
            layers.push(Arc::new(of_task(task, &play.directory)));
        }
        layers.push(Arc::new(self.own(host)));
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = unknown.get(host).map(|names| HashSet::clone(names)).unwrap_or_default();
        Scope::new(Arc::clone(&play.templates), layers)
            .with_hostvars(Arc::new(Others(Arc::clone(self))))
            .mark_unknown(unknown)
    }

    /// Variables that are there without any host: for a play's `hosts`.
    pub(crate) fn bare_scope(&self, book: &Book, play: &Play) -> Scope {
        let layers = vec![Arc::new(play.vars.clone()), Arc::clone(&self.extra)];
        Scope::new(Arc::clone(&book.templates), layers)
    }

    fn made_for(&self, host: &HostName) -> Option<Arc<Vars>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).get(host).cloned()
    }

    fn own(&self, host: &HostName) -> Vars {
        let short = host.as_str().split('.').next().unwrap_or_default();
        let groups = self.inventory.group_names(host.as_str());
        let groups = groups.into_iter().map(Node::text).collect();
        let file = self.inventory.file_of(host.as_str()).map(|file| {
            let absolute = std::path::absolute(&file).unwrap_or(file);
            ("inventory_file".to_owned(), Node::text(absolute.display().to_string()))
        });
        let mut own = Vars::from([
            ("inventory_hostname".to_owned(), Node::text(host.as_str())),
            ("inventory_hostname_short".to_owned(), Node::text(short)),
            ("group_names".to_owned(), Node::made(Value::List(groups))),
        ]);
        own.extend(file);
        own
    }
}

/// The names that the run gives a task by its place: its role, and where its files are looked for.
fn of_task(task: &Task, playbook: &Path) -> Vars {
    let paths = task.around.search_path(playbook);
    let texts =
        |list: Vec<String>| Node::made(Value::List(list.into_iter().map(Node::text).collect()));
    let paths = paths.iter().map(|path| path.display().to_string()).collect();
    let mut vars = Vars::from([("ansible_search_path".to_owned(), texts(paths))]);
    if let Some(role) = &task.around.role {
        let path = std::path::absolute(&role.path).unwrap_or_else(|_| role.path.clone());
        let parents = role.parents().map(str::to_owned).collect();
        vars.extend([
            ("role_name".to_owned(), Node::text(&role.name)),
            ("ansible_role_name".to_owned(), Node::text(&role.name)),
            ("role_path".to_owned(), Node::text(path.display().to_string())),
            ("ansible_parent_role_names".to_owned(), texts(parents)),
        ]);
    }
    vars
}

/// `hostvars`: what other hosts have, without the variables of plays.
struct Others(Arc<Variables>);

impl HostVars for Others {
    fn layers(&self, host: &str) -> Option<Vec<Arc<Vars>>> {
        if self.0.inventory.layers(host).is_empty() && !self.0.inventory.contains(host) {
            return None;
        }
        let host = HostName::new(host);
        let mut layers = self.0.base(&host);
        layers.extend(self.0.made_for(&host));
        layers.push(Arc::clone(&self.0.extra));
        layers.push(Arc::clone(&self.0.global));
        layers.push(Arc::new(self.0.own(&host)));
        Some(layers)
    }

    fn unknown(&self, host: &str) -> Arc<HashSet<String>> {
        let host = HostName::new(host);
        let unknown = self.0.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        let foreseen = self.0.foreseen.lock().unwrap_or_else(PoisonError::into_inner);
        match (unknown.get(&host), foreseen.all.get(&host)) {
            (None, None) => Arc::default(),
            (Some(known), None) => Arc::clone(known),
            (known, Some(later)) => Arc::new(
                later.iter().chain(known.into_iter().flat_map(|set| set.iter())).cloned().collect(),
            ),
        }
    }

    fn hosts(&self) -> Vec<String> {
        self.0.inventory.hosts().iter().map(|host| host.as_str().to_owned()).collect()
    }
}

/// The release of Ansible whose meaning playbooks have here.
const ANSIBLE: (i64, i64, i64) = (2, 21, 5);

fn version() -> Node {
    let (major, minor, revision) = ANSIBLE;
    let full = format!("{major}.{minor}.{revision}");
    let int = |number| Node::made(Value::Int(number));
    let entries = [
        ("full", Node::text(&full)),
        ("major", int(major)),
        ("minor", int(minor)),
        ("revision", int(revision)),
        ("string", Node::text(&full)),
    ];
    let entries = entries.into_iter().map(|(key, value)| (Node::text(key), value));
    Node::made(Value::Map(entries.collect()))
}

/// A JSON value as one that templates read; texts in it are no templates.
pub(crate) fn node(value: &serde_json::Value) -> Node {
    Node::from_json(value, None)
}
