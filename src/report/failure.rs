//! What failed, where, how the host is now, and what to do: for somebody who was just woken up.

use super::alike::without_host;
use super::theme::{self, Theme, line};
use super::words;
use crate::event::Failure;
use crate::model::HostName;
use anstyle::Style;
use indexmap::{IndexMap, IndexSet};

/// Failures, identical ones of many hosts together, in the order of their first.
#[derive(Debug, Default)]
pub(crate) struct Groups(IndexMap<Key, Group>);

/// Failures that differ in nothing but the host.
#[derive(Debug)]
pub(crate) struct Group {
    /// The first of them.
    pub failure: Failure,
    /// All hosts that it happened on.
    pub hosts: IndexSet<HostName>,
    /// How often it happened.
    pub times: usize,
}

/// What makes two failures the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    task: String,
    step: crate::model::Step,
    exit_code: Option<i32>,
    message: String,
    command: Option<String>,
    state: String,
}

impl Groups {
    /// Adds a failure.
    pub(super) fn add(&mut self, host: &HostName, failure: &Failure) {
        let group = self.0.entry(Key::of(host, failure)).or_insert_with(|| Group {
            failure: failure.clone(),
            hosts: IndexSet::new(),
            times: 0,
        });
        group.hosts.insert(host.clone());
        group.times += 1;
    }

    /// The group of a failure.
    pub(crate) fn of(&self, host: &HostName, failure: &Failure) -> Option<&Group> {
        self.0.get(&Key::of(host, failure))
    }

    /// The groups.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Group> {
        self.0.values()
    }
}

impl Key {
    fn of(host: &HostName, failure: &Failure) -> Self {
        Self {
            task: failure.task.clone(),
            step: failure.step,
            exit_code: failure.exit_code,
            message: without_host(&failure.message, host),
            command: failure.command.as_deref().map(|command| without_host(command, host)),
            state: without_host(&failure.state, host),
        }
    }
}

/// What went wrong in one line, with command and exit code where there are any.
pub(super) fn headline(failure: &Failure) -> String {
    let mut text = line(&failure.message);
    let told = |code: i32| text.ends_with(&format!("exited with code {code}"));
    if let Some(code) = failure.exit_code.filter(|code| !told(*code)) {
        text.push_str(&format!(" (exit code {code})"));
    }
    text
}

/// What follows the headline: command, its last lines, the host's state, what to do next.
pub(super) fn details(theme: &Theme, failure: &Failure) -> String {
    let mut text = String::new();
    if let Some(place) = &failure.place {
        text.push_str(&theme.block("    written  ", Style::new(), &line(place)));
    }
    if let Some(command) = &failure.command {
        text.push_str(&theme.block("    command  ", Style::new(), &line(command)));
    }
    for output in &failure.output {
        text.push_str(&format!("    | {}\n", line(output)));
    }
    let state = line(&failure.state);
    // A state that nobody expects to read is shouted by its sender.
    let style =
        match state.starts_with("UNKNOWN") || state.contains("DOWN") || state.contains("BUT ") {
            true => theme::LOUD,
            false => theme::STRONG,
        };
    text.push_str(&theme.block("    host     ", style, &state));
    for (index, advice) in failure.advice.iter().enumerate() {
        let word = if index == 0 { "next" } else { "" };
        text.push_str(&theme.block(&format!("    {word:<8} "), Style::new(), &line(advice)));
    }
    theme.fit(&text)
}

/// One group at the end of a run: `VALIDATE FAILED on edge3 and 37 more hosts: …`.
pub(super) fn block(theme: &Theme, group: &Group) -> String {
    let failure = &group.failure;
    let head = format!("{} FAILED", failure.step.name().to_uppercase());
    let hosts = words::hosts(group.hosts.first(), 1);
    let mut text =
        theme.block("", Style::new(), &format!("{head} on {hosts}: {}", headline(failure)));
    text = text.replacen(&head, &theme.paint(theme::BAD, &head), 1);
    text.push_str(&theme.block("    task     ", Style::new(), &line(&failure.task)));
    text.push_str(&details(theme, failure));
    let others = group.hosts.len() - 1;
    if others > 0 {
        let count = crate::model::text::plural(others, "more host");
        let names = words::hosts(group.hosts.iter().skip(1), 20);
        text.push_str(&theme.block("    and ", Style::new(), &format!("{count}: {names}")));
    }
    theme.fit(&text)
}

#[cfg(test)]
mod tests {
    use super::super::samples::apply;
    use super::*;
    use crate::event::Kind;

    fn failures() -> Groups {
        let mut groups = Groups::default();
        for event in apply() {
            if let (Kind::Failure(failure), Some(host)) = (event.kind, event.host) {
                groups.add(&host, &failure);
            }
        }
        groups
    }

    #[test]
    fn blocks() {
        let groups = failures();
        let text: Vec<String> = groups.iter().map(|group| block(&Theme::PLAIN, group)).collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn what_differs_only_in_the_host_is_one_group() {
        let mut groups = failures();
        let before = groups.iter().count();
        let mut failure = groups.0[0].failure.clone();
        for number in 20..60 {
            failure.message = format!("192.0.2.{number}:22: connection refused");
            groups.add(&HostName::new(format!("edge{number}")), &failure);
        }
        assert_eq!(groups.iter().count(), before);
        let text = block(&Theme::PLAIN, &groups.0[0]);
        assert!(text.contains("and 40 more hosts: edge20, edge21"), "{text}");
        assert!(text.contains("and 20 more hosts\n"), "{text}");
        failure.exit_code = Some(255);
        groups.add(&HostName::new("edge1"), &failure);
        assert_eq!(groups.iter().count(), before + 1);
        assert_eq!(groups.of(&HostName::new("edge1"), &failure).unwrap().times, 1);
    }

    #[test]
    fn words_of_a_host_cannot_steer_the_terminal() {
        let mut failure = failures().0[1].failure.clone();
        failure.output = vec!["\u{1b}]0;x\u{7}\u{9b}31m".into()];
        failure.message = "a\u{1b}[2Jb".into();
        failure.state = "s\u{202e}".into();
        let text = details(&Theme::PLAIN, &failure) + &headline(&failure);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}'));
    }
}
