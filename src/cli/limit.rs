//! `--limit @failed`, `@unreachable`, `@changed`: hosts of a past run.

use super::failure::Failure;
use super::history;
use crate::event::RunStart;
use crate::journal::Store;
use crate::model::HostName;
use crate::report::RunView;
use crate::source::Diagnostic;
use std::path::Path;

/// A limit whose references to past runs are resolved.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// As given, each reference with the name of its run: it means the same hosts tomorrow.
    pub(super) pinned: String,
    /// The pattern with the hosts' names.
    pub(super) pattern: String,
}

/// Resolves `@failed`, `@unreachable` and `@changed`, each alone or as `@failed:RUN`, in the parts of a limit.
/// Without a run the last one of the same `playbooks`, or of any where none are given, is meant. None: there is
/// nothing to resolve. A file of such a name is reached as `@./failed`.
///
/// # Errors
/// There is no such run, or no such host in it.
pub(super) fn resolve(limit: &str, playbooks: &[String]) -> Result<Option<Limit>, Failure> {
    if !limit.split(',').any(|part| reference(part).is_some()) {
        return Ok(None);
    }
    resolve_in(&history::store()?, limit, playbooks).map(Some)
}

fn resolve_in(store: &Store, limit: &str, playbooks: &[String]) -> Result<Limit, Failure> {
    let (mut pinned, mut pattern) = (Vec::new(), Vec::new());
    for part in limit.split(',') {
        let Some((word, run)) = reference(part) else {
            pinned.push(part.trim().to_owned());
            pattern.push(part.trim().to_owned());
            continue;
        };
        let listed = history::find(store, run, |start| is_of(start, playbooks))?;
        let mut view = RunView::default();
        store.read(&listed)?.events.iter().for_each(|event| view.take(event));
        let hosts = match word {
            "failed" => view.left(),
            "unreachable" => view.unreachable(),
            _ => view.changed(),
        };
        let run = &listed.start.run;
        if hosts.is_empty() {
            let problem = format!("--limit: @{word} matches no host of run {run}");
            let help = "`certroll history show RUN` shows what became of its hosts";
            return Err(Diagnostic::error(problem).help(help).into());
        }
        pinned.push(format!("@{word}:{run}"));
        pattern.extend(hosts.iter().map(|host: &HostName| host.as_str().to_owned()));
    }
    Ok(Limit { pinned: pinned.join(","), pattern: pattern.join(",") })
}

/// The word and the run of a reference.
fn reference(part: &str) -> Option<(&str, &str)> {
    let text = part.trim().strip_prefix('@')?;
    let (word, run) = text.split_once(':').unwrap_or((text, "last"));
    ["failed", "unreachable", "changed"].contains(&word).then_some((word, run))
}

/// Whether a run rolled these playbooks out or back.
fn is_of(start: &RunStart, playbooks: &[String]) -> bool {
    let here = std::env::current_dir().unwrap_or_default();
    let mine = playbooks.iter().map(|name| here.join(name));
    let its = start.playbooks.iter().map(|name| Path::new(&start.directory).join(name));
    let rolled = matches!(start.command.as_str(), "apply" | "rollback");
    rolled && !start.check && (playbooks.is_empty() || mine.eq(its))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_from_files_and_patterns() {
        assert_eq!(reference("@failed"), Some(("failed", "last")));
        assert_eq!(reference(" @changed:5d1f"), Some(("changed", "5d1f")));
        for other in ["@./failed", "@hosts.txt", "failed", "@failed.txt", "web:!db"] {
            assert_eq!(reference(other), None, "{other}");
        }
    }
}
