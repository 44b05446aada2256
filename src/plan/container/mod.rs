//! Services in containers: how their checks, reloads and restarts become commands of the host.
//!
//! What a container is told goes through its engine, or to its first process by a signal of the host's: `docker kill -s`
//! ends a restart policy. What it would read is checked in a private copy of its mounts; where none can be
//! made, in a throwaway container.

mod commands;
mod engines;
mod obstacles;

pub(super) use commands::{entered_with_garbage, untouched};
pub(super) use engines::{engine_exec, is_engine_command};
pub(super) use obstacles::{fault, remarks};

use super::desired::{DesiredState, ServiceContainer, ServiceWant, Told};
use crate::host::{
    ContainerFacts, ContainerState, HostFacts, StepFailure, TimedCommand, ValidateVia,
};
use crate::model::{CommandLine, Step};
use crate::playbook::certificate::SingleFiles;
use commands::{Enterable, Inside};
use std::sync::Arc;
use std::time::Duration;

/// Seconds that an engine gives a container to stop, and to start again.
const RESTART: Duration = Duration::from_secs(60);

/// Makes commands of the host of what the services in containers are told, now that it is known which container that is.
pub(super) fn settle(desired: &mut DesiredState, facts: &HostFacts) {
    if desired.services.iter().all(|service| service.container.is_none()) {
        return;
    }
    let mut services = std::mem::take(&mut desired.services);
    let mut asked = 0;
    for service in services.iter_mut() {
        let Some(container) = service.container.clone() else { continue };
        let index = asked;
        asked += 1;
        let Some(there) = facts.containers.get(index) else { continue };
        let pair = service.pairs.first().copied().unwrap_or(0);
        let inside = Inside { index, pair, container: &container.container, there, facts };
        checks(desired, service, &inside);
        if container.in_check_only {
            continue;
        }
        own_files(desired, there);
        commands(desired, service, &container, &inside);
    }
    desired.services = services;
}

fn checks(desired: &mut DesiredState, service: &mut ServiceWant, inside: &Inside<'_>) {
    let enterable = inside.enterable();
    for check in &mut service.validate {
        if check.step.via != ValidateVia::Container {
            continue;
        }
        let (command, names) = match enterable {
            Enterable::Mounts => {
                inside.entered(&check.step.command, check.step.private_net, &desired.files)
            }
            Enterable::Throwaway => {
                check.step.via = ValidateVia::Throwaway;
                inside.throwaway(&check.step.command, &desired.files)
            }
        };
        check.step.command = command;
        check.step.names = names;
    }
}

/// New files belong to root in there.
fn own_files(desired: &mut DesiredState, there: &ContainerFacts) {
    if there.state != ContainerState::Running || there.root == (0, 0) {
        return;
    }
    let (user, group) = there.root;
    let files = desired.files.iter_mut().map(|file| &mut Arc::make_mut(file).fallback);
    for fallback in files.chain([&mut desired.directory]) {
        fallback.owner = Some(user.to_string());
        fallback.group = Some(group.to_string());
    }
}

fn commands(
    desired: &DesiredState,
    service: &mut ServiceWant,
    container: &ServiceContainer,
    inside: &Inside<'_>,
) {
    let timeout = service.reload.as_ref().map_or(RESTART, |reload| reload.timeout);
    // Where nothing else is known a restart makes it load any file.
    let nothing_else = container.told == Told::Otherwise
        && service
            .reload
            .as_ref()
            .is_some_and(|reload| reload.command == CommandLine::Argv(Vec::new()));
    let restarts = container.single_files == SingleFiles::Restart
        && (nothing_else || inside.holds_single_files(desired));
    let told = if restarts {
        Some(inside.restart(desired))
    } else {
        inside.told(&container.told, desired)
    };
    if let Some(command) = told {
        let timeout = if restarts { timeout.max(RESTART) } else { timeout };
        service.reload = Some(TimedCommand { command, timeout });
    }
    service.recover = Some(TimedCommand { command: inside.recover(), timeout: RESTART });
    service.running = Some(inside.running());
    if restarts {
        service.reload_costs = Some("the container is restarted: connections are cut".to_owned());
    }
}

/// What the exit code of a failed step of a service in a container means; `None`: nothing of its own.
pub(crate) fn meaning(service: &ServiceWant, failure: &StepFailure) -> Option<String> {
    let container = service.container.as_ref()?;
    let name = &container.container.name;
    let entered = || {
        let check = service.validate.get(failure.check?)?;
        Some(matches!(check.step.via, ValidateVia::Container | ValidateVia::Throwaway))
    };
    let ours = match failure.step {
        Step::Validate => entered() == Some(true),
        Step::Reload => service.is_told_by_us(),
        _ => false,
    };
    if !ours {
        return None;
    }
    Some(match (failure.rc?, failure.step) {
        (120, _) => format!("the container {name} does not see the new files"),
        (121, _) => {
            format!("no check could be made in a copy of the mounts of the container {name}")
        }
        (122, _) => format!("the container {name} does not run, or was restarted meanwhile"),
        (123, _) => format!("the engine of the container {name} failed"),
        (126 | 127, _) => format!("the container {name} has no such program, or cannot execute it"),
        (124 | 125, _) => return None,
        (_, Step::Validate) => {
            format!("refused by the service's own check in the container {name}")
        }
        _ => format!("the reload in the container {name} failed"),
    })
}

/// The containers whose view of the new files was compared with the host's at the reload.
pub(crate) fn compared(desired: &DesiredState) -> Vec<&str> {
    let compared = desired.services.iter().filter(|service| service.is_told_by_us());
    compared
        .filter_map(|service| Some(service.container.as_ref()?.container.name.as_str()))
        .collect()
}

impl ServiceWant {
    /// `nginx`, or `nginx (container web)`.
    pub(super) fn shown(&self) -> String {
        match &self.container {
            Some(known) if !known.in_check_only => format!("{} ({})", self.name, known.describe()),
            _ => self.name.clone(),
        }
    }

    /// Whether its reload is one that was made here.
    fn is_told_by_us(&self) -> bool {
        let by_us = |container: &ServiceContainer| {
            !container.in_check_only
                && (container.told != Told::Otherwise
                    || container.single_files == SingleFiles::Restart)
        };
        self.reload.is_some() && self.container.as_ref().is_some_and(by_us)
    }
}
