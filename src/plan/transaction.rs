//! From a plan to the transaction that carries it out.

use super::desired::{DesiredState, ServiceWant};
use super::host_plan::{FilePlan, HostPlan};
use super::inspection::{HostView, ServiceView};
use super::spool::seed;
use crate::host::{
    Attributes, Content, FileChange, Limits, NewDirectory, Seed, ServiceCommands, StepFailure,
    TimedCommand, TransactionId, TransactionRequest,
};
use crate::model::{CommandLine, FileAction, RemotePath, Step};
use std::sync::Arc;
use std::time::Duration;

/// How long hosts hold their stage, and their lock, after the last sign of life. A link that swallows packets
/// never ends their input.
const STAGE_WAIT: Duration = Duration::from_secs(60);
/// How often they are given one while they wait for the others of a batch.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Systemd gives a unit 90 s to stop and as long to start.
const RESTART: Duration = Duration::from_secs(180);

/// Where a host's own units are.
const UNITS: &str = "/etc/systemd/system";

/// What to do: the plan's files, and every service. `moment`: when it is made, since 1970.
pub fn transaction(
    view: &HostView,
    plan: &HostPlan,
    holder: &str,
    moment: Duration,
) -> TransactionRequest {
    let desired = view.desired();
    let seeds: Vec<Option<&Seed>> =
        desired.services.iter().map(|service| seed(view, service, &plan.places)).collect();
    let is_changed = |file: &FilePlan| !file.action.keeps_file();
    let changed = plan.files.iter().any(is_changed);
    // What is seeded is written, whatever was there.
    let is_seeded = |path: &RemotePath| {
        let mut names = seeds.iter().flatten().flat_map(|seed| &seed.names);
        changed && names.any(|(_, seeded)| seeded == path)
    };
    let changes = plan
        .files
        .iter()
        .zip(view.files())
        .filter(|(file, _)| is_changed(file) || is_seeded(&file.want.path));
    // At boot no store could take the old pair up again: the next contact has to see the journal.
    let imports = desired.services.iter().any(|service| service.import.is_some());
    TransactionRequest {
        id: TransactionId::new(moment),
        holder: holder.to_owned(),
        directories: directories(view, plan),
        files: changes
            .map(|(file, seen)| file_change(file, view.is_written_in_place(&seen)))
            .collect(),
        order: desired.order.clone(),
        watched: desired.services.iter().any(|service| service.watches_renames),
        services: {
            let asleep = view.asleep();
            let told = |service: &ServiceWant| !asleep.contains(&service.name.as_str());
            let all = desired.services.iter().zip(&seeds);
            let seeded = |seed: &Option<&Seed>| seed.filter(|_| changed).cloned();
            all.map(|(service, seed)| ServiceCommands {
                seed: seeded(seed),
                ..service_commands(service, told(service))
            })
            .collect()
        },
        limits: Limits { stage: STAGE_WAIT, confirm: desired.confirm_timeout, ..Limits::default() },
        backups: desired.backups,
        boot_guard: (desired.boot_guard && !imports).then(|| RemotePath::new(UNITS).ok()).flatten(),
        sealed: view.facts().input_log && view.facts().unseals,
        dirs: None,
    }
}

/// To start anew those of `services` that ran before the change: by `recover`, else by a restart of the unit whose main
/// process it was. `None`: there is no way for any of them.
pub(crate) fn revival(
    view: &HostView,
    services: &[String],
    holder: &str,
    moment: Duration,
) -> Option<TransactionRequest> {
    let wanted = view.services().filter(|service| services.contains(&service.want.name));
    let ran = wanted.filter(|service| service.up != Some(false));
    let services: Vec<ServiceCommands> = ran
        .filter_map(|service| {
            Some(ServiceCommands {
                name: service.want.name.clone(),
                reload: Some(started_by(&service)?),
                running: service.want.running.clone(),
                ..ServiceCommands::default()
            })
        })
        .collect();
    (!services.is_empty()).then(|| TransactionRequest {
        id: TransactionId::new(moment),
        holder: holder.to_owned(),
        directories: Vec::new(),
        files: Vec::new(),
        order: Vec::new(),
        watched: false,
        services,
        limits: Limits::default(),
        backups: 0,
        boot_guard: None,
        sealed: false,
        dirs: None,
    })
}

fn started_by(service: &ServiceView<'_>) -> Option<TimedCommand> {
    let restart = || {
        let unit = service.process?.unit.as_deref()?;
        let command = CommandLine::Argv(["systemctl", "restart", unit].map(str::to_owned).to_vec());
        Some(TimedCommand { command, timeout: RESTART })
    };
    service.want.recover.clone().or_else(restart)
}

fn directories(view: &HostView, plan: &HostPlan) -> Vec<NewDirectory> {
    let wanted = &view.desired().directory;
    let mut missing: Vec<&RemotePath> =
        plan.files.iter().flat_map(|file| &file.missing_directories).collect();
    missing.sort_by_key(|directory| directory.as_bytes().len());
    missing.dedup();
    // Only root can give a directory away.
    let owners = Some(wanted).filter(|_| view.facts().uid == 0);
    let attributes = Attributes {
        owner: owners.and_then(|owners| owners.owner.clone()),
        group: owners.and_then(|owners| owners.group.clone()),
        mode: wanted.mode,
    };
    let new =
        |path: &RemotePath| NewDirectory { path: path.clone(), attributes: attributes.clone() };
    missing.into_iter().map(new).collect()
}

fn file_change(file: &FilePlan, in_place: bool) -> FileChange {
    let want = &file.want;
    let content = match (&file.action, &want.generation, want.own_key) {
        (FileAction::Remove, ..) => Content::Absent,
        (FileAction::RepairMode, ..) => Content::Keep,
        (_, Some(generation), _) => Content::Generation(generation.clone()),
        (_, None, Some(own)) => Content::WithOwnKey(Arc::clone(&want.content), own.place),
        (_, None, None) => Content::Bytes(Arc::clone(&want.content)),
    };
    FileChange {
        path: want.path.clone(),
        real_path: file.real_path.clone().unwrap_or_else(|| want.path.clone()),
        before: file.before,
        after: want.digest,
        attributes: Attributes {
            owner: file.owner.clone(),
            group: file.group.clone(),
            mode: file.mode,
        },
        // What is not there yet has owner and mode in `attributes`.
        defaults: Attributes { mode: want.fallback.mode, ..Attributes::default() },
        content,
        role: want.role,
        in_place: in_place && file.action == FileAction::Replace,
    }
}

/// `told`: it runs, so that it can be told.
fn service_commands(service: &ServiceWant, told: bool) -> ServiceCommands {
    ServiceCommands {
        name: service.name.clone(),
        validate: service.validate.iter().map(|check| check.step.clone()).collect(),
        reload: service.told(!told),
        recover: service.recover.clone().filter(|_| told),
        running: service.running.clone(),
        seed: None,
    }
}

/// The command that a failed step ran, as it would be typed.
pub(crate) fn command_of(desired: &DesiredState, failed: &StepFailure) -> Option<String> {
    let name = failed.service.as_deref();
    let mut services = desired.services.iter();
    let service = services.find(|want| name.is_none_or(|name| name == want.name))?;
    match failed.step {
        Step::Validate => service.validate.get(failed.check?).map(|check| check.label.clone()),
        Step::Reload => service.reload.as_ref().map(|reload| reload.command.brief()),
        _ => None,
    }
}
