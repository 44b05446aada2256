//! What is in the way of a service in a container, and what else is to be said of containers.

use super::engines::{engine_exec, is_engine_command};
use crate::host::{ContainerFacts, ContainerState, Engine, Held, HeldAs};
use crate::model::{CommandLine, Step};
use crate::plan::desired::ServiceContainer;
use crate::plan::host_plan::{Decision, FilePlan};
use crate::plan::inspection::{FileView, HostView, ServiceView};
use crate::playbook::certificate::SingleFiles;

/// Why nothing can be done.
pub(in crate::plan) fn fault(view: &HostView, files: &[FilePlan]) -> Option<Decision> {
    for service in view.services() {
        let Some((container, there)) = service.in_container() else { continue };
        if let Some(why) = unusable(container, there) {
            return Some(Decision::blocked(Step::Inspect, format!("{}: {why}", service.want.name)));
        }
        if there.state == ContainerState::Running
            && let Some(why) = unseen(view, files, &service, container, there)
        {
            return Some(Decision::blocked(Step::Inspect, why));
        }
    }
    told_by_engine(view, files).map(|why| Decision::blocked(Step::Inspect, why))
}

/// Why the container cannot be dealt with. That it does not run is another matter: `when_stopped` says what is done then.
fn unusable(container: &ServiceContainer, there: &ContainerFacts) -> Option<String> {
    let name = &container.container.name;
    let engine = there.engine.or(container.container.engine).map_or("the engine", Engine::program);
    let whose = match &container.container.user {
        Some(user) => format!(" of {user}'s"),
        None => String::new(),
    };
    match &there.state {
        ContainerState::Running | ContainerState::Stopped => None,
        ContainerState::Paused => {
            Some(format!("the container {name} is paused: `{engine} unpause {name}`"))
        }
        ContainerState::Missing => Some(format!(
            "{engine} knows no container {name}{whose}; rootless ones are found with `user: ACCOUNT` beside `container`"
        )),
        ContainerState::NoEngine => {
            Some(match (&container.container.engine, &container.container.user) {
                (_, Some(user)) => format!(
                    "no engine can be run as {user}: neither podman nor docker, or no such account, or `become: true` is missing"
                ),
                (Some(engine), None) => format!("the host has no {}", engine.program()),
                (None, None) => "the host has neither podman nor docker".to_owned(),
            })
        }
        ContainerState::EngineFailed(said) => {
            let last = said
                .lines()
                .rev()
                .find(|line| !line.trim().is_empty() && !line.starts_with("@rc="));
            Some(format!(
                "{engine} failed when it was asked for the container {name}: {}",
                last.unwrap_or("it said nothing")
            ))
        }
    }
}

/// A file that the container does not see, or will not see after a rename.
fn unseen(
    view: &HostView,
    files: &[FilePlan],
    service: &ServiceView<'_>,
    container: &ServiceContainer,
    there: &ContainerFacts,
) -> Option<String> {
    let name = &container.container.name;
    for (plan, file) in files.iter().zip(view.files()) {
        let path = &plan.want.path;
        let held = file.there.held.iter().find(|held| held.asked == service.container_index);
        let Some(held) = held else {
            // Only root sees what a container of others has mounted.
            if view.facts().uid != 0 && !there.can_enter {
                continue;
            }
            return Some(format!(
                "{path}: the container {name} does not see it, no mount of its leads there; mount the file's directory \
                 into it, or name in `dest` the host's path of what it has mounted"
            ));
        };
        let changes = !plan.action.keeps_file() || held.kind == HeldAs::Older;
        if !held.kind.is_single() || !changes {
            continue;
        }
        match (container.single_files, held.kind) {
            (SingleFiles::Restart, _) => {}
            (SingleFiles::InPlace, HeldAs::Older) => {
                return Some(format!(
                    "{path} {}; `in_place` writes the file that is on the host now, which is not the one in there: restart \
                     the container once, or say `restart: true`",
                    single(held)
                ));
            }
            (SingleFiles::InPlace, _) if plan.changes_attributes() => {
                return Some(format!(
                    "{path} is overwritten in place, which leaves its owner, group and mode as they are, and they should \
                     change ({}): change them on the host, or leave them out of the task",
                    plan.detail
                ));
            }
            (SingleFiles::InPlace, _) => {}
            (SingleFiles::Block, _) => {
                return Some(format!("{path} {}; {}", single(held), ways_out(name)));
            }
        }
    }
    None
}

fn single(held: &Held) -> String {
    let (by, inside) = (held.by(), &held.path);
    match held.kind {
        HeldAs::Older => format!(
            "is mounted into {by} as a single file, {inside}, and was replaced since: an older file is in there until it is \
             restarted"
        ),
        _ => format!(
            "is mounted into {by} as a single file, {inside}: what runs there goes on seeing the old one until it is \
             restarted, whatever a reload says"
        ),
    }
}

fn ways_out(name: &str) -> String {
    format!(
        "mount its directory instead, or say `service: {{…, container: {name}, restart: true}}`, and the container is \
         restarted in place of a reload, or `in_place: true` in place of `restart: true`, and the file is overwritten \
         where it is, which is not atomic"
    )
}

/// A reload of the task's own that goes through an engine and restarts nothing cannot make a container see a new single file.
fn told_by_engine(view: &HostView, files: &[FilePlan]) -> Option<String> {
    let without = |service: &ServiceView<'_>| service.in_container().is_none();
    let by_engine = view.services().filter(without).any(|service| {
        service.want.reload.as_ref().is_some_and(|reload| {
            is_engine_command(&reload.command) && !mentions(&reload.command, "restart")
        })
    });
    if !by_engine {
        return None;
    }
    files.iter().zip(view.files()).find_map(|(plan, file)| {
        if view.is_written_in_place(&file) {
            return None;
        }
        let held = file.there.held.iter().find(|held| held.kind.is_single() && held.container.is_some())?;
        let changes = !plan.action.keeps_file() || held.kind == HeldAs::Older;
        changes.then(|| {
            format!(
                "{} {}; mount its directory instead, or give the task a `reload` that restarts the container",
                plan.want.path,
                single(held)
            )
        })
    })
}

fn mentions(command: &CommandLine, word: &str) -> bool {
    match command {
        CommandLine::Argv(words) => words.iter().any(|known| known == word),
        CommandLine::Shell(text) => text.split_whitespace().any(|known| known == word),
    }
}

/// What else an operator should know of how containers are told.
pub(in crate::plan) fn remarks(view: &HostView) -> Vec<String> {
    let mut notes = Vec::new();
    for service in view.services() {
        let name = &service.want.name;
        if let Some(reload) = &service.want.reload
            && kills_by_docker(&reload.command)
        {
            notes.push(format!(
                "{name}: `docker kill` with a signal ends the container's restart policy, unless its image names a \
                 STOPSIGNAL: after the next crash it stays down; `docker exec CONTAINER …`, or `service: {{name: {name}, \
                 container: …}}`, does no such harm"
            ));
        }
        if let Some(reload) = &service.want.reload
            && engine_restart_is_unchecked(&service, &reload.command)
        {
            notes.push(format!(
                "{name}: the container is restarted without a check of the new files where it reads them: a pair that it \
                 refuses is an outage until the way back; `service: {{name: {name}, container: …}}` checks first"
            ));
        }
        let Some((container, there)) = service.container() else { continue };
        let sees_none_of = |file: FileView<'_>| {
            file.there.held.iter().all(|held| held.asked != service.container_index)
        };
        if there.state == ContainerState::Running
            && view.facts().uid != 0
            && view.files().any(sees_none_of)
        {
            notes.push(format!(
                "{name}: what the container {} has mounted is not visible without root, so whether it will see the new \
                 files, and under which paths, is not known; `become: true` shows it",
                container.container.name
            ));
        }
        if there.state == ContainerState::Running
            && !there.can_enter
            && !service.want.validate.is_empty()
        {
            notes.push(format!(
                "{name}: no private copy of the mounts of container {} can be made here (that takes root, nsenter, unshare \
                 and chroot), so the new files are checked in a throwaway container of its image",
                container.container.name
            ));
        }
    }
    notes
}

fn kills_by_docker(command: &CommandLine) -> bool {
    let CommandLine::Argv(words) = command else {
        return matches!(command, CommandLine::Shell(text) if text.contains("docker kill"));
    };
    let Some((program, rest)) = words.split_first() else { return false };
    let rest = rest.strip_prefix(&["container".to_owned()]).unwrap_or(rest);
    Engine::of_program(program) == Some(Engine::Docker)
        && rest.first().is_some_and(|word| word == "kill")
        && rest.iter().any(|word| word.starts_with("-s") || word.starts_with("--signal"))
}

fn engine_restart_is_unchecked(service: &ServiceView<'_>, reload: &CommandLine) -> bool {
    is_engine_command(reload)
        && mentions(reload, "restart")
        && service.container().is_none()
        && engine_exec(reload).is_none()
}
