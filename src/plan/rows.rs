//! The rows of the planning table, made from a plan.

use super::desired::{DesiredState, ProbeWant, ServiceWant, ValidateWant};
use super::host_plan::{Decision, FilePlan, HostPlan, PlannedPlace};
use super::inspection::HostView;
use super::row::{PlanRow, brief};
use crate::host::{HostFacts, ValidateVia};
use crate::model::{FileAction, HostName, StartTls, Timestamp};
use crate::services::Covers;

/// One row per file; a host whose key stays has rows for the certificates alone.
pub fn rows(view: &HostView, plan: &HostPlan, now: Timestamp) -> Vec<PlanRow> {
    let desired = view.desired();
    let service = services(desired);
    let idle = plan.decision == Decision::Unchanged;
    let validate = if idle { String::new() } else { validation(view) };
    let asleep = view.asleep();
    let reload = if idle { String::new() } else { reload(desired, &asleep) };
    let mut rows: Vec<PlanRow> = plan
        .files
        .iter()
        .map(|file| PlanRow {
            host: desired.host.clone(),
            service: service.clone(),
            file: file.want.path.to_string(),
            action: file.action.clone(),
            now: file.present.as_ref().map(|leaf| brief(leaf, now).into()),
            wanted: file.want.leaf.as_ref().map(|leaf| brief(leaf, now).into()),
            real_path: real_path(file),
            before: file.before,
            after: file.want.digest,
            owner: file.owner.clone(),
            group: file.group.clone(),
            mode: file.mode.map(|mode| mode.to_string()),
            detail: detail(file, &plan.files),
            difference: file.difference.clone(),
            validate: validate.clone(),
            reload: reload.clone(),
            verify: verification(&plan.places, file.want.pair, &asleep),
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
            row.action = FileAction::Blocked(why.clone());
        }
        if !rows.iter().any(|row| matches!(row.action, FileAction::Blocked(_))) {
            match rows.first_mut() {
                Some(row) => row.action = FileAction::Blocked(why.clone()),
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
        action: FileAction::Blocked(why.to_owned()),
        real_path: None,
        now: None,
        wanted: None,
        before: None,
        after: None,
        owner: None,
        group: None,
        mode: None,
        detail: String::new(),
        difference: None,
        validate: String::new(),
        reload: String::new(),
        verify: String::new(),
        notes: Vec::new(),
    }
}

fn real_path(file: &FilePlan) -> Option<String> {
    file.real_path.as_ref().filter(|path| **path != file.want.path).map(ToString::to_string)
}

fn services(desired: &DesiredState) -> String {
    let names: Vec<String> = desired.services.iter().map(ServiceWant::shown).collect();
    names.join(", ")
}

/// What checks the new files on this host, how, and what that truly covers.
fn validation(view: &HostView) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut covers: Vec<Covers> = Vec::new();
    for service in view.services() {
        let blind: Vec<&str> = service.blind_checks().collect();
        for step in &service.want.validate {
            let text = if blind.contains(&step.label.as_str()) {
                format!("{} sees the live files only", step.label)
            } else {
                covers.extend(&step.covers);
                format!("{} {}", step.label, way(step, view.facts()))
            };
            if !shown.contains(&text) {
                shown.push(text);
            }
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
        ValidateVia::Throwaway => "in a throwaway container",
        ValidateVia::Container => "in a private copy of the container's mounts",
        ValidateVia::Boot(_) if facts.tools.mount_namespace => "in private namespaces",
        ValidateVia::Boot(_) => "(this host cannot make namespaces)",
    }
}

/// What else there is to say about a file: whether its key changes, what changes besides the bytes, and what they lack.
fn detail(file: &FilePlan, all: &[FilePlan]) -> String {
    let issuer = file.want.missing_issuer.as_ref().filter(|_| !file.action.keeps_file());
    let lacks = issuer.map(|issuer| format!("without the intermediate '{issuer}'"));
    let rest = Some(file.detail.clone()).filter(|text| !text.is_empty());
    let parts = [key_change(file, all), rest, lacks];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Whether a written key is another one than that of the certificate that is there, by digests of the public halves.
fn key_change(file: &FilePlan, all: &[FilePlan]) -> Option<String> {
    let written = matches!(file.action, FileAction::Create | FileAction::Replace);
    if !written || !file.want.role.holds_key() {
        return None;
    }
    let mine = all.iter().filter(|one| one.want.pair == file.want.pair);
    let (want, present) = mine
        .filter_map(|one| Some((one.want.leaf.as_ref()?, one.present.as_ref())))
        .max_by_key(|(_, present)| present.is_some())?;
    let new = want.public_key.fingerprint();
    Some(match present.map(|leaf| leaf.public_key.fingerprint()) {
        None => format!("public half {}", new.short()),
        Some(old) if old == new => format!("the same key, public half {}", new.short()),
        Some(old) => format!("another key, public half {} → {}", old.short(), new.short()),
    })
}

/// What loads the files, and what that costs those who are connected.
fn reload(desired: &DesiredState, asleep: &[&str]) -> String {
    let sleeps = |service: &ServiceWant| asleep.contains(&service.name.as_str());
    let all = desired.services.iter();
    let told: Vec<&ServiceWant> = all.clone().filter(|service| !sleeps(service)).collect();
    let commands = all.filter_map(|service| service.told(sleeps(service)));
    let commands: Vec<String> = commands.map(|told| told.command.brief()).collect();
    let how = match (told.as_slice(), commands.is_empty()) {
        ([], true) if desired.services.is_empty() => {
            return "nothing: whatever uses the new pair loads it by itself".to_owned();
        }
        ([], true) => return "nothing: the service is not running".to_owned(),
        (_, true) => "nothing: the service picks up new files by itself".to_owned(),
        (_, false) => commands.join(", then "),
    };
    let mut costs: Vec<&str> =
        told.iter().filter_map(|service| service.reload_costs.as_deref()).collect();
    costs.dedup();
    if costs.is_empty() {
        how
    } else {
        format!("{how}; those who are connected: {}", costs.join("; "))
    }
}

/// The handshakes about one certificate of the task.
fn verification(places: &[PlannedPlace], pair: usize, asleep: &[&str]) -> String {
    let probes = places.iter().map(|place| &place.probe);
    let mine: Vec<&ProbeWant> = probes.filter(|probe| probe.pair == pair).collect();
    let any = mine.iter().any(|probe| probe.alternatives.is_some());
    let shown: Vec<String> = mine.into_iter().map(place).collect();
    match shown.as_slice() {
        [] if !asleep.is_empty() => "nothing: the service is not running".to_owned(),
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
