//! `--list-hosts`, `--list-tasks` and `--list-tags`: what a run would touch.

use super::args::RunArgs;
use crate::inputs::project::{Book, Project};
use crate::inputs::selection::{ChosenTask, Section};
use crate::inputs::variables::Variables;
use crate::playbook::{Meta, Part, TaskKind};
use crate::report::list::{PlayListing, PlaybookListing, TaskListing, What, render};
use crate::source::diagnostic::nearest;
use crate::source::{Diagnostic, Diagnostics};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Each tag of `--tags` is one that some task has.
///
/// # Errors
/// Those that none has.
pub(super) fn known_tags(tags: &[String], project: &Project) -> Result<(), Diagnostics> {
    const SPECIAL: [&str; 5] = ["all", "tagged", "untagged", "always", "never"];
    let every = project.plays().flat_map(|at| at.all_tasks().chain(at.handlers()));
    let every: Vec<ChosenTask<'_>> = every.collect();
    // What an include adds may have any tag.
    if every.iter().any(|chosen| matches!(chosen.task.kind, TaskKind::Include(_))) {
        return Ok(());
    }
    let known: BTreeSet<&str> =
        every.iter().flat_map(|chosen| &chosen.task.tags).map(String::as_str).collect();
    let mut found = Diagnostics::default();
    for tag in tags.iter().filter(|tag| !SPECIAL.contains(&tag.as_str())) {
        if known.contains(tag.as_str()) {
            continue;
        }
        let problem = Diagnostic::error(format!("--tags: no task has the tag '{tag}'"));
        found.push(match nearest(tag, known.iter().copied()) {
            Some(near) => problem.help(format!("did you mean '{near}'?")),
            None => problem.help("`--list-tags` shows the tags of each play"),
        });
    }
    if found.has_errors() { Err(found) } else { Ok(()) }
}

/// The listing that the flags ask for; `None`: they ask for none.
///
/// # Errors
/// Host patterns that are wrong.
pub(super) fn listing(args: &RunArgs, project: &Project) -> Result<Option<String>, Diagnostics> {
    let what = What { hosts: args.list_hosts, tasks: args.list_tasks, tags: args.list_tags };
    if what == What::default() {
        return Ok(None);
    }
    let variables = Arc::new(Variables::new(project));
    let mut found = Diagnostics::default();
    let empty =
        |book: &Book| PlaybookListing { playbook: book.playbook.name.clone(), plays: Vec::new() };
    let mut books: Vec<PlaybookListing> = project.books.iter().map(empty).collect();
    for at in project.plays() {
        let play = at.play;
        let hosts = match at.hosts(&variables) {
            Ok(hosts) => hosts,
            Err(problem) => {
                found.push(problem);
                continue;
            }
        };
        let patterns = match play.hosts.as_list() {
            Some(list) => list.iter().filter_map(|one| one.as_str()).collect(),
            None => Vec::from_iter(play.hosts.as_str()),
        };
        // All tags are listed, those of `never` too, unless some were named or left out (Ansible, `cli/playbook.py`).
        let every = what.tags && args.tags.is_empty() && args.skip_tags.is_empty();
        let chosen: Vec<ChosenTask<'_>> = match every {
            false => at.tasks().collect(),
            true => at.all_tasks().collect(),
        };
        let shown = |chosen: &ChosenTask<'_>| {
            let implicit = matches!(chosen.task.kind, TaskKind::Meta(Meta::EndSection))
                || chosen.place.section == Section::Gathering;
            let aside = |(_, part): &(_, Part)| *part != Part::Body;
            // Ansible lists the bodies of blocks only.
            !implicit && !chosen.task.around.blocks.iter().any(aside)
        };
        let tasks = chosen.into_iter().filter(shown).map(|chosen| TaskListing {
            // Without a name of its own it is listed as its module, whatever role it is in.
            name: match chosen.task.name {
                Some(_) => chosen.task.title(),
                None => chosen.task.kind.name().to_owned(),
            },
            tags: chosen.task.tags.clone(),
        });
        books[at.book_index()].plays.push(PlayListing {
            patterns: patterns.into_iter().map(str::to_owned).collect(),
            name: play.name.clone(),
            tags: play.tags.clone(),
            hosts,
            tasks: tasks.collect(),
        });
    }
    if found.has_errors() { Err(found) } else { Ok(Some(render(&books, what))) }
}
