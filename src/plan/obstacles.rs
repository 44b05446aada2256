//! Why nothing can be done on a host: what is missing or in the way, and checks that its untouched configuration fails.

use super::container;
use super::host_plan::{Decision, FailedCheck, FilePlan};
use super::inspection::HostView;
use super::reload_reader;
use crate::host::CommandResult;
use crate::model::{FileAction, Step};

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
        (behind && !plan.action.keeps_file()).then(|| {
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
pub(super) fn obstacle_to_all(
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
    if let Some(decision) = container::fault(view, files) {
        return Some(decision);
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
    let first_time =
        files.iter().any(|file| file.action == FileAction::Create || file.writes_configuration());
    for (why, check) in failed_prechecks(view) {
        if !first_time {
            return Some(Decision::Blocked { step: Step::Validate, why, check: Some(check) });
        }
        // It may well fail because the files are not there yet, or be mended by the new configuration; the
        // staged ones will tell.
        notes.push(format!("{why}; it is tried again with the new files in place"));
    }
    None
}

/// What is said of such a host.
const RECORDED: &str = "sudo records its input here (log_input or log_stdin)";

/// Why a key may not be sent to a host whose sudo keeps what it is given.
fn recorded_key(view: &HostView, files: &[FilePlan], notes: &mut Vec<String>) -> Option<String> {
    let sent = |file: &FilePlan| {
        file.want.role.holds_key()
            && file.want.generation.is_none()
            && file.want.own_key.is_none()
            && matches!(file.action, FileAction::Create | FileAction::Replace)
    };
    if !view.facts().input_log || !files.iter().any(sent) {
        return None;
    }
    if view.facts().unseals {
        notes.push(format!(
            "{RECORDED}: the files are sent sealed, and what it keeps opens none of them"
        ));
        return None;
    }
    let why = format!("{RECORDED}, so the private key would be in its log");
    if view.desired().allow_input_log {
        notes.push(format!("{why} (allow_input_log)"));
        return None;
    }
    Some(format!(
        "{why}: the host has no openssl (1.1.1 or later) to open a sealed one. Install that, switch the log off \
         for this login in sudoers, log in as root, or say `allow_input_log: true` in the task"
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
