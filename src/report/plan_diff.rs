//! Two plans compared: hosts that joined or left, hosts in another batch, and per host what would be done otherwise.
//! The same difference of many hosts is said once.

use super::theme::{self, Theme, line};
use super::words;
use crate::event::planned::{CertBrief, PlanRow, PlannedCommand, PlannedHandshake, PlannedTask};
use crate::event::{Event, Kind};
use crate::model::HostName;
use anstyle::Style;
use indexmap::{IndexMap, IndexSet};

/// What a plan says of a host: its batch (play and number) and its tasks.
#[derive(Default)]
struct Planned<'a> {
    batches: Vec<(usize, usize)>,
    tasks: Vec<&'a PlannedTask>,
}

/// The differences from plan `a` to plan `b`, as lines; empty when they say the same.
pub(crate) fn text(theme: &Theme, a: &[Event], b: &[Event]) -> String {
    let (a, b) = (hosts(a), hosts(b));
    let mut groups: IndexMap<String, IndexSet<&HostName>> = IndexMap::new();
    let mut say = |host, words: &str| {
        groups.entry(words.to_owned()).or_default().insert(host);
    };
    for (host, then) in &a {
        match b.get(*host) {
            None => say(*host, "- is not in the second plan"),
            Some(now) => differences(then, now).iter().for_each(|words| say(*host, words)),
        }
    }
    for host in b.keys().filter(|host| !a.contains_key(**host)) {
        say(*host, "+ is not in the first plan");
    }
    let mut text = String::new();
    for (words, hosts) in groups {
        text.push_str(&format!("{}\n", theme.paint(theme::STRONG, words::hosts(hosts, 8))));
        for words in words.lines() {
            let style = match words.as_bytes().first() {
                Some(b'-') => theme::BAD,
                Some(b'+') => theme::GOOD,
                _ => Style::new(),
            };
            text.push_str(&format!("  {}\n", theme.paint(style, line(words))));
        }
    }
    theme.fit(&text)
}

fn hosts(events: &[Event]) -> IndexMap<&HostName, Planned<'_>> {
    let mut all: IndexMap<&HostName, Planned<'_>> = IndexMap::new();
    let mut play = 0;
    for event in events {
        match (&event.kind, &event.host) {
            (Kind::PlayStart { .. }, _) => play += 1,
            (Kind::BatchStart { batch, hosts, .. }, _) => {
                for host in hosts {
                    all.entry(host).or_default().batches.push((play, *batch));
                }
            }
            (Kind::PlanHost { task, .. }, Some(host)) => {
                all.entry(host).or_default().tasks.push(task);
            }
            _ => {}
        }
    }
    all
}

fn differences(a: &Planned<'_>, b: &Planned<'_>) -> Vec<String> {
    let mut all = Vec::new();
    if a.batches != b.batches {
        let words = |one: &Planned<'_>| {
            let list = one.batches.iter().map(|(play, batch)| format!("play {play} batch {batch}"));
            list.collect::<Vec<_>>().join(", ")
        };
        all.push(format!("- {}\n+ {}", words(a), words(b)));
    }
    let none = PlannedTask::default();
    for index in 0..a.tasks.len().max(b.tasks.len()) {
        let of = |one: &Planned<'_>| one.tasks.get(index).copied().cloned();
        let (then, now) = (of(a).unwrap_or(none.clone()), of(b).unwrap_or(none.clone()));
        lists(&mut all, &then.rows, &now.rows, |row| row.file.clone(), row_words);
        let named = |one: &PlannedCommand| format!("{:?}{}", one.service, one.purpose);
        lists(&mut all, &then.commands, &now.commands, named, command_words);
        let place = |one: &PlannedHandshake| format!("{}{:?}", one.endpoint, one.server_name);
        lists(&mut all, &then.handshakes, &now.handshakes, place, handshake_words);
    }
    all
}

/// What is in one list and not in the other; those with the same key stand together.
fn lists<T>(
    into: &mut Vec<String>,
    a: &[T],
    b: &[T],
    key: impl Fn(&T) -> String,
    words: impl Fn(&T) -> String,
) {
    let shown = |list: &[T]| -> IndexMap<String, Vec<String>> {
        let mut all: IndexMap<String, Vec<String>> = IndexMap::new();
        for one in list {
            all.entry(key(one)).or_default().push(words(one));
        }
        all
    };
    let (a, b) = (shown(a), shown(b));
    let keys: IndexSet<&String> = a.keys().chain(b.keys()).collect();
    for key in keys {
        let (then, now) = (a.get(key), b.get(key));
        if then == now {
            continue;
        }
        let signed = |sign: char, list: Option<&Vec<String>>| -> Vec<String> {
            list.into_iter().flatten().map(|words| format!("{sign} {words}")).collect()
        };
        into.push([signed('-', then), signed('+', now)].concat().join("\n"));
    }
}

fn row_words(row: &PlanRow) -> String {
    let leaf = |brief: Option<&CertBrief>| {
        brief.map_or_else(|| "none".to_owned(), |brief| brief.fingerprint.short())
    };
    let digest = |digest: &Option<crate::model::Fingerprint>| {
        digest.map_or_else(|| "no file".to_owned(), |digest| digest.short())
    };
    let mut text = format!("{} {}", row.file, row.action.name().replace('_', " "));
    if row.now.is_some() || row.wanted.is_some() {
        text.push_str(&format!(
            ", certificate {} → {}",
            leaf(row.now.as_deref()),
            leaf(row.wanted.as_deref())
        ));
    }
    text.push_str(&format!(", bytes {} → {}", digest(&row.before), digest(&row.after)));
    if !row.detail.is_empty() {
        text.push_str(&format!(", {}", row.detail));
    }
    if let Some(real) = &row.real_path {
        text.push_str(&format!(", a link to {real}"));
    }
    text
}

fn command_words(one: &PlannedCommand) -> String {
    let service = one.service.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
    format!("{service}{} `{}` ({})", one.purpose, one.command, one.sha256.short())
}

fn handshake_words(one: &PlannedHandshake) -> String {
    let name = one.server_name.as_ref().map(|name| format!(" as {name}")).unwrap_or_default();
    let starttls = match one.starttls.as_str() {
        "none" => String::new(),
        name => format!(" STARTTLS {name}"),
    };
    format!("{}{starttls}{name} from the {} must show {}", one.endpoint, one.via, one.leaf.short())
}

#[cfg(test)]
mod tests {
    use super::super::samples::plan;
    use super::*;

    #[test]
    fn equal_plans_differ_in_nothing() {
        assert_eq!(text(&Theme::PLAIN, &plan(), &plan()), "");
    }

    #[test]
    fn differences_are_said_once_for_the_hosts_that_share_them() {
        let mut changed = plan();
        for event in &mut changed {
            match &mut event.kind {
                Kind::PlanHost { task, .. } => {
                    task.commands[1].command = "systemctl reload nginx".into();
                }
                Kind::BatchStart { hosts, batch: 2, .. } => {
                    hosts.pop();
                    hosts.push("edge9".into());
                }
                _ => {}
            }
        }
        insta::assert_snapshot!(text(&Theme::PLAIN, &plan(), &changed), @r"
        edge1, edge2, edge3, edge4, edge5
          - nginx reload `nginx -s reload` (d8fd4f68)
          + nginx reload `systemctl reload nginx` (d8fd4f68)
        edge6
          - is not in the second plan
        edge9
          + is not in the first plan
        ");
    }
}
