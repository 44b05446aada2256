//! From a plan to what is asked of the host.

use crate::model::command::CommandLine;
use crate::model::{RemotePath, StartTls, Timestamp};
use crate::plan::build::{FileAction, FilePlan, HostPlan};
use crate::plan::desired::{
    BootWant, CommandWant, Desired, Ownership, Role, RunningWant, ServiceWant, ValidateWant,
    ViaWant,
};
use crate::plan::facts::HostFacts;
use crate::remote::{
    Attributes, BootRecipe, Content, FileChange, FileRole, InspectRequest, Limits, NewDirectory,
    RunningCheck, ServiceCommands, TimedCommand, TransactionId, TransactionRequest, ValidateStep,
    ValidateVia,
};
use std::time::Duration;

/// How long hosts hold their stage for the others of a batch. Nothing live has changed by then, so
/// this is generous; a controller that is gone is noticed by the end of input.
const STAGE_WAIT: Duration = Duration::from_secs(1800);

/// What cannot be asked of a host: a path or name that no host can have.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct BadDestination {
    path: String,
    source: crate::model::remote_path::BadPath,
}

/// What to read before planning.
///
/// # Errors
/// A destination that is no path.
pub fn inspect(desired: &Desired, reader: Option<&str>) -> Result<InspectRequest, BadDestination> {
    let files = desired.files.iter().map(|file| file.path.as_str());
    let kept = desired.kept_keys.iter().map(|kept| kept.path.as_str());
    let paths: Vec<RemotePath> = files.chain(kept).map(remote_path).collect::<Result<_, _>>()?;
    let public_keys = (desired.files.len()..paths.len()).collect();
    let commands = desired.services.iter().flat_map(|service| &service.prechecks);
    let running = desired.services.iter().filter_map(|service| service.running.as_ref());
    Ok(InspectRequest {
        files: paths,
        public_keys,
        reader: reader.map(str::to_owned),
        commands: commands.map(timed).collect(),
        running: running.map(running_check).collect::<Result<_, _>>()?,
        dirs: None,
    })
}

/// What to do: the plan's files, and every service.
///
/// # Errors
/// A destination that is no path.
pub fn transaction(
    desired: &Desired,
    plan: &HostPlan,
    facts: &HostFacts,
    holder: &str,
    now: Timestamp,
) -> Result<TransactionRequest, BadDestination> {
    let changes = plan.files.iter().filter(|file| file.action != FileAction::Keep);
    let services = desired.services.iter().map(|service| service_commands(service, desired));
    Ok(TransactionRequest {
        id: TransactionId::new(now),
        holder: holder.to_owned(),
        directories: directories(desired, facts)?,
        files: changes.map(file_change).collect::<Result<_, _>>()?,
        services: services.collect::<Result<_, _>>()?,
        limits: Limits { stage: STAGE_WAIT, confirm: desired.confirm_timeout, ..Limits::default() },
        backups: desired.backups,
        dirs: None,
    })
}

fn remote_path(path: &str) -> Result<RemotePath, BadDestination> {
    RemotePath::new(path).map_err(|source| BadDestination { path: path.to_owned(), source })
}

fn directories(desired: &Desired, facts: &HostFacts) -> Result<Vec<NewDirectory>, BadDestination> {
    let mut missing: Vec<&Vec<u8>> = facts
        .files
        .iter()
        .take(desired.files.len())
        .flat_map(|file| &file.missing_directories)
        .collect();
    missing.sort_by_key(|directory| directory.len());
    missing.dedup();
    let owner = desired.files.first().and_then(|file| file.fallback.owner.clone());
    missing
        .into_iter()
        .map(|directory| {
            let path = RemotePath::new(directory.clone()).map_err(|source| BadDestination {
                path: crate::model::text::printable(directory, 4096),
                source,
            })?;
            let attributes = Attributes {
                owner: owner.clone(),
                group: None,
                mode: Some(desired.directory_mode),
            };
            Ok(NewDirectory { path, attributes })
        })
        .collect()
}

fn file_change(file: &FilePlan) -> Result<FileChange, BadDestination> {
    let path = remote_path(&file.want.path)?;
    let content = match file.action {
        FileAction::RepairMode => Content::Keep,
        _ => Content::Bytes(file.want.content.as_ref().clone()),
    };
    Ok(FileChange {
        real_path: file.real_path.clone().unwrap_or_else(|| path.clone()),
        path,
        before: file.before,
        after: file.want.digest,
        attributes: Attributes {
            owner: file.owner.clone(),
            group: file.group.clone(),
            mode: file.mode,
        },
        defaults: attributes(&file.want.fallback),
        content,
        role: match file.want.role {
            Role::Key => FileRole::Key,
            Role::Chain => FileRole::Chain,
            Role::Cert => FileRole::Certificate,
            Role::Combined => FileRole::Combined,
        },
    })
}

fn attributes(ownership: &Ownership) -> Attributes {
    Attributes {
        owner: ownership.owner.clone(),
        group: ownership.group.clone(),
        mode: ownership.mode,
    }
}

fn service_commands(
    service: &ServiceWant,
    desired: &Desired,
) -> Result<ServiceCommands, BadDestination> {
    let validate = service.validate.iter().map(|step| validate_step(step, desired));
    Ok(ServiceCommands {
        name: service.name.clone(),
        validate: validate.collect::<Result<_, _>>()?,
        reload: service.reload.as_ref().map(timed),
        recover: service.recover.as_ref().map(timed),
        running: service.running.as_ref().map(running_check).transpose()?,
    })
}

fn validate_step(step: &ValidateWant, desired: &Desired) -> Result<ValidateStep, BadDestination> {
    Ok(ValidateStep {
        command: step.command.clone(),
        names: placeholders(desired, step.pair)?,
        via: match &step.via {
            ViaWant::MountNamespace => ValidateVia::MountNamespace,
            ViaWant::Staged => ValidateVia::Staged,
            ViaWant::Live => ValidateVia::Live,
            ViaWant::Boot(boot) => ValidateVia::Boot(boot_recipe(boot)?),
        },
        private_net: step.private_net,
        user: step.user.clone(),
        timeout: step.timeout,
        refuse_output: step.refuse_output.clone(),
    })
}

/// What `{cert}`, `{key}` and `{chain}` stand for, for the pair that a step is about.
fn placeholders(
    desired: &Desired,
    pair: usize,
) -> Result<Vec<(String, RemotePath)>, BadDestination> {
    let mut names = Vec::new();
    let files = desired.files.iter().filter(|file| file.pair == pair);
    for file in files {
        let path = remote_path(&file.path)?;
        match file.role {
            Role::Cert => names.push(("cert".to_owned(), path)),
            Role::Key => names.push(("key".to_owned(), path)),
            Role::Chain => names.push(("chain".to_owned(), path)),
            Role::Combined => {
                names.push(("cert".to_owned(), path.clone()));
                names.push(("key".to_owned(), path));
            }
        }
    }
    for kept in desired.kept_keys.iter().filter(|kept| kept.pair == pair) {
        names.push(("key".to_owned(), remote_path(&kept.path)?));
    }
    Ok(names)
}

fn boot_recipe(boot: &BootWant) -> Result<BootRecipe, BadDestination> {
    let paths = |list: &[String]| {
        list.iter().map(|path| remote_path(path)).collect::<Result<Vec<_>, BadDestination>>()
    };
    Ok(BootRecipe {
        tmpfs: paths(&boot.tmpfs)?,
        mkdir: paths(&boot.mkdir)?,
        start: boot.start.clone(),
        port: boot.port,
        starttls: (boot.starttls != StartTls::None).then(|| boot.starttls.name().to_owned()),
        server_name: boot.server_name.clone(),
        leaf: boot.leaf,
    })
}

fn running_check(want: &RunningWant) -> Result<RunningCheck, BadDestination> {
    Ok(match want {
        RunningWant::PidFile(path) => RunningCheck::PidFile(remote_path(path)?),
        RunningWant::Process(name) => RunningCheck::Process(name.clone()),
        RunningWant::Command(command) => RunningCheck::Command(timed(command)),
    })
}

fn timed(want: &CommandWant) -> TimedCommand {
    TimedCommand { command: want.command.clone(), timeout: want.timeout }
}

/// The command that a failed step ran, as it would be typed.
pub fn command_of(
    desired: &Desired,
    step: crate::model::Step,
    service: Option<&str>,
) -> Option<String> {
    use crate::model::Step;
    let services = desired.services.iter();
    let service = services.filter(|want| service.is_none_or(|name| name == want.name)).next()?;
    let command: Option<&CommandLine> = match step {
        Step::Validate => service.validate.first().map(|validate| &validate.command),
        Step::Reload => service.reload.as_ref().map(|reload| &reload.command),
        _ => None,
    };
    command.map(ToString::to_string)
}
