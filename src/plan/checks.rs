//! The checks of one service: of the new files before they are used, of the untouched configuration, and the checks over
//! garbage that show whether a check looks at the new files at all.

use super::command::{boot, names_files, prepared, unseen, with_garbage};
use super::container::{engine_exec, entered_with_garbage, untouched};
use super::desired::{CounterCheck, FileWant, PrecheckWant, ProbeWant, ValidateWant};
use super::error::PlanError;
use super::layout::{Layout, Service};
use super::probes;
use super::request::{CertificateRequest, Material};
use crate::host::{BootRecipe, FileRole, TimedCommand, ValidateStep, ValidateVia};
use crate::model::command::quote;
use crate::model::text::plural;
use crate::model::{CommandLine, RemotePath};
use crate::playbook::certificate::Validation;
use crate::services::{AsUser, Covers, Files, Profile, Reads, ResolvedSeal, ResolvedStep, Via};
use crate::verify::SignatureChoice;
use std::time::Duration;

/// Whether it reads the service's whole configuration (rather than a pair of files).
fn reads_configuration(step: &ResolvedStep) -> bool {
    matches!(step.step.via, Via::MountNamespace | Via::Live)
}

/// The profile's checks that stand beside the task's own.
fn steps<'a>(wanted: &CertificateRequest, service: &'a Service<'_>) -> Vec<&'a ResolvedStep> {
    // In a container only those over the mounted files: nothing else of it can be run there.
    let fits =
        |step: &&ResolvedStep| !service.is_in_container() || step.step.via == Via::MountNamespace;
    let all = service.resolved.validate.iter().filter(fits);
    match wanted.certificate.validate {
        Some(Validation::Off) => Vec::new(),
        Some(Validation::Command(_)) => all.filter(|step| !reads_configuration(step)).collect(),
        Some(Validation::Boot) | None => all.collect(),
    }
}

pub(super) fn checks_of(
    wanted: &CertificateRequest,
    layout: &Layout,
    service: &Service<'_>,
    probes: &[ProbeWant],
    first: bool,
) -> Result<Vec<ValidateWant>, PlanError> {
    let task = &wanted.certificate;
    let timeout = task.validate_timeout;
    let mut checks = Vec::new();
    if let Some((command, private_net)) = in_container(wanted, service, first) {
        checks.push(container_check(
            &command,
            private_net,
            Vec::new(),
            timeout,
            label_of_task(task),
        ));
    } else if let (Some(Validation::Command(command)), true) = (&task.validate, first) {
        let configuration = service.resolved.validate.iter().find(|step| reads_configuration(step));
        let about_files = names_files(command);
        // With a path in it, it wants the new file; without, it reads the configuration.
        let count = if about_files { service.pairs.len() } else { 1 };
        checks.extend(service.pairs.iter().take(count).map(|&pair| ValidateWant {
            label: label(command),
            covers: Vec::new(),
            as_process_user: false,
            step: ValidateStep {
                names: layout.names(service, pair, command),
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
        if service.is_in_container() {
            let about = &step.step;
            let label = label(&step.command);
            let mut check = container_check(
                &step.command,
                about.net_private,
                about.covers.clone(),
                timeout,
                label,
            );
            check.step.refuse_output.clone_from(&about.refuse_output);
            checks.push(check);
            continue;
        }
        // The configuration names every pair; a loader is shown them one by one.
        let count = if reads_configuration(step) { 1 } else { service.pairs.len() };
        let pairs = service.pairs.iter().take(count);
        checks.extend(pairs.map(|&pair| profile_check(layout, service, step, pair, timeout)));
    }
    if task.validate == Some(Validation::Boot) {
        let seal = service.resolved.seal.as_ref();
        let seal = seal.ok_or_else(|| PlanError::NoSealedBoot(service.profile.name.clone()))?;
        checks.extend(boot_check(wanted, probes, service, seal));
    }
    Ok(checks)
}

/// The task's own check, where it is one of a container's program, and whether it wants a network of its own.
fn in_container(
    wanted: &CertificateRequest,
    service: &Service<'_>,
    first: bool,
) -> Option<(CommandLine, bool)> {
    let Some(Validation::Command(command)) = wanted.certificate.validate.as_ref().filter(|_| first)
    else {
        return None;
    };
    service.container.as_ref()?;
    let command = match engine_exec(command) {
        Some((_, command)) => command,
        None => command.clone(),
    };
    // A check may take the ports of what runs.
    Some((command, true))
}

fn label_of_task(task: &crate::playbook::certificate::CertificateTask) -> String {
    match &task.validate {
        Some(Validation::Command(command)) => label(command),
        _ => String::new(),
    }
}

/// What the host runs, and with which files, is known when the container is.
fn container_check(
    command: &CommandLine,
    private_net: bool,
    covers: Vec<Covers>,
    timeout: Duration,
    label: String,
) -> ValidateWant {
    ValidateWant {
        label,
        covers,
        as_process_user: false,
        step: ValidateStep {
            command: command.clone(),
            names: Vec::new(),
            via: ValidateVia::Container,
            private_net,
            user: None,
            timeout,
            refuse_output: Vec::new(),
            optional: None,
        },
    }
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
    service: &Service<'_>,
    step: &ResolvedStep,
    pair: usize,
    timeout: Duration,
) -> ValidateWant {
    let profile = service.profile;
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
            names: layout.names(service, pair, &command),
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
    service: &Service<'_>,
    seal: &ResolvedSeal,
) -> Option<ValidateWant> {
    let first = *service.pairs.first()?;
    let materials: Vec<&Material> = service
        .pairs
        .iter()
        .filter_map(|pair| Some(wanted.materials.get(*pair)?.as_ref()))
        .collect();
    let material = *materials.first()?;
    let name = &service.profile.name;
    let named = probes.iter().find(|probe| {
        probe.pair == first && probe.service == *name && probe.alternatives.is_none()
    });
    let (port, starttls, server_name) = match named {
        Some(probe) => (probe.endpoint.port, probe.starttls, probe.server_name.clone()),
        None => (seal.recipe.port, seal.starttls(), probes::name_for(wanted, &material.leaf)),
    };
    let several = match materials.len() {
        1 => String::new(),
        count => format!(", asked for the first of {}", plural(count, "certificate")),
    };
    let kind_of = |material: &Material| SignatureChoice::of(&material.leaf.public_key);
    let kind = kind_of(material);
    let of_one_kind = materials.iter().all(|other| kind_of(other) == kind);
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
pub(super) fn prechecks(
    wanted: &CertificateRequest,
    layout: &Layout,
    service: &Service<'_>,
    first: bool,
) -> Vec<PrecheckWant> {
    let mut commands: Vec<(CommandLine, String, bool, bool)> = Vec::new();
    if let Some((command, private_net)) = in_container(wanted, service, first) {
        if !names_files(&command) {
            let label = label_of_task(&wanted.certificate);
            commands.push((untouched(&command, private_net), label, true, true));
        }
    } else if let (Some(Validation::Command(command)), true) = (&wanted.certificate.validate, first)
        && !names_files(command)
    {
        commands.push((command.clone(), label(command), false, true));
    }
    for step in steps(wanted, service).into_iter().filter(|step| reads_configuration(step)) {
        let about = &step.step;
        if service.is_in_container() {
            let command = untouched(&step.command, about.net_private);
            commands.push((command, label(&step.command), true, true));
            continue;
        }
        // Paths first: what is wrapped around them quotes them once more.
        let command = layout.filled(service, &step.command);
        let command = prepared(&command, &about.via, about.scratch_home, about.discard_output);
        let user = word_for_user(service, about.as_user.as_ref());
        let command = unseen(command, about.scratch_home, user.as_deref());
        commands.push((command, label(&step.command), false, about.via == Via::MountNamespace));
    }
    let timeout = wanted.certificate.validate_timeout;
    commands
        .into_iter()
        .map(|(command, label, in_container, staged_tells)| PrecheckWant {
            command: TimedCommand { command, timeout },
            label,
            in_container,
            staged_tells,
        })
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
pub(super) fn counter_checks(
    wanted: &CertificateRequest,
    layout: &Layout,
    service: &Service<'_>,
    first: bool,
) -> Vec<CounterCheck> {
    let Some(&first_pair) = service.pairs.first() else { return Vec::new() };
    let is_garbled = |file: &FileWant| file.pair == first_pair && file.role != FileRole::Config;
    let of_pair = layout.files.iter().filter(|file| is_garbled(file));
    let files: Vec<&RemotePath> = of_pair.map(|file| &file.path).collect();
    let timeout = wanted.certificate.validate_timeout;
    let mut checks = Vec::new();
    let pair_files = layout.files.iter().enumerate().filter(|(_, file)| is_garbled(file));
    let numbers: Vec<usize> = pair_files.map(|(index, _)| index).collect();
    let inside = |command: &CommandLine, private_net, label| CounterCheck {
        command: TimedCommand {
            command: entered_with_garbage(command, private_net, &numbers),
            timeout,
        },
        label,
        refuse_output: Vec::new(),
        in_container: true,
    };
    if let Some((command, private_net)) = in_container(wanted, service, first) {
        if !names_files(&command) {
            checks.push(inside(&command, private_net, label_of_task(&wanted.certificate)));
        }
    } else if let (Some(Validation::Command(command)), true) = (&wanted.certificate.validate, first)
    {
        let configuration = service.resolved.validate.iter().find(|step| reads_configuration(step));
        let private_net = configuration.is_some_and(|step| step.step.net_private);
        let filled = layout.filled(service, command);
        let garbled = with_garbage(&filled, &files, false, private_net, None);
        checks.extend(garbled.map(|garbled| CounterCheck {
            command: TimedCommand { command: garbled, timeout },
            label: label(command),
            refuse_output: Vec::new(),
            in_container: false,
        }));
    }
    for step in steps(wanted, service).into_iter().filter(|step| reads_contents(step)) {
        let about = &step.step;
        if service.is_in_container() {
            let mut check = inside(&step.command, about.net_private, label(&step.command));
            check.refuse_output.clone_from(&about.refuse_output);
            checks.push(check);
            continue;
        }
        let command = prepared(&step.command, &about.via, about.scratch_home, about.discard_output);
        let scratch = about.scratch_home || matches!(about.via, Via::Template(_));
        let user = word_for_user(service, about.as_user.as_ref());
        let command = layout.filled(service, &command);
        let garbled = with_garbage(&command, &files, scratch, about.net_private, user.as_deref());
        checks.extend(garbled.map(|garbled| CounterCheck {
            command: TimedCommand { command: garbled, timeout },
            label: label(&step.command),
            refuse_output: about.refuse_output.clone(),
            in_container: false,
        }));
    }
    checks
}

/// Whether the step is known to refuse what is no certificate.
fn reads_contents(step: &ResolvedStep) -> bool {
    let contents = [Covers::LeafPem, Covers::Pem, Covers::PairSameType, Covers::Pair];
    step.step.via != Via::Live && step.step.covers.iter().any(|known| contents.contains(known))
}
