//! From what is wanted and what is there to what will be done.
//!
//! [`build`] is a function of its arguments: called twice it gives the same plan, and applied to the
//! facts that its own execution leaves behind it plans nothing.

use super::alternatives;
use super::container;
use super::discovery;
use super::experimental;
use super::file_plan::plan_file;
use super::host_plan::{Decision, FilePlan, HostPlan, PlannedPlace, SeenBefore};
use super::inspection::{HostView, LookFailure, PlaceView};
use super::obstacles::obstacle_to_all;
use super::spool;
use crate::material::Certificate;
use crate::model::text::printable;
use crate::model::{FileAction, Step, Timestamp};
use crate::playbook::certificate::WhenStopped;
use crate::verify::Refusal;

/// Plans one task on one host, at the moment `now` of the run.
pub fn build(view: &HostView, now: Timestamp) -> HostPlan {
    let mut notes = Vec::new();
    let mut files: Vec<FilePlan> =
        view.files().map(|file| plan_file(file, view, &mut notes)).collect();
    let alternatives::Decided { mut places, notes: about_places } = alternatives::decide(view);
    let asleep = view.asleep();
    places.retain(|place| !asleep.contains(&place.probe.service.as_str()));
    let obstacle = obstacle_to_all(view, &files, &mut notes);
    let mut decision = obstacle.unwrap_or_else(|| decide(&files, &places, &mut notes));
    if matches!(decision, Decision::Change | Decision::ReloadOnly)
        && let Some(stopped) = stopped(view)
    {
        decision = match view.desired().when_stopped {
            WhenStopped::Fail => Decision::blocked(
                Step::Inspect,
                format!(
                    "{stopped} is not running: start it, or say in the task `when_stopped: deploy` (its \
                     files are written all the same) or `when_stopped: skip`"
                ),
            ),
            WhenStopped::Skip => {
                left_alone(&mut files, &stopped);
                places.clear();
                notes.clear();
                notes.push(format!("{stopped} is not running: left alone (when_stopped: skip)"));
                Decision::Unchanged
            }
            WhenStopped::Deploy => {
                notes.push(format!(
                    "{stopped} is not running: it is neither told nor looked at, and reads the new files \
                     when it starts (when_stopped: deploy)"
                ));
                decision
            }
        };
    }
    if decision != Decision::Unchanged {
        notes.extend(about_places);
        blind_checks(view, &mut notes);
        notes.extend(container::remarks(view));
        aging(&files, now, &mut notes);
        if let Some(locked) = &view.facts().lock {
            notes.push(format!(
                "process {} is working on this host right now ({})",
                locked.pid, locked.note
            ));
        }
    }
    if matches!(decision, Decision::Change | Decision::ReloadOnly) {
        notes.extend(wrong_names(view, &places));
        let untried = experimental::judge(view.desired(), &mut notes);
        let judged = spool::judge(view, &files, &places, &mut notes);
        decision = untried.or(judged).unwrap_or(decision);
    }
    if matches!(decision, Decision::Change | Decision::ReloadOnly) {
        decision = unverifiable(view, &places).unwrap_or(decision);
    }
    if decision == Decision::ReloadOnly {
        files.iter_mut().for_each(|file| file.action = FileAction::ReloadOnly);
    }
    notes.extend(leftovers(view));
    notes.extend(discovery::warnings(view, &files));
    let mut known = std::collections::HashSet::new();
    notes.retain(|note| known.insert(note.clone()));
    HostPlan { files, decision, places, notes, unproven: Vec::new(), by_service: Vec::new() }
}

/// The looks at the places that count.
fn looks<'a>(
    view: &'a HostView,
    places: &'a [PlannedPlace],
) -> impl Iterator<Item = PlaceView<'a>> + 'a {
    let counts = |looked: &PlaceView<'_>| {
        places.iter().any(|place| {
            let (one, other) = (&place.probe, looked.probe);
            (&one.endpoint, &one.server_name, one.via, one.leaf)
                == (&other.endpoint, &other.server_name, other.via, other.leaf)
        })
    };
    view.places().filter(counts)
}

/// A certificate or a server that no handshake can judge would have to be rolled back, however good the change was.
fn unverifiable(view: &HostView, places: &[PlannedPlace]) -> Option<Decision> {
    let beyond = places.iter().find_map(|place| place.probe.beyond_judging.as_ref());
    if let Some(why) = beyond {
        let why = format!(
            "{why}, so nothing could show that the new certificate is served: take another kind of key, or say \
             `verify: false` to roll it out without a look"
        );
        return Some(Decision::blocked(Step::Verify, why));
    }
    looks(view, places).find_map(|place| match place.look {
        Err(LookFailure::Refused(refusal @ Refusal::Unverifiable { .. })) => {
            let advice = refusal.advice().join("; ");
            let why = format!("{}: {}; {advice}", place.probe.endpoint, refusal.describe());
            Some(Decision::blocked(Step::Verify, why))
        }
        _ => None,
    })
}

/// Places where a default virtual host answers, and addresses that the new certificate is not for.
fn wrong_names(view: &HostView, places: &[PlannedPlace]) -> Vec<String> {
    let mut notes = Vec::new();
    for PlaceView { probe, look } in looks(view, places) {
        let place = &probe.endpoint;
        let wanted =
            view.files().find(|file| file.want.pair == probe.pair && file.want.leaf.is_some());
        let wanted = wanted.and_then(|file| file.want.leaf.as_ref());
        if let (None, Some(leaf)) = (&probe.server_name, wanted)
            && !leaf.covers(&place.host)
        {
            notes.push(format!(
                "{place} is looked at by an address that the new certificate does not cover (it is for {}): \
                 clients that connect to that address will refuse it",
                leaf.names()
            ));
        }
        let (Ok(served), Some(name)) = (look, &probe.server_name) else { continue };
        let ours =
            served.leaf == probe.leaf || view.leaves_on_disk(probe.pair).contains(&served.leaf);
        let shown = served.chain.first().and_then(|der| Certificate::from_der(der));
        if let Some(shown) = shown.filter(|shown| !ours && !shown.covers(name)) {
            notes.push(format!(
                "{place} answers to {name} with a certificate for {}: no virtual host there has that name, so \
                 the default one answers, or another machine does",
                shown.names()
            ));
        }
    }
    notes
}

/// The services that do not run, in words.
fn stopped(view: &HostView) -> Option<String> {
    let stopped = view.services().filter(|service| service.up == Some(false));
    let names: Vec<String> = stopped.map(|service| service.want.shown()).collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

/// Nothing is done to the files.
fn left_alone(files: &mut [FilePlan], stopped: &str) {
    for file in files {
        file.action = FileAction::Unchanged;
        file.detail = format!("left alone: {stopped} is not running");
        (file.owner, file.group, file.mode) = (None, None, None);
    }
}

fn decide(files: &[FilePlan], places: &[PlannedPlace], notes: &mut Vec<String>) -> Decision {
    let files_differ = files.iter().any(|file| !file.action.keeps_file());
    let mut served_otherwise = false;
    for PlannedPlace { probe, before } in places {
        match before {
            SeenBefore::Leaf(leaf) if *leaf == probe.leaf => {}
            SeenBefore::Leaf(leaf) => {
                served_otherwise = true;
                if !files_differ {
                    notes.push(format!(
                        "drift: the files are right, but {} serves {} instead of {}",
                        probe.endpoint,
                        leaf.short(),
                        probe.leaf.short()
                    ));
                }
            }
            SeenBefore::Nothing(_) => served_otherwise = true,
        }
    }
    if files_differ {
        Decision::Change
    } else if served_otherwise {
        Decision::ReloadOnly
    } else {
        Decision::Unchanged
    }
}

/// A check that could not have failed proves nothing, however well it goes.
fn blind_checks(view: &HostView, notes: &mut Vec<String>) {
    for service in view.services() {
        notes.extend(service.blind_checks().map(|label| {
            format!(
                "{}: `{label}` passes with garbage in place of the new files: it sees the live files only, and \
                 proves nothing about the new ones",
                service.want.name
            )
        }));
    }
}

/// What interrupted runs left beside the files. Nothing live depends on it, but a key may lie in it.
fn leftovers(view: &HostView) -> Vec<String> {
    let orphans = view.files().flat_map(|file| &file.there.orphans);
    orphans
        .map(|orphan| {
            format!(
                "{}: an interrupted run left this directory, perhaps with a key in it; `certroll recover` removes it",
                printable(orphan, 4096)
            )
        })
        .collect()
}

/// A new certificate that ends sooner than the one in place is seldom meant.
fn aging(files: &[FilePlan], now: Timestamp, notes: &mut Vec<String>) {
    for file in files {
        let (Some(new), Some(old)) = (&file.want.leaf, &file.present) else { continue };
        if Some(old).is_some_and(|old| {
            old.fingerprint != new.fingerprint
                && old.validity.not_after.date() > new.validity.not_after.date()
        }) {
            notes.push(format!(
                "{}: the new certificate ends sooner ({}, {} days left) than the one in place ({})",
                file.want.path,
                new.validity.not_after.date(),
                new.validity.days_left(now),
                old.validity.not_after.date()
            ));
        }
    }
}
