//! Whether what would be done on a host is what somebody has reviewed.

use crate::event::planned::{PlanRow, PlannedCommand, PlannedHandshake, PlannedTask};
use crate::model::{FileAction, Fingerprint};

/// Why `now` is not what was `reviewed`, in an operator's words. None: it is, or less of it, because some of it is
/// done already.
///
/// Notes, days left and what was served before may differ: they change nothing that is done.
pub(crate) fn deviation(reviewed: &PlannedTask, now: &PlannedTask) -> Option<String> {
    let files = |task: &PlannedTask| -> Vec<String> {
        task.rows.iter().map(|row| row.file.clone()).collect()
    };
    if files(reviewed) != files(now) {
        return Some(format!(
            "it is about other files ({}) than the plan ({})",
            files(now).join(", "),
            files(reviewed).join(", ")
        ));
    }
    let pairs = || reviewed.rows.iter().zip(&now.rows);
    if let Some(why) = pairs().find_map(|(reviewed, now)| of_row(reviewed, now)) {
        return Some(why);
    }
    if !now.rows.iter().any(|row| row.action.is_pending()) {
        return None;
    }
    if !reviewed.rows.iter().any(|row| row.action.is_pending()) {
        return Some("the service serves something else since the plan was made".to_owned());
    }
    let first = (reviewed.rows.first(), now.rows.first());
    if let (Some(then), Some(now)) = first
        && then.validate != now.validate
    {
        return Some(format!(
            "it would be validated by {}, in the plan by {}",
            now.validate, then.validate
        ));
    }
    of_commands(&reviewed.commands, &now.commands)
        .or_else(|| of_handshakes(&reviewed.handshakes, &now.handshakes))
}

fn of_row(then: &PlanRow, now: &PlanRow) -> Option<String> {
    let path = &now.file;
    if then.after != now.after {
        return Some(format!(
            "{path} would get other bytes (sha256 {}) than in the plan ({})",
            digest(now.after),
            digest(then.after)
        ));
    }
    if then.real_path != now.real_path {
        let to = |row: &PlanRow| row.real_path.clone().unwrap_or_else(|| row.file.clone());
        return Some(format!("{path} leads to {} now, and led to {}", to(now), to(then)));
    }
    let done = now.before == now.after;
    if now.before != then.before && !done {
        return Some(format!(
            "{path} was modified since the plan was made (sha256 {}, then {})",
            digest(now.before),
            digest(then.before)
        ));
    }
    let settled = matches!(now.action, FileAction::Unchanged | FileAction::ReloadOnly);
    if done && settled {
        return None;
    }
    let attributes = |row: &PlanRow| (row.owner.clone(), row.group.clone(), row.mode.clone());
    if now.action != then.action && !(done && then.action.is_pending())
        || attributes(now) != attributes(then)
    {
        let words = |row: &PlanRow| match row.detail.as_str() {
            "" => row.action.name().replace('_', " "),
            detail => format!("{} ({detail})", row.action.name().replace('_', " ")),
        };
        return Some(format!("{path}: {} now, in the plan {}", words(now), words(then)));
    }
    None
}

fn digest(digest: Option<Fingerprint>) -> String {
    digest.map_or_else(|| "no file".to_owned(), |digest| format!("{digest:.16}"))
}

fn of_commands(then: &[PlannedCommand], now: &[PlannedCommand]) -> Option<String> {
    let words = |one: &PlannedCommand| {
        let service = one.service.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        format!("{service}{} `{}`", one.purpose, one.command)
    };
    let added = now.iter().find(|one| !then.contains(one)).map(&words);
    let gone = then.iter().find(|one| !now.contains(one)).map(&words);
    match (added, gone) {
        (Some(added), Some(gone)) => {
            Some(format!("it would run {added} where the plan has {gone}, or within other limits"))
        }
        (Some(added), None) => Some(format!("it would run {added}, which is not in the plan")),
        (None, Some(gone)) => Some(format!("it would not run {gone}, which is in the plan")),
        (None, None) => None,
    }
}

fn of_handshakes(then: &[PlannedHandshake], now: &[PlannedHandshake]) -> Option<String> {
    let words = |one: &PlannedHandshake| {
        let name = one.server_name.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
        format!("{}{name} showing {}", one.endpoint, one.leaf.short())
    };
    if let Some(added) = now.iter().find(|one| !then.contains(one)) {
        return Some(format!("{} must be seen, which is not in the plan", words(added)));
    }
    let gone = then.iter().find(|one| !now.contains(one))?;
    Some(format!("the plan wants to see {}, which is not looked at now", words(gone)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::rows::blocked_row;

    fn task() -> PlannedTask {
        let row = PlanRow {
            file: "/etc/tls/cert.pem".to_owned(),
            action: FileAction::Replace,
            before: Some(Fingerprint::of(b"old")),
            after: Some(Fingerprint::of(b"new")),
            mode: Some("0600".to_owned()),
            ..blocked_row(&"edge1".into(), "nginx", "")
        };
        let command = PlannedCommand {
            service: Some("nginx".to_owned()),
            purpose: "reload".to_owned(),
            command: "nginx -s reload".to_owned(),
            sha256: Fingerprint::of(b"nginx -s reload"),
        };
        let handshake = PlannedHandshake {
            service: "nginx".to_owned(),
            endpoint: "edge1:443".parse().unwrap(),
            server_name: None,
            starttls: "none".to_owned(),
            via: "controller".to_owned(),
            leaf: Fingerprint::of(b"leaf"),
        };
        let (rows, commands, handshakes) = (vec![row], vec![command], vec![handshake]);
        PlannedTask { rows, commands, handshakes, ..PlannedTask::default() }
    }

    /// Why a change of the reviewed task is none that was reviewed.
    fn after(change: impl FnOnce(&mut PlannedTask)) -> Option<String> {
        let mut now = task();
        change(&mut now);
        deviation(&task(), &now)
    }

    #[test]
    fn the_same_is_the_same_whatever_the_notes_say() {
        assert_eq!(after(|_| ()), None);
        assert_eq!(after(|now| now.rows[0].notes.push("a note".into())), None);
    }

    #[test]
    fn what_is_done_already_is_no_deviation() {
        let done = |action| {
            after(move |now| {
                now.rows[0].before = now.rows[0].after;
                now.rows[0].mode = None;
                now.rows[0].action = action;
            })
        };
        assert_eq!(done(FileAction::Unchanged), None);
        assert_eq!(done(FileAction::ReloadOnly), None);
        let mut idle = task();
        idle.rows[0].before = idle.rows[0].after;
        idle.rows[0].action = FileAction::Unchanged;
        let mut drifted = idle.clone();
        drifted.rows[0].action = FileAction::ReloadOnly;
        assert!(deviation(&idle, &drifted).unwrap().contains("serves something else"));
    }

    #[test]
    fn every_difference_is_found_and_named() {
        let found = [
            (after(|now| now.rows[0].file = "/x".into()), "other files (/x)"),
            (after(|now| now.rows[0].after = None), "would get other bytes"),
            (after(|now| now.rows[0].before = None), "was modified since the plan was made"),
            (after(|now| now.rows[0].real_path = Some("/y".into())), "leads to /y now"),
            (after(|now| now.rows[0].mode = None), "/etc/tls/cert.pem: replace now"),
            (after(|now| now.rows[0].action = FileAction::RepairMode), "repair mode now"),
            (after(|now| now.rows[0].validate = "nothing".into()), "validated by nothing"),
            (
                after(|now| now.commands[0].sha256 = Fingerprint::of(b"x")),
                "nginx: reload `nginx -s reload`",
            ),
            (after(|now| now.commands.clear()), "would not run nginx: reload"),
            (after(|now| now.handshakes.clear()), "the plan wants to see edge1:443"),
        ];
        for (found, words) in found {
            assert!(
                found.as_deref().is_some_and(|found| found.contains(words)),
                "{found:?} {words}"
            );
        }
    }
}
