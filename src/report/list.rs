//! `--list-hosts`, `--list-tasks` and `--list-tags`, as ansible-playbook prints them; in a stable order, though.

use super::theme::line;
use crate::model::HostName;

/// A playbook as far as listings show it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlaybookListing {
    /// As given on the command line.
    pub playbook: String,
    /// Its plays in order.
    pub plays: Vec<PlayListing>,
}

/// A play as far as listings show it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlayListing {
    /// `hosts:` as written; one entry per item of a list.
    pub patterns: Vec<String>,
    /// Its name; empty: its patterns are its name.
    pub name: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The hosts that it would run on, in order.
    pub hosts: Vec<HostName>,
    /// The tasks that it would run, in order, their templates unrendered.
    pub tasks: Vec<TaskListing>,
}

/// A task as far as listings show it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskListing {
    /// Its name.
    pub name: String,
    /// All its tags, those of the play and of blocks included.
    pub tags: Vec<String>,
}

/// What to list; all may be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct What {
    /// `--list-hosts`
    pub hosts: bool,
    /// `--list-tasks`
    pub tasks: bool,
    /// `--list-tags`
    pub tags: bool,
}

/// The listing of `playbooks`, to be printed as it is.
pub(crate) fn render(playbooks: &[PlaybookListing], what: What) -> String {
    let mut text = String::new();
    for playbook in playbooks {
        text.push_str(&format!("\nplaybook: {}\n", line(&playbook.playbook)));
        for (index, play) in playbook.plays.iter().enumerate() {
            render_play(index + 1, play, what, &mut text);
        }
    }
    text
}

fn render_play(number: usize, play: &PlayListing, what: What, text: &mut String) {
    let patterns = line(&play.patterns.join(","));
    let name = if play.name.is_empty() { patterns.clone() } else { line(&play.name) };
    let tags = tags(&play.tags, ",");
    text.push_str(&format!("\n  play #{number} ({patterns}): {name}\tTAGS: [{tags}]\n"));
    if what.hosts {
        let quoted: Vec<String> =
            play.patterns.iter().map(|pattern| format!("'{}'", line(pattern))).collect();
        text.push_str(&format!("    pattern: [{}]\n", quoted.join(", ")));
        text.push_str(&format!("    hosts ({}):\n", play.hosts.len()));
        for host in &play.hosts {
            text.push_str(&format!("      {}\n", line(host.as_str())));
        }
    }
    if what.tasks {
        text.push_str("    tasks:\n");
        for task in &play.tasks {
            let tags = self::tags(&task.tags, ", ");
            text.push_str(&format!("      {}\tTAGS: [{tags}]\n", line(&task.name)));
        }
    }
    if what.tags {
        let all = play.tasks.iter().flat_map(|task| &task.tags).chain(&play.tags);
        let all: Vec<String> = all.cloned().collect();
        text.push_str(&format!("      TASK TAGS: [{}]\n", self::tags(&all, ", ")));
    }
}

fn tags(tags: &[String], between: &str) -> String {
    let mut tags: Vec<String> = tags.iter().map(|tag| line(tag)).collect();
    tags.sort();
    tags.dedup();
    tags.join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<PlaybookListing> {
        let task = |name: &str, tags: &[&str]| TaskListing {
            name: name.into(),
            tags: tags.iter().map(ToString::to_string).collect(),
        };
        let first = PlayListing {
            patterns: vec!["edge:&prod".into()],
            name: "Renew the edge certificates".into(),
            tags: vec!["tls".into(), "edge".into()],
            hosts: ["edge2", "edge1"].map(HostName::new).to_vec(),
            tasks: vec![
                task("nginx serves {{ site }}", &["tls", "edge"]),
                task("tell", &["a", "edge", "a", "tls"]),
            ],
        };
        let second = PlayListing {
            patterns: vec!["mail".into(), "relay\u{1b}[2J".into()],
            ..PlayListing::default()
        };
        vec![PlaybookListing { playbook: "site.yml".into(), plays: vec![first, second] }]
    }

    #[test]
    fn hosts() {
        let what = What { hosts: true, ..What::default() };
        insta::assert_snapshot!(render(&sample(), what));
    }

    #[test]
    fn tasks() {
        let what = What { tasks: true, ..What::default() };
        insta::assert_snapshot!(render(&sample(), what));
    }

    #[test]
    fn both() {
        insta::assert_snapshot!(render(&sample(), What { hosts: true, tasks: true, tags: false }));
    }
}
