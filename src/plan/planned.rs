//! A plan as it is told and kept: everything that is done on a host, exactly, and no byte of it that is secret.

use super::desired::{DesiredState, ServiceWant};
use super::host_plan::{HostPlan, PlannedPlace};
use super::inspection::HostView;
use super::rows::rows;
use crate::event::planned::{PlannedCommand, PlannedHandshake, PlannedTask};
use crate::model::{Fingerprint, Guarantee, Timestamp, Via};

/// What a plan comes to. `place`: where its task is written.
pub(crate) fn planned(
    view: &HostView,
    plan: &HostPlan,
    place: Option<String>,
    guarantee: Guarantee,
    now: Timestamp,
) -> PlannedTask {
    let desired = view.desired();
    PlannedTask {
        task: desired.task.clone(),
        place,
        guarantee,
        rows: rows(view, plan, now),
        commands: commands(desired),
        handshakes: plan.places.iter().map(handshake).collect(),
    }
}

fn commands(desired: &DesiredState) -> Vec<PlannedCommand> {
    let mut all: Vec<PlannedCommand> = desired.services.iter().flat_map(of_service).collect();
    all.extend(desired.checks.iter().map(|check| PlannedCommand {
        service: None,
        purpose: "check".to_owned(),
        command: check.command.brief(),
        sha256: exactly(check),
    }));
    all
}

fn of_service(service: &ServiceWant) -> Vec<PlannedCommand> {
    let one = |purpose: &str, command: String, sha256| PlannedCommand {
        service: Some(service.name.clone()),
        purpose: purpose.to_owned(),
        command,
        sha256,
    };
    let checks = service.validate.iter();
    let mut all: Vec<PlannedCommand> =
        checks.map(|check| one("validate", check.label.clone(), exactly(&check.step))).collect();
    let export = service.import.as_ref().and_then(|import| import.seed.as_ref());
    all.extend(export.map(|seed| one("export", seed.command.brief(), exactly(seed))));
    let named = [("reload", &service.reload), ("recover", &service.recover)];
    all.extend(named.into_iter().filter_map(|(purpose, command)| {
        let command = command.as_ref()?;
        Some(one(purpose, command.command.brief(), exactly(command)))
    }));
    all
}

/// Every word and limit of a command; they hold no secret that the command line would not show.
fn exactly(command: &impl std::fmt::Debug) -> Fingerprint {
    Fingerprint::of(format!("{command:?}").as_bytes())
}

fn handshake(place: &PlannedPlace) -> PlannedHandshake {
    let probe = &place.probe;
    let via = match probe.via {
        Via::Controller => "controller",
        Via::Host => "host",
        Via::Bastion => "bastion",
    };
    PlannedHandshake {
        service: probe.service.clone(),
        endpoint: probe.endpoint.clone(),
        server_name: probe.server_name.clone(),
        starttls: probe.starttls.name().to_owned(),
        via: via.to_owned(),
        leaf: probe.leaf,
    }
}
