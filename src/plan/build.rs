//! From what is wanted and what is there to what will be done.
//!
//! [`build`] is a function of its arguments: called twice it gives the same plan, and applied to the
//! facts that its own execution leaves behind it plans nothing.

use super::alternatives;
use super::desired::FileWant;
use super::discovery;
use super::host_plan::{
    Decision, FailedCheck, FileAction, FilePlan, HostPlan, PlannedPlace, SeenBefore,
};
use super::inspection::{FileView, HostView, LookFailure, PlaceView};
use super::reload_reader;
use crate::host::{CommandResult, FileFacts, FileState, HostFacts, RegularFile};
use crate::material::Certificate;
use crate::model::{FileMode, Step, Timestamp};
use crate::playbook::certificate::WhenStopped;
use crate::verify::Refusal;

/// Plans one task on one host, at the moment `now` of the run.
pub fn build(view: &HostView, now: Timestamp) -> HostPlan {
    let mut notes = Vec::new();
    let mut files: Vec<FilePlan> =
        view.files().map(|file| plan_file(file, view.facts(), &mut notes)).collect();
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
        decision = unverifiable(view, &places).unwrap_or(decision);
    }
    notes.extend(discovery::warnings(view, &files));
    let mut known = std::collections::HashSet::new();
    notes.retain(|note| known.insert(note.clone()));
    HostPlan { files, decision, places, notes, unproven: Vec::new(), by_workers: Vec::new() }
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
    let names: Vec<&str> = stopped.map(|service| service.want.name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(" and "))
}

/// Nothing is done to the files.
fn left_alone(files: &mut [FilePlan], stopped: &str) {
    for file in files {
        file.action = FileAction::Keep;
        file.detail = format!("left alone: {stopped} is not running");
        (file.owner, file.group, file.mode) = (None, None, None);
    }
}

/// Services of which neither a program nor a process is there, in words.
fn not_installed(view: &HostView) -> Option<String> {
    let absent = &view.facts().absent;
    let mut missing = view.services().filter_map(|service| {
        let program = service.want.program.as_ref().filter(|name| absent.contains(name))?;
        let runs = service.up == Some(true);
        (!runs).then(|| format!("{} (no program {program})", service.want.name))
    });
    let first = missing.next()?;
    Some(format!("not installed: {}", missing.fold(first, |all, one| format!("{all}, {one}"))))
}

/// A service that watches the directory of a link sees no rename behind it.
fn behind_a_link(view: &HostView, files: &[FilePlan]) -> Option<String> {
    let mut watchers = view.desired().services.iter();
    let watcher = watchers.find(|service| service.watches_renames && service.reload.is_none())?;
    files.iter().zip(view.files()).find_map(|(plan, file)| {
        let (path, real) = (&plan.want.path, file.there.real_path.as_ref()?);
        let behind = !file.there.via_links.is_empty() && path.directory() != real.directory();
        (behind && plan.action != FileAction::Keep).then(|| {
            format!(
                "{path} is a link to {real}, and {} watches the link's directory: it would not see the file \
                 behind the link change. Name files that are none in `dest`, have whoever made the links \
                 renew them, or give the task a `reload:` command",
                watcher.name
            )
        })
    })
}

/// Why nothing can be done, whatever is served.
fn obstacle_to_all(
    view: &HostView,
    files: &[FilePlan],
    notes: &mut Vec<String>,
) -> Option<Decision> {
    let missing = view.facts().missing_tools();
    if !missing.is_empty() {
        let why = format!("the host has no {}", missing.join(", no "));
        return Some(Decision::blocked(Step::Inspect, why));
    }
    if let Some(why) = not_installed(view) {
        return Some(Decision::blocked(Step::Inspect, why));
    }
    for file in files {
        if let FileAction::Blocked(why) = &file.action {
            let why = format!("{}: {why}", file.want.path);
            return Some(Decision::blocked(Step::Inspect, why));
        }
    }
    if let Some(why) = behind_a_link(view, files) {
        return Some(Decision::blocked(Step::Inspect, why));
    }
    if let Some(why) = recorded_key(view, files, notes) {
        return Some(Decision::blocked(Step::Inspect, why));
    }
    if let Some(why) = reload_reader::fault(view, files) {
        return Some(Decision::blocked(Step::Check, why));
    }
    if let Some(why) = kept_key_fault(view) {
        return Some(Decision::blocked(Step::Check, why));
    }
    let first_time = files.iter().any(|file| file.action == FileAction::Create);
    for (why, check) in failed_prechecks(view) {
        if !first_time {
            return Some(Decision::Blocked { step: Step::Validate, why, check: Some(check) });
        }
        // It may well fail because the files are not there yet; the staged ones will tell.
        notes.push(format!("{why}; it is tried again with the new files in place"));
    }
    None
}

/// Why a key may not be sent to a host whose sudo keeps what it is given.
fn recorded_key(view: &HostView, files: &[FilePlan], notes: &mut Vec<String>) -> Option<String> {
    let sent = |file: &FilePlan| {
        file.want.role.holds_key()
            && file.want.generation.is_none()
            && matches!(file.action, FileAction::Create | FileAction::Replace)
    };
    if !view.facts().input_log || !files.iter().any(sent) {
        return None;
    }
    let why = "sudo records its input here (log_input or log_stdin), so the private key would be in its log";
    if view.desired().allow_input_log {
        notes.push(format!("{why} (allow_input_log)"));
        return None;
    }
    Some(format!(
        "{why}; switch that off for this login in sudoers, log in as root, or say \
         `allow_input_log: true` in the task"
    ))
}

/// Checks that the untouched host does not pass, each with one line for people.
fn failed_prechecks(view: &HostView) -> Vec<(String, FailedCheck)> {
    let mut failed = Vec::new();
    for service in view.services() {
        for check in &service.prechecks {
            let (label, result) = (&check.want.label, check.result);
            if check.is_failed() {
                let output = printed(result);
                let why = format!(
                    "{}: `{}` fails on the untouched host{}",
                    service.want.name,
                    label,
                    cause(result, &output)
                );
                let exit_code = (!result.late).then_some(result.rc);
                let command = label.clone();
                failed.push((why, FailedCheck { command, exit_code, output }));
            }
        }
    }
    failed
}

fn decide(files: &[FilePlan], places: &[PlannedPlace], notes: &mut Vec<String>) -> Decision {
    let files_differ = files.iter().any(|file| file.action != FileAction::Keep);
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

fn printed(result: &CommandResult) -> String {
    let output = [result.stdout.as_slice(), b"\n", result.stderr.as_slice()].concat();
    crate::model::text::printable(&output, 4096)
}

/// What a failed check says in one line: the first that looks like the cause, else the last.
fn cause(result: &CommandResult, output: &str) -> String {
    if result.late {
        return " (timed out)".to_owned();
    }
    let is_cause = |line: &&str| {
        let line = line.to_lowercase();
        ["emerg", "alert", "error", "fatal"].iter().any(|word| line.contains(word))
    };
    let mut lines = output.lines().map(str::trim).filter(|line| !line.is_empty());
    let last = lines.clone().next_back();
    match lines.find(is_cause).or(last) {
        Some(line) => format!(": {line}"),
        None => String::new(),
    }
}

fn spki_of_public_key_pem(pem: &[u8]) -> Option<Vec<u8>> {
    use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
    SubjectPublicKeyInfoDer::from_pem_slice(pem).ok().map(|spki| spki.to_vec())
}

/// Where the host keeps its own key, that key must belong to the new leaf.
fn kept_key_fault(view: &HostView) -> Option<String> {
    for kept in view.kept_keys() {
        let path = &kept.want.path;
        let Some(file) = kept.there.file() else {
            return Some(format!("{path}: no source.key is given and the host has no key there"));
        };
        match &file.public_key_pem {
            Some(pem) => {
                if spki_of_public_key_pem(pem).as_deref() != Some(kept.want.leaf.spki.as_slice()) {
                    return Some(format!(
                        "{path}: the key that the host keeps does not belong to the new certificate"
                    ));
                }
            }
            None => {
                return Some(format!(
                    "{path}: the host cannot show the public part of its key (it needs openssl), so \
                     it cannot be told whether the key belongs to the new certificate"
                ));
            }
        }
    }
    None
}

fn plan_file(file: FileView<'_>, facts: &HostFacts, notes: &mut Vec<String>) -> FilePlan {
    let FileView { want, there } = file;
    let mut plan = FilePlan {
        want: want.clone(),
        present: there.leaf().cloned(),
        action: FileAction::Keep,
        before: there.sha256(),
        real_path: there.real_path.clone(),
        missing_directories: there.missing_directories.clone(),
        owner: None,
        group: None,
        mode: None,
        detail: String::new(),
    };
    plan.action = match &there.state {
        FileState::Directory => blocked("a directory is in the way"),
        FileState::Special => blocked("it is neither a file nor a symbolic link"),
        FileState::LinkLoop => blocked("its symbolic links form a loop"),
        FileState::Unreadable => {
            blocked(&format!("{} cannot read it; `become: true` may be missing", facts.user))
        }
        FileState::Absent | FileState::DanglingLink => {
            // Only root can give a file away; what others create is their own.
            let fallback = |value: &Option<String>| value.clone().filter(|_| facts.uid == 0);
            plan.owner = want.wanted.owner.clone().or_else(|| fallback(&want.fallback.owner));
            plan.group = want.wanted.group.clone().or_else(|| fallback(&want.fallback.group));
            plan.mode = want.wanted.mode.or(want.fallback.mode);
            FileAction::Create
        }
        FileState::File(file) => attributes(&mut plan, want, file),
    };
    if plan.action != FileAction::Keep
        && let Some(why) = obstacle(there, want)
    {
        plan.action = FileAction::Blocked(why);
    }
    if let Some(owner) = plan.owner.clone()
        && !matches!(plan.action, FileAction::Blocked(_))
        && facts.uid != 0
        && !names(&owner, &facts.user, facts.uid)
    {
        let user = &facts.user;
        plan.action =
            blocked(&format!("{user} cannot give it to {owner}; `become: true` may be missing"));
    }
    remarks(want, there, &plan, notes);
    plan
}

/// Fills in what changes besides the bytes, and names the act.
fn attributes(plan: &mut FilePlan, want: &FileWant, file: &RegularFile) -> FileAction {
    let mut changes = Vec::new();
    if let Some(owner) =
        want.wanted.owner.as_ref().filter(|owner| !names(owner, &file.owner, file.uid))
    {
        changes.push(format!("owner {} → {owner}", file.owner));
        plan.owner = Some(owner.clone());
    }
    if let Some(group) =
        want.wanted.group.as_ref().filter(|group| !names(group, &file.group, file.gid))
    {
        changes.push(format!("group {} → {group}", file.group));
        plan.group = Some(group.clone());
    }
    let narrowed = closed_to_everybody(want, file);
    if let Some(mode) = want.wanted.mode.or(narrowed).filter(|mode| *mode != file.mode) {
        changes.push(format!("{} → {mode}", file.mode));
        plan.mode = Some(mode);
    }
    plan.detail = changes.join(", ");
    match (file.sha256 == want.digest, changes.is_empty()) {
        (true, true) => FileAction::Keep,
        (true, false) => FileAction::RepairMode,
        (false, _) => FileAction::Replace,
    }
}

/// The mode of a key that everybody can read, without that: its group's and its list's readers keep their access.
fn closed_to_everybody(want: &FileWant, file: &RegularFile) -> Option<FileMode> {
    let others = FileMode::new(file.mode.bits() & 0o007);
    let widest = want.widest.filter(|widest| others.is_wider_than(*widest))?;
    Some(FileMode::new(file.mode.bits() & (!0o007 | widest.bits())))
}

fn names(wanted: &str, name: &str, id: u32) -> bool {
    wanted == name || wanted.parse() == Ok(id)
}

fn blocked(why: &str) -> FileAction {
    FileAction::Blocked(why.to_owned())
}

/// What stands in the way of a file that must be written.
fn obstacle(there: &FileFacts, want: &FileWant) -> Option<String> {
    if there.read_only {
        return Some("its file system is mounted read-only".to_owned());
    }
    if !there.writable {
        return Some(
            "nothing can be created in its directory (`become: true` may be missing, or it is \
             immutable)"
                .to_owned(),
        );
    }
    if let Some(file) = there.file() {
        if file.immutable == Some(true) {
            return Some("it is immutable (chattr +i)".to_owned());
        }
        if file.mount_point {
            return Some(
                "something is mounted on this very file; mount its directory instead".to_owned(),
            );
        }
    }
    // Stage and backup stand beside each other for a moment.
    let needed = want.content.expose().len() as u64 * 2 + 16_384;
    if there.free_bytes.is_some_and(|free| free < needed) {
        return Some("its file system is full".to_owned());
    }
    if there.free_inodes.is_some_and(|free| free < 8) {
        return Some("its file system has no inodes left".to_owned());
    }
    None
}

fn remarks(want: &FileWant, there: &FileFacts, plan: &FilePlan, notes: &mut Vec<String>) {
    if plan.action == FileAction::Keep {
        return;
    }
    let path = &want.path;
    if let (Some(file), Some(mode)) = (there.file(), plan.mode)
        && closed_to_everybody(want, file).is_some()
        && want.wanted.mode.is_none()
    {
        let before = file.mode;
        notes.push(format!(
            "{path}: every account of the host can read the key; its mode becomes {mode} (was {before})"
        ));
    }
    if let (true, Some(file)) = (want.role.holds_key(), there.file())
        && !file.readers.is_empty()
    {
        notes.push(format!("{path}: the key can also be read by {}", file.readers.join(", ")));
    }
    if let (false, Some(real)) = (there.via_links.is_empty(), &there.real_path) {
        notes.push(format!("{path} is a symbolic link; {real} is what will be replaced"));
    }
    if !there.missing_directories.is_empty() {
        let missing: Vec<_> = there.missing_directories.iter().map(ToString::to_string).collect();
        notes.push(format!("{} will be created", missing.join(", ")));
    }
    if let Some(file) = there.file()
        && file.hard_links > 1
    {
        notes.push(format!(
            "{path} has {} hard links; its other names keep the old contents",
            file.hard_links
        ));
    }
}
