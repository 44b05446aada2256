//! From a plan to what is asked of the host.

use crate::model::{RemotePath, StartTls, Step, Timestamp};
use crate::plan::build::{FileAction, FilePlan, HostPlan};
use crate::plan::desired::{
    BootWant, CommandWant, Desired, Role, RunningWant, ServiceWant, ValidateWant, ViaWant,
};
use crate::plan::facts::HostFacts;
use crate::plan::resolve::{kinds, resolve};
use crate::plan::wanted::Wanted;
use crate::remote::{
    Attributes, BootRecipe, Content, FileChange, FileRole, InspectCommand, InspectRequest,
    InspectVariant, Limits, NewDirectory, RunningCheck, ServiceCommands, StepFailure, TimedCommand,
    TransactionId, TransactionRequest, ValidateStep, ValidateVia,
};
use crate::verify::SignatureChoice;
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

/// What to read before planning, for every kind of host that it may turn out to be. Kinds for which
/// the task says too little have nothing read; [`resolve`](crate::plan::resolve::desired) says why later.
///
/// # Errors
/// A destination that is no path.
pub fn inspect(wanted: &Wanted) -> Result<InspectRequest, BadDestination> {
    let mut variants: Vec<InspectVariant> = Vec::new();
    for kind in kinds() {
        let variant = match resolve(wanted, kind) {
            Ok(desired) => variant(&desired)?,
            Err(_) => InspectVariant::default(),
        };
        // Most tasks are the same everywhere: what is equal is sent once.
        let same = variants.iter_mut().find(|known| {
            InspectVariant { kinds: Vec::new(), ..InspectVariant::clone(known) } == variant
        });
        match same {
            Some(known) => known.kinds.push(kind),
            None => variants.push(InspectVariant { kinds: vec![kind], ..variant }),
        }
    }
    if let [only] = variants.as_mut_slice() {
        only.kinds.clear();
    }
    Ok(InspectRequest { variants, boot_guard: wanted.certificate.boot_guard, dirs: None })
}

/// What [`build`](crate::plan::build::build) looks for in the facts, in its order: destinations and kept
/// keys; service by service the checks, then the discovery.
fn variant(desired: &Desired) -> Result<InspectVariant, BadDestination> {
    let files = desired.files.iter().map(|file| file.path.as_str());
    let kept = desired.kept_keys.iter().map(|kept| kept.path.as_str());
    let paths: Vec<RemotePath> = files.chain(kept).map(remote_path).collect::<Result<_, _>>()?;
    let mut variant = InspectVariant {
        kinds: Vec::new(),
        public_keys: (desired.files.len()..paths.len()).collect(),
        files: paths,
        reader: desired.reader.clone(),
        ..InspectVariant::default()
    };
    for service in &desired.services {
        let only_if_running = match &service.running {
            Some(want) => {
                variant.running.push(running_check(want)?);
                Some(variant.running.len() - 1)
            }
            None => None,
        };
        let discover = service.discover.as_ref().map(|discover| &discover.command);
        let prechecks = service.prechecks.iter().map(|check| &check.command);
        let commands = prechecks.chain(discover);
        variant
            .commands
            .extend(commands.map(|want| InspectCommand { command: timed(want), only_if_running }));
        let programs = service.validate.iter().filter_map(|step| step.optional.as_ref());
        for program in programs {
            if !variant.programs.contains(program) {
                variant.programs.push(program.clone());
            }
        }
    }
    Ok(variant)
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
        (_, None) => Content::Bytes(file.want.content.as_ref().clone()),
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
