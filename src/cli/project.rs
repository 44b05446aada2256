//! From the command line to a [`Project`]: every file read, every error at once.

use super::args::{ConnectionArgs, InventorySource, RunArgs};
use super::failure::Failure;
use super::{extra_vars, secrets};
use crate::engine::connections::Connections;
use crate::inputs::growth::Growth;
use crate::inputs::project::{Book, Options, Project};
use crate::inputs::verb::Verb;
use crate::inventory::{self, Inventory, LoadOptions};
use crate::load;
use crate::model::Shard;
use crate::model::Timestamp;
use crate::playbook::{self, RolePlaces};
use crate::services::Profiles;
use crate::source::{Diagnostics, Node, Value, Vars};
use crate::template::{Decrypt, Templates};
use crate::transport::ssh_config::{Controller, Files, SshConfig};
use crate::transport::{ConnectOptions, Connector};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Hosts worked on at the same time, unless something else is said.
const DEFAULT_FORKS: u16 = 50;

/// Inventory and extra variables.
pub(super) struct Sources {
    /// The hosts.
    pub(super) inventory: Arc<Inventory>,
    /// `-e`.
    pub(super) extra: Arc<Vars>,
    /// Opens vault texts.
    pub(super) decrypt: Decrypt,
    /// What stopped nothing.
    pub(super) warnings: Diagnostics,
}

/// Reads inventory and extra variables. `beside` are the playbooks' directories.
///
/// # Errors
/// Everything that is wrong with them.
pub(super) fn sources(source: &InventorySource, beside: Vec<PathBuf>) -> Result<Sources, Failure> {
    let decrypt = secrets::decrypt(source)?;
    let mut warnings = Diagnostics::default();
    let mut problems = Diagnostics::default();
    let mut keep = |result: Result<Diagnostics, Diagnostics>| match result {
        Ok(more) => warnings.extend(more),
        Err(more) => problems.extend(more),
    };
    let options = LoadOptions { playbook_directories: beside, decrypt: &*decrypt };
    let mut inventory = Inventory::default();
    keep(inventory::load(&named_sources(source), &options).map(|(loaded, more)| {
        inventory = loaded;
        more
    }));
    let mut extra = Vars::new();
    keep(extra_vars::read(&source.extra_vars, &*decrypt).map(|(vars, more)| {
        extra = vars;
        more
    }));
    if problems.has_errors() {
        problems.extend(warnings);
        return Err(problems.into());
    }
    Ok(Sources { inventory: Arc::new(inventory), extra: Arc::new(extra), decrypt, warnings })
}

/// `-i` (the environment and ansible.cfg have filled it in), or the usual place.
/// The sources of the inventory: those given, or the usual one.
pub(super) fn named_sources(source: &InventorySource) -> Vec<String> {
    if !source.sources.is_empty() {
        return source.sources.clone();
    }
    let usual = "/etc/ansible/hosts";
    Path::new(usual).exists().then(|| usual.to_owned()).into_iter().collect()
}

/// A project and what stopped nothing while it was read.
pub(super) struct Loaded {
    /// Everything read.
    pub(super) project: Project,
    /// For the operator.
    pub(super) warnings: Diagnostics,
}

/// Reads everything that a run needs.
///
/// # Errors
/// Everything that is wrong with inventory, variables, playbooks and profiles, all at once.
pub(super) fn load(args: &RunArgs, verb: Verb) -> Result<Loaded, Failure> {
    let directories: Vec<PathBuf> = args.playbooks.iter().map(|path| directory(path)).collect();
    let read = sources(&args.inventory, directories);
    let decrypt = match &read {
        Ok(sources) => Arc::clone(&sources.decrypt),
        // The playbooks are looked at all the same, for all errors at once.
        Err(_) => Arc::new(|_: &str| Err("not opened".to_owned())) as Decrypt,
    };
    let mut problems = Diagnostics::default();
    let mut books = Vec::new();
    let mut warnings = Diagnostics::default();
    let places = role_places(args);
    for path in &args.playbooks {
        match read_playbook(path, &decrypt, &places) {
            Ok((book, more)) => {
                books.push(book);
                warnings.extend(more);
            }
            Err(more) => problems.extend(more),
        }
    }
    let sources = match read {
        Ok(sources) if !problems.has_errors() => sources,
        Ok(_) => return Err(problems.into()),
        Err(Failure::Wrong(mut first)) => {
            first.extend(problems);
            return Err(first.into());
        }
        Err(other) => return Err(other),
    };
    warnings.extend(sources.warnings);
    let project = Project {
        inventory: sources.inventory,
        books,
        extra: sources.extra,
        decrypt: sources.decrypt,
        options: options(args, verb),
        growth: Growth::new(places),
    };
    Ok(Loaded { project, warnings })
}

fn options(args: &RunArgs, verb: Verb) -> Options {
    Options {
        verb,
        limit: args.inventory.limit.clone(),
        shard: args.inventory.shard,
        tags: args.tags.clone(),
        skip_tags: args.skip_tags.clone(),
        start_at_task: args.start_at_task.clone(),
        forks: usize::from(args.forks.unwrap_or(DEFAULT_FORKS)),
        diff: args.diff,
        verbosity: args.output.verbose,
        config_file: args.config_file.clone(),
        force_handlers: args.force_handlers,
        any_errors_fatal: args.any_errors_fatal,
        lock_timeout: args.lock_timeout,
        allow_experimental: args.allow_experimental,
        pending_exit_code: false,
        allow_empty: args.allow_empty,
        seed: rand::random(),
        roster: None,
    }
}

/// Where a playbook's relative paths start.
pub(super) fn directory(playbook: &Path) -> PathBuf {
    match playbook.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Where roles are looked for besides the playbook's directory (Ansible, `DEFAULT_ROLES_PATH`, `COLLECTIONS_PATHS`).
fn role_places(args: &RunArgs) -> RolePlaces {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let usual = |list: &[&str]| {
        let full = |path: &&str| match (path.strip_prefix("~/"), &home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        };
        list.iter().map(full).collect()
    };
    let or_usual = |given: &[PathBuf], list: &[&str]| match given {
        [] => usual(list),
        given => given.to_vec(),
    };
    RolePlaces {
        paths: or_usual(
            &args.roles_path,
            &["~/.ansible/roles", "/usr/share/ansible/roles", "/etc/ansible/roles"],
        ),
        collections: or_usual(
            &args.collections_path,
            &["~/.ansible/collections", "/usr/share/ansible/collections"],
        ),
    }
}

fn read_playbook(
    path: &Path,
    decrypt: &Decrypt,
    places: &RolePlaces,
) -> Result<(Book, Diagnostics), Diagnostics> {
    let directory = directory(path);
    let mut found = Diagnostics::default();
    let profiles = match Profiles::load(&[directory.join("services")]) {
        Ok((profiles, warnings)) => {
            found.extend(warnings);
            Some(profiles)
        }
        Err(problems) => {
            found.extend(problems);
            None
        }
    };
    let templates = Templates::new(directory.clone(), Arc::clone(decrypt));
    let parsed = match load::read_text(path) {
        Ok(file) => playbook::parse_with(&file, &directory, &templates, places),
        Err(problem) => Err(Diagnostics(vec![problem])),
    };
    match (parsed, profiles) {
        (Ok((playbook, warnings)), Some(profiles)) => {
            found.extend(warnings);
            Ok((Book { playbook, templates, profiles: Arc::new(profiles) }, found))
        }
        (Ok(_), None) => Err(found),
        (Err(problems), _) => {
            found.extend(problems);
            Err(found)
        }
    }
}

/// A playbook of one play without tasks, for verbs that only name hosts.
///
/// # Errors
/// None that an installed program has: the built-in profiles are part of it.
pub(super) fn hosts_only(
    sources: Sources,
    verb: Verb,
    pattern: &str,
    limit: Option<String>,
    shard: Option<Shard>,
    forks: Option<u16>,
) -> Result<Project, Failure> {
    let (profiles, _) = Profiles::load(&[PathBuf::from("services")])?;
    let directory = PathBuf::from(".");
    let templates = Templates::new(directory.clone(), Arc::clone(&sources.decrypt));
    let play = playbook::Play::of_hosts(Node::made(Value::Unsafe(pattern.to_owned())));
    let playbook = playbook::Playbook { name: String::new(), directory, plays: vec![play] };
    Ok(Project {
        inventory: sources.inventory,
        books: vec![Book { playbook, templates, profiles: Arc::new(profiles) }],
        extra: sources.extra,
        decrypt: sources.decrypt,
        options: Options {
            verb,
            limit,
            shard,
            tags: Vec::new(),
            skip_tags: Vec::new(),
            start_at_task: None,
            forks: usize::from(forks.unwrap_or(DEFAULT_FORKS)),
            diff: false,
            verbosity: 0,
            config_file: None,
            force_handlers: false,
            any_errors_fatal: false,
            lock_timeout: None,
            allow_experimental: false,
            pending_exit_code: false,
            allow_empty: false,
            seed: rand::random(),
            roster: None,
        },
        growth: Growth::default(),
    })
}

/// The way to hosts: flags, asked passwords, the client configuration.
///
/// # Errors
/// A configuration that is wrong; no terminal to ask on. Warnings come beside.
pub(super) fn connections(
    flags: &ConnectionArgs,
    now: Timestamp,
) -> Result<(Connections, Diagnostics), Failure> {
    let asked = secrets::ask(flags)?;
    let files = match &flags.ssh_config {
        Some(file) => Files::from(file.to_string_lossy().as_ref()),
        None => Files::Standard,
    };
    let (config, warnings) = SshConfig::load(Controller::detect(), &files)?;
    let options = ConnectOptions {
        user: flags.user.clone(),
        private_key: flags.private_key.clone(),
        password: asked.login,
        becoming: flags.becoming,
        become_user: flags.become_user.clone(),
        become_method: flags.become_method.clone(),
        become_password: asked.becoming,
        timeout: flags.timeout.map(Duration::from_secs),
        become_flags: flags.more.become_flags.clone(),
        become_exe: flags.more.become_exe.clone(),
        connection: flags.connection.clone(),
        port: flags.more.port,
        retries: flags.more.retries,
        host_key_checking: flags.more.host_key_checking,
        ssh_args: flags.more.ssh_args.clone(),
        ssh_common_args: flags.ssh_common_args.clone(),
        ssh_extra_args: flags.ssh_extra_args.clone(),
        ..ConnectOptions::default()
    };
    Ok((Connections::new(Connector::new(now), options, config), warnings))
}
