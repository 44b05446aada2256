//! What is asked of a host, and which answer belongs to which question.
//!
//! A request and its answers are lists in one order. Both halves are here, [`ask`] and [`HostView`]: nobody
//! else counts positions.

use super::desired::{
    CounterCheck, DesiredState, FileWant, KeptKey, PrecheckWant, ProbeWant, ServiceContainer,
    ServiceWant,
};
use super::error::PlanError;
use super::host_plan::SeenBefore;
use super::own_key;
use super::variants::Variants;
use crate::host::{
    CommandResult, ContainerFacts, ContainerState, FileFacts, Held, HeldAs, HostFacts, HostKind,
    InspectCommand, Inspection, InspectionVariant, ProcessFacts, RunningCheck, TimedCommand,
};
use crate::model::{Fingerprint, RemotePath};
use crate::playbook::certificate::{SingleFiles, WhenStopped};
use crate::verify::{Refusal, Served};
use std::sync::Arc;

/// What to read before planning, for every kind of host that it may turn out to be. Kinds for which
/// the task says too little have nothing read; [`Variants::desired`] says why later.
pub fn ask(variants: &Variants) -> Inspection {
    asked(variants, variants.all())
}

/// As [`ask`], with the checks over garbage: the answers belong to what [`Variants::desired_for_plan`] gives.
pub fn ask_for_plan(variants: &Variants) -> Inspection {
    let kinds: Vec<_> = variants.all_for_plan().collect();
    asked(
        variants,
        kinds.iter().map(|(kinds, desired)| (*kinds, desired.as_ref().map_err(|error| *error))),
    )
}

/// What `certroll status` tells of: the files and the places, and neither commands nor processes. The answers belong to
/// what [`DesiredState::for_status`] leaves of what is wanted.
pub(crate) fn ask_for_status(variants: &Variants) -> Inspection {
    let kinds =
        variants.all().map(|(kinds, desired)| (kinds, desired.map(DesiredState::for_status)));
    let kinds: Vec<_> = kinds.collect();
    let asked = asked(
        variants,
        kinds.iter().map(|(kinds, desired)| (*kinds, desired.as_ref().map_err(|error| *error))),
    );
    Inspection { boot_guard: false, ..asked }
}

fn asked<'a>(
    variants: &Variants,
    kinds: impl Iterator<Item = (&'a [HostKind], Result<&'a DesiredState, &'a PlanError>)>,
) -> Inspection {
    let mut asked: Vec<InspectionVariant> = Vec::new();
    for (kinds, desired) in kinds {
        let variant = match desired {
            Ok(desired) => questions(desired),
            Err(_) => InspectionVariant::default(),
        };
        // Most tasks are the same everywhere: what is equal is sent once.
        let same = asked.iter_mut().find(|known| {
            InspectionVariant { kinds: Vec::new(), ..InspectionVariant::clone(known) } == variant
        });
        match same {
            Some(known) => known.kinds.extend(kinds),
            None => asked.push(InspectionVariant { kinds: kinds.to_vec(), ..variant }),
        }
    }
    if let [only] = asked.as_mut_slice() {
        only.kinds.clear();
    }
    Inspection { variants: asked, boot_guard: variants.wants_boot_guard(), dirs: None }
}

/// Destinations and kept keys; service by service the checks, then the discovery.
fn questions(desired: &DesiredState) -> InspectionVariant {
    let files: Vec<RemotePath> = paths(desired).cloned().collect();
    let mut variant = InspectionVariant {
        kinds: Vec::new(),
        public_keys: (desired.files.len()..files.len()).collect(),
        files,
        reader: desired.reader.clone(),
        ..InspectionVariant::default()
    };
    for service in desired.services.iter() {
        let only_if_running = running(service).map(|_| variant.running.len());
        variant.running.extend(running(service).cloned());
        let process = service.process.as_ref().map(|_| variant.processes.len());
        variant.processes.extend(service.process.clone());
        let for_user_of = process.filter(|_| checks_as_process_user(service));
        let container = service.container.as_ref().map(|_| variant.containers.len());
        variant.containers.extend(service.container.iter().map(|known| known.container.clone()));
        let asked = |command: &TimedCommand, unless_mounts, inside| InspectCommand {
            command: command.clone(),
            only_if_running,
            unless_mounts,
            in_container: container.filter(|_| inside),
            for_user_of,
        };
        let prechecks = service.prechecks.iter();
        variant
            .commands
            .extend(prechecks.map(|one| asked(&one.command, one.staged_tells, one.in_container)));
        let counter_checks =
            service.counter_checks.iter().map(|check| (&check.command, check.in_container));
        let discover = service.discover.as_ref().filter(|discover| !discover.handshake_tells);
        let discover = discover.map(|discover| (&discover.command, false));
        let commands = counter_checks.chain(discover);
        variant.commands.extend(commands.map(|(command, inside)| asked(command, false, inside)));
        let optional = service.validate.iter().filter_map(|check| check.step.optional.as_ref());
        for program in optional.chain(&service.program) {
            if !variant.programs.contains(program) {
                variant.programs.push(program.clone());
            }
        }
    }
    variant.commands.extend(desired.files.iter().filter_map(|file| own_key::question(file)));
    variant
}

fn checks_as_process_user(service: &ServiceWant) -> bool {
    service.validate.iter().any(|check| check.as_process_user)
}

fn paths(desired: &DesiredState) -> impl Iterator<Item = &RemotePath> {
    let kept = desired.kept_keys.iter().map(|kept| &kept.path);
    desired.files.iter().map(|file| &file.path).chain(kept)
}

/// Of a container the engine is asked instead.
fn running(service: &ServiceWant) -> Option<&RunningCheck> {
    let in_container = service.container.as_ref().is_some_and(|known| !known.in_check_only);
    service.running.as_ref().filter(|_| !in_container)
}

/// What a look at a place showed; `Err` says why there was nothing.
pub type Look = Result<Served, LookFailure>;

/// Why a look showed nothing.
#[derive(Clone, Debug)]
pub enum LookFailure {
    /// There is no link to look through, or the name has no address.
    NoWay(String),
    /// The server showed no certificate.
    Refused(Refusal),
}

impl std::fmt::Display for LookFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoWay(why) => f.write_str(why),
            Self::Refused(refusal) => f.write_str(&refusal.describe()),
        }
    }
}

/// What is wanted of a host and what it showed, each question with its answer.
#[derive(Debug)]
pub struct HostView {
    /// What is wanted of a host of this kind.
    desired: Arc<DesiredState>,
    /// What the host said about itself.
    facts: HostFacts,
    /// What each probe showed.
    looks: Vec<Look>,
}

/// The host told about other things than it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host did not answer every question of the inspection")]
pub struct Unanswered;

/// A destination, and what is there.
#[derive(Clone, Copy, Debug)]
pub struct FileView<'a> {
    /// What is wanted.
    pub want: &'a Arc<FileWant>,
    /// What is there.
    pub there: &'a FileFacts,
}

/// A key that the host keeps.
#[derive(Clone, Copy, Debug)]
pub struct KeptView<'a> {
    /// What it must fit.
    pub want: &'a KeptKey,
    /// What is there.
    pub there: &'a FileFacts,
}

/// What a host answered about one service.
#[derive(Clone, Debug)]
pub struct ServiceView<'a> {
    /// What is wanted.
    pub want: &'a ServiceWant,
    /// Checks of the untouched configuration.
    pub prechecks: Vec<PrecheckView<'a>>,
    /// The checks with garbage in place of the new files, and how they went.
    pub counter_checks: Vec<(&'a CounterCheck, &'a CommandResult)>,
    /// What its configuration says.
    pub discovery: Option<&'a CommandResult>,
    /// Whether it runs; `None`: cannot tell.
    pub up: Option<bool>,
    /// Its main process, where it was asked for and found.
    pub process: Option<&'a ProcessFacts>,
    /// Which of the host's containers is its own.
    pub(super) container_index: Option<usize>,
    containers: &'a [ContainerFacts],
}

/// A check of the untouched configuration, and how it went.
#[derive(Clone, Copy, Debug)]
pub struct PrecheckView<'a> {
    /// The check.
    pub want: &'a PrecheckWant,
    /// How it went.
    pub result: &'a CommandResult,
}

impl PrecheckView<'_> {
    /// Whether it ran and did not pass.
    pub(super) fn is_failed(&self) -> bool {
        !self.result.success() && !self.result.skipped && self.result.rc != 127
    }
}

/// A place to look at, and what it showed.
#[derive(Clone, Copy, Debug)]
pub struct PlaceView<'a> {
    /// Where, and what must be seen there after the change.
    pub probe: &'a ProbeWant,
    /// What was seen before.
    pub look: &'a Look,
}

impl<'a> ServiceView<'a> {
    /// The container of its checks or its own, and what is known of it.
    pub(super) fn container(&self) -> Option<(&'a ServiceContainer, &'a ContainerFacts)> {
        let index = self.container_index?;
        Some((self.want.container.as_ref()?, self.containers.get(index)?))
    }

    /// Whether the requested container with this number is its own, and this is done about files that it has mounted by
    /// themselves.
    pub(super) fn treats(&self, asked: Option<usize>, as_told: SingleFiles) -> bool {
        let alike = |(container, _): (&ServiceContainer, _)| container.single_files == as_told;
        asked.is_some() && asked == self.container_index && self.in_container().is_some_and(alike)
    }

    /// Whether its container runs, where it has one.
    fn container_up(&self) -> Option<Option<bool>> {
        let (_, there) = self.in_container()?;
        Some(match there.state {
            ContainerState::Running | ContainerState::Paused => Some(true),
            ContainerState::Stopped => Some(false),
            _ => None,
        })
    }

    /// The container that it runs in.
    pub(super) fn in_container(&self) -> Option<(&'a ServiceContainer, &'a ContainerFacts)> {
        self.container().filter(|(container, _)| !container.in_check_only)
    }

    /// The checks that pass with garbage in place of the new files: they see the live ones only.
    pub fn blind_checks(&self) -> impl Iterator<Item = &'a str> {
        let passed = |(check, result): &&(&CounterCheck, &CommandResult)| {
            let output = String::from_utf8_lossy(&result.stdout);
            let refused = check.refuse_output.iter().any(|text| output.contains(text.as_str()));
            result.success() && !result.skipped && !refused
        };
        let passed: Vec<&'a str> = self
            .counter_checks
            .iter()
            .filter(passed)
            .map(|(check, _)| check.label.as_str())
            .collect();
        passed.into_iter()
    }
}

impl PlaceView<'_> {
    /// Whether what was seen says anything: of the usual places, those where nothing listens do not.
    pub(crate) fn tells(&self) -> bool {
        self.probe.alternatives.is_none() || self.look.is_ok()
    }

    /// What was seen, without its details.
    pub fn before(&self) -> SeenBefore {
        match self.look {
            Ok(served) => SeenBefore::Leaf(served.leaf),
            Err(why) => SeenBefore::Nothing(why.to_string()),
        }
    }
}

impl HostView {
    /// Puts the answers to their questions: `facts` were asked for by [`ask`], `looks` are those at the
    /// probes of `desired`.
    ///
    /// # Errors
    /// The answers are not those to the questions.
    pub fn read(
        desired: impl Into<Arc<DesiredState>>,
        facts: HostFacts,
        looks: Vec<Look>,
    ) -> Result<Self, Unanswered> {
        let mut desired = desired.into();
        let asked = questions(&desired);
        let told = facts.files.iter().map(|file| &file.path);
        // A rollback changes what is wanted and no path; optional checks change no question either.
        let fits = told.eq(asked.files.iter())
            && facts.running.len() == asked.running.len()
            && facts.commands.len() == asked.commands.len()
            && facts.containers.len() == asked.containers.len()
            && looks.len() == desired.probes.len();
        if !fits {
            return Err(Unanswered);
        }
        let own_keys = desired.files.iter().filter(|file| file.own_key.is_some()).count();
        if own_keys > 0 {
            let files = Arc::make_mut(&mut desired).files.iter_mut();
            let files = files.filter(|file| file.own_key.is_some());
            let first = facts.commands.len() - own_keys;
            for (file, result) in files.zip(facts.commands.iter().skip(first)) {
                own_key::answer(Arc::make_mut(file), result);
            }
        }
        Ok(Self { desired, facts, looks })
    }

    /// What is wanted of a host of this kind.
    pub fn desired(&self) -> &DesiredState {
        &self.desired
    }

    /// What the host said about itself.
    pub fn facts(&self) -> &HostFacts {
        &self.facts
    }

    /// What is at a destination.
    pub(super) fn file_at(&self, path: &RemotePath) -> Option<&FileFacts> {
        self.files().find(|file| file.want.path == *path).map(|file| file.there)
    }

    /// The destinations.
    pub fn files(&self) -> impl Iterator<Item = FileView<'_>> {
        let pairs = self.desired.files.iter().zip(&self.facts.files);
        pairs.map(|(want, there)| FileView { want, there })
    }

    /// Whether a container of the task has it mounted by itself, and is to see it overwritten in place.
    pub(super) fn is_written_in_place(&self, file: &FileView<'_>) -> bool {
        let in_place = |held: &Held| {
            held.kind == HeldAs::File
                && self.services().any(|service| service.treats(held.asked, SingleFiles::InPlace))
        };
        file.there.held.iter().any(in_place)
    }

    /// The keys that the host keeps.
    pub fn kept_keys(&self) -> impl Iterator<Item = KeptView<'_>> {
        let there = self.facts.files.iter().skip(self.desired.files.len());
        self.desired.kept_keys.iter().zip(there).map(|(want, there)| KeptView { want, there })
    }

    /// The services.
    pub fn services(&self) -> impl Iterator<Item = ServiceView<'_>> {
        let mut results = self.facts.commands.iter();
        let mut up = self.facts.running.iter();
        let mut processes = self.facts.processes.iter();
        let mut containers = 0..self.facts.containers.len();
        self.desired
            .services
            .iter()
            .map(move |want| ServiceView {
                container_index: want.container.as_ref().and_then(|_| containers.next()),
                containers: &self.facts.containers,
                want,
                prechecks: want
                    .prechecks
                    .iter()
                    .filter_map(|want| Some(PrecheckView { want, result: results.next()? }))
                    .collect(),
                counter_checks: want
                    .counter_checks
                    .iter()
                    .filter_map(|want| Some((want, results.next()?)))
                    .collect(),
                discovery: want
                    .discover
                    .as_ref()
                    .filter(|discover| !discover.handshake_tells)
                    .and_then(|_| results.next()),
                up: running(want).and_then(|_| up.next().copied().flatten()),
                process: want.process.as_ref().and_then(|_| processes.next()?.as_ref()),
            })
            .map(|service| ServiceView {
                up: service.container_up().unwrap_or(service.up),
                ..service
            })
    }

    /// Services that do not run and get their files all the same (`when_stopped: deploy`): they are neither told nor
    /// looked at.
    pub fn asleep(&self) -> Vec<&str> {
        let deploys = self.desired.when_stopped == WhenStopped::Deploy;
        let stopped = self.services().filter(|service| service.up == Some(false) && deploys);
        stopped.map(|service| service.want.name.as_str()).collect()
    }

    /// The places to look at.
    pub fn places(&self) -> impl Iterator<Item = PlaceView<'_>> {
        let pairs = self.desired.probes.iter().zip(&self.looks);
        pairs.map(|(probe, look)| PlaceView { probe, look })
    }

    /// Looks at one more place as well.
    pub fn add_place(&mut self, probe: ProbeWant, look: Look) {
        Arc::make_mut(&mut self.desired).probes.push(probe);
        self.looks.push(look);
    }

    /// The same host with something else wanted of the same files, as for a rollback.
    #[must_use]
    pub fn with_desired(self, desired: impl Into<Arc<DesiredState>>) -> Self {
        Self { desired: desired.into(), ..self }
    }

    /// The leaves in the destination files of a pair now.
    pub fn leaves_on_disk(&self, pair: usize) -> Vec<Fingerprint> {
        let files = self.files().filter(|file| file.want.pair == pair && file.want.leaf.is_some());
        files.filter_map(|file| file.there.leaf()).map(|leaf| leaf.fingerprint).collect()
    }
}
