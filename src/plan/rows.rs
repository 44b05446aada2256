//! The rows of the planning table, made from a plan.

use super::desired::{DesiredState, ProbeWant, ValidateWant};
use super::host_plan::{Decision, FileAction, FilePlan, HostPlan, PlannedPlace};
use super::inspection::HostView;
use super::row::{PlanAction, PlanRow, brief};
use crate::host::{HostFacts, ValidateVia};
use crate::model::{HostName, StartTls, Timestamp};
use crate::services::Covers;

/// One row per file; a host whose key stays has rows for the certificates alone.
pub fn rows(view: &HostView, plan: &HostPlan, now: Timestamp) -> Vec<PlanRow> {
    let desired = view.desired();
    let service = services(desired);
    let idle = plan.decision == Decision::Unchanged;
    let validate = if idle { String::new() } else { validation(desired, view.facts()) };
    let reload = if idle { String::new() } else { reload(desired) };
    let mut rows: Vec<PlanRow> = plan
        .files
        .iter()
        .map(|file| PlanRow {
            host: desired.host.clone(),
            service: service.clone(),
            file: file.want.path.to_string(),
            action: action(file, &plan.decision),
            now: file.present.as_ref().map(|leaf| brief(leaf, now)),
            wanted: file.want.leaf.as_ref().map(|leaf| brief(leaf, now)),
            detail: file.detail.clone(),
            validate: validate.clone(),
            reload: reload.clone(),
            verify: verification(&plan.places, file.want.pair),
            notes: Vec::new(),
        })
        .collect();
    for note in plan.notes.iter().chain(&desired.notes) {
        // A note about a file stands with that file, others with the first.
        let place = rows.iter().position(|row| {
            note.strip_prefix(row.file.as_str()).is_some_and(|rest| rest.starts_with([' ', ':']))
        });
        if let Some(row) = rows.get_mut(place.unwrap_or(0)) {
            row.notes.push(note.clone());
        }
    }
    if let Decision::Blocked { why, .. } = &plan.decision {
        // Where one thing is in the way nothing is done.
        for row in rows.iter_mut().filter(|row| row.action.is_pending()) {
            row.action = PlanAction::Blocked(why.clone());
        }
        if !rows.iter().any(|row| matches!(row.action, PlanAction::Blocked(_))) {
            match rows.first_mut() {
                Some(row) => row.action = PlanAction::Blocked(why.clone()),
                None => rows.push(blocked_row(&desired.host, &service, why)),
            }
        }
    }
    rows
}

/// The one row of a host of which nothing more can be said.
pub fn blocked_row(host: &HostName, service: &str, why: &str) -> PlanRow {
    PlanRow {
        host: host.clone(),
        service: service.to_owned(),
        file: String::new(),
        action: PlanAction::Blocked(why.to_owned()),
        now: None,
        wanted: None,
        detail: String::new(),
        validate: String::new(),
        reload: String::new(),
        verify: String::new(),
        notes: Vec::new(),
    }
}

fn services(desired: &DesiredState) -> String {
    let names: Vec<&str> = desired.services.iter().map(|service| service.name.as_str()).collect();
    names.join(", ")
}

fn action(file: &FilePlan, decision: &Decision) -> PlanAction {
    match &file.action {
        FileAction::Create => PlanAction::Create,
        FileAction::Replace => PlanAction::Replace,
        FileAction::RepairMode => PlanAction::RepairMode,
        FileAction::Blocked(why) => PlanAction::Blocked(why.clone()),
        FileAction::Keep if *decision == Decision::ReloadOnly => PlanAction::ReloadOnly,
        FileAction::Keep => PlanAction::Unchanged,
    }
}

/// What checks the new files on this host, how, and what that truly covers.
fn validation(desired: &DesiredState, facts: &HostFacts) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut covers: Vec<Covers> = Vec::new();
    for step in desired.services.iter().flat_map(|service| &service.validate) {
        covers.extend(&step.covers);
        let text = format!("{} {}", step.label, way(step, facts));
        if !shown.contains(&text) {
            shown.push(text);
        }
    }
    if shown.is_empty() {
        return "nothing on the host; pair, dates, chain and names on the controller".to_owned();
    }
    covers.sort_unstable();
    covers.dedup();
    let words: Vec<&str> = covers.into_iter().map(Covers::describe).collect();
    let text = shown.join(", then ");
    if words.is_empty() { text } else { format!("{text} (covers: {})", words.join(", ")) }
}

fn way(step: &ValidateWant, facts: &HostFacts) -> &'static str {
    match step.step.via {
        ValidateVia::MountNamespace if facts.tools.mount_namespace => {
            "in a private mount namespace"
        }
        ValidateVia::MountNamespace | ValidateVia::Live => "after the switch, before the reload",
        ValidateVia::Staged => "on the staged files",
        ValidateVia::Boot(_) if facts.tools.mount_namespace => "in private namespaces",
        ValidateVia::Boot(_) => "(this host cannot make namespaces)",
    }
}

fn reload(desired: &DesiredState) -> String {
    let commands: Vec<String> = desired
        .services
        .iter()
        .filter_map(|service| service.reload.as_ref())
        .map(|reload| reload.command.brief())
        .collect();
    if commands.is_empty() {
        "nothing: the service picks up new files by itself".to_owned()
    } else {
        commands.join(", then ")
    }
}

/// The handshakes about one certificate of the task.
fn verification(places: &[PlannedPlace], pair: usize) -> String {
    let probes = places.iter().map(|place| &place.probe);
    let mine: Vec<&ProbeWant> = probes.filter(|probe| probe.pair == pair).collect();
    let any = mine.iter().any(|probe| probe.alternatives.is_some());
    let shown: Vec<String> = mine.into_iter().map(place).collect();
    match shown.as_slice() {
        [] if places.is_empty() => "nothing: verification is off".to_owned(),
        [] => "nothing: no endpoint of `verify` is about this certificate".to_owned(),
        _ if any => format!("one of {}", shown.join(", ")),
        _ => shown.join(", "),
    }
}

/// `192.0.2.1:587 STARTTLS smtp (www.example.net)`.
fn place(probe: &ProbeWant) -> String {
    let mut text = probe.endpoint.to_string();
    if probe.starttls != StartTls::None {
        text.push_str(&format!(" STARTTLS {}", probe.starttls.name()));
    }
    match &probe.server_name {
        Some(name) if *name != probe.endpoint.host => format!("{text} ({name})"),
        _ => text,
    }
}
