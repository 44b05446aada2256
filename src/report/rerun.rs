//! The command that leads to the same hosts and tasks again, to be copied.

use super::theme::line;
use crate::event::{Rerun, RunStart};
use crate::model::HostName;

/// So many names fit a `--limit` that somebody would still copy.
const MOST: usize = 12;

/// What follows the verb, for all hosts of the command.
pub(super) fn all(start: &RunStart) -> String {
    command_line(start, start.rerun.limit.as_deref())
}

/// The same for these hosts of them; for all, where they are too many to be named.
pub(super) fn only(start: &RunStart, hosts: &[&HostName]) -> String {
    if hosts.len() > MOST {
        return all(start);
    }
    let names: Vec<String> = hosts.iter().map(|host| line(host.as_str())).collect();
    command_line(start, Some(&names.join(",")))
}

/// The same for the hosts that a run has left undone, however many they are: by the record of the run, or by
/// their names.
pub(super) fn left(start: &RunStart, hosts: &[&HostName]) -> String {
    if !start.recorded {
        return only(start, hosts);
    }
    command_line(start, Some(&format!("@failed:{}", name(&start.run))))
}

/// What follows `certroll` to do what a run has left undone with `hosts`.
pub(super) fn again(start: &RunStart, hosts: &[&HostName]) -> String {
    let own = start.rerun.own.iter().map(|word| quoted(word) + " ").collect::<String>();
    match (start.command.as_str(), &start.follows) {
        ("apply", _) if start.recorded && !start.check => {
            format!("apply --resume {}", name(&start.run))
        }
        ("rollback", Some(run)) => format!("rollback --run {}", name(run)),
        (command, _) => format!("{command} {own}{}", left(start, hosts)),
    }
}

/// What follows `certroll` to do what a dry run has told.
pub(super) fn for_real(start: &RunStart) -> String {
    let own = start.rerun.own.iter().map(|word| quoted(word) + " ").collect::<String>();
    match (start.command.as_str(), &start.follows, &start.out) {
        ("rollback", Some(run), _) => format!("rollback --run {}", name(run)),
        ("rollback", None, _) => format!("rollback {own}{}", all(start)),
        (_, Some(run), _) => format!("apply --resume {}", name(run)),
        (_, None, Some(file)) => format!("apply {}", quoted(file)),
        (_, None, None) => format!("apply {}", all(start)),
    }
}

/// As much of a run's name as tells it apart.
fn name(run: &str) -> String {
    line(run).chars().take(8).collect()
}

/// What has to be given again although it is not in the words; nothing as a rule.
pub(super) fn left_out(start: &RunStart) -> String {
    match start.rerun.left_out.as_slice() {
        [] => String::new(),
        flags => format!(" (with the values of {}, which are not repeated here)", flags.join(", ")),
    }
}

/// Quoted for a shell.
fn command_line(start: &RunStart, limit: Option<&str>) -> String {
    let Rerun { argv, .. } = &start.rerun;
    let argv = if argv.is_empty() { &start.playbooks } else { argv };
    let mut words: Vec<String> = argv.iter().map(|word| quoted(word)).collect();
    if let Some(limit) = limit {
        words.extend(["--limit".to_owned(), quoted(limit)]);
    }
    words.join(" ")
}

/// A word for a shell.
pub(super) fn quoted(word: &str) -> String {
    let word = line(word);
    shlex::try_quote(&word).map_or_else(|_| word.clone(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_narrows_or_stays() {
        let names: Vec<HostName> = (0..13).map(|n| HostName::new(format!("e{n}"))).collect();
        let names: Vec<&HostName> = names.iter().collect();
        let argv = ["my p.yml", "-i", "hosts"].map(str::to_owned).to_vec();
        let rerun = Rerun { argv, limit: Some("web:!e3".into()), ..Rerun::default() };
        let start = RunStart { rerun, ..RunStart::default() };
        assert_eq!(all(&start), "'my p.yml' -i hosts --limit 'web:!e3'");
        assert_eq!(only(&start, &names[..2]), "'my p.yml' -i hosts --limit 'e0,e1'");
        assert_eq!(only(&start, &names), all(&start));
        assert_eq!(left(&start, &names[..2]), only(&start, &names[..2]));
        let run = "5d1f0a4c9be2d713".to_owned();
        let recorded = RunStart { recorded: true, run, ..start.clone() };
        assert_eq!(left(&recorded, &names), "'my p.yml' -i hosts --limit @failed:5d1f0a4c");
        let bare = RunStart { playbooks: vec!["p.yml".into()], ..RunStart::default() };
        assert_eq!(all(&bare), "p.yml");
    }
}
