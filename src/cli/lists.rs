//! `--list-hosts`, `--list-tasks` and `--list-tags`: what a run would go over.

use super::args::RunArgs;
use crate::inputs::project::{Book, Project};
use crate::inputs::selection::ChosenTask;
use crate::inputs::variables::Variables;
use crate::playbook::{Meta, Part, TaskKind};
use crate::report::list::{PlayListing, PlaybookListing, TaskListing, What, render};
use crate::source::Diagnostics;
use std::sync::Arc;

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
            let implicit = matches!(chosen.task.kind, TaskKind::Meta(Meta::EndSection));
            let aside = |(_, part): &(_, Part)| *part != Part::Body;
            // Ansible lists the bodies of blocks only.
            !implicit && !chosen.task.around.blocks.iter().any(aside)
        };
        let tasks = chosen.into_iter().filter(shown).map(|chosen| TaskListing {
            name: chosen.task.title(),
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
