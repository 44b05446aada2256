//! One file: what is there against what is wanted of it.

use super::desired::FileWant;
use super::host_plan::FilePlan;
use super::inspection::{FileView, HostView};
use crate::host::{FileFacts, FileState, RegularFile};
use crate::model::{FileAction, FileMode};
use std::sync::Arc;

pub(super) fn plan_file(file: FileView<'_>, view: &HostView, notes: &mut Vec<String>) -> FilePlan {
    let in_place = view.is_written_in_place(&file);
    let facts = view.facts();
    let FileView { want, there } = file;
    let mut plan = FilePlan {
        want: Arc::clone(want),
        present: there.leaf().cloned(),
        action: FileAction::Unchanged,
        before: there.sha256(),
        real_path: there.real_path.clone(),
        missing_directories: there.missing_directories.clone(),
        owner: None,
        group: None,
        mode: None,
        detail: String::new(),
        difference: None,
    };
    plan.action = match &there.state {
        FileState::Directory => blocked("a directory is in the way"),
        FileState::Special => blocked("it is neither a file nor a symbolic link"),
        FileState::LinkLoop => blocked("its symbolic links form a loop"),
        FileState::Unreadable => {
            blocked(&format!("{} cannot read it; `become: true` may be missing", facts.user))
        }
        FileState::Absent | FileState::DanglingLink if want.digest.is_none() => {
            plan.missing_directories.clear();
            FileAction::Unchanged
        }
        FileState::Absent | FileState::DanglingLink => {
            // Only root can give a file away; what others create is their own.
            let fallback = |value: &Option<String>| value.clone().filter(|_| facts.uid == 0);
            plan.owner = want.wanted.owner.clone().or_else(|| fallback(&want.fallback.owner));
            plan.group = want.wanted.group.clone().or_else(|| fallback(&want.fallback.group));
            plan.mode = want.wanted.mode.or(want.fallback.mode);
            FileAction::Create
        }
        FileState::File(_) if want.own_key.is_some_and(|own| !own.is_told) => blocked(
            "the host could not tell what it would be with the key that is in it (is awk there?)",
        ),
        FileState::File(_) if want.digest.is_none() => FileAction::Remove,
        FileState::File(file) => attributes(&mut plan, want, file),
    };
    if !plan.action.keeps_file()
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
    notes.extend(other_names(there, &plan, in_place));
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
    match (Some(file.sha256) == want.digest, changes.is_empty()) {
        (true, true) => FileAction::Unchanged,
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
    if plan.action.keeps_file() {
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
}

fn other_names(there: &FileFacts, plan: &FilePlan, in_place: bool) -> Option<String> {
    let links = there.file().map(|file| file.hard_links).filter(|links| *links > 1)?;
    let path = &plan.want.path;
    let then = if in_place { "change with it" } else { "keep the old contents" };
    (!plan.action.keeps_file())
        .then(|| format!("{path} has {links} hard links; its other names {then}"))
}
