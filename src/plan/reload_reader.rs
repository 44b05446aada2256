//! Whether whoever opens the key at a reload can read the one that is about to be put there.
//!
//! A server that starts as root and drops its rights opens the key a second time without them: lighttpd, told to load
//! a good pair whose key is root's alone, ends.

use super::desired::ReloadReader;
use super::host_plan::FilePlan;
use super::inspection::{HostView, ServiceView};
use crate::host::{FileFacts, ProcessFacts, RegularFile};
use crate::model::{CommandLine, FileMode};

/// Why a reload would end badly; `None`: it would not, or nobody can tell.
pub(super) fn fault(view: &HostView, files: &[FilePlan]) -> Option<String> {
    view.services().find_map(|service| {
        let reader = service.want.reload_reader.as_ref()?;
        // A restart opens the key as root again.
        if service.up == Some(false) || restarts(&service) {
            return None;
        }
        let there = files.iter().zip(view.files().map(|file| file.there)).enumerate();
        there
            .filter(|(_, (file, _))| file.want.role.holds_key() && !file.action.keeps_file())
            .find_map(|(index, (file, there))| {
                let cannot = match reader {
                    ReloadReader::User(user) => user_cannot(user, file, there),
                    ReloadReader::Process => {
                        let process = service.process?;
                        process_cannot(process, index, file, there)
                    }
                };
                cannot.then(|| words(&service, reader, file, there))
            })
    })
}

fn restarts(service: &ServiceView<'_>) -> bool {
    let restart = |text: &String| text.split_whitespace().any(|word| word == "restart");
    service.want.reload.as_ref().is_some_and(|reload| match &reload.command {
        CommandLine::Argv(words) => words.iter().any(restart),
        CommandLine::Shell(text) => restart(text),
    })
}

/// Owner, group and mode after the change.
fn rights<'a>(file: &'a FilePlan, there: &'a FileFacts) -> (&'a str, &'a str, Option<FileMode>) {
    let now = there.file();
    (
        file.owner.as_deref().or(now.map(|now| now.owner.as_str())).unwrap_or("root"),
        file.group.as_deref().or(now.map(|now| now.group.as_str())).unwrap_or("root"),
        file.mode.or(now.map(|now| now.mode)),
    )
}

fn user_cannot(user: &str, file: &FilePlan, there: &FileFacts) -> bool {
    let (owner, group, mode) = rights(file, there);
    let Some(mode) = mode.map(FileMode::bits) else { return false };
    let listed = there.file().is_some_and(|now| now.acl);
    // Who is in a group is not known here.
    let perhaps = mode & 0o004 != 0 || (mode & 0o040 != 0 && group != "root") || listed;
    if owner == user { mode & 0o400 == 0 } else { !perhaps }
}

fn process_cannot(
    process: &ProcessFacts,
    index: usize,
    file: &FilePlan,
    there: &FileFacts,
) -> bool {
    if process.reads_any {
        return false;
    }
    let now = there.file();
    let as_before = file.owner.is_none() && file.group.is_none() && file.mode.is_none();
    if let Some(can) = process.reads.get(index).copied().flatten().filter(|_| as_before) {
        return !can;
    }
    let (owner, group, mode) = rights(file, there);
    let Some(mode) = mode.map(FileMode::bits) else { return false };
    let number = |name: &str, now: Option<u32>, is_now: bool| match name {
        "root" => Some(0),
        name => name.parse().ok().or(now.filter(|_| is_now)),
    };
    let owner_id = number(owner, now.map(|now| now.uid), file.owner.is_none());
    let group_id = number(group, now.map(|now| now.gid), file.group.is_none());
    if owner == process.user || owner_id == Some(process.uid) {
        return mode & 0o400 == 0;
    }
    let listed = now.is_some_and(|now: &RegularFile| now.acl);
    // A group whose number nobody told may be one of the process's.
    let in_group = group_id.is_none_or(|group| process.groups.contains(&group));
    !listed && mode & 0o004 == 0 && !(mode & 0o040 != 0 && in_group)
}

fn words(
    service: &ServiceView<'_>,
    reader: &ReloadReader,
    file: &FilePlan,
    there: &FileFacts,
) -> String {
    let name = &service.want.name;
    let (owner, group, mode) = rights(file, there);
    let mode = mode.map(|mode| format!(" {mode}")).unwrap_or_default();
    let who = match (reader, service.process) {
        (ReloadReader::User(user), _) => user.clone(),
        (ReloadReader::Process, Some(process)) => {
            format!("{} (process {})", process.user, process.pid)
        }
        (ReloadReader::Process, None) => "the user of its process".to_owned(),
    };
    format!(
        "{}: {name} opens the key at its reload as {who}, who cannot read it ({owner}:{group}{mode}); give the task \
         `key_group` and `key_mode: \"0640\"`, or `reload` with a restart, or say in a profile who does \
         (`reload_reads_as`)",
        file.want.path
    )
}
