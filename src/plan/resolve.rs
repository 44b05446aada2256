//! From what is wanted of any host to what is wanted of a host of this kind.
//!
//! What the task says wins over what the profile says. Nothing here looks at a host's files: that is
//! [`build`](super::build)'s part.

use super::command::{boot, names_files, prepared, unseen, with_garbage};
use super::desired::{
    CheckWant, CounterCheck, DesiredState, DiscoverWant, PrecheckWant, ProbeWant, ReloadReader,
    ServiceWant, ValidateWant,
};
use super::error::PlanError;
use super::layout::{Layout, Service, lay_out};
use super::probes;
use super::request::{CertificateRequest, Material};
use crate::host::{
    Attributes, BootRecipe, HostFacts, HostKind, ProcessQuery, TimedCommand, ValidateStep,
    ValidateVia,
};
use crate::model::command::quote;
use crate::model::text::plural;
use crate::model::{Backoff, CommandLine, RemotePath};
use crate::playbook::certificate::{
    CertificateTask, CheckOn, Confirm, ReloadChoice, Validation, VerifyChoice,
};
use crate::services::{
    AsUser, Covers, Files, Profile, Reads, Reload, Resolved, ResolvedReload, ResolvedSeal,
    ResolvedStep, SelfReload, Via, choose,
};
use crate::verify::SignatureChoice;
use std::time::Duration;

/// A request made concrete for every kind of host, each different one once; most are the same everywhere.
#[derive(Debug)]
pub struct Variants {
    probes: Vec<ProbeWant>,
    boot_guard: bool,
    kinds: Vec<(Vec<HostKind>, Result<DesiredState, PlanError>)>,
    /// For each of `kinds`, service by service, the checks over garbage.
    counter_checks: Vec<Vec<Vec<CounterCheck>>>,
}

impl Variants {
    /// Of a request.
    ///
    /// # Errors
    /// What is wrong with it whatever the kind of host. What is missing for one kind alone is told by
    /// [`desired`](Self::desired).
    pub fn of(wanted: &CertificateRequest) -> Result<Self, PlanError> {
        let probes = probes::probes(wanted)?;
        let mut chosen: Vec<(Vec<HostKind>, Vec<Resolved>)> = Vec::new();
        for kind in HostKind::all() {
            let here: Vec<Resolved> =
                wanted.profiles.iter().map(|profile| choose(profile, kind)).collect();
            match chosen.iter_mut().find(|(_, known)| *known == here) {
                Some((kinds, _)) => kinds.push(kind),
                None => chosen.push((vec![kind], here)),
            }
        }
        let resolved =
            chosen.into_iter().map(|(kinds, here)| (kinds, resolve(wanted, &probes, here)));
        let mut kinds: Vec<(Vec<HostKind>, Result<DesiredState, PlanError>)> = resolved.collect();
        let take = |desired: &mut DesiredState| {
            let services = desired.services.iter_mut();
            services.map(|service| std::mem::take(&mut service.counter_checks)).collect()
        };
        let counter_checks =
            kinds.iter_mut().map(|(_, desired)| desired.as_mut().map(take).unwrap_or_default());
        let counter_checks = counter_checks.collect();
        let boot_guard = wanted.certificate.boot_guard;
        Ok(Self { boot_guard, kinds, counter_checks, probes })
    }

    /// As [`all`](Self::all), with the checks over garbage.
    pub(super) fn all_for_plan(
        &self,
    ) -> impl Iterator<Item = (&[HostKind], Result<DesiredState, &PlanError>)> {
        self.kinds.iter().zip(&self.counter_checks).map(|((kinds, desired), checks)| {
            (kinds.as_slice(), desired.as_ref().map(|desired| with(desired.clone(), checks)))
        })
    }

    /// As [`desired`](Self::desired), with the checks over garbage.
    ///
    /// # Errors
    /// As [`of_kind`](Self::of_kind).
    pub(crate) fn desired_for_plan(&self, facts: &HostFacts) -> Result<DesiredState, PlanError> {
        let desired = self.desired(facts)?;
        let of_kind = self.kinds.iter().position(|(kinds, _)| kinds.contains(&facts.kind));
        let checks = of_kind.and_then(|index| self.counter_checks.get(index));
        Ok(match checks {
            Some(checks) => with(desired, checks),
            None => desired,
        })
    }

    /// The places to look at before the change; the same for every kind of host.
    pub fn probes(&self) -> &[ProbeWant] {
        &self.probes
    }

    /// Whether the next boot should settle an interrupted transaction as well.
    pub(super) fn wants_boot_guard(&self) -> bool {
        self.boot_guard
    }

    /// Kinds of host, and what is wanted of each.
    pub(super) fn all(
        &self,
    ) -> impl Iterator<Item = (&[HostKind], Result<&DesiredState, &PlanError>)> {
        self.kinds.iter().map(|(kinds, desired)| (kinds.as_slice(), desired.as_ref()))
    }

    /// Why the task cannot be done on any kind of host; `None`: it can.
    pub fn impossible(&self) -> Option<&PlanError> {
        let mut errors = self.kinds.iter().map(|(_, desired)| desired.as_ref().err());
        let first = errors.next()??;
        errors.all(|error| error.is_some()).then_some(first)
    }

    /// What is wanted of hosts of a kind.
    ///
    /// # Errors
    /// What the task leaves open and no profile knows for such a host.
    pub fn of_kind(&self, kind: HostKind) -> Result<&DesiredState, &PlanError> {
        let of_kind = self.kinds.iter().find(|(kinds, _)| kinds.contains(&kind));
        // `of` resolves every kind that there is.
        of_kind.expect("every kind is there").1.as_ref()
    }

    /// What is wanted of the host that answered with `facts`, without the optional checks that it has no
    /// program for and without a boot guard that it cannot have.
    ///
    /// # Errors
    /// As [`of_kind`](Self::of_kind).
    pub fn desired(&self, facts: &HostFacts) -> Result<DesiredState, PlanError> {
        let mut desired = self.of_kind(facts.kind).map_err(Clone::clone)?.clone();
        let mut left_out = Vec::new();
        for service in &mut desired.services {
            let name = &service.name;
            service.validate.retain(|step| {
                let absent =
                    step.step.optional.as_ref().filter(|program| facts.absent.contains(program));
                if let Some(program) = absent {
                    left_out.push(format!(
                        "{name}: the host has no {program}, so `{}` is left out",
                        step.label
                    ));
                }
                absent.is_none()
            });
        }
        left_out.dedup();
        desired.notes.extend(left_out);
        as_the_process(&mut desired, facts);
        if desired.boot_guard
            && let Some(why) = facts.boot_guard.obstacle()
        {
            desired.boot_guard = false;
            desired.notes.push(format!(
                "boot_guard: {why}; after a power loss in the middle the next contact settles it"
            ));
        }
        Ok(desired)
    }
}

fn with(mut desired: DesiredState, counter_checks: &[Vec<CounterCheck>]) -> DesiredState {
    for (service, checks) in desired.services.iter_mut().zip(counter_checks) {
        service.counter_checks.clone_from(checks);
    }
    desired
}

/// The user who runs a service checks the new files, and reads the key.
fn as_the_process(desired: &mut DesiredState, facts: &HostFacts) {
    let mut users = facts.process_users.iter();
    for service in desired.services.iter_mut().filter(|service| service.running.is_some()) {
        let Some(Some(user)) = users.next() else { continue };
        let checks = service.validate.iter_mut().filter(|check| check.as_process_user);
        let mut usual = None;
        for check in checks {
            usual = check.step.user.replace(user.clone()).filter(|usual| usual != user);
        }
        let Some(usual) = usual else { continue };
        if desired.reader.as_ref() == Some(&usual) {
            // Whether another one can read them was not asked; the check will tell.
            desired.reader = None;
        }
        // What is made for the usual one's group is the other one's own.
        for file in desired.files.iter_mut().filter(|file| file.role.holds_key()) {
            let fallback = &mut file.fallback;
            if fallback.group.as_ref() == Some(&usual) {
                fallback.owner = Some(user.clone());
                fallback.group = Some("root".to_owned());
            }
        }
    }
}

/// What is wanted of a host for which the profiles came to `resolved`, one per service.
fn resolve(
    wanted: &CertificateRequest,
    probes: &[ProbeWant],
    resolved: Vec<Resolved>,
) -> Result<DesiredState, PlanError> {
    let task = &wanted.certificate;
    let services = wanted.profiles.iter().zip(resolved);
    let services: Vec<Service<'_>> =
        services.map(|(profile, resolved)| Service { profile, resolved }).collect();
    let layout = lay_out(wanted, &services)?;
    let mut wants = Vec::new();
    for (index, service) in services.iter().enumerate() {
        wants.push(service_want(wanted, &layout, service, probes, index == 0)?);
    }
    let directory = services.first().map(|service| Attributes {
        owner: Some(service.resolved.owners.dir.user.clone()),
        group: Some(service.resolved.owners.dir.group.clone()),
        mode: Some(service.profile.modes.dir),
    });
    let reader = services.iter().find_map(|service| match &service.profile.reads {
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
    let mut notes = wanted.notes.clone();
    notes.extend(layout.notes);
    notes.extend(services.iter().filter_map(|service| unseen_reload(task, service)));
    notes.extend(services.iter().filter_map(deadly_reload));
    Ok(DesiredState {
        host: wanted.host.clone(),
        task: wanted.task.clone(),
        files: layout.files,
        order: services.first().map(|service| service.profile.order.clone()).unwrap_or_default(),
        directory: directory.unwrap_or_default(),
        kept_keys: layout.kept_keys,
        services: wants,
        reader,
        probes: probes.to_vec(),
        checks,
        confirm_by_person,
        confirm_timeout,
        backups: task.backups,
        boot_guard: task.boot_guard,
        allow_input_log: task.allow_input_log,
        when_stopped: task.when_stopped,
        notes,
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
            p.settle + p.timeout.saturating_mul(looks) + waits(p.backoff)
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
    let limited =
        |command: &CommandLine, timeout| TimedCommand { command: layout.filled(command), timeout };
    let reload = match (&task.reload, &resolved.reload) {
        (Some(ReloadChoice::None), _) => None,
        // One command of the operator's own stands for all services of the task.
        (Some(ReloadChoice::Command(command)), _) => {
            first.then(|| limited(command, task.reload_timeout))
        }
        (None, ResolvedReload::None) => None,
        (None, ResolvedReload::Required) => {
            return Err(PlanError::NoReload(service.profile.name.clone()));
        }
        (None, ResolvedReload::Command { command, .. }) => {
            Some(limited(command, task.reload_timeout))
        }
    };
    fits_templates(layout, service)?;
    Ok(ServiceWant {
        name: service.profile.name.clone(),
        validate: checks_of(wanted, layout, service, probes, first)?,
        prechecks: prechecks(wanted, layout, service, first),
        counter_checks: counter_checks(wanted, layout, service, first),
        reload,
        recover: resolved.recover.as_ref().map(|command| limited(command, task.reload_timeout)),
        running: resolved.running(),
        process: process(service, probes),
        workers: workers(service, probes),
        reload_reader: reload_reader(service.profile),
        discover: resolved.discover.as_ref().zip(service.profile.discover.as_ref()).map(
            |(command, how)| DiscoverWant {
                command: limited(command, task.validate_timeout),
                how: how.clone(),
            },
        ),
        watches_renames: service.profile.self_reload == SelfReload::OnRename,
        program: resolved.program.clone(),
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
    let matters = service.resolved.recover.is_none()
        || reload_reader(service.profile) == Some(ReloadReader::Process);
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

/// Whether it reads the service's whole configuration (rather than a pair of files).
fn reads_configuration(step: &ResolvedStep) -> bool {
    matches!(step.step.via, Via::MountNamespace | Via::Live)
}

/// The profile's checks that stand beside the task's own.
fn steps<'a>(wanted: &CertificateRequest, service: &'a Service<'_>) -> Vec<&'a ResolvedStep> {
    let all = service.resolved.validate.iter();
    match wanted.certificate.validate {
        Some(Validation::Off) => Vec::new(),
        Some(Validation::Command(_)) => all.filter(|step| !reads_configuration(step)).collect(),
        Some(Validation::Boot) | None => all.collect(),
    }
}

fn checks_of(
    wanted: &CertificateRequest,
    layout: &Layout,
    service: &Service<'_>,
    probes: &[ProbeWant],
    first: bool,
) -> Result<Vec<ValidateWant>, PlanError> {
    let task = &wanted.certificate;
    let timeout = task.validate_timeout;
    let pairs = wanted.materials.len();
    let mut checks = Vec::new();
    if let (Some(Validation::Command(command)), true) = (&task.validate, first) {
        let configuration = service.resolved.validate.iter().find(|step| reads_configuration(step));
        let about_files = names_files(command);
        // With a path in it, it wants the new file; without, it reads the configuration.
        let count = if about_files { pairs } else { 1 };
        checks.extend((0..count).map(|pair| ValidateWant {
            label: label(command),
            covers: Vec::new(),
            as_process_user: false,
            step: ValidateStep {
                names: layout.names(pair, command),
                command: command.clone(),
                via: if about_files { ValidateVia::Staged } else { ValidateVia::MountNamespace },
                private_net: configuration.is_some_and(|step| step.step.net_private),
                user: None,
                timeout,
                refuse_output: Vec::new(),
                optional: None,
            },
        }));
    }
    for step in steps(wanted, service) {
        // The configuration names every pair; a loader is shown them one by one.
        let count = if reads_configuration(step) { 1 } else { pairs };
        let profile = service.profile;
        checks.extend((0..count).map(|pair| profile_check(layout, profile, step, pair, timeout)));
    }
    if task.validate == Some(Validation::Boot) {
        let seal = service.resolved.seal.as_ref();
        let seal = seal.ok_or_else(|| PlanError::NoSealedBoot(service.profile.name.clone()))?;
        checks.extend(boot_check(wanted, probes, service.profile, seal));
    }
    Ok(checks)
}

/// Who is assumed to run the service where no process of it tells.
fn usual_user(profile: &Profile) -> &str {
    match &profile.reads {
        Reads::User(user) => user,
        Reads::Root | Reads::ProcessUser => "root",
    }
}

fn profile_check(
    layout: &Layout,
    profile: &Profile,
    step: &ResolvedStep,
    pair: usize,
    timeout: Duration,
) -> ValidateWant {
    let about = &step.step;
    let program = match &step.command {
        CommandLine::Argv(argv) => argv.first().cloned(),
        CommandLine::Shell(text) => text.split_whitespace().next().map(str::to_owned),
    };
    let command = prepared(&step.command, &about.via, about.scratch_home, about.discard_output);
    ValidateWant {
        label: label(&step.command),
        covers: about.covers.clone(),
        as_process_user: about.as_user == Some(AsUser::OfProcess),
        step: ValidateStep {
            names: layout.names(pair, &command),
            command,
            via: match &about.via {
                Via::MountNamespace => ValidateVia::MountNamespace,
                Via::Staged | Via::Template(_) => ValidateVia::Staged,
                Via::Live => ValidateVia::Live,
            },
            private_net: about.net_private,
            user: about.as_user.as_ref().map(|user| match user {
                AsUser::Named(name) => name.clone(),
                AsUser::OfProcess => usual_user(profile).to_owned(),
            }),
            timeout,
            refuse_output: about.refuse_output.clone(),
            optional: program.filter(|_| about.optional),
        },
    }
}

/// For people: `look -k KEY`.
fn label(command: &CommandLine) -> String {
    command.expand(|name| Files::NAMES.contains(&name).then(|| name.to_uppercase())).brief()
}

/// One boot serves all pairs; it is asked for the first, where the task looks for it or else where
/// such a service usually listens.
fn boot_check(
    wanted: &CertificateRequest,
    probes: &[ProbeWant],
    profile: &Profile,
    seal: &ResolvedSeal,
) -> Option<ValidateWant> {
    let material = wanted.materials.first()?;
    let named = probes.iter().find(|probe| {
        probe.pair == 0 && probe.service == profile.name && probe.alternatives.is_none()
    });
    let (port, starttls, server_name) = match named {
        Some(probe) => (probe.endpoint.port, probe.starttls, probe.server_name.clone()),
        None => (seal.recipe.port, seal.starttls(), probes::name_for(wanted, &material.leaf)),
    };
    let several = match wanted.materials.len() {
        1 => String::new(),
        count => format!(", asked for the first of {}", plural(count, "certificate")),
    };
    let kind_of = |material: &Material| SignatureChoice::of(&material.leaf.public_key);
    let kind = kind_of(material);
    let of_one_kind = wanted.materials.iter().all(|other| kind_of(other) == kind);
    Some(ValidateWant {
        label: format!("{} (sealed boot{several})", seal.start),
        covers: Vec::new(),
        as_process_user: false,
        step: ValidateStep {
            command: seal.start.clone(),
            names: Vec::new(),
            via: ValidateVia::Boot(BootRecipe {
                tmpfs: seal.recipe.tmpfs.clone(),
                mkdir: seal.recipe.mkdir.iter().map(|dir| dir.path.clone()).collect(),
                start: boot(&seal.start, &seal.recipe.mkdir),
                port,
                starttls,
                server_name,
                signatures: if of_one_kind { None } else { sigalgs(kind).map(str::to_owned) },
                leaf: material.leaf.fingerprint,
            }),
            private_net: true,
            user: None,
            timeout: wanted.certificate.validate_timeout,
            refuse_output: Vec::new(),
            optional: None,
        },
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
        SignatureChoice::MlDsa => Some("mldsa44:mldsa65:mldsa87"),
    }
}

/// Checks that the untouched configuration must pass. An inspection writes nothing: those that need a
/// scratch directory get a private one.
fn prechecks(
    wanted: &CertificateRequest,
    layout: &Layout,
    service: &Service<'_>,
    first: bool,
) -> Vec<PrecheckWant> {
    let mut commands: Vec<(CommandLine, String)> = Vec::new();
    if let (Some(Validation::Command(command)), true) = (&wanted.certificate.validate, first)
        && !names_files(command)
    {
        commands.push((command.clone(), label(command)));
    }
    for step in steps(wanted, service).into_iter().filter(|step| reads_configuration(step)) {
        let about = &step.step;
        // Paths first: what is wrapped around them quotes them once more.
        let command = layout.filled(&step.command);
        let command = prepared(&command, &about.via, about.scratch_home, about.discard_output);
        let user = word_for_user(service, about.as_user.as_ref());
        let command = unseen(command, about.scratch_home, user.as_deref());
        commands.push((command, label(&step.command)));
    }
    let timeout = wanted.certificate.validate_timeout;
    commands
        .into_iter()
        .map(|(command, label)| PrecheckWant { command: TimedCommand { command, timeout }, label })
        .collect()
}

/// The user of a check, as a word of shell text.
fn word_for_user(service: &Service<'_>, user: Option<&AsUser>) -> Option<String> {
    user.map(|user| match user {
        AsUser::Named(name) => quote(name),
        // The inspection tells it.
        AsUser::OfProcess => format!("\"${{certroll_user:-{}}}\"", usual_user(service.profile)),
    })
}

/// The checks that are said to look at the new files, each once with garbage in place of the first pair's. What a profile
/// knows to look at no contents is not tried.
fn counter_checks(
    wanted: &CertificateRequest,
    layout: &Layout,
    service: &Service<'_>,
    first: bool,
) -> Vec<CounterCheck> {
    let of_pair = layout.files.iter().filter(|file| file.pair == 0);
    let files: Vec<&RemotePath> = of_pair.map(|file| &file.path).collect();
    let timeout = wanted.certificate.validate_timeout;
    let mut checks = Vec::new();
    if let (Some(Validation::Command(command)), true) = (&wanted.certificate.validate, first) {
        let configuration = service.resolved.validate.iter().find(|step| reads_configuration(step));
        let private_net = configuration.is_some_and(|step| step.step.net_private);
        let garbled = with_garbage(&layout.filled(command), &files, false, private_net, None);
        checks.extend(garbled.map(|garbled| CounterCheck {
            command: TimedCommand { command: garbled, timeout },
            label: label(command),
            refuse_output: Vec::new(),
        }));
    }
    for step in steps(wanted, service).into_iter().filter(|step| reads_contents(step)) {
        let about = &step.step;
        let command = prepared(&step.command, &about.via, about.scratch_home, about.discard_output);
        let scratch = about.scratch_home || matches!(about.via, Via::Template(_));
        let user = word_for_user(service, about.as_user.as_ref());
        let command = layout.filled(&command);
        let garbled = with_garbage(&command, &files, scratch, about.net_private, user.as_deref());
        checks.extend(garbled.map(|garbled| CounterCheck {
            command: TimedCommand { command: garbled, timeout },
            label: label(&step.command),
            refuse_output: about.refuse_output.clone(),
        }));
    }
    checks
}

/// Whether the step is known to refuse what is no certificate.
fn reads_contents(step: &ResolvedStep) -> bool {
    let contents = [Covers::LeafPem, Covers::Pem, Covers::PairSameType, Covers::Pair];
    step.step.via != Via::Live && step.step.covers.iter().any(|known| contents.contains(known))
}
