//! What is asked of a host before it is known which kind of host it is.

use super::desired::Desired;
use super::resolve::resolve;
use super::wanted::Wanted;
use crate::host::{HostKind, InspectCommand, Inspection, InspectionVariant};
use crate::model::RemotePath;

/// What to read before planning, for every kind of host that it may turn out to be. Kinds for which
/// the task says too little have nothing read; [`resolve`](super::resolve::desired) says why later.
pub fn inspect(wanted: &Wanted) -> Inspection {
    let mut variants: Vec<InspectionVariant> = Vec::new();
    for kind in HostKind::all() {
        let variant = match resolve(wanted, kind) {
            Ok(desired) => variant(&desired),
            Err(_) => InspectionVariant::default(),
        };
        // Most tasks are the same everywhere: what is equal is sent once.
        let same = variants.iter_mut().find(|known| {
            InspectionVariant { kinds: Vec::new(), ..InspectionVariant::clone(known) } == variant
        });
        match same {
            Some(known) => known.kinds.push(kind),
            None => variants.push(InspectionVariant { kinds: vec![kind], ..variant }),
        }
    }
    if let [only] = variants.as_mut_slice() {
        only.kinds.clear();
    }
    Inspection { variants, boot_guard: wanted.certificate.boot_guard, dirs: None }
}

/// What [`build`](super::build::build) looks for in the facts, in its order: destinations and kept
/// keys; service by service the checks, then the discovery.
fn variant(desired: &Desired) -> InspectionVariant {
    let files = desired.files.iter().map(|file| &file.path);
    let kept = desired.kept_keys.iter().map(|kept| &kept.path);
    let paths: Vec<RemotePath> = files.chain(kept).cloned().collect();
    let mut variant = InspectionVariant {
        kinds: Vec::new(),
        public_keys: (desired.files.len()..paths.len()).collect(),
        files: paths,
        reader: desired.reader.clone(),
        ..InspectionVariant::default()
    };
    for service in &desired.services {
        let only_if_running = match &service.running {
            Some(want) => {
                variant.running.push(want.clone());
                Some(variant.running.len() - 1)
            }
            None => None,
        };
        let discover = service.discover.as_ref().map(|discover| &discover.command);
        let prechecks = service.prechecks.iter().map(|check| &check.command);
        let commands = prechecks.chain(discover);
        variant
            .commands
            .extend(commands.map(|want| InspectCommand { command: want.clone(), only_if_running }));
        let programs = service.validate.iter().filter_map(|step| step.step.optional.as_ref());
        for program in programs {
            if !variant.programs.contains(program) {
                variant.programs.push(program.clone());
            }
        }
    }
    variant
}
