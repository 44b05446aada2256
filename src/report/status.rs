//! What a host holds, for `certroll status`: files, what is served, who works there, what is unfinished.

use super::table::{self, Share, Text, plain};
use super::theme::{self, Theme, line};
use super::words;
use crate::event::status::{FileStatus, HostStatus, ServedStatus};
use crate::model::HostName;
use crate::model::text::plural;
use indexmap::IndexSet;
use std::collections::BTreeMap;

/// The column that narrow terminals do without.
const ACCESS: usize = 4;

/// The table of one host and one certificate task.
pub(crate) fn table(theme: &Theme, host: &HostName, task: &str, status: &HostStatus) -> String {
    let head = format!("HOST [{}] {}", line(host.as_str()), line(task));
    let mut text = format!("\n{}\n", theme.paint(theme::STRONG, head));
    for journal in &status.journals {
        let id = line(&journal.id);
        let head = match status.is_under_way(journal) {
            true => theme.paint(theme::WARNING, format!("UNDER WAY: {id}")),
            false => {
                let state = words::unfinished(journal.state);
                theme.paint(theme::LOUD, format!("UNFINISHED: {id} {state}"))
            }
        };
        text.push_str(&format!("{head}\n"));
        if let Some(by) = &journal.by {
            text.push_str(&format!("  begun by: {}\n", line(by)));
        }
    }
    if let Some(lock) = &status.lock {
        let words = format!("locked by {}", line(lock));
        text.push_str(&format!("{}\n", theme.paint(theme::WARNING, words)));
    }
    let roomy = theme.width.is_none_or(|width| width >= 100);
    let header = [
        ("service", Share::Whole(12)),
        ("file or endpoint", Share::Whole(theme.width.map_or(u16::MAX - 2, |width| width / 3))),
        ("certificate", Share::Whole(28)),
        ("serial", Share::Rest(8)),
        ("access", Share::Rest(10)),
        ("state", Share::Rest(10)),
    ];
    let files = status.files.iter().map(file);
    let mut rows: Vec<_> = files.chain(status.served.iter().map(served)).collect();
    let mut header = header.to_vec();
    if !roomy {
        header.remove(ACCESS);
        rows.iter_mut().for_each(|row| _ = row.remove(ACCESS));
    }
    text.push_str(&table::render(theme, &header, rows));
    text.push_str(&generations(&status.files));
    theme.fit(&text)
}

/// What was kept, generation by generation: the certificates in it, or the files where it has none.
fn generations(files: &[FileStatus]) -> String {
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
    let mut text = format!("{count} kept, oldest first, for certroll rollback --to:\n");
    for (generation, (certificates, names)) in kept {
        let many = plural(names.len(), "file");
        let what = match certificates.is_empty() {
            true => names.join(", "),
            false => format!("{} in {many}", join_some(certificates)),
        };
        text.push_str(&format!("    {}  {what}\n", line(generation)));
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

fn file(file: &FileStatus) -> Vec<Text> {
    let what = match (&file.certificate, file.digest) {
        (Some(certificate), _) => words::certificate(certificate),
        (None, Some(_)) if file.holds_key => "private key".to_owned(),
        (None, Some(digest)) => format!("sha256 {}", digest.short()),
        (None, None) => "-".to_owned(),
    };
    let state = match (&file.problem, file.as_wanted) {
        (Some(problem), _) => (line(problem), theme::BAD),
        (None, Some(true)) => ("as wanted".to_owned(), theme::GOOD),
        (None, Some(false)) => ("differs from the playbook".to_owned(), theme::CHANGED),
        (None, None) => plain(""),
    };
    vec![
        plain(line(&file.service)),
        plain(line(&file.file)),
        (what, words::expiry(file.certificate.as_ref().map(|certificate| certificate.days_left))),
        plain(file.serial.as_deref().map(line).unwrap_or_default()),
        plain(file.access.as_deref().map(line).unwrap_or_default()),
        state,
    ]
}

fn served(served: &ServedStatus) -> Vec<Text> {
    let endpoint = match &served.server_name {
        Some(name) => format!("{} ({})", served.endpoint, line(name)),
        None => served.endpoint.to_string(),
    };
    let what = served.certificate.as_ref().map_or_else(|| "-".to_owned(), words::certificate);
    let state = match (&served.problem, served.as_in_file) {
        (Some(problem), _) => (line(problem), theme::BAD),
        (None, Some(true)) => ("served, as in the file".to_owned(), theme::GOOD),
        (None, Some(false)) => ("DRIFT: not what is in the file".to_owned(), theme::BAD),
        (None, None) => plain("served"),
    };
    vec![
        plain(line(&served.service)),
        plain(line(&endpoint)),
        (what, words::expiry(served.certificate.as_ref().map(|certificate| certificate.days_left))),
        plain(""),
        plain(""),
        state,
    ]
}

#[cfg(test)]
mod tests {
    use super::super::samples::{TASK, status};
    use super::*;

    fn shown(width: Option<u16>) -> String {
        let theme = Theme { color: false, width, ascii: width.is_none() };
        table(&theme, &HostName::new("edge1"), TASK, &status())
    }

    #[test]
    fn piped() {
        insta::assert_snapshot!(shown(None));
    }

    #[test]
    fn on_80_columns() {
        insta::assert_snapshot!(shown(Some(80)));
    }

    #[test]
    fn on_120_columns() {
        insta::assert_snapshot!(shown(Some(120)));
    }

    #[test]
    fn drift_and_unfinished_work_are_loud() {
        let theme = Theme { color: true, ..Theme::PLAIN };
        let at_work = status();
        let text = table(&theme, &HostName::new("edge1"), TASK, &at_work);
        assert!(text.contains("UNDER WAY: ") && !text.contains("UNFINISHED"), "{text:?}");
        let ended = HostStatus { lock: None, ..at_work };
        let text = table(&theme, &HostName::new("edge1"), TASK, &ended);
        assert!(text.contains("\u{1b}[41mUNFINISHED"), "{text:?}");
        assert!(text.contains("will be rolled back by the next contact"), "{text:?}");
    }
}
