//! From a plan to the transaction that carries it out.

use super::build::{FileAction, FilePlan, HostPlan};
use super::desired::{
    BootWant, CommandWant, Desired, Role, RunningWant, ServiceWant, ValidateWant, ViaWant,
};
use crate::host::{
    Attributes, BootRecipe, Content, FileChange, FileRole, HostFacts, Limits, NewDirectory,
    RunningCheck, ServiceCommands, StepFailure, TimedCommand, TransactionId, TransactionRequest,
    ValidateStep, ValidateVia,
};
use crate::model::{RemotePath, StartTls, Step, Timestamp};
use crate::verify::SignatureChoice;
use std::sync::Arc;
use std::time::Duration;

/// How long hosts hold their stage, and their lock, after the last sign of life. A link that swallows packets
/// never ends their input.
const STAGE_WAIT: Duration = Duration::from_secs(60);
/// How often they are given one while they wait for the others of a batch.
pub const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Where a host's own units are.
const UNITS: &str = "/etc/systemd/system";

/// What cannot be asked of a host: a path or name that no host can have.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct BadDestination {
    path: String,
    source: crate::model::remote_path::BadPath,
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
        watched: desired.services.iter().any(|service| service.watches_renames),
        services: services.collect::<Result<_, _>>()?,
        limits: Limits { stage: STAGE_WAIT, confirm: desired.confirm_timeout, ..Limits::default() },
        backups: desired.backups,
        boot_guard: desired.boot_guard.then(|| remote_path(UNITS)).transpose()?,
        dirs: None,
    })
}

pub(super) fn remote_path(path: &str) -> Result<RemotePath, BadDestination> {
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
    // Only root can give a directory away.
    let owners = Some(&desired.directory).filter(|_| facts.uid == 0);
    missing
        .into_iter()
        .map(|directory| {
            let path = RemotePath::new(directory.clone()).map_err(|source| BadDestination {
                path: crate::model::text::printable(directory, 4096),
                source,
            })?;
            let attributes = Attributes {
                owner: owners.and_then(|owners| owners.owner.clone()),
                group: owners.and_then(|owners| owners.group.clone()),
                mode: desired.directory.mode,
            };
            Ok(NewDirectory { path, attributes })
        })
        .collect()
}

fn file_change(file: &FilePlan) -> Result<FileChange, BadDestination> {
    let path = remote_path(&file.want.path)?;
    let generation = file.want.generation.as_deref().and_then(TransactionId::parse);
    let content = match (&file.action, generation) {
        (FileAction::RepairMode, _) => Content::Keep,
        (_, Some(generation)) => Content::Generation(generation),
        (_, None) => Content::Bytes(Arc::clone(&file.want.content)),
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
        // What is not there yet has owner and mode in `attributes`.
        defaults: Attributes { mode: file.want.fallback.mode, ..Attributes::default() },
        content,
        role: match file.want.role {
            Role::Key => FileRole::Key,
            Role::Chain => FileRole::Chain,
            Role::Cert => FileRole::Certificate,
            Role::Combined => FileRole::Combined,
        },
    })
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
        optional: step.optional.clone(),
    })
}

/// What `{cert}`, `{key}` and `{chain}` stand for, for the pair that a step is about; and `{certs}`, which are those of
/// all pairs.
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
    // Without a file of its own the chain is in the certificate's.
    if !names.iter().any(|(name, _)| name == "chain")
        && let Some((_, cert)) = names.iter().find(|(name, _)| name == "cert")
    {
        names.push(("chain".to_owned(), cert.clone()));
    }
    let all = desired.files.iter().filter(|file| matches!(file.role, Role::Cert | Role::Combined));
    for file in all {
        names.push(("certs".to_owned(), remote_path(&file.path)?));
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
        signatures: sigalgs(boot.signature).map(str::to_owned),
        server_name: boot.server_name.clone(),
        leaf: boot.leaf,
    })
}

/// A choice as `openssl s_client -sigalgs` takes it.
fn sigalgs(choice: SignatureChoice) -> Option<&'static str> {
    match choice {
        SignatureChoice::Any => None,
        SignatureChoice::Rsa => {
            Some("RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512")
        }
        SignatureChoice::Ecdsa => Some("ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512"),
        SignatureChoice::Ed25519 => Some("ed25519"),
    }
}

pub(super) fn running_check(want: &RunningWant) -> Result<RunningCheck, BadDestination> {
    Ok(match want {
        RunningWant::PidFile(path) => RunningCheck::PidFile(remote_path(path)?),
        RunningWant::Process(name) => RunningCheck::Process(name.clone()),
        RunningWant::Command(command) => RunningCheck::Command(timed(command)),
    })
}

pub(super) fn timed(want: &CommandWant) -> TimedCommand {
    TimedCommand { command: want.command.clone(), timeout: want.timeout }
}

/// The command that a failed step ran, as it would be typed.
pub fn command_of(desired: &Desired, failed: &StepFailure) -> Option<String> {
    let name = failed.service.as_deref();
    let mut services = desired.services.iter();
    let service = services.find(|want| name.is_none_or(|name| name == want.name))?;
    match failed.step {
        Step::Validate => service.validate.get(failed.check?).map(|check| check.label.clone()),
        Step::Reload => service.reload.as_ref().map(|reload| reload.command.brief()),
        _ => None,
    }
}
