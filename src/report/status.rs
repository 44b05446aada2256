//! What a host holds, for `certroll status`: files, what is served, who works there, what is unfinished.

use super::theme::{self, Theme, line};
use super::words;
use crate::event::status::{FileStatus, HostStatus, ServedStatus};
use crate::model::HostName;
use crate::model::text::plural;
use anstyle::Style;
use indexmap::{IndexMap, IndexSet};
use std::collections::BTreeMap;

/// Columns of a state.
const STATE: usize = 9;

/// What one host holds of one certificate task, service by service.
pub(crate) fn block(theme: &Theme, host: &HostName, task: &str, status: &HostStatus) -> String {
    let head = format!("HOST [{}] {}", line(host.as_str()), line(task));
    let mut text = format!("\n{}", theme.block("", theme::STRONG, &head));
    for journal in &status.journals {
        let id = line(&journal.id);
        let (style, head) = match status.is_under_way(journal) {
            true => (theme::WARNING, format!("UNDER WAY: {id}")),
            false => {
                let state = words::unfinished(journal.state);
                (theme::LOUD, format!("UNFINISHED: {id} {state}"))
            }
        };
        text.push_str(&theme.block("", style, &head));
        if let Some(by) = &journal.by {
            text.push_str(&theme.block("  begun by: ", Style::new(), &line(by)));
        }
    }
    if let Some(lock) = &status.lock {
        let words = format!("locked by {}", line(lock));
        text.push_str(&theme.block("", theme::WARNING, &words));
    }
    let of_files = status.files.iter().map(|one| (one.service.as_str(), file(one)));
    let of_ports = status.served.iter().map(|one| (one.service.as_str(), served(one)));
    let mut services: IndexMap<&str, Vec<Line>> = IndexMap::new();
    for (service, line) in of_files.chain(of_ports) {
        services.entry(service).or_default().push(line);
    }
    for (service, lines) in services {
        text.push_str(&theme.block("", Style::new(), &line(service)));
        for Line { state: (state, style), words } in lines {
            let words = theme.block(&format!("  {state:<STATE$}  "), Style::new(), &words);
            text.push_str(&words.replacen(state, &theme.paint(style, state), 1));
        }
    }
    text.push_str(&generations(theme, &status.files));
    theme.fit(&text)
}

/// What was kept, generation by generation: the certificates in it, or the files where it has none.
fn generations(theme: &Theme, files: &[FileStatus]) -> String {
    let mut kept: BTreeMap<&str, (IndexSet<String>, Vec<String>)> = BTreeMap::new();
    for file in files {
        for backup in &file.backups {
            let (certificates, names) = kept.entry(&backup.generation).or_default();
            certificates.extend(backup.certificate.as_ref().map(words::certificate));
            names.push(line(&file.file));
        }
    }
    if kept.is_empty() {
        return String::new();
    }
    let count = plural(kept.len(), "earlier generation");
    let head = format!("{count} kept, oldest first, for certroll rollback --to:");
    let mut text = theme.block("", Style::new(), &head);
    for (generation, (certificates, names)) in kept {
        let many = plural(names.len(), "file");
        let what = match certificates.is_empty() {
            true => names.join(", "),
            false => format!("{} in {many}", join_some(certificates)),
        };
        text.push_str(&theme.block(&format!("  {}  ", line(generation)), Style::new(), &what));
    }
    text
}

/// At most three of them.
fn join_some(certificates: IndexSet<String>) -> String {
    let more = certificates.len().saturating_sub(3);
    let shown: Vec<String> = certificates.into_iter().take(3).collect();
    let shown = shown.join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// A file or a port: how it stands in a word, and the rest.
struct Line {
    state: (&'static str, Style),
    words: String,
}

fn file(file: &FileStatus) -> Line {
    let what = match (&file.certificate, file.digest) {
        (Some(certificate), _) => Some(words::certificate(certificate)),
        (None, Some(_)) if file.holds_key => Some("private key".to_owned()),
        (None, Some(digest)) => Some(format!("sha256 {}", digest.short())),
        (None, None) => None,
    };
    let (state, why) = match (&file.problem, file.as_wanted) {
        (Some(problem), _) => (("problem", theme::BAD), Some(line(problem))),
        (None, Some(true)) => (("as wanted", theme::GOOD), None),
        (None, Some(false)) => {
            (("differs", theme::CHANGED), Some("differs from the playbook".to_owned()))
        }
        (None, None) => (("there", Style::new()), None),
    };
    let serial = file.serial.as_deref().map(|serial| format!("serial {}", line(serial)));
    let access = file.access.as_deref().map(line);
    let words = [what, serial, access, why].into_iter().flatten().collect::<Vec<_>>();
    Line { state, words: format!("{}: {}", line(&file.file), words.join(", ")) }
}

fn served(served: &ServedStatus) -> Line {
    let endpoint = match &served.server_name {
        Some(name) => format!("{} ({})", served.endpoint, line(name)),
        None => served.endpoint.to_string(),
    };
    let (state, why) = match (&served.problem, served.as_in_file) {
        (Some(problem), _) => (("problem", theme::BAD), Some(line(problem))),
        (None, Some(true)) => (("served", theme::GOOD), Some("as in the file".to_owned())),
        (None, Some(false)) => (("DRIFT", theme::BAD), Some("not what is in the file".to_owned())),
        (None, None) => (("served", Style::new()), None),
    };
    let what = served.certificate.as_ref().map(words::certificate);
    let words = [what, why].into_iter().flatten().collect::<Vec<_>>();
    Line { state, words: format!("{}: {}", line(&endpoint), words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{TASK, status};
    use super::*;

    fn shown(width: Option<u16>) -> String {
        let theme = Theme { color: false, width, ascii: width.is_none() };
        block(&theme, &HostName::new("edge1"), TASK, &status())
    }

    #[test]
    fn piped() {
        insta::assert_snapshot!(shown(None));
    }

    #[test]
    fn on_60_columns() {
        insta::assert_snapshot!(shown(Some(60)));
    }

    #[test]
    fn on_80_columns() {
        insta::assert_snapshot!(shown(Some(80)));
    }

    #[test]
    fn on_200_columns() {
        insta::assert_snapshot!(shown(Some(200)));
    }

    #[test]
    fn drift_and_unfinished_work_are_loud() {
        let theme = Theme { color: true, ..Theme::PLAIN };
        let at_work = status();
        let text = block(&theme, &HostName::new("edge1"), TASK, &at_work);
        assert!(text.contains("UNDER WAY: ") && !text.contains("UNFINISHED"), "{text:?}");
        let ended = HostStatus { lock: None, ..at_work };
        let text = block(&theme, &HostName::new("edge1"), TASK, &ended);
        assert!(text.contains("\u{1b}[41mUNFINISHED"), "{text:?}");
        assert!(text.contains("will be rolled back by the next contact"), "{text:?}");
    }
}
