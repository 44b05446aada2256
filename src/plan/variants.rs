//! A request made concrete for every kind of host, before any host has answered.

use super::container;
use super::desired::{CounterCheck, DesiredState, ProbeWant, ServiceWant, ValidateWant};
use super::error::PlanError;
use super::probes;
use super::request::CertificateRequest;
use super::resolve::resolve;
use crate::host::{HostFacts, HostKind, ProcessFacts};
use crate::model::Shared;
use crate::services::{Resolved, choose};
use std::sync::Arc;

/// A request made concrete for every kind of host, each different one once; most are the same everywhere.
#[derive(Debug)]
pub struct Variants {
    probes: Vec<ProbeWant>,
    boot_guard: bool,
    kinds: Vec<OfKinds<Arc<DesiredState>>>,
    /// For each of `kinds`, service by service, the checks over garbage.
    counter_checks: Shared<Vec<Vec<Vec<CounterCheck>>>>,
}

/// Kinds of host, and what is wanted of each.
type OfKinds<T> = (Vec<HostKind>, Result<T, PlanError>);

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
            let services = wanted.profiles.iter().zip(&wanted.certificate.services);
            let here: Vec<Resolved> = services
                .map(|(profile, service)| match service.container {
                    // What is in a container is another system than the host.
                    Some(_) => choose(profile, HostKind::default()),
                    None => choose(profile, kind),
                })
                .collect();
            match chosen.iter_mut().find(|(_, known)| *known == here) {
                Some((kinds, _)) => kinds.push(kind),
                None => chosen.push((vec![kind], here)),
            }
        }
        let resolved =
            chosen.into_iter().map(|(kinds, here)| (kinds, resolve(wanted, &probes, here)));
        let mut kinds: Vec<OfKinds<DesiredState>> = resolved.collect();
        let take = |desired: &mut DesiredState| {
            let services = desired.services.iter_mut();
            services.map(|service| std::mem::take(&mut service.counter_checks)).collect()
        };
        let counter_checks =
            kinds.iter_mut().map(|(_, desired)| desired.as_mut().map(take).unwrap_or_default());
        let counter_checks = counter_checks.collect::<Vec<_>>().into();
        // One by one into a list of its own: collected, it would keep the room of the larger ones.
        let mut shared = Vec::with_capacity(kinds.len());
        shared.extend(kinds.into_iter().map(|(kinds, desired)| (kinds, desired.map(Arc::new))));
        let kinds = shared;
        let boot_guard = wanted.certificate.boot_guard;
        Ok(Self { boot_guard, kinds, counter_checks, probes })
    }

    /// Holds what `other` holds, where the two are equal.
    pub(crate) fn hold_with(&mut self, other: &Self) {
        for ((_, own), (_, other)) in self.kinds.iter_mut().zip(&other.kinds) {
            let (Ok(own), Ok(other)) = (own, other) else { continue };
            let own = Arc::make_mut(own);
            own.services.hold_with(&other.services);
            for (file, other) in own.files.iter_mut().zip(&other.files) {
                if file == other {
                    *file = Arc::clone(other);
                }
            }
        }
        self.counter_checks.hold_with(&other.counter_checks);
    }

    /// As [`all`](Self::all), with what only a plan asks.
    pub(super) fn all_for_plan(
        &self,
    ) -> impl Iterator<Item = (&[HostKind], Result<DesiredState, &PlanError>)> {
        self.kinds.iter().zip(self.counter_checks.iter()).map(|((kinds, desired), checks)| {
            let desired = desired.as_ref();
            (kinds.as_slice(), desired.map(|desired| with(DesiredState::clone(desired), checks)))
        })
    }

    /// As [`desired`](Self::desired), with what only a plan asks.
    ///
    /// # Errors
    /// As [`of_kind`](Self::of_kind).
    pub fn desired_for_plan(&self, facts: &HostFacts) -> Result<Arc<DesiredState>, PlanError> {
        let desired = self.desired(facts)?;
        let of_kind = self.kinds.iter().position(|(kinds, _)| kinds.contains(&facts.kind));
        let checks = of_kind.and_then(|index| self.counter_checks.get(index));
        Ok(match checks {
            Some(checks) => Arc::new(with(Arc::unwrap_or_clone(desired), checks)),
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
        self.kinds.iter().map(|(kinds, desired)| (kinds.as_slice(), desired.as_deref()))
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
        self.shared(kind).map(AsRef::as_ref)
    }

    fn shared(&self, kind: HostKind) -> Result<&Arc<DesiredState>, &PlanError> {
        let of_kind = self.kinds.iter().find(|(kinds, _)| kinds.contains(&kind));
        // `of` resolves every kind that there is.
        of_kind.expect("every kind is there").1.as_ref()
    }

    /// What is wanted of the host that answered with `facts`, without the optional checks that it has no
    /// program for and without a boot guard that it cannot have. Shared, unless something about this host is otherwise.
    ///
    /// # Errors
    /// As [`of_kind`](Self::of_kind).
    pub fn desired(&self, facts: &HostFacts) -> Result<Arc<DesiredState>, PlanError> {
        let shared = self.shared(facts.kind).map_err(Clone::clone)?;
        let is_absent = |step: &ValidateWant| {
            step.step.optional.as_ref().is_some_and(|program| facts.absent.contains(program))
        };
        let is_otherwise = |service: &ServiceWant| {
            service.container.is_some()
                || service.process.is_some()
                || service.validate.iter().any(is_absent)
        };
        let no_guard = shared.boot_guard && facts.boot_guard.obstacle().is_some();
        if !no_guard && !shared.services.iter().any(is_otherwise) {
            return Ok(Arc::clone(shared));
        }
        let mut desired = DesiredState::clone(shared);
        if desired.services.iter().any(|service| service.validate.iter().any(is_absent)) {
            leave_out_checks(&mut desired, facts);
        }
        as_the_process(&mut desired, facts);
        container::settle(&mut desired, facts);
        if desired.boot_guard
            && let Some(why) = facts.boot_guard.obstacle()
        {
            desired.boot_guard = false;
            desired.notes.push(format!(
                "boot_guard: {why}; after a power loss in the middle the next contact settles it"
            ));
        }
        Ok(Arc::new(desired))
    }
}

/// Optional checks whose program the host does not have.
fn leave_out_checks(desired: &mut DesiredState, facts: &HostFacts) {
    let mut left_out = Vec::new();
    for service in desired.services.iter_mut() {
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
}

fn with(mut desired: DesiredState, counter_checks: &[Vec<CounterCheck>]) -> DesiredState {
    for (service, checks) in desired.services.iter_mut().zip(counter_checks) {
        service.counter_checks.clone_from(checks);
        service.prechecks.iter_mut().for_each(|check| check.staged_tells = false);
        service.discover.iter_mut().for_each(|discover| discover.handshake_tells = false);
    }
    desired
}

/// The user who runs a service checks the new files, and reads the key.
fn as_the_process(desired: &mut DesiredState, facts: &HostFacts) {
    let has_such_a_check = |service: &ServiceWant| {
        service.process.is_some() && service.validate.iter().any(|check| check.as_process_user)
    };
    if !desired.services.iter().any(has_such_a_check) {
        return;
    }
    let asked = desired.services.iter_mut().filter(|service| service.process.is_some());
    for (service, process) in asked.zip(&facts.processes) {
        let Some(user) = process.as_ref().and_then(ProcessFacts::user_name) else { continue };
        let checks = service.validate.iter_mut().filter(|check| check.as_process_user);
        let mut usual = None;
        for check in checks {
            usual = check.step.user.replace(user.to_owned()).filter(|usual| usual != user);
        }
        let Some(usual) = usual else { continue };
        if desired.reader.as_ref() == Some(&usual) {
            // Whether another one can read them was not asked; the check will tell.
            desired.reader = None;
        }
        // What is made for the usual one's group is the other one's own.
        for file in desired.files.iter_mut().filter(|file| file.role.holds_key()) {
            let fallback = &mut Arc::make_mut(file).fallback;
            if fallback.group.as_ref() == Some(&usual) {
                fallback.owner = Some(user.to_owned());
                fallback.group = Some("root".to_owned());
            }
        }
    }
}
