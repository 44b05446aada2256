//! From what is wanted and what is there to what will be done.
//!
//! [`build`] is a function of its arguments: called twice it gives the same plan, and applied to the
//! facts that its own execution leaves behind it plans nothing.

use super::desired::{Desired, FileWant, Role};
use super::facts::{CommandResult, FileFacts, FileState, HostFacts, RegularFile};
use crate::model::{FileMode, Fingerprint, RemotePath, Step};

/// What will be done on one host for one task. Nothing is chosen after this.
#[derive(Clone, Debug)]
pub struct HostPlan {
    /// File by file, in commit order.
    pub files: Vec<FilePlan>,
    /// What it comes to.
    pub decision: Decision,
    /// What the operator should know; stops nothing.
    pub notes: Vec<String>,
}

/// What it comes to on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Files as wanted, and served.
    Unchanged,
    /// Files as wanted, but something else is served: reload and verify.
    ReloadOnly,
    /// Files will be written.
    Change,
    /// It cannot be done; nothing will be tried.
    Blocked {
        /// The step at which `apply` would fail.
        step: Step,
        /// Why, one line.
        why: String,
    },
}

/// What will be done with one file.
#[derive(Clone, Debug)]
pub struct FilePlan {
    /// What is wanted.
    pub want: FileWant,
    /// The act.
    pub action: FileAction,
    /// Digest that the file must still have when it is replaced; `None`: absent.
    pub before: Option<Fingerprint>,
    /// Where the path leads now, links resolved.
    pub real_path: Option<RemotePath>,
    /// Owner to set; `None` keeps the existing file's.
    pub owner: Option<String>,
    /// Group to set.
    pub group: Option<String>,
    /// Mode to set.
    pub mode: Option<FileMode>,
    /// What changes besides the bytes, as `0644 → 0600`.
    pub detail: String,
}

/// The acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileAction {
    /// The file does not exist yet.
    Create,
    /// Other bytes.
    Replace,
    /// Right bytes, wrong owner, group or mode.
    RepairMode,
    /// As wanted.
    Keep,
    /// It cannot be written.
    Blocked(String),
}

/// What a handshake before the change showed, per probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenBefore {
    /// This leaf was served.
    Leaf(Fingerprint),
    /// No certificate was served, and why.
    Nothing(String),
}

/// Plans one task on one host. `seen` has one entry per probe of `desired`.
pub fn build(desired: &Desired, facts: &HostFacts, seen: &[SeenBefore]) -> HostPlan {
    let mut notes = Vec::new();
    let files: Vec<FilePlan> = desired
        .files
        .iter()
        .zip(&facts.files)
        .map(|(want, there)| plan_file(want, there, facts, &mut notes))
        .collect();
    let decision = decide(desired, facts, &files, seen, &mut notes);
    HostPlan { files, decision, notes }
}

fn decide(
    desired: &Desired,
    facts: &HostFacts,
    files: &[FilePlan],
    seen: &[SeenBefore],
    notes: &mut Vec<String>,
) -> Decision {
    let missing = facts.missing_tools();
    if !missing.is_empty() {
        let why = format!("the host has no {}", missing.join(", no "));
        return Decision::Blocked { step: Step::Inspect, why };
    }
    for file in files {
        if let FileAction::Blocked(why) = &file.action {
            let why = format!("{}: {why}", file.want.path);
            return Decision::Blocked { step: Step::Inspect, why };
        }
    }
    let prechecks = desired.services.iter().flat_map(|service| {
        service.prechecks.iter().map(move |check| (&service.name, &check.command))
    });
    for ((service, command), result) in prechecks.zip(&facts.commands) {
        if !result.success() && result.rc != 127 {
            let said = last_line(result);
            let why = format!("{service}: `{command}` fails on the untouched host{said}");
            return Decision::Blocked { step: Step::Validate, why };
        }
    }
    if let Some(why) = kept_key_fault(desired, facts) {
        return Decision::Blocked { step: Step::Check, why };
    }
    let files_differ = files.iter().any(|file| file.action != FileAction::Keep);
    let mut served_otherwise = false;
    for (probe, seen) in desired.probes.iter().zip(seen) {
        match seen {
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
            SeenBefore::Nothing(why) => {
                served_otherwise = true;
                notes.push(format!("before the change {} served nothing: {why}", probe.endpoint));
            }
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

fn last_line(result: &CommandResult) -> String {
    if result.late {
        return " (its time was over)".to_owned();
    }
    let output = [result.stdout.as_slice(), b"\n", result.stderr.as_slice()].concat();
    let text = crate::model::text::printable(&output, 4096);
    match text.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        Some(line) => format!(" (exit code {}): {line}", result.rc),
        None => format!(" (exit code {})", result.rc),
    }
}

fn spki_of_public_key_pem(pem: &[u8]) -> Option<Vec<u8>> {
    use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
    SubjectPublicKeyInfoDer::from_pem_slice(pem).ok().map(|spki| spki.to_vec())
}

/// Where the host keeps its own key, that key must belong to the new leaf.
fn kept_key_fault(desired: &Desired, facts: &HostFacts) -> Option<String> {
    for kept in &desired.kept_keys {
        let path = &kept.path;
        let there = facts.files.iter().find(|there| there.path.to_str() == Some(path))?;
        let Some(file) = there.file() else {
            return Some(format!("{path}: no source.key is given and the host has no key there"));
        };
        match &file.public_key_pem {
            Some(pem) => {
                if spki_of_public_key_pem(pem).as_deref() != Some(kept.leaf.spki.as_slice()) {
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

fn plan_file(
    want: &FileWant,
    there: &FileFacts,
    facts: &HostFacts,
    notes: &mut Vec<String>,
) -> FilePlan {
    let mut plan = FilePlan {
        want: want.clone(),
        action: FileAction::Keep,
        before: there.sha256(),
        real_path: there.real_path.clone(),
        owner: None,
        group: None,
        mode: None,
        detail: String::new(),
    };
    plan.action = match &there.state {
        FileState::Directory => blocked("a directory is in the way"),
        FileState::Special => blocked("it is neither a file nor a link"),
        FileState::LinkLoop => blocked("its links lead in a circle"),
        FileState::Unreadable => {
            blocked(&format!("{} cannot read it; `become: true` may be missing", facts.user))
        }
        FileState::Absent | FileState::DanglingLink => {
            plan.owner = want.wanted.owner.clone().or_else(|| want.fallback.owner.clone());
            plan.group = want.wanted.group.clone().or_else(|| want.fallback.group.clone());
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
    let narrowed = want.widest.filter(|widest| file.mode.is_wider_than(*widest));
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
    let path = &want.path;
    if let (false, Some(real)) = (there.via_links.is_empty(), &there.real_path) {
        notes.push(format!("{path} is a link; {real} is what will be replaced"));
        let real = real.to_string();
        if real.contains("/letsencrypt/archive/") {
            notes.push(format!(
                "{path} belongs to certbot: its next renewal turns the link back; give the service \
                 paths of its own"
            ));
        }
        if want.role.holds_key() && real.ends_with("ssl-cert-snakeoil.key") {
            notes.push(format!(
                "{path} leads to the snakeoil key, which other services of this host share"
            ));
        }
    }
    if !there.missing_directories.is_empty() {
        let missing: Vec<_> = there
            .missing_directories
            .iter()
            .map(|directory| crate::model::text::printable(directory, 4096))
            .collect();
        notes.push(format!("{} will be created", missing.join(", ")));
    }
    if plan.action == FileAction::Keep {
        return;
    }
    if let Some(file) = there.file()
        && file.hard_links > 1
    {
        notes.push(format!(
            "{path} has {} names (hard links); the others keep the old bytes",
            file.hard_links
        ));
    }
    if want.role == Role::Chain {
        notes.push(format!("{path}: most services never send a chain from a file of its own"));
    }
}
