//! From what is wanted of any host to what is wanted of a host of this kind.
//!
//! What the task says wins over what the profile says. Nothing here looks at a host's files: that is
//! [`build`](super::build)'s part.

use super::checks::{checks_of, counter_checks, prechecks};
use super::command::names_files;
use super::container::{engine_exec, is_engine_command};
use super::desired::{
    CheckWant, DesiredState, DiscoverWant, ProbeWant, ReloadReader, ServiceContainer, ServiceWant,
    Told,
};
use super::error::PlanError;
use super::import::{import_of, with_reload};
use super::layout::{Layout, Service, lay_out};
use super::request::CertificateRequest;
use crate::host::{Attributes, ProcessQuery, TimedCommand};
use crate::model::{Backoff, CommandLine, RemotePath};
use crate::playbook::certificate::{
    CertificateTask, CheckOn, Confirm, ReloadChoice, ServiceUse, SingleFiles, Validation,
    VerifyChoice,
};
use crate::services::{
    AsUser, InContainer, Profile, Reads, Reload, Resolved, ResolvedReload, SelfReload, Via,
};
use std::sync::Arc;
use std::time::Duration;

/// What is wanted of a host for which the profiles came to `resolved`, one per service.
pub(super) fn resolve(
    wanted: &CertificateRequest,
    probes: &[ProbeWant],
    resolved: Vec<Resolved>,
) -> Result<DesiredState, PlanError> {
    let task = &wanted.certificate;
    let services = wanted.profiles.iter().zip(resolved).zip(&task.services);
    let services: Vec<Service<'_>> = services
        .enumerate()
        .map(|(index, ((profile, resolved), used))| {
            let container = container_of(task, profile, &resolved, used, index == 0);
            let pairs = task.pairs.iter().enumerate();
            let pairs = pairs.filter(|(_, pair)| pair.is_for(index)).map(|(pair, _)| pair);
            Service { profile, pairs: pairs.collect(), resolved, container }
        })
        .collect();
    let layout = lay_out(wanted, &services)?;
    // As many as there are: every host of a batch holds them until it is done.
    let mut wants = Vec::with_capacity(services.len());
    for (index, service) in services.iter().enumerate() {
        wants.push(service_want(wanted, &layout, service, probes, index == 0)?);
    }
    let directory = services.first().map(|service| Attributes {
        owner: Some(service.resolved.owners.dir.user.clone()),
        group: Some(service.resolved.owners.dir.group.clone()),
        mode: Some(service.profile.modes.dir),
    });
    let on_host = services.iter().filter(|service| !service.is_in_container());
    let reader = on_host.clone().find_map(|service| match &service.profile.reads {
        Reads::User(user) if user != "root" => Some(user.clone()),
        _ => None,
    });
    let checks: Vec<CheckWant> = task
        .checks
        .iter()
        .map(|check| CheckWant {
            command: check.command.clone(),
            on_host: check.on == CheckOn::Host,
            timeout: check.timeout,
        })
        .collect();
    let confirm_by_person = task.confirm == Confirm::Prompt;
    let confirm_timeout =
        task.confirm_timeout.unwrap_or_else(|| time_to_confirm(probes, &checks, confirm_by_person));
    // One by one: collected, they would keep the room of what is in them.
    let mut files = Vec::with_capacity(layout.files.len());
    files.extend(layout.files.into_iter().map(Arc::new));
    let mut notes = wanted.notes.clone();
    notes.extend(layout.notes);
    notes.extend(services.iter().filter_map(|service| unseen_reload(task, service)));
    notes.extend(on_host.filter_map(deadly_reload));
    Ok(DesiredState {
        host: wanted.host.clone(),
        task: wanted.task.clone(),
        files,
        order: services.first().map(|service| service.profile.order.clone()).unwrap_or_default(),
        directory: directory.unwrap_or_default(),
        kept_keys: layout.kept_keys,
        services: wants.into(),
        reader,
        probes: probes.to_vec(),
        checks,
        confirm_by_person,
        confirm_timeout,
        backups: task.backups,
        boot_guard: task.boot_guard,
        allow_input_log: task.allow_input_log,
        allow_no_way_back: task.allow_no_way_back,
        allow_experimental: wanted.allow_experimental,
        experimental: wanted.profiles.iter().filter_map(|profile| untried(profile)).collect(),
        when_stopped: task.when_stopped,
        notes,
    })
}

/// A profile that was never run on the real thing, and what it was written from.
fn untried(profile: &Profile) -> Option<(String, String)> {
    Some((profile.name.clone(), profile.experimental.clone()?))
}

/// The container of a service, and how it is told there.
fn container_of(
    task: &CertificateTask,
    profile: &Profile,
    resolved: &Resolved,
    used: &ServiceUse,
    first: bool,
) -> Option<ServiceContainer> {
    let Some(named) = &used.container else {
        // `validate: podman exec NAME …` is about what a container would read.
        let Some(Validation::Command(command)) = task.validate.as_ref().filter(|_| first) else {
            return None;
        };
        let (container, _) = engine_exec(command)?;
        let (told, single_files) = (Told::Otherwise, SingleFiles::Block);
        return Some(ServiceContainer { container, told, single_files, in_check_only: true });
    };
    let told = match &task.reload {
        Some(ReloadChoice::None) => Told::Otherwise,
        Some(ReloadChoice::Command(command)) if first && !is_engine_command(command) => {
            Told::Program(command.clone())
        }
        Some(ReloadChoice::Command(_)) => Told::Otherwise,
        None => match (&profile.in_container, &resolved.reload) {
            (Some(InContainer::Signal(signal)), _) => Told::Signal(signal.clone()),
            (Some(InContainer::Reload(command)), _) => Told::Program(command.clone()),
            (None, ResolvedReload::Command { command: command @ CommandLine::Argv(_), .. }) => {
                Told::Program(command.clone())
            }
            (None, _) => Told::Otherwise,
        },
    };
    Some(ServiceContainer {
        container: named.container.clone(),
        told,
        single_files: named.single_files,
        in_check_only: false,
    })
}

/// Without a handshake the exit code of the reload is all that tells.
fn unseen_reload(task: &CertificateTask, service: &Service<'_>) -> Option<String> {
    let proves_nothing =
        matches!(service.resolved.reload, ResolvedReload::Command { proves_loaded: false, .. });
    let off = matches!(task.verify, VerifyChoice::Off) && task.reload.is_none();
    (off && proves_nothing).then(|| {
        format!(
            "{}: verify is off, and exit code 0 of its reload proves nothing: nothing shows whether the new \
             certificate is loaded",
            service.profile.name
        )
    })
}

/// A reload that can end the service wants a way to start it again.
fn deadly_reload(service: &Service<'_>) -> Option<String> {
    let can_stop =
        matches!(service.resolved.reload, ResolvedReload::Command { can_stop_service: true, .. });
    (can_stop && service.resolved.recover.is_none()).then(|| {
        format!(
            "{}: a bad certificate can bring the service down when it reloads, and the profile has no `recover` \
             command for such a host",
            service.profile.name
        )
    })
}

/// How long verification may take at worst, so that the host does not go back in the middle of it.
fn time_to_confirm(probes: &[ProbeWant], checks: &[CheckWant], by_person: bool) -> Duration {
    let waits = |backoff: Backoff| backoff.waits().sum::<Duration>();
    let probing: Duration = probes
        .iter()
        .map(|p| {
            let looks = p.backoff.attempts.saturating_mul(p.consecutive.max(1));
            p.settle.max(p.not_before) + p.timeout.saturating_mul(looks) + waits(p.backoff)
        })
        .fold(Duration::ZERO, Duration::saturating_add);
    let checking: Duration = checks.iter().map(|check| check.timeout).sum();
    let both = probing.saturating_add(checking);
    let least = if by_person { 900 } else { 60 };
    both.saturating_add(Duration::from_secs(15))
        .clamp(Duration::from_secs(least), Duration::from_secs(900))
}

fn service_want(
    wanted: &CertificateRequest,
    layout: &Layout,
    service: &Service<'_>,
    probes: &[ProbeWant],
    first: bool,
) -> Result<ServiceWant, PlanError> {
    let task = &wanted.certificate;
    let resolved = &service.resolved;
    let limited = |command: &CommandLine, timeout| TimedCommand {
        command: layout.filled(service, command),
        timeout,
    };
    let reload = match (&task.reload, &resolved.reload) {
        (Some(ReloadChoice::None), _) => None,
        // One command of the operator's own stands for all services of the task.
        (Some(ReloadChoice::Command(command)), _) => {
            first.then(|| limited(command, task.reload_timeout))
        }
        (None, ResolvedReload::None) => None,
        // What it is exactly is known when the container is.
        (None, _) if service.is_told_in_container() => Some(TimedCommand {
            command: CommandLine::Argv(Vec::new()),
            timeout: task.reload_timeout,
        }),
        (None, ResolvedReload::Required) => {
            return Err(PlanError::NoReload(service.profile.name.clone()));
        }
        (None, ResolvedReload::Command { command, .. }) => {
            Some(limited(command, task.reload_timeout))
        }
    };
    let import = import_of(layout, service, task.reload_timeout, !task.allow_no_way_back)?;
    let reload = match &import {
        Some(import) => Some(with_reload(import, reload)),
        None => reload,
    };
    fits_templates(layout, service)?;
    let here = !service.is_in_container();
    Ok(ServiceWant {
        name: service.profile.name.clone(),
        pairs: service.pairs.clone(),
        validate: checks_of(wanted, layout, service, probes, first)?,
        prechecks: prechecks(wanted, layout, service, first),
        counter_checks: counter_checks(wanted, layout, service, first),
        reload,
        recover: resolved
            .recover
            .as_ref()
            .filter(|_| here)
            .map(|command| limited(command, task.reload_timeout)),
        container: service.container.clone(),
        running: resolved.running().filter(|_| here),
        process: process(service, probes).filter(|_| here),
        workers: workers(service, probes).filter(|_| here),
        loaded: resolved
            .loaded
            .as_ref()
            .filter(|_| here)
            .map(|command| limited(command, task.validate_timeout)),
        reload_reader: reload_reader(service.profile).filter(|_| here),
        discover: resolved
            .discover
            .as_ref()
            .zip(service.profile.discover.as_ref())
            .map(|(command, how)| DiscoverWant {
                command: limited(command, task.validate_timeout),
                how: how.clone(),
                handshake_tells: !probes.is_empty(),
            })
            .filter(|_| here),
        watches_renames: service.profile.self_reload == SelfReload::OnRename,
        program: resolved.program.clone().filter(|_| here),
        import,
        overwrites: service.profile.overwrites.clone(),
        reload_costs: service.profile.reload_costs.clone(),
        caveats: service.profile.caveats.clone(),
    })
}

/// Paths stand in double quotes in a throwaway configuration, as they are.
fn fits_templates(layout: &Layout, service: &Service<'_>) -> Result<(), PlanError> {
    let named = service.resolved.validate.iter().any(|step| match &step.step.via {
        Via::Template(text) => names_files(&CommandLine::Shell(text.clone())),
        _ => false,
    });
    let files = layout.files.iter().map(|file| &file.path);
    let mut paths = files.chain(layout.kept_keys.iter().map(|kept| &kept.path));
    let odd = |path: &&RemotePath| {
        path.as_bytes().iter().any(|byte| byte.is_ascii_control() || b"\"\\".contains(byte))
    };
    match paths.find(odd).filter(|_| named) {
        None => Ok(()),
        Some(path) => {
            Err(PlanError::OddPath { path: path.clone(), profile: service.profile.name.clone() })
        }
    }
}

/// Who opens the key at a reload, where that is not surely root: nothing is done that he could not read.
fn reload_reader(profile: &Profile) -> Option<ReloadReader> {
    match (&profile.reload_reads_as, &profile.reads) {
        (Some(Reads::ProcessUser), _) | (None, Reads::ProcessUser) => Some(ReloadReader::Process),
        (Some(Reads::User(user)), _) if user != "root" => Some(ReloadReader::User(user.clone())),
        // What the user of `reads` cannot read at the start is told by a note.
        _ => None,
    }
}

/// How its process is found: asked for where its user matters, or the unit that would have to be restarted.
fn process(service: &Service<'_>, probes: &[ProbeWant]) -> Option<ProcessQuery> {
    let mut checks = service.resolved.validate.iter();
    let matters = service.resolved.recover.is_none()
        || reload_reader(service.profile) == Some(ReloadReader::Process)
        || checks.any(|check| check.step.as_user == Some(AsUser::OfProcess));
    if matters { main_process(service, probes) } else { None }
}

/// How the workers are found that a reload replaces.
fn workers(service: &Service<'_>, probes: &[ProbeWant]) -> Option<ProcessQuery> {
    let replaces = matches!(service.profile.reload, Reload::Command { replaces_workers: true, .. });
    if replaces { main_process(service, probes) } else { None }
}

fn main_process(service: &Service<'_>, probes: &[ProbeWant]) -> Option<ProcessQuery> {
    let resolved = &service.resolved;
    let ports = || {
        let own = probes.iter().filter(|probe| probe.service == service.profile.name);
        let mut ports: Vec<u16> = own.map(|probe| probe.endpoint.port).collect();
        ports.sort_unstable();
        ports.dedup();
        (!ports.is_empty()).then_some(ProcessQuery::Listening(ports))
    };
    let pidfile = || resolved.pidfile.clone().map(ProcessQuery::PidFile);
    let named = || resolved.process.clone().map(ProcessQuery::Process);
    pidfile().or_else(named).or_else(ports)
}
