//! The variables that one host sees in one task: Ansible's precedence over lazily rendered layers.
//!
//! Weakest first: connection defaults, inventory, play `vars`, `vars_files`, task `vars`, registered and
//! `set_fact`, loop, extra variables, and above all the names that the run itself gives (`inventory_hostname`,
//! `groups`, …), which nobody overrides.

use super::iteration::{all_true, iterations};
use super::project::{Book, Project};
use crate::inventory::Inventory;
use crate::load;
use crate::model::HostName;
use crate::playbook::{IncludeVars, Play, Task};
use crate::source::{Diagnostic, Diagnostics, Mapping, Node, Value, Vars};
use crate::template::{Decrypt, HostVars, Scope, TemplateError, Templates};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What hosts know: the inventory's variables and what tasks have set since.
pub(crate) struct Variables {
    inventory: Arc<Inventory>,
    extra: Arc<Vars>,
    /// The same for every host and task.
    global: Arc<Vars>,
    /// Registered results and facts.
    made: Mutex<HashMap<HostName, Arc<Vars>>>,
    /// Names that only `apply` would set.
    unknown: Mutex<HashMap<HostName, Arc<HashSet<String>>>>,
    /// Names that plays will set, while the run is only looked at.
    foreseen: Mutex<Foreseen>,
    decrypt: Decrypt,
    files: Mutex<HashMap<PathBuf, Arc<Vars>>>,
    /// What is odd in files of variables.
    warnings: Mutex<Diagnostics>,
}

/// What hosts will know, from the tasks that have not run.
#[derive(Default)]
struct Foreseen {
    /// From earlier plays.
    earlier: HashMap<HostName, HashSet<String>>,
    /// With the present play.
    all: HashMap<HostName, HashSet<String>>,
}

/// What a play adds to the variables of its hosts.
#[derive(Clone)]
pub(crate) struct PlayScope {
    templates: Arc<Templates>,
    directory: PathBuf,
    /// Defaults and variables of the play's roles, which all its tasks see.
    defaults: Arc<[Arc<Vars>]>,
    of_roles: Arc<[Arc<Vars>]>,
    vars: Arc<Vars>,
    files: Vec<Node>,
    magic: Arc<Vars>,
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
            let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.clone());
            global.insert("inventory_dir".to_owned(), Node::text(absolute.display().to_string()));
        }
        Self {
            inventory,
            extra: Arc::clone(&project.extra),
            global: Arc::new(global),
            made: Mutex::default(),
            unknown: Mutex::default(),
            foreseen: Mutex::default(),
            warnings: Mutex::default(),
            decrypt: Arc::clone(&project.decrypt),
            files: Mutex::default(),
        }
    }

    /// Sets a variable of a host: a registered result, a fact.
    pub(crate) fn set(&self, host: &HostName, name: &str, value: Node) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let layer = made.entry(host.clone()).or_default();
        Arc::make_mut(layer).insert(name.to_owned(), value);
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

    /// What was odd in the files of variables that were read since the last call.
    pub(crate) fn take_warnings(&self) -> Diagnostics {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
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
        let mut layers: Vec<Arc<Vars>> = play.defaults.to_vec();
        let role = task.and_then(|task| task.around.role.as_ref());
        layers.extend(role.iter().flat_map(|role| role.defaults.iter().cloned()));
        layers.extend(self.base(host));
        layers.push(Arc::clone(&play.vars));
        if !play.files.is_empty() {
            let scope = self.finish(play, host, layers.clone(), None);
            layers.extend(self.vars_files(play, &scope)?);
        }
        Ok(self.finish(play, host, layers, task))
    }

    fn base(&self, host: &HostName) -> Vec<Arc<Vars>> {
        let defaults = Vars::from([("ansible_host".to_owned(), Node::text(host.as_str()))]);
        let mut layers = vec![Arc::new(defaults)];
        layers.extend(self.inventory.layers(host.as_str()));
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

    fn vars_files(&self, play: &PlayScope, scope: &Scope) -> Result<Vec<Arc<Vars>>, Diagnostics> {
        let mut layers = Vec::new();
        let mut found = Diagnostics::default();
        for entry in &play.files {
            match self.vars_file(play, scope, entry) {
                Ok(Some(layer)) => layers.push(layer),
                Ok(None) => {}
                Err(problems) => found.extend(problems),
            }
        }
        if found.has_errors() { Err(found) } else { Ok(layers) }
    }

    /// What `include_vars` sets on a host, once for each item of its loop; `None`: only the run can tell.
    ///
    /// # Errors
    /// A file that is not there or cannot be read.
    pub(crate) fn include_vars(
        &self,
        include: &IncludeVars,
        task: &Task,
        scope: &Scope,
    ) -> Result<Option<Vars>, Diagnostics> {
        let mut vars = Vars::new();
        let told = |error: TemplateError| match error {
            TemplateError::NotYetKnown(_) => Ok(None),
            TemplateError::Wrong(problem) => Err(Diagnostics(vec![*problem])),
        };
        let list = match iterations(task.looping.as_ref(), scope) {
            Ok(list) => list,
            Err(error) => return told(error),
        };
        for (scope, _) in list {
            match all_true(&task.when, &scope) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => return told(error),
            }
            match self.vars_of(include, &scope) {
                Ok(more) => vars.extend(more),
                Err(error) => return error.map_or(Ok(None), Err),
            }
        }
        Ok(Some(vars))
    }

    /// What `include_vars` sets in one scope.
    ///
    /// # Errors
    /// As [`include_vars`](Self::include_vars); nothing: only the run can tell.
    pub(crate) fn vars_of(
        &self,
        include: &IncludeVars,
        scope: &Scope,
    ) -> Result<Vars, Option<Diagnostics>> {
        let text = scope.text(&include.path).map_err(|error| match error {
            TemplateError::NotYetKnown(_) => None,
            TemplateError::Wrong(problem) => Some(Diagnostics(vec![*problem])),
        })?;
        let path =
            vars_path(&include.path, &text, scope).map_err(|problem| Some(problem.into()))?;
        let files = match include.directory {
            false => vec![path],
            true => load::files_below(&path).map_err(|problem| Some(problem.into()))?,
        };
        let mut vars = Vars::new();
        for file in files {
            let read = self.read(file, &include.path).map_err(Some)?;
            vars.extend(Vars::clone(&read));
        }
        Ok(match &include.name {
            None => vars,
            Some(name) => {
                let entries = vars.into_iter().map(|(key, value)| (Node::text(key), value));
                Vars::from([(name.clone(), Node::made(Value::Map(entries.collect())))])
            }
        })
    }

    /// One entry: a file, or a list of which the first that exists counts.
    fn vars_file(
        &self,
        play: &PlayScope,
        scope: &Scope,
        entry: &Node,
    ) -> Result<Option<Arc<Vars>>, Diagnostics> {
        let choices = entry.as_list().unwrap_or_else(|| std::slice::from_ref(entry));
        let mut missing = Vec::new();
        for choice in choices {
            let name = match scope.text(choice) {
                Ok(name) => name,
                // A name that only the run sets: Ansible reads the file then, so do we.
                Err(TemplateError::NotYetKnown(_)) => return Ok(None),
                Err(error) => return Err(Diagnostics(vec![error.diagnostic()])),
            };
            let path = play.directory.join(&name);
            if choices.len() > 1 && !path.exists() {
                missing.push(name);
                continue;
            }
            return self.read(path, choice).map(Some);
        }
        let problem = format!("none of the files exists: {}", missing.join(", "));
        Err(Diagnostics(vec![Diagnostic::error(problem).at(entry.span.as_ref())]))
    }

    fn read(&self, path: PathBuf, named: &Node) -> Result<Arc<Vars>, Diagnostics> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.get(&path) {
            return Ok(Arc::clone(known));
        }
        let (vars, warnings) = load::vars_file(&path, &*self.decrypt).map_err(|problems| {
            let place = |problem: Diagnostic| match problem.span {
                Some(_) => problem,
                None => problem.at(named.span.as_ref()),
            };
            Diagnostics(problems.0.into_iter().map(place).collect())
        })?;
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
        let vars = Arc::new(vars);
        files.insert(path, Arc::clone(&vars));
        Ok(vars)
    }
}

/// The file of variables that a task names, as `load` finds it.
fn vars_path(name: &Node, text: &str, scope: &Scope) -> Result<PathBuf, Diagnostic> {
    let path = Path::new(text);
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let directories = scope.search_path();
    load::find(&directories, "vars", text).ok_or_else(|| {
        let looked: Vec<String> =
            directories.iter().map(|directory| directory.display().to_string()).collect();
        Diagnostic::error(format!("there is no file of variables '{text}'"))
            .at(name.span.as_ref())
            .help(format!("looked in {}, each with `vars/` before it", looked.join(", ")))
    })
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
